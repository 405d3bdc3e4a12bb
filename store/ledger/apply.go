package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/journal"
)

// What a mutation can run into.
var (
	// ErrInsufficient means that an account has not what should leave it.
	ErrInsufficient = errors.New("insufficient credits")
	// ErrReplayed means that an entry with the same ID is on record already.
	ErrReplayed = errors.New("this was done before")
)

// apply is a mutation that waits for the writer.
type apply struct {
	fn   func(*Tx) error
	done chan struct{}
	err  error
}

// Tx is a mutation: records through its embedded store.Tx, and events, which
// carry postings. All of it happens or nothing.
type Tx struct {
	*store.Tx
	b      *Book
	now    time.Time
	events []*journal.Event
	moved  map[journal.Account]pricing.Credits // by the events so far
	ids    map[string]bool                     // of their entries
}

// Apply runs a mutation and returns when it is on disk, or has failed and left
// nothing. fn runs alone, under the book's lock: it must be short and do
// nothing but read and write the transaction. Several mutations and calls
// share one commit. When ctx ends first, a mutation that has not begun is
// withdrawn; one that has is waited for: nobody is told that it failed and
// finds it done later.
func (b *Book) Apply(ctx context.Context, fn func(*Tx) error) error {
	a := &apply{fn: fn, done: make(chan struct{})}
	b.mu.Lock()
	if b.down != nil {
		b.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrUnavailable, b.down)
	}
	b.applies = append(b.applies, a)
	b.kick()
	b.mu.Unlock()
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
	}
	if b.withdraw(a) {
		return ctx.Err()
	}
	<-a.done
	return a.err
}

// withdraw takes back a mutation that has not begun.
func (b *Book) withdraw(a *apply) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.applies, a)
	if i >= 0 {
		b.applies = slices.Delete(b.applies, i, i+1)
	}
	return i >= 0
}

// perform runs one mutation inside the writer's transaction. Behind mu.
func (b *Book) perform(tx *store.Tx, a *apply) []func(*store.Tx) error {
	t := &Tx{Tx: tx, b: b, now: b.now(), moved: map[journal.Account]pricing.Credits{}, ids: map[string]bool{}}
	seq := b.seq
	a.err = tx.Attempt(func() error {
		if err := a.fn(t); err != nil {
			return err
		}
		if err := t.vouch(); err != nil {
			return err
		}
		return t.record(seq)
	})
	if a.err != nil {
		return nil
	}
	var writes []func(*store.Tx) error
	for _, e := range t.events {
		b.seq = e.Seq
		b.queue = append(b.queue, e)
		b.real.Fold(journal.Act{Event: e})
		if b.would != nil {
			b.would.Fold(journal.Act{Event: e})
		}
		if on, is := shadowBegins(e); is {
			writes = append(writes, b.switchMode(on))
		}
	}
	return writes
}

// Now is the books' time of this mutation.
func (t *Tx) Now() time.Time { return t.now }

// Available is what an account can give: its balance less what is promised,
// with the entries appended so far.
func (t *Tx) Available(a journal.Account) pricing.Credits {
	n := pricing.Credits(0)
	if o := t.b.real.owners[a]; o != nil {
		n = o.available()
	}
	return n + t.moved[a]
}

// Would is what an account could give in shadow mode's books; false outside of
// shadow mode.
func (t *Tx) Would(a journal.Account) (pricing.Credits, bool) {
	if t.b.would == nil {
		return 0, false
	}
	return t.b.would.of(a).available(), true
}

// Balance is what an account has, what is promised included, with the entries
// appended so far.
func (t *Tx) Balance(a journal.Account) pricing.Credits {
	return t.Available(a) + t.Held(a)
}

// Spent is what an account has spent in its life, less refunds.
func (t *Tx) Spent(a journal.Account) pricing.Credits {
	if o := t.b.real.owners[a]; o != nil {
		return o.spent
	}
	return 0
}

// Held is what an account has promised, with the reservations made so far.
func (t *Tx) Held(a journal.Account) pricing.Credits {
	n := pricing.Credits(0)
	if o := t.b.real.owners[a]; o != nil {
		n = o.held
	}
	for _, e := range t.events {
		if e.Type == journal.TypeReserved && journal.KeyAccount(e.Hold.Key) == a {
			n += e.Hold.Credits
		}
	}
	return n
}

