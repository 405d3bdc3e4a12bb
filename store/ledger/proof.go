package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/journal"
)

// Proof is what folding the journal anew has shown.
type Proof struct {
	At       time.Time
	Events   uint64 // acts folded
	Entries  uint64 // postings among them, charges included
	Balances int    // accounts compared
	Records  int    // of tables, compared
	Faults   []string
}

// OK says whether everything agrees.
func (p *Proof) OK() bool { return len(p.Faults) == 0 }

// mostFaults bounds what a proof lists: the first ones tell.
const mostFaults = 100

func (p *Proof) fault(format string, args ...any) {
	if len(p.Faults) < mostFaults {
		p.Faults = append(p.Faults, fmt.Sprintf(format, args...))
	}
}

// Verify folds the whole journal anew, beside the running books, and compares
// every balance, meter, window and hold, and the chain of hashes. progress
// gets the share that is done, 0 to 1. The error is about reading; what does
// not agree is in the proof.
//
// The books go on meanwhile: they are compared a few owners at a time, each
// with the fold as it is at the very act up to which they were copied.
func (b *Book) Verify(ctx context.Context, progress func(done float64)) (Proof, error) {
	p := Proof{At: b.opts.Now().UTC()}
	f, _, err := newRefold(b.db, &p)
	if err != nil {
		return p, fmt.Errorf("proof: %w", err)
	}
	if progress == nil {
		progress = func(float64) {}
	}
	for part := 0; part >= 0; {
		live := b.copyOwners(part)
		if f.epoch == 0 {
			f.epoch, f.aim, f.progress = live.epoch, live.seq, progress
		}
		if live.epoch != f.epoch {
			return p, fmt.Errorf("proof: %w: the books were read anew meanwhile; try again", ErrUnavailable)
		}
		if err := b.Wait(ctx, live.ticket); err != nil {
			return p, fmt.Errorf("proof: %w", err)
		}
		if err := f.advance(ctx, live.seq); err != nil {
			return p, fmt.Errorf("proof: %w", err)
		}
		f.compare(live)
		part = live.next
	}
	f.rest()
	f.sums()
	if err := b.proveRecords(ctx, f); err != nil {
		return p, fmt.Errorf("proof: %w", err)
	}
	progress(1)
	return p, nil
}

// ownersAtATime is how many owners are copied under the lock: a fraction of a
// millisecond.
const ownersAtATime = 512

// portion is some of the live books, as they were at seq.
type portion struct {
	epoch       int
	ticket, seq uint64
	at          int64 // the books' time, Unix ms
	real, would *State
	next        int // -1 after the last
}

// copyOwners copies the books' owners from a position on; with the last of
// them come the holds.
func (b *Book) copyOwners(from int) portion {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := portion{epoch: b.epoch, ticket: b.ticket(b.seq), seq: b.seq, at: b.clock, next: from + ownersAtATime}
	end := len(b.real.list)
	p.real = b.real.copy(from, p.next)
	if b.would != nil {
		end = max(end, len(b.would.list))
		p.would = b.would.copy(from, p.next)
	}
	if p.next >= end {
		p.next = -1
		maps.Copy(p.real.holds, b.real.holds)
	}
	return p
}

func (s *State) copy(from, to int) *State {
	c := NewState(s.would)
	for _, o := range s.list[min(from, len(s.list)):min(to, len(s.list))] {
		if o != nil {
			n := *o
			n.index, n.flushed, n.rates = nil, nil, copyWindows(o.rates)
			c.place(&n)
		}
	}
	return c
}

// refold is a fold of the journal from its beginning.
type refold struct {
	db          *store.DB
	real, would *State
	proof       *Proof
	epoch       int
	seen        map[journal.Account]bool // compared
	done        uint64                   // folded up to here
	block       *journal.Block           // the one that done is in
	prev        journal.Hash
	clock       int64  // the latest time folded, Unix ms
	aim         uint64 // for progress
	progress    func(float64)

	begin  uint64                   // what is up to here was trimmed
	open   map[string]*journal.Call // admitted and not ended, by id
	parked map[string]*hold         // of them, those that outlive their request
	posted []posting                // since the last look at the record of entries

	records records           // what the tables must have
	given   map[uint64]uint64 // back to callers, by the number of the call
}

