package tally

import (
	"cmp"
	"maps"
	"time"

	"paygate/pricing"
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

func (r *Run) count(s *Step) {
	r.Calls++
	for i, denied := range s.Denied {
		if r.Broken[i] = r.Broken[i] || denied; !r.Broken[i] {
			r.Paid[i] += s.Paid[i]
		}
	}
}

func runID(key, name string) string { return key + "\x00" + name }

// run counts a call in the piece of work that it belongs to: what the agent
// calls it, or the calls of a key without a pause between the admission of one
// and that of the next.
func (t *Tally) run(k *Key, s *Step) {
	if s.Run != "" {
		id := runID(k.Key, s.Run)
		r, _ := t.named.Get(id)
		r.count(s)
		t.named.Set(id, r)
		return
	}
	if k.Current == nil || s.At.Sub(k.Current.Last) >= RunGap {
		if k.Current != nil {
			t.Over.add(k.Current)
		}
		k.Current = &Run{}
	}
	k.Current.Last = s.At
	k.Current.count(s)
}

func (f Finished) clone() Finished {
	f.Costs = [2]map[pricing.Credits]int{maps.Clone(f.Costs[0]), maps.Clone(f.Costs[1])}
	return f
}

// Finished are all runs, with those that may go on as they are now.
func (t *Tally) Finished() Finished {
	late, current := t.late()
	for id, r := range t.named.All() {
		if _, again := late.named.Get(id); !again {
			late.Over.add(&r)
		}
	}
	for _, r := range late.named.All() {
		late.Over.add(&r)
	}
	for key, k := range t.Keys {
		if r := cmp.Or(current[key], k.Current); r != nil {
			late.Over.add(r)
		}
	}
	return late.Over
}
