package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/shadow/stats"
	"paygate/shadow/tally"
)

// NeededPayers is how many effective payers an interval needs. Below, intervals
// promise far more than they hold.
const NeededPayers = 20

// Projected is about the next window and other callers.
type Projected struct {
	Lift    *Interval `json:"lift"` // of what is collectable; null when Refused says why
	Refused string    `json:"refused"`
	// Resamples is how often payers were drawn for the intervals.
	Resamples int `json:"resamples"`
	// LeaveOneOut is how far the lift moves when any one key is left out.
	LeaveOneOut *Interval `json:"leaveOneOut"`
	// Change is the change in credits by bootstrap-t.
	Change *Interval `json:"change"`
	// Sequence bounds the mean change of a key's bill however often one looks.
	Sequence *Interval `json:"sequence"`
	Weeks    []Week    `json:"weeks"`
	ByWeek   *Interval `json:"byWeek"` // the lift when whole weeks are drawn again; null for fewer than four
	Advice   string    `json:"advice,omitempty"`
	Growth   *Growth   `json:"growth,omitempty"` // only of a what-if
	Demand
	Runway Runway `json:"runway"`
}

// Interval is an estimate with its 95 % bounds.
type Interval = stats.Interval

// project makes the projected part. The unit is the tenant, or the key that has
// none; never the call.
func (t counted) project() Projected {
	b := t.payers()
	p := Projected{Demand: t.demand(), LeaveOneOut: b.LeaveOneOut(), Weeks: t.weeks(), Resamples: stats.Resamples(len(b.Live))}
	p.ByWeek = stats.Weekly(p.weekly(), stats.Seed)
	live, cand := stats.Effective(b.Live), stats.Effective(b.Cand)
	switch k := min(live, cand); {
	case len(b.Live) == 0:
		p.Refused = "there are no calls yet"
	case live == 0:
		p.Refused = "live collects nothing, so that there is no lift to speak of; see the change in credits"
		if cand >= NeededPayers {
			p.Change = b.Change(stats.Seed)
		}
	case k < NeededPayers:
		p.Refused = fmt.Sprintf("too few payers for an interval: %.1f effective payers, %d are needed; see leaveOneOut", k, NeededPayers)
	default:
		p.Lift, p.Change, p.Sequence = b.Lift(stats.Seed), b.Change(stats.Seed), b.Sequence(plannedPayers)
	}
	if days := math.Round(t.Last.Sub(t.First).Hours()/2.4) / 10; p.Lift != nil && days < advisedDays {
		p.Advice = fmt.Sprintf("the calls span %.1f days; with fewer than %d, weekdays and weekends may not be even in them", days, advisedDays)
	}
	return p
}

const (
	plannedPayers = 100 // at which the confidence sequence is narrowest
	advisedDays   = 14
)

// payers are what units pay, in the order of their names.
func (t counted) payers() stats.Bills {
	by := map[string]*[2]float64{}
	for id, k := range t.Keys {
		if k.Tenant != "" {
			id = "tenant " + k.Tenant
		}
		if by[id] == nil {
			by[id] = new([2]float64)
		}
		by[id][0] += float64(k.Paid[0])
		by[id][1] += float64(k.Paid[1])
	}
	var b stats.Bills
	for _, id := range slices.Sorted(maps.Keys(by)) {
		b.Live, b.Cand = append(b.Live, by[id][0]), append(b.Cand, by[id][1])
	}
	return b
}

// Week is seven days of the window.
type Week struct {
	From      time.Time       `json:"from"`
	Live      pricing.Credits `json:"live"`
	Candidate pricing.Credits `json:"candidate"`
}

// weeks are the blocks of seven days from the window's first day on, the last
// one left out when it is not whole.
func (t counted) weeks() []Week {
	const day = 24 * 3600
	out := []Week{}
	if t.Attempts == 0 {
		return out
	}
	first := t.First.Unix() / day
	for n := (t.Last.Unix()/day - first + 1) / 7; n > 0; n-- {
		out = append(out, Week{From: time.Unix((first+int64(len(out))*7)*day, 0).UTC()})
	}
	for _, k := range t.Keys {
		for _, d := range k.Days {
			if i := (d.Day - first) / 7; i >= 0 && i < int64(len(out)) {
				out[i].Live += d.Paid[0]
				out[i].Candidate += d.Paid[1]
			}
		}
	}
	return out
}

func (p *Projected) weekly() (b stats.Bills) {
	for _, w := range p.Weeks {
		b.Live, b.Cand = append(b.Live, float64(w.Live)), append(b.Cand, float64(w.Candidate))
	}
	return b
}

// survival is Kaplan and Meier's estimate over keys.
func (t counted) survival(denied func(*tally.Key) *time.Time) Survival {
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
	if share <= .5+1e-12 && s.MedianHours == nil {
		s.MedianHours = &hours
	}
}

// bills compares what keys pay. dollar is what counts as nothing.
func (t counted) bills(dollar pricing.Credits) Bills {
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
	if total := stats.Sum(cand); total > 0 {
		b.ShockPaid /= total
	}
	b.EffLive, b.Eff = stats.Effective(live), stats.Effective(cand)
	b.GiniLive, b.TopLive = stats.Gini(live)
	b.Gini, b.TopTenth = stats.Gini(cand)
	return b
}

// Growth is what both sheets would collect if there were more keys: drawn of
// those that there are, so synthetic. It knows nothing of new kinds of callers.
type Growth struct {
	Synthetic bool      `json:"synthetic"` // always true
	Keys      float64   `json:"keys"`
	Live      *Interval `json:"live"`
	Candidate *Interval `json:"candidate"`
}

// grow draws keys by how many times as many there would be of their plan.
func (t counted) grow(by map[string]float64) *Growth {
	if len(by) == 0 || len(t.Keys) == 0 {
		return nil
	}
	g := &Growth{Synthetic: true}
	var b stats.Bills
	var times []float64
	for _, id := range slices.Sorted(maps.Keys(t.Keys)) {
		k := t.Keys[id]
		n, ok := by[k.Plan]
		if !ok {
			if n, ok = by["*"]; !ok {
				n = 1
			}
		}
		g.Keys += n
		times = append(times, n)
		b.Live, b.Cand = append(b.Live, float64(k.Paid[0])), append(b.Cand, float64(k.Paid[1]))
	}
	g.Live, g.Candidate = b.Resampled(times, stats.Seed)
	return g
}
