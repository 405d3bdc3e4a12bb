package report

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// Demand is what the change comes to if callers react to the price. Nobody
// knows how they do: it is said for several elasticities.
type Demand struct {
	// AffordToLose is the share of today's volume that may go before the
	// candidate's margin is less than live's: L*.
	AffordToLose *float64 `json:"affordToLose"`
	// BreakEven is the elasticity at which the candidate's margin is live's: ε*.
	// Null when there is none between 0 and -20.
	BreakEven *float64 `json:"breakEvenElasticity"`
	// MustStay is the smallest share of the calls of tools that were free
	// which must stay for the candidate to collect what live does.
	MustStay    *float64      `json:"mustStay"`
	Sensitivity []Sensitivity `json:"sensitivity"`
	Tornado     []Swing       `json:"tornado"`
}

// Sensitivity is what an elasticity makes of the change: tool by tool, the
// calls that are admitted times (p1/p0)^ε, with the refunds as they are. Tools
// that were free stay as they are.
type Sensitivity struct {
	Elasticity float64 `json:"elasticity"`
	Change     float64 `json:"change"`     // of what is collected
	Margin     float64 `json:"margin"`     // of the candidate, less what the servers cost
	Live       float64 `json:"marginLive"` // today's
	Tools      []Part  `json:"tools"`      // the change by tool
}

// Part is a tool's part of a sum.
type Part struct {
	Tool   string  `json:"tool"`
	Change float64 `json:"change"`
}

// Swing is how far one assumption moves the change: Low and High are the change
// at its two ends, all else as recorded.
type Swing struct {
	Assumption string  `json:"assumption"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
}

var elasticities = [...]float64{0, -.25, -.5, -1, -1.5, -2}

// market is one tool as demand sees it.
type market struct {
	tool         string
	calls        float64
	p0, p1       float64 // a call's price, admitted or not
	paid0, paid1 float64
	costs        [2]float64 // upstream's, of the calls that live and the candidate admit
	cost         float64    // of all its calls
}

func (t counted) markets() []market {
	var out []market
	for _, name := range slices.Sorted(maps.Keys(t.Tools)) {
		tool := t.Tools[name]
		n := float64(max(1, tool.Calls))
		out = append(out, market{tool: name, calls: n, p0: float64(tool.Potential[0]) / n, p1: float64(tool.Potential[1]) / n,
			paid0: float64(tool.Paid[0]), paid1: float64(tool.Paid[1]),
			costs: [2]float64{float64(tool.Cost[0]), float64(tool.Cost[1])}, cost: float64(tool.Ran)})
	}
	return out
}

// volume is what is left of a tool's calls.
func (m *market) volume(elasticity float64) float64 {
	if m.p0 <= 0 || m.p1 <= 0 {
		return 1
	}
	return math.Pow(m.p1/m.p0, elasticity)
}

func (t counted) demand() Demand {
	all := t.markets()
	d := Demand{Sensitivity: []Sensitivity{}, Tornado: tornado(all)}
	for _, e := range elasticities {
		s := Sensitivity{Elasticity: e, Tools: []Part{}, Change: float64(t.Sides[0].Refunds - t.Sides[1].Refunds)}
		for i := range all {
			m := &all[i]
			left := m.volume(e)
			change := m.paid1*left - m.paid0
			s.Change += change
			s.Margin += (m.paid1 - m.costs[1]) * left
			s.Live += m.paid0 - m.costs[0]
			s.Tools = append(s.Tools, Part{m.tool, change})
		}
		d.Sensitivity = append(d.Sensitivity, s)
	}
	if now := d.Sensitivity[0]; now.Live > 0 && now.Margin > now.Live {
		lose := 1 - now.Live/now.Margin
		d.AffordToLose = &lose
	}
	d.BreakEven, d.MustStay = breakEven(all), mustStay(all)
	return d
}

// breakEven is ε* of all tools that had a price: by halving, where the margin
// at list prices changes its side.
func breakEven(all []market) *float64 {
	gain := func(e float64) float64 {
		total := 0.0
		for i := range all {
			if m := &all[i]; m.p0 > 0 && m.p1 > 0 {
				u := m.cost / m.calls
				total += m.calls * ((m.p1-u)*m.volume(e) - (m.p0 - u))
			}
		}
		return total
	}
	low, high := -20.0, 0.0
	if gain(high) == 0 || (gain(low) > 0) == (gain(high) > 0) {
		return nil
	}
	up := gain(high) > 0
	for range 60 {
		if mid := (low + high) / 2; (gain(mid) > 0) == up {
			high = mid
		} else {
			low = mid
		}
	}
	return &high
}

// mustStay is s* = (target − rest) / what the formerly free calls bring, with
// what live collects as the target.
func mustStay(all []market) *float64 {
	target, rest, fresh := 0.0, 0.0, 0.0
	for _, m := range all {
		if target += m.paid0; m.p0 == 0 {
			fresh += m.paid1
		} else {
			rest += m.paid1
		}
	}
	if fresh <= 0 {
		return nil
	}
	share := max(0, (target-rest)/fresh)
	return &share
}

// tornado are the five assumptions that move the change most: each tool's
// demand between unmoved and an elasticity of −2, and what its server costs by
// a fifth either way.
func tornado(all []market) []Swing {
	base := 0.0
	for _, m := range all {
		base += m.paid1 - m.paid0
	}
	out := []Swing{}
	for i := range all {
		m := &all[i]
		if at := base + m.paid1*(m.volume(-2)-1); at != base {
			out = append(out, Swing{"demand for " + m.tool + " (elasticity 0 to -2)", min(at, base), max(at, base)})
		}
		if m.cost > 0 {
			out = append(out, Swing{"upstream cost of " + m.tool + " (±20 %)", base - m.cost/5, base + m.cost/5})
		}
	}
	slices.SortStableFunc(out, func(a, b Swing) int { return cmp.Compare(b.High-b.Low, a.High-a.Low) })
	return out[:min(5, len(out))]
}
