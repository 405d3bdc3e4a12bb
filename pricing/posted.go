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
