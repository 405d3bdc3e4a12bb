package oracle

import (
	"maps"
	"math/big"
	"slices"
	"sort"
	"time"
)

// runs are pieces of work: what agents name so, and else the calls of a key
// between pauses of a quarter of an hour.
func (w *walked) allRuns() [][]judged {
	named, open := map[string][]judged{}, map[string][]judged{}
	var out [][]judged
	for _, j := range w.calls { // in the order in which they were made
		c := j.call
		if c.Run != "" {
			named[c.Key+"\x00"+c.Run] = append(named[c.Key+"\x00"+c.Run], j)
			continue
		}
		if r := open[c.Key]; len(r) > 0 && c.At.Sub(r[len(r)-1].call.At) >= 15*time.Minute {
			out = append(out, r)
			open[c.Key] = nil
		}
		open[c.Key] = append(open[c.Key], j)
	}
	for _, r := range named {
		out = append(out, r)
	}
	for _, r := range open {
		out = append(out, r)
	}
	return out
}

func (w *walked) runs(collectable int64) map[string]any {
	all := w.allRuns()
	var broken, stranded [2]int64
	var costs [2][]int64
	for _, run := range all {
		for side := range 2 {
			paid, stopped := int64(0), false
			for _, j := range run {
				if stopped = stopped || !j.side[side].admitted; !stopped {
					paid += pays(j, side)
				}
			}
			if stopped {
				broken[side]++
				stranded[side] += paid
			} else {
				costs[side] = append(costs[side], paid)
			}
		}
	}
	n := int64(len(all))
	at := func(side int, p float64) float64 { return quantile(costs[side], p) }
	out := map[string]any{"runs": n, "brokenLive": orZero(share(broken[0], n)), "broken": orZero(share(broken[1], n)), "stranded": stranded[1], "strandedLive": stranded[0],
		"strandedShare": orZero(share(stranded[1], collectable)), "unbroken": n - broken[1], "predictability": nil,
		"costP50Live": at(0, .5), "costP90Live": at(0, .9), "costP99Live": at(0, .99), "costP50": at(1, .5), "costP90": at(1, .9), "costP99": at(1, .99)}
	if half := at(1, .5); half != 0 {
		out["predictability"] = at(1, .95) / half
	}
	return out
}

// quantile is the least number that a share p of the numbers does not exceed.
func quantile(v []int64, p float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return float64(v[sort.Search(len(v)-1, func(i int) bool { return float64(i+1) >= p*float64(len(v)) })])
}

// survival is Kaplan and Meier's estimate: keys that were not stopped are last
// seen when the window's last call was made.
func (w *walked) survival(side int) map[string]any {
	type span struct {
		took    time.Duration
		stopped bool
	}
	var spans []span
	if len(w.calls) == 0 {
		return map[string]any{"medianHours": nil, "stoppedByDay1": 0.0, "stoppedByDay7": 0.0, "stoppedByDay30": 0.0}
	}
	last := w.calls[len(w.calls)-1].call.At
	for _, calls := range w.ofKey() {
		s := span{last.Sub(calls[0].call.At), false}
		for _, j := range calls {
			if !s.stopped && !j.side[side].admitted {
				s = span{j.call.At.Sub(calls[0].call.At), true}
			}
		}
		spans = append(spans, s)
	}
	times := map[time.Duration]bool{}
	for _, s := range spans {
		if s.stopped {
			times[s.took] = true
		}
	}
	alive, curve, out := big.NewRat(1, 1), []any{map[string]any{"hours": 0.0, "share": 1.0}}, map[string]any{"medianHours": nil}
	by := map[string]time.Duration{"stoppedByDay1": 24 * time.Hour, "stoppedByDay7": 7 * 24 * time.Hour, "stoppedByDay30": 30 * 24 * time.Hour}
	for name := range by {
		out[name] = 0.0
	}
	for _, t := range slices.Sorted(maps.Keys(times)) {
		risk, died := int64(0), int64(0)
		for _, s := range spans {
			risk += count(s.took >= t)
			died += count(s.took == t && s.stopped)
		}
		alive.Mul(alive, big.NewRat(risk-died, risk))
		left, _ := alive.Float64()
		curve = append(curve, map[string]any{"hours": t.Hours(), "share": left})
		for name, day := range by {
			if t <= day {
				out[name] = 1 - left
			}
		}
		if alive.Cmp(big.NewRat(1, 2)) <= 0 && out["medianHours"] == nil {
			out["medianHours"] = t.Hours()
		}
	}
	out["curve"] = curve
	return out
}
