package stats

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat/distuv"
)

// Cell is what one unit did on one day at one price.
type Cell struct {
	Unit, Day int // numbers from 0
	Count     float64
	Price     float64 // above 0
}

// DemandFit says how demand goes with the price: in the model
// ln E(count) = unit + day + ε ln(price).
type DemandFit struct {
	Elasticity Interval
	Dispersion float64 // variance of a count over its mean; 1 for pure chance
}

const (
	fewestMoved = 10   // units that were seen at more than one price
	tooAlike    = 1e-3 // of a price's variation must be left when units and days are taken out
	mostRounds  = 500
)

// FitDemand fits the model by quasi-likelihood. Units and days have effects of
// their own, so only what a unit does at different prices counts, against the
// others on the same days. The interval is robust: a unit's days may hang
// together, counts may vary more than chance. The error says what is missing.
func FitDemand(cells []Cell, units, days int) (*DemandFit, error) {
	if moved := moved(cells, units); moved < fewestMoved {
		return nil, fmt.Errorf("%d keys were seen at more than one price; %d are needed", moved, fewestMoved)
	}
	f := newFit(cells, units, days)
	if len(f.cells) == 0 {
		return nil, errors.New("nobody called")
	}
	if price, ok := unused(cells); ok {
		return nil, fmt.Errorf("nobody called at a price of %.4g: no elasticity fits", price)
	}
	for range mostRounds {
		f.level()
		step, information := f.score()
		if information <= tooAlike*f.variation() {
			return nil, errors.New("prices changed for all keys at the same time: what the day did and what the price did cannot be told apart")
		}
		step = max(-1, min(1, step/information))
		f.slope += step
		if math.Abs(step) < 1e-9 {
			return f.result(information), nil
		}
	}
	return nil, errors.New("no elasticity fits: demand at one of the prices is next to nothing")
}

// moved is how many units were seen at more than one price.
func moved(cells []Cell, units int) (n int) {
	first, counted := make([]float64, units), make([]bool, units)
	for _, c := range cells {
		switch {
		case first[c.Unit] == 0:
			first[c.Unit] = c.Price
		case first[c.Unit] != c.Price && !counted[c.Unit]:
			counted[c.Unit] = true
			n++
		}
	}
	return n
}

// unused is a price at which nothing was counted.
func unused(cells []Cell) (price float64, ok bool) {
	counted := map[float64]float64{}
	for _, c := range cells {
		counted[c.Price] += c.Count
	}
	for price, n := range counted {
		if n == 0 {
			return price, true
		}
	}
	return 0, false
}

// fit is a Poisson regression with two sets of effects, which have closed forms
// each, so that a hundred thousand of them need no matrix.
type fit struct {
	cells      []Cell
	x          []float64 // ln price
	unit, day  []float64 // effects
	mean       []float64 // by cell
	rest       []float64 // of x, without what units and days explain
	slope      float64
	units, all int
}

// newFit leaves out units and days on which nothing was counted: they say
// nothing.
func newFit(cells []Cell, units, days int) *fit {
	f := &fit{unit: make([]float64, units), day: make([]float64, days)}
	of, on := make([]float64, units), make([]float64, days)
	for _, c := range cells {
		of[c.Unit] += c.Count
		on[c.Day] += c.Count
	}
	for _, c := range cells {
		if of[c.Unit] > 0 && on[c.Day] > 0 {
			f.cells = append(f.cells, c)
			f.x = append(f.x, math.Log(c.Price))
		}
	}
	for _, n := range of {
		if n > 0 {
			f.units++
		}
	}
	for _, n := range on {
		if n > 0 {
			f.all++
		}
	}
	f.mean, f.rest = make([]float64, len(f.cells)), make([]float64, len(f.cells))
	return f
}

// level lets the effects agree with what was counted, by turns, until they do.
func (f *fit) level() {
	counted, expected := make([]float64, max(len(f.unit), len(f.day))), make([]float64, max(len(f.unit), len(f.day)))
	turn := func(effect []float64, of func(*Cell) int) (moved float64) {
		clear(counted)
		clear(expected)
		for i := range f.cells {
			c := &f.cells[i]
			counted[of(c)] += c.Count
			expected[of(c)] += math.Exp(f.unit[c.Unit] + f.day[c.Day] + f.slope*f.x[i])
		}
		for n := range effect {
			if expected[n] > 0 {
				by := math.Log(counted[n] / expected[n])
				effect[n] += by
				moved = max(moved, math.Abs(by))
			}
		}
		return moved
	}
	for range mostRounds {
		moved := turn(f.unit, func(c *Cell) int { return c.Unit })
		if moved = max(moved, turn(f.day, func(c *Cell) int { return c.Day })); moved < 1e-10 {
			break
		}
	}
	for i, c := range f.cells {
		f.mean[i] = math.Exp(f.unit[c.Unit] + f.day[c.Day] + f.slope*f.x[i])
	}
}

// score is the slope's score and information, the effects taken out.
func (f *fit) score() (score, information float64) {
	copy(f.rest, f.x)
	weight, sum := make([]float64, max(len(f.unit), len(f.day))), make([]float64, max(len(f.unit), len(f.day)))
	out := func(of func(*Cell) int) (moved float64) {
		clear(weight)
		clear(sum)
		for i := range f.cells {
			n := of(&f.cells[i])
			weight[n] += f.mean[i]
			sum[n] += f.mean[i] * f.rest[i]
		}
		for i := range f.cells {
			if n := of(&f.cells[i]); weight[n] > 0 {
				f.rest[i] -= sum[n] / weight[n]
				moved = max(moved, math.Abs(sum[n]/weight[n]))
			}
		}
		return moved
	}
	for range mostRounds {
		moved := out(func(c *Cell) int { return c.Unit })
		if max(moved, out(func(c *Cell) int { return c.Day })) < 1e-10 {
			break
		}
	}
	for i, c := range f.cells {
		score += f.rest[i] * (c.Count - f.mean[i])
		information += f.mean[i] * f.rest[i] * f.rest[i]
	}
	return score, information
}

// variation is how much prices vary in all, as score weighs it.
func (f *fit) variation() float64 {
	middle := floats.Dot(f.mean, f.x) / floats.Sum(f.mean)
	v := 0.0
	for i, x := range f.x {
		v += f.mean[i] * (x - middle) * (x - middle)
	}
	return v
}

// result gives the slope with its interval: the scores of units are as far apart
// as if each had been left out of the fit, and count as many as carry weight.
func (f *fit) result(information float64) *DemandFit {
	scores, carries, pearson := make([]float64, len(f.unit)), make([]float64, len(f.unit)), 0.0
	for i, c := range f.cells {
		d := c.Count - f.mean[i]
		scores[c.Unit] += f.rest[i] * d
		carries[c.Unit] += f.mean[i] * f.rest[i] * f.rest[i] / information
		pearson += d * d / f.mean[i]
	}
	for u, part := range carries {
		scores[u] /= max(tooAlike, 1-part)
	}
	sd := floats.Norm(scores, 2) / information
	half := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: max(1, 1/floats.Dot(carries, carries)-1)}.Quantile(.975) * sd
	return &DemandFit{Elasticity: Interval{f.slope, f.slope - half, f.slope + half}, Dispersion: pearson / float64(max(1, len(f.cells)-f.units-f.all))}
}
