package shadow

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"paygate/pricing"
)

// Seed is of every random choice in a report, so that it can be made again.
const Seed = 20260330

// Resamples is how often the bootstrap draws.
const Resamples = 2000

// NeededPayers is how many effective payers an interval needs. Below, intervals
// promise far more than they hold.
const NeededPayers = 20

// Projected is about the next window and other callers.
type Projected struct {
	Lift    *Interval `json:"lift"` // of what is collectable; null when Refused says why
	Refused string    `json:"refused"`
	// LeaveOneOut is how far the lift moves when any one key is left out.
	LeaveOneOut *Interval `json:"leaveOneOut"`
	// Change is the change in credits by bootstrap-t.
	Change *Interval `json:"change"`
	// Sequence bounds the mean change of a key's bill however often one looks.
	Sequence *Interval `json:"sequence"`
	Demand
	Runway Runway `json:"runway"`
}

// Interval is an estimate with its 95 % bounds.
type Interval struct {
	Estimate float64 `json:"estimate"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
}

// project makes the projected part. The unit is the key, never the call.
func (t *Tally) project() Projected {
	var live, cand []float64
	for _, id := range slices.Sorted(maps.Keys(t.Keys)) {
		live, cand = append(live, float64(t.Keys[id].Paid[0])), append(cand, float64(t.Keys[id].Paid[1]))
	}
	p := Projected{Demand: t.demand()}
	k := min(effective(live), effective(cand))
	if sum(live) > 0 {
		p.LeaveOneOut = leaveOneOut(live, cand)
	}
	switch {
	case len(live) == 0:
		p.Refused = "there are no calls yet"
	case sum(live) == 0:
		p.Refused = "live collects nothing, so that there is no lift to speak of; see the change in credits"
	case k < NeededPayers:
		p.Refused = fmt.Sprintf("too few payers for an interval: %.1f effective payers, %d are needed; see leaveOneOut", k, NeededPayers)
	default:
		p.Lift = bootstrapLift(live, cand)
		p.Change = bootstrapT(live, cand)
	}
	if k >= NeededPayers {
		p.Sequence = sequence(live, cand)
	}
	return p
}

func sum(v []float64) float64 {
	total := 0.0
	for _, x := range v {
		total += x
	}
	return total
}

// effective is (Σ C)² / Σ C².
func effective(v []float64) float64 {
	squares := 0.0
	for _, x := range v {
		squares += x * x
	}
	if squares == 0 {
		return 0
	}
	total := sum(v)
	return total * total / squares
}

func leaveOneOut(live, cand []float64) *Interval {
	a, b := sum(live), sum(cand)
	i := &Interval{Estimate: b/a - 1, Low: b/a - 1, High: b/a - 1}
	for k := range live {
		if rest := a - live[k]; rest > 0 {
			lift := (b-cand[k])/rest - 1
			i.Low, i.High = min(i.Low, lift), max(i.High, lift)
		}
	}
	return i
}

// bootstrapLift draws keys with replacement: percentiles of the lift.
func bootstrapLift(live, cand []float64) *Interval {
	random := rand.New(rand.NewPCG(Seed, uint64(len(live))))
	lifts := make([]float64, 0, Resamples)
	for range Resamples {
		a, b := 0.0, 0.0
		for range live {
			k := random.IntN(len(live))
			a, b = a+live[k], b+cand[k]
		}
		if a > 0 {
			lifts = append(lifts, b/a-1)
		}
	}
	slices.Sort(lifts)
	return &Interval{Estimate: sum(cand)/sum(live) - 1, Low: stat.Quantile(.025, stat.Empirical, lifts, nil), High: stat.Quantile(.975, stat.Empirical, lifts, nil)}
}

// bootstrapT is the change in credits, studentized.
func bootstrapT(live, cand []float64) *Interval {
	n := len(live)
	d := make([]float64, n)
	for k := range d {
		d[k] = cand[k] - live[k]
	}
	mean, sd := stat.MeanStdDev(d, nil)
	root := math.Sqrt(float64(n))
	out := &Interval{Estimate: mean * float64(n), Low: mean * float64(n), High: mean * float64(n)}
	if sd == 0 {
		return out
	}
	random := rand.New(rand.NewPCG(Seed, uint64(n)+1))
	ts, draw := make([]float64, 0, Resamples), make([]float64, n)
	for range Resamples {
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
	slices.Sort(ts)
	se := sd / root
	out.Low = (mean - stat.Quantile(.975, stat.Empirical, ts, nil)*se) * float64(n)
	out.High = (mean - stat.Quantile(.025, stat.Empirical, ts, nil)*se) * float64(n)
	return out
}

// sequence is the asymptotic confidence sequence of Waudby-Smith et al. for the
// mean change of a key's bill.
func sequence(live, cand []float64) *Interval {
	d := make([]float64, len(live))
	for k := range d {
		d[k] = cand[k] - live[k]
	}
	mean, sd := stat.MeanStdDev(d, nil)
	half := SequenceHalfWidth(len(d), sd, .05, 100)
	return &Interval{Estimate: mean, Low: mean - half, High: mean + half}
}

// SequenceHalfWidth is how far a mean of n may lie from the truth at all times
// at once; it is narrowest about a planned size.
func SequenceHalfWidth(n int, sd, alpha, planned float64) float64 {
	rho2 := (-2*math.Log(alpha) + math.Log(1-2*math.Log(alpha))) / planned
	m := float64(n)
	return sd * math.Sqrt(2*(m*rho2+1)/(m*m*rho2)*math.Log(math.Sqrt(m*rho2+1)/alpha))
}

func quantile(p float64, sorted []float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return stat.Quantile(p, stat.Empirical, sorted, nil)
}

// survival is Kaplan and Meier's estimate over keys.
func (t *Tally) survival(denied func(*KeyTally) *time.Time) Survival {
	type span struct {
		hours   float64
		stopped bool
	}
	var spans []span
	for _, k := range t.Keys {
		if at := denied(k); at != nil {
			spans = append(spans, span{at.Sub(k.First).Hours(), true})
		} else {
			spans = append(spans, span{t.Last.Sub(k.First).Hours(), false})
		}
	}
	slices.SortFunc(spans, func(a, b span) int {
		switch {
		case a.hours != b.hours:
			return int(math.Copysign(1, a.hours-b.hours))
		case a.stopped == b.stopped:
			return 0
		case a.stopped: // who is stopped at a moment was at risk then
			return -1
		}
		return 1
	})
	s := Survival{Curve: []CurveStep{{0, 1}}}
	share, risk := 1.0, len(spans)
	for i := 0; i < len(spans); {
		at, stopped, gone := spans[i].hours, 0, 0
		for ; i < len(spans) && spans[i].hours == at; i++ {
			gone++
			if spans[i].stopped {
				stopped++
			}
		}
		if stopped > 0 {
			share *= 1 - float64(stopped)/float64(risk)
			s.step(at, share)
		}
		risk -= gone
	}
	return s
}

func (s *Survival) step(hours, share float64) {
	s.Curve = append(s.Curve, CurveStep{hours, share})
	for _, by := range []struct {
		hours float64
		to    *float64
	}{{24, &s.Day1}, {7 * 24, &s.Day7}, {30 * 24, &s.Day30}} {
		if hours <= by.hours {
			*by.to = 1 - share
		}
	}
	if share <= .5 && s.MedianHours == nil {
		s.MedianHours = &hours
	}
}

// bills compares what keys pay. dollar is what counts as nothing.
func (t *Tally) bills(dollar pricing.Credits) Bills {
	b := Bills{KeysTotal: len(t.Keys)}
	dollar = max(1, dollar)
	var live, cand []float64
	for _, id := range slices.Sorted(maps.Keys(t.Keys)) {
		k := t.Keys[id]
		change := k.Paid[1] - k.Paid[0]
		live, cand = append(live, float64(k.Paid[0])), append(cand, float64(k.Paid[1]))
		same := max(float64(dollar), .05*float64(k.Paid[0]))
		switch {
		case float64(change) > same:
			b.Losers++
		case float64(change) < -same:
			b.Winners++
		}
		rise := float64(change) / float64(max(k.Paid[0], dollar))
		b.Steepest = max(b.Steepest, rise)
		if rise > .5 && change > dollar {
			b.Shocked++
			b.ShockPaid += float64(k.Paid[1])
		}
	}
	if len(t.Keys) > 0 {
		b.Shock = float64(b.Shocked) / float64(len(t.Keys))
	}
	if total := sum(cand); total > 0 {
		b.ShockPaid /= total
	}
	b.EffLive, b.Eff = effective(live), effective(cand)
	b.GiniLive, b.TopLive = gini(live)
	b.Gini, b.TopTenth = gini(cand)
	return b
}

func gini(v []float64) (gini, topTenth float64) {
	total := sum(v)
	if total == 0 {
		return 0, 0
	}
	v = slices.Sorted(slices.Values(v))
	n := float64(len(v))
	for i, x := range v {
		gini += (2*float64(i+1) - n - 1) * x
	}
	top := v[len(v)-int(math.Ceil(n/10)):]
	return gini / (n * total), sum(top) / total
}
