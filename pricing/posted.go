package pricing

import "slices"

// Posted is the price of a tool without conditions, as exact as the sheet says
// it: that of the first rule for it that holds whatever else is true of a call.
// "*" is any tool that no rule is for.
func (s *Sheet) Posted(tool string) Price {
	spec := s.Spec()
	if i := spec.postedRule(tool); i >= 0 {
		return spec.Rules[i].Price
	}
	return spec.Defaults
}

// postedRule is the first rule for a tool without other conditions; -1: none,
// the defaults hold.
func (s *Spec) postedRule(tool string) int {
	if tool == "*" {
		return -1
	}
	return slices.IndexFunc(s.Rules, func(r Rule) bool {
		m := r.Match
		if m.Tool != "" && !glob(m.Tool, tool) {
			return false
		}
		m.Tool = ""
		return m.String() == "*"
	})
}

// ToolFor is the price that is announced to one caller for a tool: Tool, with
// the caller's plan, group and tags known. Conditions on what only a call has
// are left out, as in Tool.
func (s *Sheet) ToolFor(c *Call) ToolPrice {
	if s.rules == nil {
		return s.Tool(c.Tool)
	}
	for _, i := range s.rules.candidates(c.Tool) {
		l := &s.rules.lines[i]
		asks := l.when
		asks.tool, asks.plan, asks.group, asks.tags = "", "", "", nil
		if asks.always() && l.about(c.Tool) && l.meets(c, true) {
			return l.price.announced()
		}
	}
	return ToolPrice{}
}

// announced is a price as it is announced: in whole credits, rounded up.
func (p *Price) announced() ToolPrice {
	return ToolPrice{PerCall: max(p.PerCall.whole(), p.Min), PerKBIn: p.PerKBIn.whole(), PerKBOut: p.PerKBOut.whole()}
}
