package tally

import (
	"maps"
	"time"

	"paygate/pricing"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// Run is one piece of an agent's work.
type Run struct {
	Calls  int
	Broken [2]bool
	Paid   [2]pricing.Credits // until it broke
	Last   time.Time
}

// Finished are runs that are over, as far as reports need them.
type Finished struct {
	Runs     int
	Broken   [2]int
	Stranded [2]pricing.Credits         // spent in broken ones
	Costs    [2]map[pricing.Credits]int // of unbroken ones: how many cost so much
}

func (f *Finished) add(r *Run) {
	f.Runs++
	for i := range 2 {
		if r.Broken[i] {
			f.Broken[i]++
			f.Stranded[i] += r.Paid[i]
			continue
		}
		if f.Costs[i] == nil {
			f.Costs[i] = map[pricing.Credits]int{}
		}
		f.Costs[i][r.Paid[i]]++
	}
}

// RunGap is the pause that ends a run which its agent gives no name.
const RunGap = 15 * time.Minute

func (r *Run) count(live, cand *ledger.Verdict, got [2]pricing.Credits) {
	r.Calls++
	for i, admitted := range [2]bool{live.Admitted, cand.Admitted} {
		if r.Broken[i] = r.Broken[i] || !admitted; !r.Broken[i] {
			r.Paid[i] += got[i]
		}
	}
}

// run counts a call in the piece of work that it belongs to: what the agent
// calls it, or the calls of a key without a pause.
func (t *Tally) run(k *Key, c *journal.Call, live, cand *ledger.Verdict, got [2]pricing.Credits) {
	if c.Run != "" {
		id := c.Key + "\x00" + c.Run
		r, _ := t.named.Get(id)
		r.count(live, cand, got)
		t.named.Set(id, r)
		return
	}
	if k.Current == nil || c.At.Sub(k.Current.Last) >= RunGap {
		if k.Current != nil {
			t.Over.add(k.Current)
		}
		k.Current = &Run{}
	}
	k.Current.Last = c.At
	k.Current.count(live, cand, got)
}

// Finished are all runs, with those that may go on as they are now.
func (t *Tally) Finished() Finished {
	f := t.Over
	f.Costs = [2]map[pricing.Credits]int{maps.Clone(f.Costs[0]), maps.Clone(f.Costs[1])}
	for _, r := range t.named.All() {
		f.add(&r)
	}
	for _, k := range t.Keys {
		if k.Current != nil {
			f.add(k.Current)
		}
	}
	return f
}
