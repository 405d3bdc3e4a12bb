package shadow

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"paygate/pricing"
	"paygate/shadow/report"
	"paygate/shadow/stats"
	"paygate/store/journal"
	"paygate/store/sheets"
)

// The guards of a canary: how much worse its keys may fare than those that pay
// the live prices, before it is taken back by itself.
const (
	maxErrors   = .005 // more of the calls fail
	maxSlower   = .10  // the 99th percentile is longer
	maxDrop     = -.10 // change of attempts, by a confidence sequence
	maxUnfunded = .01  // more attempts of keys with automatic top-ups find no credits

	fewestCalls = 20  // on both sides, before shares are compared
	fewestTimed = 200 // before percentiles are
	fewestKeys  = 10  // on both sides, before attempts are
	sure        = 3   // standard errors: looks are many
	mostRatio   = 3   // one key that calls far more than before is not to hide the others
)

// canaryGuardNames are the guards of a canary.
var canaryGuardNames = [...]string{"errorRate", "p99", "attemptsDrop", "topUpFailures"}

// arms is what both sides of the canary that runs have done since it began.
type arms struct {
	name  string
	since time.Time
	seq   uint64 // acts up to here are in
	sides [2]side
	plans map[string]*pricing.Sheet
}

// side is one arm: 0 pays the live prices, 1 the canary's.
type side struct {
	calls, errors int
	funded        int             // calls of keys whose plan tops up by itself
	unfunded      int             // of those, refused for want of credits
	dry           map[string]bool // keys whose latest such call was
	charged       pricing.Credits
	keys          map[string]int // attempts
	tools         map[string]*toolSide
	all           times
}

type toolSide struct {
	calls, errors int
	times         times
}

// times counts durations in steps of two percent.
type times struct {
	n     int
	steps map[int]int
}

const stepWidth = 1.02

func (t *times) add(d time.Duration) {
	if t.steps == nil {
		t.steps = map[int]int{}
	}
	t.n++
	t.steps[int(math.Log(max(1, float64(d.Microseconds())))/math.Log(stepWidth))]++
}

// quantile is the upper end of the step that has the quantile, in microseconds.
func (t *times) quantile(p float64) float64 {
	if t.n == 0 {
		return 0
	}
	left := int(math.Ceil(p * float64(t.n)))
	last := 0
	for i := range t.steps {
		last = max(last, i)
	}
	for i := 0; i <= last; i++ {
		if left -= t.steps[i]; left <= 0 {
			return math.Pow(stepWidth, float64(i+1))
		}
	}
	return 0
}

// above counts what took longer.
func (t *times) above(us float64) int {
	n := 0
	for i, c := range t.steps {
		if math.Pow(stepWidth, float64(i)) >= us {
			n += c
		}
	}
	return n
}

// canaryGuards reads on and compares the two sides.
func (l *Lab) canaryGuards(ctx context.Context, c *sheets.Canary) ([]report.Guardrail, error) {
	before := l.attemptsBefore(c.Name)
	l.watching.Lock()
	defer l.watching.Unlock()
	if l.arms == nil || l.arms.name != c.Name || !l.arms.since.Equal(c.Since) {
		l.arms = &arms{name: c.Name, since: c.Since, plans: map[string]*pricing.Sheet{}}
	}
	if err := l.readOn(ctx, l.arms, c); err != nil {
		return nil, err
	}
	return l.arms.guards(c, before, l.o.Now().Sub(c.Since).Hours()), nil
}

// guards compares the two sides.
func (a *arms) guards(c *sheets.Canary, before map[string]float64, hours float64) []report.Guardrail {
	guard := func(name string, value, limit float64, bad bool) report.Guardrail {
		return report.Guardrail{Name: name, Value: round(value), Limit: limit, Pass: !bad, Blocks: report.BlocksCanary}
	}
	e, failing := a.errors()
	slower, slow := a.slower()
	drop, fewer := a.drop(c, before, hours)
	u0, u1 := share(a.sides[0].unfunded, a.sides[0].funded), share(a.sides[1].unfunded, a.sides[1].funded)
	broke := a.sides[0].funded >= fewestCalls && a.sides[1].funded >= fewestCalls && u1-u0 > maxUnfunded && surely(u0, a.sides[0].funded, u1, a.sides[1].funded)
	return []report.Guardrail{guard("errorRate", e, maxErrors, failing), guard("p99", slower, maxSlower, slow),
		guard("attemptsDrop", drop, maxDrop, fewer), guard("topUpFailures", u1-u0, maxUnfunded, broke)}
}

func round(v float64) float64 { return math.Round(v*1e6) / 1e6 }

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// surely says whether the second share is larger by more than chance.
func surely(p0 float64, n0 int, p1 float64, n1 int) bool {
	p := (p0*float64(n0) + p1*float64(n1)) / float64(n0+n1)
	return p1-p0 > sure*math.Sqrt(p*(1-p)*(1/float64(n0)+1/float64(n1)))
}

// errors is how many more calls fail under the canary, tool by tool so that
// another mix of tools does not look like harm.
func (a *arms) errors() (more float64, bad bool) {
	n0, n1, e0, e1 := 0, 0, 0.0, 0
	for name, t1 := range a.sides[1].tools {
		t0 := a.sides[0].tools[name]
		if t0 == nil || t0.calls == 0 {
			continue
		}
		n0, n1 = n0+t0.calls, n1+t1.calls
		e0, e1 = e0+float64(t1.calls)*share(t0.errors, t0.calls), e1+t1.errors
	}
	if n0 < fewestCalls || n1 < fewestCalls {
		return 0, false
	}
	p0, p1 := e0/float64(n1), share(e1, n1)
	return p1 - p0, p1-p0 > maxErrors && surely(p0, n0, p1, n1)
}

