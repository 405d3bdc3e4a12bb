package pricing

import "slices"

// Posted is the price of a tool without conditions, as exact as the sheet says
// it: that of the first rule for it that holds whatever else is true of a call.
// "*" is any tool that no rule is for.
func (s *Sheet) Posted(tool string) Price {
	spec := s.Spec()
	i := slices.IndexFunc(spec.Rules, func(r Rule) bool {
		m := r.Match
		if m.Tool != "" && !glob(m.Tool, tool) {
			return false
		}
		m.Tool = ""
		return m.String() == "*"
	})
	if i < 0 || tool == "*" {
		return spec.Defaults
	}
	return spec.Rules[i].Price
}
