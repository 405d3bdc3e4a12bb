package stats

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// SequenceHalfWidth is how far a mean of n may lie from the truth at all times
// at once; it is narrowest about a planned size. It is the asymptotic
// confidence sequence of Waudby-Smith et al.
func SequenceHalfWidth(n int, sd, alpha, planned float64) float64 {
	rho2 := (-2*math.Log(alpha) + math.Log(1-2*math.Log(alpha))) / planned
	m := float64(n)
	return sd * math.Sqrt(2*(m*rho2+1)/(m*m*rho2)*math.Log(math.Sqrt(m*rho2+1)/alpha))
}

// Sequence bounds the mean difference of bills however often one looks.
func (b Bills) Sequence(planned float64) *Interval {
	mean, sd := stat.MeanStdDev(b.differences(), nil)
	half := SequenceHalfWidth(len(b.Live), sd, .05, planned)
	return &Interval{mean, mean - half, mean + half}
}

// Unit is one payer in an experiment.
type Unit struct {
	Treated bool
	X       float64 // before the experiment, by the same measure
	Y       float64 // in the experiment
}

// Trial is an experiment: each unit was treated with the probability Share, by
// a coin that knew nothing of it.
type Trial struct {
	Share float64
	Units []Unit
}

// Effect is the difference of the arms' means.
type Effect struct {
	Control  float64  `json:"control"` // mean of units that were not treated, adjusted
	Treated  float64  `json:"treated"`
	Absolute Interval `json:"absolute"` // treated less control; it holds however often one looks
	Once     Interval `json:"once"`     // the same, for whoever looks once
	Relative float64  `json:"relative"` // of Control; 0 without one
	Theta    float64  `json:"theta"`    // how much of what was before is taken out
	Reduced  float64  `json:"varianceReduction"`
}

// Sides counts the units of both arms.
func (t Trial) Sides() (control, treated int) {
	for _, u := range t.Units {
		if u.Treated {
			treated++
		}
	}
	return len(t.Units) - treated, treated
}

// RatioP is how likely a split of the units at least as uneven as this one is,
// if the coin was what it is said to be (χ², one degree of freedom). Below 0.001
// the assignment is broken, and no difference between the arms means anything.
func (t Trial) RatioP() float64 {
	control, treated := t.Sides()
	n := float64(control + treated)
	if n == 0 || t.Share <= 0 || t.Share >= 1 {
		return 1
	}
	chi := stat.ChiSquare([]float64{float64(control), float64(treated)}, []float64{n * (1 - t.Share), n * t.Share})
	return distuv.ChiSquared{K: 1}.Survival(chi)
}

// RatioBroken is the p-value below which an experiment stops.
const RatioBroken = .001

// adjusted are the units' Y less what X explains of it (CUPED), and its share
// of the variance.
func (t Trial) adjusted() (y []float64, theta, reduced float64) {
	var xs []float64
	for _, u := range t.Units {
		y, xs = append(y, u.Y), append(xs, u.X)
	}
	vx, vy := stat.Variance(xs, nil), stat.Variance(y, nil)
	if len(y) < 3 || vx == 0 || vy == 0 {
		return y, 0, 0
	}
	cov := stat.Covariance(y, xs, nil)
	theta, reduced = cov/vx, cov*cov/(vx*vy)
	mean := stat.Mean(xs, nil)
	for i := range y {
		y[i] -= theta * (xs[i] - mean)
	}
	return y, theta, reduced
}

// Effect compares the arms. planned is the size at which one means to decide.
func (t Trial) Effect(planned float64) Effect {
	y, theta, reduced := t.adjusted()
	e := Effect{Theta: theta, Reduced: reduced}
	var arms [2][]float64
	for i, u := range t.Units {
		arm := 0
		if u.Treated {
			arm = 1
		}
		arms[arm] = append(arms[arm], y[i])
	}
	if len(arms[0]) == 0 || len(arms[1]) == 0 {
		return e
	}
	e.Control, e.Treated = stat.Mean(arms[0], nil), stat.Mean(arms[1], nil)
	middle, scores := stat.Mean(y, nil), make([]float64, len(y))
	for i, u := range t.Units { // each unit's own unbiased guess of the difference
		if scores[i] = -(y[i] - middle) / (1 - t.Share); u.Treated {
			scores[i] = (y[i] - middle) / t.Share
		}
	}
	n, sd := float64(len(scores)), stat.StdDev(scores, nil)
	half := SequenceHalfWidth(len(scores), sd, .05, max(1, planned))
	d := e.Treated - e.Control
	e.Absolute = Interval{d, d - half, d + half}
	half = distuv.StudentsT{Mu: 0, Sigma: 1, Nu: max(1, n-2)}.Quantile(.975) * sd / math.Sqrt(n)
	e.Once = Interval{d, d - half, d + half}
	if e.Control > 0 {
		e.Relative = d / e.Control
	}
	return e
}

// ArcElasticity is how demand goes with a price, by the middle of both:
// ((q1−q0)/(q1+q0)) / ((p1−p0)/(p1+p0)). nil: one of the sums, or the change of
// the price, is nothing.
func ArcElasticity(p0, p1, q0, q1 float64) *float64 {
	if p0+p1 <= 0 || q0+q1 <= 0 || p0 == p1 {
		return nil
	}
	e := (q1 - q0) / (q1 + q0) / ((p1 - p0) / (p1 + p0))
	return &e
}

// Elasticity is the arc elasticity of the arms' means, with an interval from
// redrawn units.
func (t Trial) Elasticity(p0, p1 float64, seed uint64) *Interval {
	y, _, _ := t.adjusted()
	control, treated := t.Sides()
	if control < 2 || treated < 2 {
		return nil
	}
	means := func(pick func(i int) int) (q [2]float64) {
		n := [2]float64{}
		for i := range y {
			k, arm := pick(i), 0
			if t.Units[k].Treated {
				arm = 1
			}
			q[arm] += y[k]
			n[arm]++
		}
		return [2]float64{max(0, q[0]/max(1, n[0])), max(0, q[1]/max(1, n[1]))}
	}
	q := means(func(i int) int { return i })
	estimate := ArcElasticity(p0, p1, q[0], q[1])
	if estimate == nil {
		return nil
	}
	random := rand.New(rand.NewPCG(seed, uint64(len(y))+3))
	var draws []float64
	for range Resamples(len(y)) {
		q := means(func(int) int { return random.IntN(len(y)) })
		if e := ArcElasticity(p0, p1, q[0], q[1]); e != nil {
			draws = append(draws, *e)
		}
	}
	return between(*estimate, draws)
}

// Weekly is how much a lift changes when whole weeks are drawn again: nil for
// fewer than four.
func Weekly(weeks Bills, seed uint64) *Interval {
	const fewest = 4
	if len(weeks.Live) < fewest || slices.Min(weeks.Live) < 0 || Sum(weeks.Live) <= 0 {
		return nil
	}
	return weeks.Lift(seed)
}
