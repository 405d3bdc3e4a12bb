package dedup

import (
	"container/list"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"paygate/pricing"
	"paygate/server/gate"
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
		d.mu.Unlock()
		if err := d.clean(tx, 8); err != nil {
			return err
		}
		r.Charged = int64(c.Charged)
		return records().Put(tx, &r)
	}
}

// clean takes off the disk what has been forgotten, so many records at most.
func (d *Dedup) clean(tx *store.Tx, most int) error {
	d.mu.Lock()
	var gone []string
	n := min(len(d.dead), most)
	for _, id := range d.dead[:n] {
		if d.entries[id] == nil { // else it has been named anew
			gone = append(gone, id.String())
		}
	}
	slim := d.slim[:min(len(d.slim), most)]
	d.dead, d.slim = d.dead[n:], d.slim[len(slim):]
	d.mu.Unlock()
	for _, id := range gone {
		if err := records().Delete(tx, id); err != nil {
			return err
		}
	}
	for _, id := range slim {
		r, err := records().Get(tx, id.String())
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		r.Result, r.Error = nil, nil
		if err := records().Put(tx, r); err != nil {
			return err
		}
	}
	return nil
}

// Run forgets with time, in memory and on disk, also when no named call comes
// any more. It ends with ctx.
func (d *Dedup) Run(ctx context.Context) {
	const every, most = 5 * time.Second, 1000
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		d.mu.Lock()
		d.expire(d.now())
		idle := len(d.dead)+len(d.slim) == 0
		d.mu.Unlock()
		if idle {
			continue
		}
		// What cannot be written now is tried again with the next start.
		_ = d.book.Apply(ctx, func(tx *ledger.Tx) error { return d.clean(tx.Tx, most) })
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
	e.places[0] = d.ended.PushBack(e)
	if e.answer == nil {
		return
	}
	mine := d.owners[e.owner]
	if mine == nil {
		mine = list.New()
		d.owners[e.owner] = mine
	}
	e.places[1] = mine.PushBack(e)
	d.kept++
	d.bytes += e.size()
	for at := d.ended.Front(); d.bytes > mostBytes && at != nil; at = at.Next() {
		if old, ok := at.Value.(*entry); ok {
			d.unanswer(old)
		}
	}
}

// unanswer forgets the answer of an entry that has ended. Behind mu.
func (d *Dedup) unanswer(e *entry) {
	if e.places[1] == nil {
		return
	}
	mine := d.owners[e.owner]
	if mine.Remove(e.places[1]); mine.Len() == 0 {
		delete(d.owners, e.owner)
	}
	d.bytes -= e.size()
	d.kept--
	e.answer, e.places[1] = nil, nil
}

// forget drops an entry that has ended. Behind mu.
func (d *Dedup) forget(e *entry) {
	d.unanswer(e)
	d.ended.Remove(e.places[0])
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

// makeRoom forgets an answer when too many are kept: the caller's own oldest,
// so that nobody pushes out what others rely on; one of whoever has most, if
// the caller has none. That the call was charged stays known for its time;
// when even such names are too many, a new one is refused. Behind mu.
func (d *Dedup) makeRoom(owner string) *gate.Denial {
	if most := d.config.MaxEntries * namesPerAnswer; len(d.entries) >= most {
		return &gate.Denial{Reason: "too_many_idempotency_keys", Code: gate.CodeConcurrency, RetryAfter: time.Second,
			Message: fmt.Sprintf("too_many_idempotency_keys: %d calls with a key are under way or not long ago, which is as many as are known; wait, or call without one. Nothing was charged", most)}
	}
	if d.kept < d.config.MaxEntries {
		return nil
	}
	most := d.owners[owner]
	if most == nil {
		for _, theirs := range d.owners {
			if most == nil || theirs.Len() > most.Len() {
				most = theirs
			}
		}
	}
	if e, ok := most.Front().Value.(*entry); ok {
		d.unanswer(e)
		d.slim = append(d.slim, e.name)
	}
	return nil
}

// purge forgets all that has ended, on disk too. What runs goes on.
func (d *Dedup) purge(tx *ledger.Tx) error {
	d.mu.Lock()
	for at := d.ended.Front(); at != nil; at = d.ended.Front() {
		if e, ok := at.Value.(*entry); ok {
			d.forget(e)
		}
	}
	d.dead, d.slim = nil, nil
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
