package filter

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"paygate/server/api"
)

// matcher decides about one text.
type matcher func(s string) bool

type reach bool

const (
	whole    reach = false // a value must be all of the field
	anywhere reach = true  // a word may stand anywhere in it
)

func (v value) matcher(r reach) (matcher, error) {
	if v.regexp {
		re, err := regexp.Compile(v.text)
		if err != nil {
			msg := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
			return nil, v.p.fault(v.at, "regular expression: %s", msg)
		}
		return re.MatchString, nil
	}
	want := strings.ToLower(v.text)
	if v.quoted || !strings.ContainsAny(want, "*?") {
		if r == anywhere {
			return func(s string) bool { return strings.Contains(strings.ToLower(s), want) }, nil
		}
		return func(s string) bool { return strings.EqualFold(s, want) }, nil
	}
	if r == anywhere {
		want = "*" + want + "*"
	}
	return func(s string) bool { return glob(want, strings.ToLower(s)) }, nil
}

// glob matches * and ? in one pass; no pattern makes it slow.
func glob(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	pr, sr := []rune(pattern), []rune(s)
	for i < len(sr) {
		switch {
		case p < len(pr) && pr[p] == '*':
			star, mark = p, i
			p++
		case p < len(pr) && (pr[p] == '?' || pr[p] == sr[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pr) && pr[p] == '*' {
		p++
	}
	return p == len(pr)
}

func wordMatch(m matcher) func(*api.CallRow) bool {
	return func(c *api.CallRow) bool { return m(c.Key) || m(c.Tool) || m(c.Reason) }
}

// field gives what makes a condition of a matcher; nil when there is no such
// field.
func field(name string) func(matcher) func(*api.CallRow) bool {
	one := func(get func(*api.CallRow) string) func(matcher) func(*api.CallRow) bool {
		return func(m matcher) func(*api.CallRow) bool {
			return func(c *api.CallRow) bool { return m(get(c)) }
		}
	}
	switch name {
	case "k":
		return func(m matcher) func(*api.CallRow) bool {
			return func(c *api.CallRow) bool { return m(c.Key) || c.KeyID != "" && m(c.KeyID) }
		}
	case "t":
		return func(m matcher) func(*api.CallRow) bool {
			return func(c *api.CallRow) bool {
				if m(c.Tool) {
					return true
				}
				_, bare, ok := strings.Cut(c.Tool, ":")
				return ok && m(bare)
			}
		}
	case "s":
		return one(func(c *api.CallRow) string { return c.Server })
	case "r":
		return one(func(c *api.CallRow) string { return c.Reason })
	case "p":
		return one(func(c *api.CallRow) string { return c.Plan })
	case "ip":
		return one(func(c *api.CallRow) string { return c.IP })
	case "id":
		return one(func(c *api.CallRow) string { return c.ID })
	case "tag":
		return func(m matcher) func(*api.CallRow) bool {
			return func(c *api.CallRow) bool {
				for k, v := range c.Tags {
					if m(k) || m(v) || m(k+"="+v) {
						return true
					}
				}
				return false
			}
		}
	}
	return nil
}

// number gives the figure of a call that a name stands for.
func number(name string) func(*api.CallRow) float64 {
	switch name {
	case "cost":
		return func(c *api.CallRow) float64 { return float64(c.Credits) }
	case "ms":
		return func(c *api.CallRow) float64 { return c.TookMs }
	case "in":
		return func(c *api.CallRow) float64 { return float64(c.In) }
	case "out":
		return func(c *api.CallRow) float64 { return float64(c.Out) }
	}
	return nil
}

func flag(name string) func(*api.CallRow) bool {
	switch name {
	case "ok":
		return func(c *api.CallRow) bool { return c.Outcome == "ok" }
	case "fail":
		return func(c *api.CallRow) bool { return c.Outcome == "failed" || c.Outcome == "lost" }
	case "deny":
		return func(c *api.CallRow) bool { return c.Outcome == "denied" }
	case "would":
		return func(c *api.CallRow) bool { return c.Would && c.Reason != "" && c.Outcome != "denied" }
	case "cached":
		return func(c *api.CallRow) bool { return c.Cached }
	}
	return nil
}

// Names are all names that can follow a ~, for completion.
func Names() []string {
	return []string{"k", "t", "s", "r", "p", "tag", "ip", "id", "cost", "ms", "in", "out", "last", "at", "ok", "fail", "deny", "would", "cached"}
}

// nearest is the name that a typo most likely meant.
func nearest(name string) string {
	long := map[string]string{"key": "k", "tool": "t", "server": "s", "reason": "r", "plan": "p", "denied": "deny", "failed": "fail",
		"credits": "cost", "price": "cost", "time": "at", "tags": "tag", "lost": "fail", "cache": "cached", "took": "ms"}
	if to, ok := long[name]; ok {
		return to
	}
	for _, n := range Names() {
		if strings.HasPrefix(n, name) || strings.HasPrefix(name, n) && len(n) > 1 {
			return n
		}
	}
	for _, n := range Names() {
		if n[0] == name[0] {
			return n
		}
	}
	return "t"
}

func (p *parser) compare(start int, name string, get func(*api.CallRow) float64) (node, error) {
	p.space()
	op := ""
	for _, o := range []string{">=", "<=", ">", "<", "="} {
		if strings.HasPrefix(p.text[p.at:], o) {
			op = o
			break
		}
	}
	if op == "" {
		return nil, p.fault(start, "~%s is compared: ~%s>5, with > >= < <= or =", name, name)
	}
	p.at += len(op)
	p.space()
	v, err := p.value("a number")
	if err != nil {
		return nil, err
	}
	want, ok := amount(name, v.text)
	if !ok {
		if name == "ms" {
			return nil, p.fault(v.at, "%q is not a time: 250, 250ms, 1.5s or 2m", v.text)
		}
		return nil, p.fault(v.at, "%q is not a number: 5, 10k or 1.5M", v.text)
	}
	return callNode(func(c *api.CallRow) bool {
		got := get(c)
		switch op {
		case ">":
			return got > want
		case ">=":
			return got >= want
		case "<":
			return got < want
		case "<=":
			return got <= want
		}
		return got == want
	}), nil
}

func amount(name, text string) (float64, bool) {
	text = strings.ReplaceAll(text, ",", "")
	if name == "ms" {
		if d, err := time.ParseDuration(text); err == nil {
			return float64(d) / float64(time.Millisecond), d >= 0
		}
	}
	scale := 1.0
	if n := len(text); n > 1 && name != "ms" {
		switch text[n-1] {
		case 'k', 'K':
			scale, text = 1e3, text[:n-1]
		case 'M':
			scale, text = 1e6, text[:n-1]
		case 'G':
			scale, text = 1e9, text[:n-1]
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	return f * scale, err == nil && f >= 0 && f*scale < 1e18
}

func (p *parser) last() (node, error) {
	p.space()
	v, err := p.value("how long, such as 10m, after ~last")
	if err != nil {
		return nil, err
	}
	text := v.text
	days := strings.HasSuffix(text, "d")
	if days {
		text = strings.TrimSuffix(text, "d") + "h"
	}
	d, err := time.ParseDuration(text)
	if days && err == nil && d < 10000*time.Hour {
		d *= 24
	}
	if err != nil || d <= 0 {
		return nil, p.fault(v.at, "%q is not a stretch of time: 30s, 10m, 2h or 3d", v.text)
	}
	return lastNode(d), nil
}

func (p *parser) times() (node, error) {
	p.space()
	v, err := p.value("two times, such as 13:00..13:05, after ~at")
	if err != nil {
		return nil, err
	}
	from, to, two := strings.Cut(v.text, "..")
	a, okA := clock(from, false)
	b, okB := clock(from, true)
	if two {
		b, okB = clock(to, true)
	}
	if !okA || !okB {
		return nil, p.fault(v.at, "%q is not a time of the day: 13:00, or 13:00..13:05", v.text)
	}
	return atNode{a, b}, nil
}

// clock reads 13:05 or 13:05:30. The end of 13:05 is its last second.
func clock(s string, end bool) (time.Duration, bool) {
	layout, last := "15:04", 59*time.Second
	if strings.Count(s, ":") == 2 {
		layout, last = "15:04:05", 0
	}
	t, err := time.Parse(layout, s)
	if err != nil {
		return 0, false
	}
	d := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second
	if end {
		d += last
	}
	return d, true
}
