package report

import (
	"maps"
	"slices"

	"gonum.org/v1/gonum/stat"

	"paygate/pricing"
)

func (t counted) runFigures() Runs {
	f := t.Finished()
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
