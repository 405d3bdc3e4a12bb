package sheetfile

import (
	"fmt"
	"strconv"
	"strings"

	"paygate/pricing"
	"paygate/pricing/filetree"
)

// match reads the conditions of a rule. tag.NAME and dim.NAME are open names.
func (r *reader) match(n *filetree.Node, field string) pricing.Match {
	var m pricing.Match
	known := fields{
		"tool":   func(n *filetree.Node, field string) { r.text(n, field, &m.Tool) },
		"plan":   func(n *filetree.Node, field string) { r.text(n, field, &m.Plan) },
		"group":  func(n *filetree.Node, field string) { r.text(n, field, &m.Group) },
		"result": func(n *filetree.Node, field string) { r.text(n, field, &m.Result) },
		"in":     func(n *filetree.Node, field string) { m.In = r.size(n, field) },
		"out":    func(n *filetree.Node, field string) { m.Out = r.size(n, field) },
		"hours":  func(n *filetree.Node, field string) { m.Hours = r.hours(n, field) },
		"days":   func(n *filetree.Node, field string) { m.Days = r.days(n, field) },
	}
	if n.Kind == filetree.Object {
		for _, member := range n.Members {
			prefix, name, ok := strings.Cut(member.Name, ".")
			if !ok || name == "" || prefix != "tag" && prefix != "dim" {
				continue
			}
			known[member.Name] = func(n *filetree.Node, field string) {
				to := &m.Tags
				if prefix == "dim" {
					to = &m.Dims
				}
				if *to == nil {
					*to = map[string]string{}
				}
				var value string
				r.text(n, field, &value)
				(*to)[name] = value
			}
		}
	}
	r.object(n, field, known)
	return m
}

// size reads "10KB..1MB", "..4KB" or "64KB..": from, and up to but not at.
func (r *reader) size(n *filetree.Node, field string) pricing.Range {
	from, to, ok := strings.Cut(n.Text, "..")
	a, good := bytesOf(from)
	b, alsoGood := bytesOf(to)
	if n.Kind != filetree.Text || !ok || !good || !alsoGood || from+to == "" || to != "" && b <= a {
		r.bad(n, field, `must be a range of sizes, such as "10KB..1MB", "..4KB" or "64KB.."`)
		return pricing.Range{}
	}
	return pricing.Range{From: a, To: b}
}

func bytesOf(text string) (int64, bool) {
	if text == "" {
		return 0, true
	}
	unit := int64(1)
	for _, u := range []struct {
		name string
		n    int64
	}{{"KB", 1024}, {"MB", 1 << 20}, {"GB", 1 << 30}, {"B", 1}} {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			text, unit = number, u.n
			break
		}
	}
	v, err := strconv.ParseInt(text, 10, 32)
	return v * unit, err == nil && v >= 0
}

// hours reads "08:00-18:00", in UTC.
func (r *reader) hours(n *filetree.Node, field string) pricing.Span {
	from, to, ok := strings.Cut(n.Text, "-")
	a, good := minutes(from)
	b, alsoGood := minutes(to)
	if !ok || !good || !alsoGood || a == b {
		r.bad(n, field, `must be two times of day in UTC, such as "08:00-18:00"`)
		return pricing.Span{}
	}
	return pricing.Span{From: a, To: b}
}

func minutes(text string) (int, bool) {
	h, m, ok := strings.Cut(text, ":")
	hour, err1 := strconv.Atoi(h)
	minute, err2 := strconv.Atoi(m)
	if !ok || err1 != nil || err2 != nil || len(h) > 2 || len(m) != 2 || hour < 0 || minute < 0 || minute > 59 || hour*60+minute > 24*60 {
		return 0, false
	}
	return hour*60 + minute, true
}

var weekdays = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// days reads ["sat", "sun"].
func (r *reader) days(n *filetree.Node, field string) []int {
	if n.Kind != filetree.List || len(n.Items) == 0 {
		r.bad(n, field, "must be a list of days, such as [sat, sun]")
		return nil
	}
	on := [7]bool{}
	for i, item := range n.Items {
		if at := fmt.Sprintf("%s[%d]", field, i); r.oneOf(item, at, item.Text, weekdays[:]...) {
			for d, name := range weekdays {
				on[d] = on[d] || name == item.Text
			}
		}
	}
	var out []int
	for d, yes := range on {
		if yes {
			out = append(out, d)
		}
	}
	return out
}
