package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/journal"
)

// Park makes the hold of an admitted call durable, because the call outlives
// its request: the server asks for input, or has begun a task. It returns when
// that is on disk. Parked finds the call again, also after a restart, unless it
// waits Here; Settle ends it as any call. When until comes first, the call ends
// uncharged.
func (b *Book) Park(ctx context.Context, c *Call, until time.Time) error {
	return b.Apply(ctx, func(t *Tx) error {
		if c.epoch != b.epoch || b.holding[c.AdmitSeq] == nil {
			return ErrUnavailable
		}
		again := b.real.holds[c.ID] != nil
		payer := b.real.of(journal.Account(c.Payer))
		if !again && payer.parked >= MostParked {
			return fmt.Errorf("call %s: %w (at most %d)", c.ID, ErrTooManyParked, MostParked)
		}
		h := &hold{Hold: journal.Hold{ID: c.ID, Key: c.Key, Credits: c.Quote, Made: t.now, Until: until, Memo: c.Ref}, seq: b.seq + 1, call: c}
		if err := t.Append(journal.Event{Type: journal.TypeParked, Actor: "system", Subject: c.Key, Hold: &h.Hold}); err != nil {
			return err
		}
		if err := putHold(t.Tx, h); err != nil {
			return err
		}
		if c.Beside != nil {
			if err := c.Beside(t.Tx, &c.Call); err != nil {
				return err
			}
			c.Beside = nil // it is on disk; the settlement may bring another
		}
		b.real.holds[c.ID] = h
		if !again {
			payer.parked++
		}
		return nil
	})
}

// ErrTooManyParked means that a key has as many calls waiting as it may.
var ErrTooManyParked = errors.New("too many calls of this key wait for input or run as tasks")

// MostParked is how many calls of a payer may wait at a time: each is kept in
// memory and on disk for up to a day, and a tool may cost nothing.
const MostParked = 1000

// Parked takes a parked call up again, by its id. Until it is settled or
// parked anew nobody else gets it, and its time does not end.
func (b *Book) Parked(id string) (*Call, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.real.holds[id]
	if h == nil || h.call == nil || h.busy || h.lost || !b.now().Before(h.Until) {
		return nil, false
	}
	h.busy = true
	return h.call, true
}

// Leave gives back a call that Parked took, to wait on.
func (b *Book) Leave(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h := b.real.holds[id]; h != nil {
		h.busy = false
	}
}

// ParkedRef is Parked by the call's Ref.
func (b *Book) ParkedRef(ref string) (*Call, bool) {
	b.mu.Lock()
	id := ""
	for _, h := range b.real.holds {
		if h.call != nil && h.call.Ref == ref {
			id = h.ID
		}
	}
	b.mu.Unlock()
	return b.Parked(id)
}

// Running are the holds of calls that run as tasks, or whatever else has a Ref,
// and whose time is over before then.
func (b *Book) Running(then time.Time) []journal.Hold {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []journal.Hold
	for _, h := range b.real.holds {
		if h.call != nil && h.call.Ref != "" && !h.busy && h.Until.Before(then) {
			out = append(out, h.Hold)
		}
	}
	return out
}

// unpark forgets the hold of a call that has been settled. Behind mu.
func (b *Book) unpark(c *Call) {
	if h := b.real.holds[c.ID]; h != nil && h.call != nil {
		delete(b.real.holds, c.ID)
		b.real.of(journal.Account(c.Payer)).parked--
		b.writes = append(b.writes, func(tx *store.Tx) error { return tx.Delete(bucketHolds, []byte(c.ID)) })
	}
}

// lapse ends a parked call whose time is over.
func (b *Book) lapse(h *hold) {
	c, ok := b.claim(h)
	if !ok {
		return
	}
	c.Outcome, c.Class, c.Error = pricing.Lost, "expired", "not completed in time"
	if h.lost {
		c.Class, c.Error = "upstream_error", "the process that the call waited in has ended"
	}
	b.Settle(c)
}

func (b *Book) claim(h *hold) (*Call, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.real.holds[h.ID] != h || h.busy {
		return nil, false
	}
	h.busy = true
	return h.call, true
}

// putBack makes a hold of an earlier process count again. Behind mu.
func (b *Book) putBack(h *hold) error {
	if h.call == nil {
		b.real.put(h)
		if b.would != nil {
			b.would.put(h)
		}
		return nil
	}
	c := h.call
	var err error
	if b.opts.Sheet == nil {
		err = errors.New("no sheets")
	} else {
		c.Price, err = b.opts.Sheet(c.Sheet)
	}
	if err != nil {
		return fmt.Errorf("parked call %s: price sheet %.12s: %w", c.ID, c.Sheet, err)
	}
	c.epoch = b.epoch
	h.lost = c.Here && b.epoch == 1 // later ones are of this process, whose file was opened again
	if len(c.Reasons) == 0 && (!c.Observed || b.would != nil) {
		c.books = b.books(c)
		c.books.promise(&c.Call, c.Quote)
	}
	b.holding[c.AdmitSeq] = c
	b.real.holds[h.ID] = h
	b.real.of(journal.Account(c.Payer)).parked++
	return nil
}
