package dedup

import (
	"container/list"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"paygate/pricing"
	"paygate/server/mcp"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// record is a named call on disk: that it was charged, and its answer if that
// is not too long.
type record struct {
	ID      string     `json:"id"`
	Owner   string     `json:"owner"`
	What    string     `json:"what"`
	Call    string     `json:"call"`
	Charged int64      `json:"charged"`
	Result  []byte     `json:"result,omitempty"` // the server's own bytes
	Error   *mcp.Error `json:"error,omitempty"`
	Ended   time.Time  `json:"ended,omitzero"`
	Until   time.Time  `json:"until"`
}

func records() store.Table[record] {
	return store.Table[record]{Name: "dedup", ID: func(r *record) string { return r.ID }}
}

func (n name) String() string { return hex.EncodeToString(n[:]) }

// kept says whether a call that ended like this is answered again: it was
// charged, or is good, or goes on.
func kept(c *journal.Call) bool {
	return c.Charged > 0 || c.Outcome == pricing.OK || c.Outcome == pricing.Pending
}

// write is what goes with the settlement of a named call. It also takes what
// has been forgotten meanwhile off the disk, a few at a time.
func (d *Dedup) write(r record, freeAgain time.Duration) func(*store.Tx, *journal.Call) error {
	return func(tx *store.Tx, c *journal.Call) error {
		if !kept(c) {
			return nil
		}
		d.mu.Lock()
		r.Ended = d.now()
		r.Until = r.Ended.Add(max(d.config.ttl(), freeAgain))
		var forgotten []string
		for _, id := range d.dead[:min(len(d.dead), 8)] {
			if d.entries[id] == nil { // else it has been named anew
				forgotten = append(forgotten, id.String())
			}
		}
		d.dead = d.dead[min(len(d.dead), 8):]
		d.mu.Unlock()
		for _, id := range forgotten {
			if err := records().Delete(tx, id); err != nil {
				return err
			}
		}
		r.Charged = int64(c.Charged)
		return records().Put(tx, &r)
	}
}

// load reads what an earlier process has kept.
func (d *Dedup) load() error {
	var found []*record
	err := d.book.DB().View(func(snap *store.Snapshot) error {
		kept, err := configs().Get(snap, configID)
		switch {
		case err == nil:
			d.config = *kept
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		for r, err := range records().All(snap, "") {
			if err != nil {
				return err
			}
			found = append(found, r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range found {
		e := &entry{owner: r.Owner, call: r.Call, charged: pricing.Credits(r.Charged), ended: r.Ended, until: r.Until, done: make(chan struct{})}
		close(e.done)
		id, err := hex.DecodeString(r.ID)
		what, err2 := hex.DecodeString(r.What)
		if err := errors.Join(err, err2); err != nil || len(id) != len(e.name) || len(what) != len(e.what) {
			return fmt.Errorf("dedup %s: it is no name: %w", r.ID, err)
		}
		e.name, e.what = name(id), [32]byte(what)
		if r.Result != nil || r.Error != nil {
			e.answer = &mcp.Message{Result: r.Result, Error: r.Error}
		}
		d.entries[e.name] = e
		d.enter(e)
	}
	d.expire(d.now())
	return nil
}

// enter keeps an entry that has ended. Behind mu.
func (d *Dedup) enter(e *entry) {
	mine := d.owners[e.owner]
	if mine == nil {
		mine = list.New()
		d.owners[e.owner] = mine
	}
	e.places = [2]*list.Element{d.ended.PushBack(e), mine.PushBack(e)}
	d.bytes += e.size()
	for at := d.ended.Front(); d.bytes > mostBytes && at != nil; at = at.Next() {
		old, _ := at.Value.(*entry)
		d.bytes -= old.size()
		old.answer = nil
	}
}

// forget drops an entry that has ended. Behind mu.
func (d *Dedup) forget(e *entry) {
	d.ended.Remove(e.places[0])
	mine := d.owners[e.owner]
	if mine.Remove(e.places[1]); mine.Len() == 0 {
		delete(d.owners, e.owner)
	}
	d.bytes -= e.size()
	delete(d.entries, e.name)
	d.dead = append(d.dead, e.name)
}

// expire forgets what has been kept long enough. Behind mu.
func (d *Dedup) expire(now time.Time) {
	for at := d.ended.Front(); at != nil; at = d.ended.Front() {
		e, _ := at.Value.(*entry)
		if e.until.After(now) {
			return
		}
		d.forget(e)
	}
}

// makeRoom forgets an entry when there are too many: the caller's own oldest,
// so that nobody pushes out what others rely on; one of whoever has most, if
// the caller has none. Behind mu.
func (d *Dedup) makeRoom(owner string) {
	if len(d.entries) < d.config.MaxEntries {
		return
	}
	most := d.owners[owner]
	if most == nil {
		for _, theirs := range d.owners {
			if most == nil || theirs.Len() > most.Len() {
				most = theirs
			}
		}
	}
	if most == nil { // all of them run
		return
	}
	if e, ok := most.Front().Value.(*entry); ok {
		d.forget(e)
	}
}

// purge forgets all that has ended, on disk too. What runs goes on.
func (d *Dedup) purge(tx *ledger.Tx) error {
	d.mu.Lock()
	for at := d.ended.Front(); at != nil; at = d.ended.Front() {
		if e, ok := at.Value.(*entry); ok {
			d.forget(e)
		}
	}
	d.dead = nil
	d.mu.Unlock()
	var all []string
	for r, err := range records().All(tx, "") {
		if err != nil {
			return err
		}
		all = append(all, r.ID)
	}
	for _, id := range all {
		if err := records().Delete(tx, id); err != nil {
			return err
		}
	}
	return nil
}
