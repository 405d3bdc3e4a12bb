package stats

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
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
	Freedom    float64 // degrees of freedom of the interval: units that carry it
}

const (
	fewestMoved = 6    // units that were seen at more than one price
	leastFree   = 2    // degrees of freedom
	tooAlike    = 1e-3 // of a price's variation must be left when units and days are taken out
	mostRounds  = 100
	mostHalved  = 40
)

// FitDemand fits the model by quasi-likelihood. Units and days have effects of
// their own, so only what a unit does at different prices counts, against the
// others on the same days.
//
// The unit is a cluster: its days may hang together and its counts may vary
// more than chance. The variance is the jackknife's by unit (CR3, by one step of
// the fit without the unit), the quantile Student's with as many degrees of
// freedom as units carry the slope (Satterthwaite, after Bell and McCaffrey).
// The error says what is missing.
func FitDemand(cells []Cell, units, days int) (*DemandFit, error) {
	if moved := moved(cells, units); moved < fewestMoved {
		return nil, fmt.Errorf("%d keys have paid more than one price since the candidate's start; it takes %d, because a key is compared with itself", moved, fewestMoved)
	}
	f := newFit(cells, units, days)
	if len(f.units) == 0 {
		return nil, errors.New("nobody called")
	}
	if price, ok := unused(cells); ok {
		return nil, fmt.Errorf("nobody called at a price of %.4g: no elasticity fits", price)
	}
	at := f.look(f.beta)
	for range mostRounds {
		step, ok := at.step()
		if !ok || at.alike() {
			return nil, errors.New("prices changed for all keys at the same time: what the day did and what the price did cannot be told apart")
		}
		if mat.Norm(step, math.Inf(1)) < 1e-8 {
			return f.result(at)
		}
		at = f.climb(at, step)
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

// fit is the regression with the effects of units taken out: given how much a
// unit calls in all, its days are a multinomial of the days' effects and the
// prices. What is left to find are the days, the first of which is 0, and the
// slope, which is last.
type fit struct {
	units [][]point
	beta  *mat.VecDense
	cells int
}

type point struct {
	day   int // its place in beta; -1: the first
	x     float64
	count float64
}

// newFit leaves out units and days on which nothing was counted: they say
// nothing.
func newFit(cells []Cell, units, days int) *fit {
	of, on := make([]float64, units), make([]float64, days)
	for _, c := range cells {
		of[c.Unit] += c.Count
		on[c.Day] += c.Count
	}
	places, next := make([]int, days), -1
	for d, n := range on {
		if n > 0 {
			places[d] = next
			next++
		}
	}
	f := &fit{beta: mat.NewVecDense(max(next, 0)+1, nil)}
	by := make([][]point, units)
	for _, c := range cells {
		if of[c.Unit] > 0 && on[c.Day] > 0 {
			by[c.Unit] = append(by[c.Unit], point{places[c.Day], math.Log(c.Price), c.Count})
			f.cells++
		}
	}
	for _, points := range by {
		if points != nil {
			f.units = append(f.units, points)
		}
	}
	return f
}

// view is the likelihood about one place.
type view struct {
	f          *fit
	beta       *mat.VecDense
	likelihood float64
	score      *mat.VecDense
	info       *mat.SymDense
	chol       mat.Cholesky
	spread     float64 // of ln price within units, as info weighs it
}

func (f *fit) look(beta *mat.VecDense) *view {
	n := beta.Len()
	v := &view{f: f, beta: beta, score: mat.NewVecDense(n, nil), info: mat.NewSymDense(n, nil)}
	for _, points := range f.units {
		v.likelihood += f.add(points, beta, v.score, v.info)
	}
	v.spread = v.info.At(n-1, n-1)
	return v
}

// means are what a unit's days are expected to count, and the logarithm of the
// chance of what they did.
func means(points []point, beta *mat.VecDense) (mean []float64, chance float64) {
	mean = make([]float64, len(points))
	total, sum, most := 0.0, 0.0, math.Inf(-1)
	slope := beta.AtVec(beta.Len() - 1)
	for i, p := range points {
		if mean[i] = slope * p.x; p.day >= 0 {
			mean[i] += beta.AtVec(p.day)
		}
		most = max(most, mean[i])
		total += p.count
		chance += p.count * mean[i]
	}
	for i := range mean {
		mean[i] = math.Exp(mean[i] - most)
		sum += mean[i]
	}
	for i := range mean {
		mean[i] *= total / sum
	}
	return mean, chance - total*(most+math.Log(sum))
}

// add adds a unit's score and information.
func (f *fit) add(points []point, beta, score *mat.VecDense, info *mat.SymDense) float64 {
	mean, chance := means(points, beta)
	last := beta.Len() - 1
	put := func(i, j int, by float64) { info.SetSym(i, j, info.At(i, j)+by) }
	middle, total := mat.NewVecDense(last+1, nil), 0.0
	for i, p := range points {
		rest := p.count - mean[i]
		score.SetVec(last, score.AtVec(last)+p.x*rest)
		middle.SetVec(last, middle.AtVec(last)+p.x*mean[i])
		put(last, last, p.x*p.x*mean[i])
		total += mean[i]
		if p.day >= 0 {
			score.SetVec(p.day, score.AtVec(p.day)+rest)
			middle.SetVec(p.day, middle.AtVec(p.day)+mean[i])
			put(p.day, p.day, mean[i])
			put(p.day, last, p.x*mean[i])
		}
	}
	info.SymRankOne(info, -1/total, middle)
	return chance
}

// step is Newton's.
func (v *view) step() (*mat.VecDense, bool) {
	step := mat.NewVecDense(v.beta.Len(), nil)
	if !v.chol.Factorize(v.info) || v.chol.SolveVecTo(step, v.score) != nil {
		return nil, false
	}
	return step, true
}

// alike says whether days explain the prices.
func (v *view) alike() bool { return 1/v.variance() <= tooAlike*v.spread }

// variance is the slope's, if counts varied as chance does.
func (v *view) variance() float64 { return v.direction().AtVec(v.beta.Len() - 1) }

// direction is the column of the slope in the inverse of the information.
func (v *view) direction() *mat.VecDense {
	n := v.beta.Len()
	unit, out := mat.NewVecDense(n, nil), mat.NewVecDense(n, nil)
	unit.SetVec(n-1, 1)
	if v.chol.SolveVecTo(out, unit) != nil {
		out.SetVec(n-1, math.Inf(1))
	}
	return out
}

// climb goes a step, or as much of it as leads up.
func (f *fit) climb(from *view, step *mat.VecDense) *view {
	for range mostHalved {
		to := mat.NewVecDense(step.Len(), nil)
		to.AddVec(from.beta, step)
		if next := f.look(to); next.likelihood >= from.likelihood-1e-9*math.Abs(from.likelihood) {
			return next
		}
		step.ScaleVec(.5, step)
	}
	return from
}

// result gives the slope with its interval.
func (f *fit) result(at *view) (*DemandFit, error) {
	n := at.beta.Len()
	way, information := at.direction(), 1/at.variance()
	variance, pearson, weights, squares := 0.0, 0.0, 0.0, 0.0
	own, score := mat.NewSymDense(n, nil), mat.NewVecDense(n, nil)
	for _, points := range f.units {
		own.Zero()
		score.Zero()
		f.add(points, at.beta, score, own)
		// What the unit adds to the slope's information, days taken out, and how
		// much less sure the slope is without it.
		part := mat.Inner(way, own, way) * information
		weight := part / max(tooAlike, 1-part)
		weights, squares = weights+weight, squares+weight*weight
		mean, _ := means(points, at.beta)
		for i, p := range points {
			pearson += (p.count - mean[i]) * (p.count - mean[i]) / mean[i]
		}
		moves, ok := without(at.info, own, score)
		if !ok {
			return nil, errors.New("without one of the keys nothing could be said: more keys that have paid more than one price are needed")
		}
		variance += moves * moves
	}
	free := weights*weights/squares - 1
	if free < leastFree {
		return nil, fmt.Errorf("nearly all of the calls that tell are of %.0f keys; at least %d keys of about that size are needed", math.Ceil(free+1), leastFree+1)
	}
	slope := at.beta.AtVec(n - 1)
	half := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: free}.Quantile(.975) * math.Sqrt(variance)
	return &DemandFit{Elasticity: Interval{slope, slope - half, slope + half}, Freedom: free,
		Dispersion: pearson / float64(max(1, f.cells-len(f.units)-n))}, nil
}

// without is how far the slope moves when a unit is left out of the fit. It
// uses up own.
func without(info, own *mat.SymDense, score *mat.VecDense) (float64, bool) {
	own.ScaleSym(-1, own)
	own.AddSym(info, own)
	var chol mat.Cholesky
	if !chol.Factorize(own) || chol.SolveVecTo(score, score) != nil {
		return 0, false
	}
	return score.AtVec(score.Len() - 1), true
}
