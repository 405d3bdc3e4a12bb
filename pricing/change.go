package pricing

import (
	"fmt"
	"maps"
	"slices"
)

// Cell changes one tool's price in a sheet: what is nil stays as it is.
type Cell struct {
	PerCall  *Decimal `json:"per_call"`
	PerKBIn  *Decimal `json:"per_kb_in"`
	PerKBOut *Decimal `json:"per_kb_out"`
}

// With is the sheet with other prices for some tools; "*" is the price of
// tools that have none of their own. Of a sheet with rules it changes the price
// without conditions, the one that is announced; rules with conditions before
// it stay.
func (s *Sheet) With(set map[string]Cell) (*Sheet, error) {
	if len(set) == 0 {
		return s, nil
	}
	spec := s.Spec()
	for _, tool := range slices.Sorted(maps.Keys(set)) {
		if tool == "" {
			return nil, fmt.Errorf(`a changed price has no tool; "*" is the price of tools without one of their own`)
		}
		c := set[tool]
		if tool == "*" {
			c.change(&spec.Defaults)
			continue
		}
		c.change(spec.priceOf(tool))
	}
	return Compile(spec)
}

// priceOf is the price that is announced for a tool. If it is not the tool's
// alone, a rule for it is put before the one that holds.
func (s *Spec) priceOf(tool string) *Price {
	at, price := s.postedRule(tool), s.Defaults
	switch {
	case at < 0:
		at = len(s.Rules)
		price.BillOn, price.Cached, price.Retry = "", nil, "" // a rule has them from the defaults
	case s.Rules[at].Match.Tool == tool:
		return &s.Rules[at].Price
	default:
		price = s.Rules[at].Price
	}
	s.Rules = slices.Insert(s.Rules, at, Rule{Match: Match{Tool: tool}, Price: price})
	return &s.Rules[at].Price
}

func (c Cell) change(p *Price) {
	for _, part := range []struct{ set, to *Decimal }{{c.PerCall, &p.PerCall}, {c.PerKBIn, &p.PerKBIn}, {c.PerKBOut, &p.PerKBOut}} {
		if part.set != nil {
			*part.to = *part.set
		}
	}
}

// Linear is what a call with these facts costs: so much, and so much for each
// KB of its arguments and of its result. false: it depends on more, such as
// time, duration, or what its payer has used before. A call that was denied
// costs what would be held for it.
func (s *Sheet) Linear(c *Call) (ToolPrice, bool) {
	denied := c.Outcome == Denied
	if s.rules == nil {
		if !denied && c.free(s.refund) {
			return ToolPrice{}, true
		}
		p := s.Tool(c.Tool)
		if denied {
			p.PerKBOut = 0
		}
		return p, true
	}
	l, ok := s.rules.only(c)
	if !ok {
		return ToolPrice{}, false
	}
	share, p := l.share(c, denied), &l.price
	switch {
	case l.billOn == BillBytes || l.billOn == BillUnits || p.Free != nil || p.Tiers != nil || denied && (p.Hold > 0 || p.Max > 0):
		return ToolPrice{}, false
	case share == 0:
		return ToolPrice{}, true
	case p.PerKBIn == 0 && (denied || p.PerKBOut == 0 && p.PerSecond == 0):
		return ToolPrice{PerCall: p.clamp(times(p.PerCall, 1, 1).credits(One, share))}, true
	case share == One && p.plain():
		t := p.tool()
		if denied {
			t.PerKBOut = 0
		}
		return t, true
	}
	return ToolPrice{}, false
}

// free says whether a call costs nothing at any price by tool.
func (c *Call) free(refund bool) bool {
	return c.Outcome == Lost || c.Outcome == Denied || c.Cached || c.Repeated || c.Outcome == Failed && refund
}

// only is the line that prices every call with these facts, whatever its size
// and time; false when it depends on these.
func (r *rules) only(c *Call) (*line, bool) {
	for _, i := range r.candidates(c.Tool) {
		l := &r.lines[i]
		bare := l.when
		bare.in, bare.out, bare.hours, bare.days = Range{}, Range{}, Span{}, 0
		if !l.about(c.Tool) || !bare.meets(c, c.Outcome == Denied) {
			continue
		}
		if l.in == bare.in && l.out == bare.out && l.hours == bare.hours && l.days == 0 {
			return l, true
		}
		return nil, false
	}
	return &r.lines[len(r.lines)-1], true
}