// Replayed says whether an entry with this ID is on record.
func (t *Tx) Replayed(entryID string) bool { return t.Get(bucketActs, []byte(entryID)) != nil }

// Append adds an event. Its postings must be possible: amounts between 1 and
// pricing.MaxCredits, an ID that is new, and enough to spend on every account
// but the house's.
func (t *Tx) Append(e journal.Event) error {
	for i, p := range e.Posts {
		if err := t.possible(p); err != nil {
			for _, p := range e.Posts[:i] {
				t.post(p, -1)
				delete(t.ids, p.ID)
			}
			return err
		}
		t.post(p, 1)
	}
	if e.Type == journal.TypeReserved {
		t.moved[journal.KeyAccount(e.Hold.Key)] -= e.Hold.Credits
	}
	e.At = t.now
	t.events = append(t.events, &e)
	return nil
}

// post counts an entry in what this mutation moves, or takes it out again.
func (t *Tx) post(p journal.Entry, sign pricing.Credits) {
	t.moved[p.From] -= sign * p.Amount
	t.moved[p.To] += sign * p.Amount
}

func (t *Tx) possible(p journal.Entry) error {
	switch {
	case p.Amount <= 0 || p.Amount > pricing.MaxCredits:
		return fmt.Errorf("entry %s: amount %d is not between 1 and %d", p.ID, p.Amount, pricing.MaxCredits)
	case p.ID == "":
		return fmt.Errorf("entry of %d from %s to %s: it needs an id", p.Amount, p.From, p.To)
	case t.Replayed(p.ID) || t.ids[p.ID]:
		return fmt.Errorf("entry %s: %w", p.ID, ErrReplayed)
	case p.From.Bounded() && p.Kind != kindReserve && t.Available(p.From) < p.Amount:
		return fmt.Errorf("%s: %w", p.From, ErrInsufficient)
	case p.To.Bounded() && t.Available(p.To) > math.MaxInt64/2-p.Amount:
		return fmt.Errorf("%s: its balance would be too large", p.To)
	}
	t.ids[p.ID] = true
	return nil
}

// record numbers the events and remembers their entries' ids.
func (t *Tx) record(seq uint64) error {
	for _, e := range t.events {
		seq++
		e.Seq = seq
		for _, p := range e.Posts {
			if err := t.Put(bucketActs, []byte(p.ID), binary.AppendUvarint(nil, seq)); err != nil {
				return err
			}
		}
	}
	return nil
}

// SetMode switches shadow mode on or off. In shadow mode no credit moves: calls
// are judged by books that begin as a copy of the real ones. It does nothing
// when the mode is that already.
func (b *Book) SetMode(ctx context.Context, shadow bool, actor string) error {
	return b.Apply(ctx, func(t *Tx) error {
		if shadow == (t.b.would != nil) {
			return nil
		}
		data := `{"mode":"live"}`
		if shadow {
			data = `{"mode":"shadow"}`
		}
		return t.Append(journal.Event{Type: journal.TypeMode, Actor: actor, Data: []byte(data)})
	})
}

// Shadow says whether shadow mode is on.
func (b *Book) Shadow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.would != nil
}

// switchMode begins or ends the would-be books. They are written whole with the
// event, so that boot never has to begin them. Behind mu.
func (b *Book) switchMode(on bool) func(*store.Tx) error {
	if !on {
		b.would = nil
		return func(tx *store.Tx) error {
			if err := tx.Drop(bucketWould); err != nil {
				return err
			}
			return writeHead(tx, head{From: b.cells.from})
		}
	}
	b.would = b.real.seed()
	var cells [][]byte
	for i := range b.would.dirty {
		cells = append(cells, b.would.cell(i, b.seq, b.now()))
		b.would.dirty[i] = false
	}
	from := b.cells.from
	return func(tx *store.Tx) error {
		for i, raw := range cells {
			if err := tx.Put(bucketWould, cellKey(i), raw); err != nil {
				return err
			}
		}
		return writeHead(tx, head{From: from, Would: true})
	}
}