// advance folds up to an act.
func (f *refold) advance(ctx context.Context, to uint64) error {
	f.fold(to)
	if f.done >= to {
		return f.entries()
	}
	err := journal.Blocks(ctx.Done(), f.db, f.done, func(raw []byte) (bool, error) {
		block, err := journal.Decode(raw)
		if err != nil {
			return false, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
		}
		if f.done > 0 && !journal.Same(block.Prev, f.prev) {
			f.proof.fault("block %d does not follow the one before it: the hash differs", block.First)
		}
		if block.First != f.done+1 {
			f.proof.fault("block %d begins after %d: %d acts are missing", block.First, f.done, block.First-f.done-1)
		}
		f.block, f.prev, f.done = block, journal.HashOf(raw), block.First-1
		f.fold(to)
		if err := f.entries(); err != nil {
			return false, err
		}
		f.progress(min(1, float64(f.done)/float64(max(1, f.aim))))
		return f.done < to, nil
	})
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && f.done < to {
		f.proof.fault("the journal ends at %d, the books are at %d", f.done, to)
		f.done = to
	}
	return err
}

// fold folds what is left of the current block, up to an act.
func (f *refold) fold(to uint64) {
	for f.block != nil && f.done < to && f.done < f.block.Last {
		f.done++
		f.act(f.block.Acts[f.done-f.block.First])
	}
}

func (f *refold) act(act journal.Act) {
	f.proof.Events++
	f.real.Fold(act)
	if f.would != nil {
		f.would.Fold(act)
	}
	f.follow(act)
	f.clock = max(f.clock, when(act))
	e := act.Event
	if e == nil {
		return
	}
	f.versions(e)
	f.proof.Entries += uint64(len(e.Posts))
	if e.Call != nil && e.Call.Charged > 0 {
		f.proof.Entries++
	}
	if on, is := shadowBegins(e); is {
		f.would = nil
		if on {
			f.would = f.real.seed()
		}
	}
}

// compare holds a portion of the live books against the fold.
func (f *refold) compare(live portion) {
	for _, o := range live.real.list {
		f.proof.Balances++
		f.seen[o.account] = true
		f.account("", o, f.real.of(o.account), live.at)
	}
	if (live.would == nil) != (f.would == nil) {
		f.proof.fault("shadow mode is %t, the journal says %t", live.would != nil, f.would != nil)
	} else if live.would != nil {
		for _, o := range live.would.list {
			f.proof.Balances++
			f.account("shadow mode: ", o, f.would.of(o.account), live.at)
		}
	}
	if live.next >= 0 {
		return
	}
	f.holds(live.real.holds)
}

// rest looks at accounts that only the journal knows.
func (f *refold) rest() {
	for _, o := range f.real.list {
		if !f.seen[o.account] && (o.posted != 0 || o.spent != 0 || o.calls != 0) {
			f.proof.fault("%s: the journal says it has %d; the books do not know it", o.account, o.posted)
		}
	}
}

func (f *refold) account(where string, live, fold *owner, at int64) {
	if live.posted != fold.posted {
		f.proof.fault("%s%s: the balance is %d, the journal says %d", where, live.account, live.posted, fold.posted)
	}
	if live.spent != fold.spent || live.calls != fold.calls {
		f.proof.fault("%s%s: %d credits in %d calls, the journal says %d in %d", where, live.account, live.spent, live.calls, fold.spent, fold.calls)
	}
	if live.last != fold.last {
		f.proof.fault("%s%s: its last call was at %d, the journal says %d", where, live.account, live.last, fold.last)
	}
	if live.usage != fold.usage {
		f.proof.fault("%s%s: tier and allowance counters differ from the journal", where, live.account)
	}
	for _, k := range meterKinds {
		a, b := live.meters[k], fold.meters[k]
		if a.used != b.used && a.period == b.period || a.period < b.period {
			f.proof.fault("%s%s: %s counts %d in %d, the journal says %d in %d", where, live.account, k.Reason(), a.used, a.period, b.used, b.period)
		}
	}
	for _, g := range fold.rates {
		live.rate(g.tool, time.Duration(g.span)*time.Millisecond)
	}
	for _, w := range live.rates {
		g := fold.rate(w.tool, time.Duration(w.span)*time.Millisecond)
		w.span = g.span
		w.prune(at)
		g.prune(at)
		if !slices.Equal(w.slots, g.slots) {
			f.proof.fault("%s%s: the rate window %q has %d slots, the journal says %d", where, live.account, w.tool, len(w.slots), len(g.slots))
		}
	}
}

// sums checks that the books balance as a whole.
func (f *refold) sums() {
	total := pricing.Credits(0)
	for _, o := range f.real.list {
		total += o.posted
		if o.account.Key() != "" && o.posted < 0 {
			f.proof.fault("%s: its balance is %d", o.account, o.posted)
		}
	}
	if total != 0 {
		f.proof.fault("all balances together are %d, not 0", total)
	}
}
