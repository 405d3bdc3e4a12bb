package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"paygate/store"
	"paygate/store/journal"
)

// What a proof says of the tables that the journal vouches for, of their
// indexes, and of what was given back of calls' charges.

// recordsAtATime are looked at in one View: a few milliseconds.
const recordsAtATime = 500

// named is a record of a table.
type named struct{ table, id string }

// sealed is what a record must be, and the act that made it so.
type sealed struct {
	digest store.Digest
	seq    uint64
}

// records are those that the journal says are there.
type records map[named]sealed

// versions takes in what an event says of records. An event that found another
// version than the one before it left tells of a change from outside.
func (f *refold) versions(e *journal.Event) {
	if e.Type == journal.TypeVouched && len(f.records) > 0 {
		f.proof.fault("event %d took the records of all tables as they were, although the journal vouched for them already: the mark that it had done so was deleted outside the gateway", e.Seq)
	}
	for _, r := range e.Records {
		at := named{r.Table, r.ID}
		if was := f.records[at]; e.Type != journal.TypeVouched && was.digest != r.Was {
			f.proof.fault("%s %s: it was changed outside the gateway between %s and event %d", r.Table, r.ID, was.name(), e.Seq)
		}
		if r.Is == (store.Digest{}) {
			delete(f.records, at)
		} else {
			f.records[at] = sealed{r.Is, e.Seq}
		}
	}
	if e.Type == journal.TypeRefund && len(e.Posts) == 1 {
		if seq := refundOf(e); seq > f.begin {
			f.given[seq] += uint64(e.Posts[0].Amount)
		}
	}
}

func (s sealed) name() string {
	if s.seq == 0 {
		return "the beginning"
	}
	return fmt.Sprint("event ", s.seq)
}

// proveRecords compares the tables with the journal, some records at a time:
// each lot with the fold as it is at the act that the lot was read at.
func (b *Book) proveRecords(ctx context.Context, f *refold) error {
	seen := map[named]bool{}
	for _, t := range b.opts.Tables {
		for after, more := "", true; more; {
			page, err := f.lot(ctx, func(s *store.Snapshot) []store.Version { return store.Digests(s, t.Title(), after, recordsAtATime) })
			if err != nil {
				return err
			}
			for _, v := range page {
				seen[named{v.Table, v.ID}] = true
				f.record(v)
				after = v.ID
			}
			more = len(page) == recordsAtATime
		}
		if err := b.indexes(ctx, f, t); err != nil {
			return err
		}
	}
	if err := f.gone(ctx, b.opts.Tables, seen); err != nil {
		return err
	}
	return f.refunds(ctx)
}

// lot reads some records and folds up to the act that the snapshot ends with.
func (f *refold) lot(ctx context.Context, read func(*store.Snapshot) []store.Version) ([]store.Version, error) {
	var out []store.Version
	var last uint64
	err := f.db.View(func(s *store.Snapshot) (err error) {
		out = read(s)
		last, err = newestAct(s)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, f.advance(ctx, last)
}

// newestAct is the number of the last act that a snapshot has.
func newestAct(s *store.Snapshot) (last uint64, err error) {
	s.Descend(journal.Bucket, nil, func(_, raw []byte) bool {
		_, last, _, err = journal.Link(raw)
		return false
	})
	return last, err
}

// record compares one record with what the journal says that it is.
func (f *refold) record(v store.Version) {
	f.proof.Records++
	want, known := f.records[named{v.Table, v.ID}]
	switch {
	case v.Is == want.digest:
	case !known:
		f.proof.fault("%s %s: the journal does not know it: it was added outside the gateway", v.Table, v.ID)
	case v.Is == (store.Digest{}):
		f.proof.fault("%s %s: it is gone, and %s made it what it was: it was deleted outside the gateway", v.Table, v.ID, want.name())
	default:
		f.proof.fault("%s %s: it is not what %s made it: it was changed outside the gateway", v.Table, v.ID, want.name())
	}
}

// gone looks for records that the journal has and no table had.
func (f *refold) gone(ctx context.Context, tables []store.Proved, seen map[named]bool) error {
	titles := map[string]bool{}
	for _, t := range tables {
		titles[t.Title()] = true
	}
	var missing []named
	for at := range f.records {
		if titles[at.table] && !seen[at] {
			missing = append(missing, at)
		}
	}
	for len(missing) > 0 {
		some := missing[:min(recordsAtATime, len(missing))]
		missing = missing[len(some):]
		now, err := f.lot(ctx, func(s *store.Snapshot) (out []store.Version) {
			for _, at := range some {
				out = append(out, store.Version{Table: at.table, ID: at.id, Is: store.DigestOf(s, at.table, at.id)})
			}
			return out
		})
		if err != nil {
			return err
		}
		for _, v := range now {
			f.record(v)
		}
	}
	return nil
}

// indexes looks whether a table's records are found by their unique values,
// and nothing else by them.
func (b *Book) indexes(ctx context.Context, f *refold, t store.Proved) error {
	look := func(some func(*store.Snapshot) (faults []string, more bool)) error {
		for more := true; more; {
			err := b.db.View(func(s *store.Snapshot) error {
				var faults []string
				faults, more = some(s)
				for _, text := range faults {
					f.proof.fault("%s: it was changed outside the gateway", text)
				}
				return ctx.Err()
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	var record string
	var value []byte
	err := look(func(s *store.Snapshot) (faults []string, more bool) {
		faults, record = t.Misplaced(s, record, recordsAtATime)
		return faults, record != ""
	})
	if err != nil {
		return err
	}
	return look(func(s *store.Snapshot) (faults []string, more bool) {
		faults, value = t.Stray(s, value, recordsAtATime)
		return faults, value != nil
	})
}

// refunds compares what was given back of calls' charges with what is on
// record, which keeps more from being given back than was charged.
func (f *refold) refunds(ctx context.Context) error {
	_, err := f.lot(ctx, func(*store.Snapshot) []store.Version { return nil })
	if err != nil {
		return err
	}
	return f.db.View(func(s *store.Snapshot) error {
		for seq, given := range f.given {
			if n, _ := binary.Uvarint(s.Get(bucketRefunds, journal.Key(seq))); n < given {
				f.proof.fault("call of event %d: %d of its charge was given back, on record are %d: it could be given back again", seq, given, n)
			}
		}
		return nil
	})
}

// writeRecords keeps what the records must be with an anchor.
func (b *Book) writeRecords(ctx context.Context, all records, generation uint32) error {
	var lot []named
	put := func() error {
		if len(lot) == 0 {
			return nil
		}
		return b.slice(ctx, func(tx *store.Tx) error {
			for _, at := range lot {
				s := all[at]
				if err := tx.Put(bucketAnchor, recordKey(generation, at), binary.AppendUvarint(s.digest[:], s.seq)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for at := range all {
		if lot = append(lot, at); len(lot) == recordsAtATime {
			if err := put(); err != nil {
				return err
			}
			lot = lot[:0]
		}
	}
	return put()
}

// recordCell stands behind the cells of an anchor: what its records must be.
const recordCell = -1

func recordKey(generation uint32, at named) []byte {
	return append(anchorKey(generation, recordCell), at.table+"\x00"+at.id...)
}

// read takes in what an anchor says of a record.
func (r records) read(key, value []byte) {
	table, id, _ := bytes.Cut(key, []byte{0})
	var s sealed
	s.seq, _ = binary.Uvarint(value[copy(s.digest[:], value):])
	r[named{string(table), string(id)}] = s
}
