package pricing

import "strings"

// when is a Match in a form that is quick to ask.
type when struct {
	tool, plan, group, result string
	tags, dims                []pair
	in, out                   Range
	hours                     Span
	days                      uint8 // bits
	after                     bool  // asks for what is only known after the call
}

type pair struct{ name, pattern string }

// about says whether a rule can be for a tool.
func (w *when) about(tool string) bool { return w.tool == "" || glob(w.tool, tool) }

// meets asks for everything but the tool.
func (w *when) meets(c *Call, before bool) bool {
	if before && w.after {
		return false
	}
	if w.plan != "" && !glob(w.plan, c.Plan) || w.group != "" && !glob(w.group, c.Group) || w.result != "" && !glob(w.result, c.Class) {
		return false
	}
	if !meetsAll(w.tags, c.Tags) || !meetsAll(w.dims, c.Dims) || !w.in.has(c.In) || !w.out.has(c.Out) {
		return false
	}
	return w.hours == Span{} && w.days == 0 || w.now(c)
}

func (w *when) now(c *Call) bool {
	at := c.At.UTC()
	if w.days != 0 && w.days>>int(at.Weekday())&1 == 0 {
		return false
	}
	minute, h := at.Hour()*60+at.Minute(), w.hours
	switch {
	case h == Span{}:
		return true
	case h.From <= h.To:
		return h.From <= minute && minute < h.To
	}
	return h.From <= minute || minute < h.To
}

func meetsAll(want []pair, have map[string]string) bool {
	for _, p := range want {
		if v, ok := have[p.name]; !ok || !glob(p.pattern, v) {
			return false
		}
	}
	return true
}

func (r Range) has(n int64) bool { return n >= r.From && (r.To == 0 || n < r.To) }

// isGlob says whether a pattern can match more than itself.
func isGlob(pattern string) bool { return strings.ContainsAny(pattern, "*?") }

// glob matches * with any text and ? with any one byte.
func glob(pattern, text string) bool {
	p, t, star, back := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, back = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			back++
			p, t = star+1, back
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