// slower is how much longer the 99th percentile of the tool is that has become
// worst. It is bad when more than a hundredth of its calls, by more than
// chance, are over what it may be.
func (a *arms) slower() (worst float64, bad bool) {
	for name, t1 := range a.sides[1].tools {
		t0 := a.sides[0].tools[name]
		if t0 == nil || t0.times.n < fewestTimed || t1.times.n < fewestTimed {
			continue
		}
		was := t0.times.quantile(.99)
		by := t1.times.quantile(.99)/was - 1
		over := float64(t1.times.above(was * (1 + maxSlower)))
		n := float64(t1.times.n)
		if by > worst || worst == 0 {
			worst = by
		}
		bad = bad || by > maxSlower && over/n-.01 > sure*math.Sqrt(.01*.99/n)
	}
	return worst, bad
}

// drop is the change of attempts a key that the canary has caused: against what
// the same keys did before, and against the keys that pay as before. It is bad
// when all that the confidence sequences leave possible is worse than the limit.
func (a *arms) drop(c *sheets.Canary, before map[string]float64, hours float64) (change float64, bad bool) {
	var by [2][]float64
	for key, perHour := range before {
		i := 0
		if sheets.Share(c.Salt, key) < c.Percent {
			i = 1
		}
		if hours > 0 {
			by[i] = append(by[i], min(mostRatio, float64(a.sides[i].keys[key])/hours/perHour))
		}
	}
	if hours < 1 || len(by[0]) < fewestKeys || len(by[1]) < fewestKeys {
		return 0, false
	}
	m0, s0 := stat.MeanStdDev(by[0], nil)
	m1, s1 := stat.MeanStdDev(by[1], nil)
	most := m1 + stats.SequenceHalfWidth(len(by[1]), s1, .025, 100) - (m0 - stats.SequenceHalfWidth(len(by[0]), s0, .025, 100))
	return m1 - m0, most < maxDrop
}

// readOn takes in what has come since.
func (l *Lab) readOn(ctx context.Context, a *arms, c *sheets.Canary) error {
	for {
		events, err := l.o.Book.Journal().Page(a.seq, 4096)
		if err != nil {
			return fmt.Errorf("canary of %s: %w", c.Name, err)
		}
		for _, e := range events {
			if a.seq = e.Seq; e.Call != nil && e.Call.Key != "" && !e.Call.At.Before(c.Since) {
				a.see(l, e.Call, c)
			}
		}
		if len(events) == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (a *arms) see(l *Lab, c *journal.Call, canary *sheets.Canary) {
	i := 0
	switch c.Sheet {
	case canary.Sheet:
		i = 1
	case canary.Live:
	default: // keys that keep an older sheet
		return
	}
	s := &a.sides[i]
	if s.keys == nil {
		s.keys, s.tools = map[string]int{}, map[string]*toolSide{}
	}
	s.calls++
	s.keys[c.Key]++
	s.charged += c.Charged + c.Would
	if l.topsUp(a, c) {
		s.fund(c)
	}
	if c.Outcome == pricing.Denied {
		return
	}
	t := s.tools[c.Tool]
	if t == nil {
		t = &toolSide{}
		s.tools[c.Tool] = t
	}
	t.calls++
	if c.Outcome != pricing.OK {
		t.errors++
		s.errors++
	}
	t.times.add(c.Took)
	s.all.add(c.Took)
}

// fund counts a call of a key whose plan tops up by itself. A key that asks
// again and again without credits fails once, until it has some: nobody takes a
// canary back by asking often.
func (s *side) fund(c *journal.Call) {
	if s.dry == nil {
		s.dry = map[string]bool{}
	}
	was := s.dry[c.Key]
	s.dry[c.Key] = c.Outcome == pricing.Denied && slices.Contains(c.Reasons, "insufficient_credits")
	if was && s.dry[c.Key] {
		return
	}
	s.funded++
	if s.dry[c.Key] {
		s.unfunded++
	}
}

// topsUp says whether the key of a call has a plan that adds credits by itself.
func (l *Lab) topsUp(a *arms, c *journal.Call) bool {
	if c.Plan == "" {
		return false
	}
	sheet := a.plans[c.Sheet]
	if sheet == nil {
		var err error
		if sheet, err = l.sheet(c.Sheet); err != nil {
			return false
		}
		a.plans[c.Sheet] = sheet
	}
	plan := sheet.Plan(c.Plan)
	return plan != nil && plan.TopUp.Add > 0
}

// attemptsBefore is how often an hour each key called while the experiment was
// only shadowed.
func (l *Lab) attemptsBefore(name string) map[string]float64 {
	out := map[string]float64{}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.j.of(name)
	if t == nil || t.pair.Tally.First.IsZero() {
		return out
	}
	hours := t.pair.Tally.Last.Sub(t.from).Hours()
	for id, k := range t.pair.Tally.Keys {
		if n := k.Admitted + k.Denied; n >= 5 && hours > 0 {
			out[id] = float64(n) / hours
		}
	}
	return out
}

// tell sums the sides up.
func (a *arms) tell() (out [2]Arm) {
	for i := range a.sides {
		s := &a.sides[i]
		out[i] = Arm{Calls: s.calls, Keys: len(s.keys), Errors: s.errors, Charged: s.charged, P99: round(s.all.quantile(.99) / 1000)}
	}
	return out
}
