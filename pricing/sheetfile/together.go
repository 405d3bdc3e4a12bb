package sheetfile

import (
	"fmt"
	"slices"
	"strings"

	"paygate/pricing"
	"paygate/pricing/filetree"
)

// dims reads which arguments are recorded as facts, by the name that rules ask
// for them by.
func (r *reader) dims(n *filetree.Node, field string) []pricing.Dim {
	if n.Kind != filetree.Object {
		r.bad(n, field, "must be an object of dimensions by name, not %s", n.Kind)
		return nil
	}
	var out []pricing.Dim
	for _, m := range n.Members {
		d := pricing.Dim{Name: m.Name}
		r.object(m.Value, join(field, m.Name), fields{
			"tool":     func(n *filetree.Node, field string) { r.text(n, field, &d.Tool) },
			"argument": func(n *filetree.Node, field string) { r.text(n, field, &d.Argument) },
			"values":   func(n *filetree.Node, field string) { d.Values = r.texts(n, field) },
		})
		out = append(out, d)
	}
	if len(out) > pricing.MostDims {
		r.bad(n, field, "has %d dimensions; at most %d are possible", len(out), pricing.MostDims)
	}
	return out
}

const mostValues = 100 // of a dimension

func (r *reader) texts(n *filetree.Node, field string) []string {
	if n.Kind != filetree.List || len(n.Items) == 0 || len(n.Items) > mostValues {
		r.bad(n, field, "must be a list of 1 to %d values", mostValues)
		return nil
	}
	out := make([]string, len(n.Items))
	for i, item := range n.Items {
		r.text(item, fmt.Sprintf("%s[%d]", field, i), &out[i])
	}
	return out
}

// together looks for what is wrong only in the sheet as a whole, once its parts
// could be read.
func (r *reader) together(root *filetree.Node, s *pricing.Spec) {
	list := member(root, "rules")
	if r.failed() || list == nil || list.Kind != filetree.List || len(list.Items) != len(s.Rules) {
		return
	}
	for i, rule := range s.Rules {
		at, field := list.Items[i], fmt.Sprintf("rules[%d]", i)
		if j := slices.IndexFunc(s.Rules[:i], func(before pricing.Rule) bool { return covers(before.Match, rule.Match) }); j >= 0 {
			r.warn(at, field, fmt.Sprintf("never holds: rules[%d] before it matches the same calls", j), "put the narrower rule first")
		}
		if plan := rule.Match.Plan; plan != "" && len(s.Plans) > 0 && !strings.ContainsAny(plan, "*?") && !slices.ContainsFunc(s.Plans, func(p pricing.Plan) bool { return p.Name == plan }) {
			r.warn(at, field, fmt.Sprintf("there is no plan %q in this sheet", plan), "")
		}
		for name, pattern := range rule.Match.Dims {
			r.dim(at, join(field, "match.dim."+name), s.Dims, name, pattern)
		}
	}
}

// dim checks that a value can be one of its dimension.
func (r *reader) dim(n *filetree.Node, field string, dims []pricing.Dim, name, pattern string) {
	i := slices.IndexFunc(dims, func(d pricing.Dim) bool { return d.Name == name })
	if i < 0 || len(dims[i].Values) == 0 || strings.ContainsAny(pattern, "*?") {
		return
	}
	known := append(slices.Clone(dims[i].Values), pricing.DimOther)
	r.oneOf(n, field, pattern, known...)
}

// covers says whether every call that b matches is matched by a: when a asks
// for nothing but a tool, or for the same as b.
func covers(a, b pricing.Match) bool {
	tool := a.Tool
	a.Tool = ""
	if a.String() != "*" {
		return false
	}
	return tool == "" || tool == "*" || tool == b.Tool
}

func member(n *filetree.Node, name string) *filetree.Node {
	for _, m := range n.Members {
		if m.Name == name {
			return m.Value
		}
	}
	return nil
}
