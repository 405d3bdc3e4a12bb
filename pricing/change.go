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
		price.BillOn, price.Cached, price.Retry, price.RetryWithin = "", nil, "", 0 // a rule has them from the defaults
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
