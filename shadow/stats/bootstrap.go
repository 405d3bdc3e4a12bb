// Package stats says how sure a figure is. It is pure: what is random in it is
// drawn from a given seed, so that the same figures come out again.
//
// Its unit is the payer, never the call: calls of one payer are alike, and an
// interval by call promises far more than it holds.
package stats

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Seed is of every random choice in what the lab says, so that it can be made
// again.
const Seed = 20260330

// Resamples is how often the bootstrap draws from a number of payers: 2,000
// times, and less often from so many that it would take seconds and hardly
// change a bound.
func Resamples(payers int) int {
	const often, fewest, draws = 2000, 200, 40_000_000
	return max(fewest, min(often, draws/max(1, payers)))
}

// Interval is an estimate with its 95 % bounds.
type Interval struct {
	Estimate float64 `json:"estimate"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
}

// Bills are what each payer pays under two sheets, in one order.
type Bills struct{ Live, Cand []float64 }

// Sum adds up.
func Sum(v []float64) float64 {
	total := 0.0
	for _, x := range v {
		total += x
	}
	return total
}

// Effective is how many payers of equal weight are as uneven as these:
// (Σ C)² / Σ C².
func Effective(v []float64) float64 {
	squares := 0.0
	for _, x := range v {
		squares += x * x
	}
	if squares == 0 {
		return 0
	}
	total := Sum(v)
	return total * total / squares
}

// LeaveOneOut is how far the lift moves when any one payer is left out.
func (b Bills) LeaveOneOut() *Interval {
	live, cand := Sum(b.Live), Sum(b.Cand)
	if live <= 0 {
		return nil
	}
	i := &Interval{Estimate: cand/live - 1, Low: cand/live - 1, High: cand/live - 1}
	for k := range b.Live {
		if rest := live - b.Live[k]; rest > 0 {
			lift := (cand-b.Cand[k])/rest - 1
			i.Low, i.High = min(i.Low, lift), max(i.High, lift)
		}
	}
	return i
}

// Lift draws payers with replacement: percentiles of the lift.
func (b Bills) Lift(seed uint64) *Interval {
	random := rand.New(rand.NewPCG(seed, uint64(len(b.Live))))
	lifts := make([]float64, 0, Resamples(len(b.Live)))
	for range cap(lifts) {
		live, cand := 0.0, 0.0
		for range b.Live {
			k := random.IntN(len(b.Live))
			live, cand = live+b.Live[k], cand+b.Cand[k]
		}
		if live > 0 {
			lifts = append(lifts, cand/live-1)
		}
	}
	return between(Sum(b.Cand)/Sum(b.Live)-1, lifts)
}

// between is the middle 95 % of draws about an estimate.
func between(estimate float64, draws []float64) *Interval {
	if len(draws) == 0 {
		return &Interval{estimate, estimate, estimate}
	}
	slices.Sort(draws)
	return &Interval{Estimate: estimate, Low: stat.Quantile(.025, stat.Empirical, draws, nil), High: stat.Quantile(.975, stat.Empirical, draws, nil)}
}

// Change is the difference of the sums, studentized.
func (b Bills) Change(seed uint64) *Interval {
	n := len(b.Live)
	mean := Mean(b.differences(), seed)
	return &Interval{mean.Estimate * float64(n), mean.Low * float64(n), mean.High * float64(n)}
}

func (b Bills) differences() []float64 {
	d := make([]float64, len(b.Live))
	for k := range d {
		d[k] = b.Cand[k] - b.Live[k]
	}
	return d
}

// Mean is a mean by bootstrap-t.
func Mean(d []float64, seed uint64) *Interval {
	n := len(d)
	mean, sd := stat.MeanStdDev(d, nil)
	out := &Interval{mean, mean, mean}
	if n < 2 || sd == 0 {
		return out
	}
	root := math.Sqrt(float64(n))
	random := rand.New(rand.NewPCG(seed, uint64(n)+1))
	ts, draw := make([]float64, 0, Resamples(n)), make([]float64, n)
	for range cap(ts) {
		for k := range draw {
			draw[k] = d[random.IntN(n)]
		}
		if m, s := stat.MeanStdDev(draw, nil); s > 0 {
			ts = append(ts, (m-mean)/(s/root))
		}
	}
	if len(ts) == 0 {
		return out
	}
	t := between(0, ts)
	out.Low, out.High = mean-t.High*sd/root, mean-t.Low*sd/root
	return out
}

// Resampled draws sums of as many payers as there would be if their number
// grew: growth says how many times each payer counts on average.
func (b Bills) Resampled(growth []float64, seed uint64) (live, cand *Interval) {
	total, places := 0.0, make([]float64, len(growth))
	for k, g := range growth {
		total += g
		places[k] = total
	}
	n := int(math.Round(total))
	if n == 0 {
		return &Interval{}, &Interval{}
	}
	random := rand.New(rand.NewPCG(seed, uint64(n)+2))
	var draws [2][]float64
	expected := [2]float64{}
	for k, g := range growth {
		expected[0], expected[1] = expected[0]+g*b.Live[k], expected[1]+g*b.Cand[k]
	}
	for range Resamples(n) / 5 {
		s := [2]float64{}
		for range n {
			k, _ := slices.BinarySearch(places, random.Float64()*total)
			k = min(k, len(places)-1)
			s[0], s[1] = s[0]+b.Live[k], s[1]+b.Cand[k]
		}
		draws[0], draws[1] = append(draws[0], s[0]), append(draws[1], s[1])
	}
	return between(expected[0], draws[0]), between(expected[1], draws[1])
}

// Quantile is one of sorted numbers; 0 of none.
func Quantile(p float64, sorted []float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return stat.Quantile(p, stat.Empirical, sorted, nil)
}

// Gini is how unevenly a sum is spread, 0 to 1, and topTenth the share of the
// largest tenth.
func Gini(v []float64) (gini, topTenth float64) {
	total := Sum(v)
	if total == 0 {
		return 0, 0
	}
	v = slices.Sorted(slices.Values(v))
	n := float64(len(v))
	for i, x := range v {
		gini += (2*float64(i+1) - n - 1) * x
	}
	top := v[len(v)-int(math.Ceil(n/10)):]
	return gini / (n * total), Sum(top) / total
}
