package ledger

import (
	"context"
	"fmt"

	"paygate/store"
	"paygate/store/journal"
)

// The journal vouches for tables whose records decide who may call and at what
// price: the event of each mutation has the digests of what it wrote there. So
// a record that was changed, made or deleted by anything else is found by a
// proof, and cannot hide behind the next change, which says what it found.

// vouched is the record that says that the journal has vouched for what was
// there before it began to.
const vouched = "vouched"

// vouch names what the mutation has written in the last of its events.
func (t *Tx) vouch() error {
	versions := t.Versions()
	if len(versions) == 0 {
		return nil
	}
	if len(t.events) == 0 {
		data := fmt.Appendf(nil, `{"table":%q,"records":%d}`, versions[0].Table, len(versions))
		if err := t.Append(journal.Event{Type: journal.TypeRecords, Actor: "system", Data: data}); err != nil {
			return err
		}
	}
	last := t.events[len(t.events)-1]
	for _, v := range versions {
		last.Records = append(last.Records, journal.Record{Table: v.Table, ID: v.ID, Was: v.Was, Is: v.Is})
	}
	return nil
}

// vouchForAll takes the records of a state in that were there before the
// journal vouched for any. It happens once in the life of a state.
func (b *Book) vouchForAll(ctx context.Context) error {
	if len(b.opts.Tables) == 0 {
		return nil
	}
	done := false
	err := b.db.View(func(s *store.Snapshot) error {
		done = s.Get(bucketBooks, []byte(vouched)) != nil
		return nil
	})
	if err != nil || done {
		return err
	}
	return b.Apply(ctx, func(tx *Tx) error {
		e := journal.Event{Type: journal.TypeVouched, Actor: "system"}
		for _, t := range b.opts.Tables {
			for after, more := "", true; more; {
				page := store.Digests(tx, t.Title(), after, recordsAtATime)
				for _, v := range page {
					e.Records = append(e.Records, journal.Record{Table: v.Table, ID: v.ID, Was: v.Was, Is: v.Is})
					after = v.ID
				}
				more = len(page) == recordsAtATime
			}
		}
		if err := tx.Put(bucketBooks, []byte(vouched), []byte{1}); err != nil || len(e.Records) == 0 {
			return err
		}
		return tx.Append(e)
	})
}
