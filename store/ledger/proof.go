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
func (b *Book) Verify(ctx context.Context, progress func(done float64)) (Proof, error) {
	live, would, at, ticket := b.copyState()
	if err := b.Wait(ctx, ticket); err != nil {
		return Proof{}, err
	}
	seq := ticket & (1<<epochShift - 1)
	p := Proof{At: b.opts.Now().UTC()}
	f := &refold{real: NewState(false), proof: &p, at: at}
	err := journal.Blocks(ctx.Done(), b.db, 0, func(raw []byte) (bool, error) {
		if err := f.block(raw, seq); err != nil {
			return false, err
		}
		if progress != nil && seq > 0 {
			progress(min(1, float64(f.last)/float64(seq)))
		}
		return f.last < seq, nil
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return p, fmt.Errorf("proof: %w", err)
	}
	if f.last < seq {
		p.fault("the journal ends at %d, the books are at %d", f.last, seq)
	}
	f.compare("", live, f.real)
	if (would == nil) != (f.would == nil) {
		p.fault("shadow mode is %t, the journal says %t", would != nil, f.would != nil)
	} else if would != nil {
		f.compare("shadow mode: ", would, f.would)
	}
	f.sums()
	return p, nil
}

// refold is a fold of the journal from its beginning.
type refold struct {
	real, would *State
	proof       *Proof
	at          int64 // the books' time of the comparison, Unix ms
	last        uint64
	prev        journal.Hash
}

func (f *refold) block(raw []byte, upTo uint64) error {
	block, err := journal.Decode(raw)
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	if f.last > 0 && !journal.Same(block.Prev, f.prev) {
		f.proof.fault("block %d does not follow the one before it: the hash differs", block.First)
	}
	if block.First != f.last+1 {
		f.proof.fault("block %d begins after %d: %d acts are missing", block.First, f.last, block.First-f.last-1)
	}
	for i, act := range block.Acts {
		seq := block.First + uint64(i)
		if seq > upTo {
			break
		}
		f.act(seq, act)
	}
	f.last, f.prev = block.Last, journal.HashOf(raw)
	return nil
}

func (f *refold) act(seq uint64, act journal.Act) {
	f.proof.Events++
	f.real.Fold(seq, act)
	if f.would != nil {
		f.would.Fold(seq, act)
	}
	e := act.Event
	if e == nil {
		return
	}
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

// compare holds the live books against the fold.
func (f *refold) compare(where string, live, fold *State) {
	accounts := map[journal.Account]bool{}
	for a := range live.owners {
		accounts[a] = true
	}
	for a := range fold.owners {
		accounts[a] = true
	}
	for _, a := range slices.Sorted(maps.Keys(accounts)) {
		f.proof.Balances++
		f.account(where, live.of(a), fold.of(a))
	}
	for id, h := range live.holds {
		if g := fold.holds[id]; h.call == nil && (g == nil || g.Credits != h.Credits) {
			f.proof.fault("%sreservation %s of %d is not in the journal", where, id, h.Credits)
		}
	}
	for id, g := range fold.holds {
		if live.holds[id] == nil {
			f.proof.fault("%sreservation %s of %d is in the journal and not in the books", where, id, g.Credits)
		}
	}
}

func (f *refold) account(where string, live, fold *owner) {
	if live.posted != fold.posted {
		f.proof.fault("%s%s: the balance is %d, the journal says %d", where, live.account, live.posted, fold.posted)
	}
	if live.spent != fold.spent || live.calls != fold.calls {
		f.proof.fault("%s%s: %d credits in %d calls, the journal says %d in %d", where, live.account, live.spent, live.calls, fold.spent, fold.calls)
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
		w.prune(f.at)
		g.prune(f.at)
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

// copyState copies the books as they are now, for a comparison that takes
// longer than the lock may be held.
func (b *Book) copyState() (real, would *State, at int64, ticket uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	real = b.real.copy()
	if b.would != nil {
		would = b.would.copy()
	}
	return real, would, b.clock, b.ticket(b.seq)
}

func (s *State) copy() *State {
	c := NewState(s.would)
	for _, o := range s.list {
		if o == nil {
			continue
		}
		n := *o
		n.index, n.rates = nil, copyWindows(o.rates)
		c.place(&n)
	}
	maps.Copy(c.holds, s.holds)
	return c
}
