package shadow

import (
	"maps"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"paygate/pricing"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// RunTally is one piece of an agent's work.
type RunTally struct {
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

func (f *Finished) add(r *RunTally) {
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

// runGap ends an inferred run.
const runGap = 15 * time.Minute

func (r *RunTally) count(live, cand *ledger.Verdict, got [2]pricing.Credits) {
	r.Calls++
	for i, admitted := range [2]bool{live.Admitted, cand.Admitted} {
		if r.Broken[i] = r.Broken[i] || !admitted; !r.Broken[i] {
			r.Paid[i] += got[i]
		}
	}
}

// run is the piece of work that a call belongs to: what the agent calls it, or
// the calls of a key without a pause.
func (t *Tally) run(k *KeyTally, c *journal.Call) *RunTally {
	if c.Run != "" {
		id := c.Key + "\x00" + c.Run
		r := t.Named[id]
		if r == nil {
			r = &RunTally{}
			t.Named[id] = r
		}
		return r
	}
	if k.Current == nil || c.At.Sub(k.Current.Last) >= runGap {
		if k.Current != nil {
			t.Over.add(k.Current)
		}
		k.Current = &RunTally{}
	}
	k.Current.Last = c.At
	return k.Current
}

// finished are all runs, with those that may go on as they are now.
func (t *Tally) finished() Finished {
	f := t.Over
	f.Costs = [2]map[pricing.Credits]int{maps.Clone(f.Costs[0]), maps.Clone(f.Costs[1])}
	for _, r := range t.Named {
		f.add(r)
	}
	for _, k := range t.Keys {
		if k.Current != nil {
			f.add(k.Current)
		}
	}
	return f
}

func (t *Tally) runFigures() Runs {
	f := t.finished()
	r := Runs{Runs: f.Runs, StrandedLive: f.Stranded[0], Stranded: f.Stranded[1], UnbrokenRunsNow: f.Runs - f.Broken[1]}
	if r.Runs > 0 {
		r.BrokenLive, r.Broken = float64(f.Broken[0])/float64(r.Runs), float64(f.Broken[1])/float64(r.Runs)
	}
	if s := ratio(float64(r.Stranded), float64(t.Sides[1].Collectable())); s != nil {
		r.StrandedShare = *s
	}
	at := func(side int, p float64) float64 { return countedQuantile(f.Costs[side], p) }
	r.CostP50Live, r.CostP90Live, r.CostP99Live = at(0, .5), at(0, .9), at(0, .99)
	r.CostP50, r.CostP90, r.CostP99 = at(1, .5), at(1, .9), at(1, .99)
	r.Predictability = ratio(at(1, .95), r.CostP50)
	return r
}

// countedQuantile is a quantile of numbers that are there so many times.
func countedQuantile(counts map[pricing.Credits]int, p float64) float64 {
	costs := slices.Sorted(maps.Keys(counts))
	if len(costs) == 0 {
		return 0
	}
	values, weights := make([]float64, len(costs)), make([]float64, len(costs))
	for i, c := range costs {
		values[i], weights[i] = float64(c), float64(counts[c])
	}
	return stat.Quantile(p, stat.Empirical, values, weights)
}
