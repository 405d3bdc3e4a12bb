package pricing

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Difference is one line in which two sheets differ. An empty side is not set
// there.
type Difference struct {
	Where  string `json:"where"` // such as "rule search*, perCall"
	Before string `json:"before"`
	After  string `json:"after"`
}

func (d Difference) String() string {
	return fmt.Sprintf("%s: %s → %s", d.Where, cmp.Or(d.Before, "not set"), cmp.Or(d.After, "not set"))
}

// Diff says what is other in sheet b than in a, line by line; nothing when they
// are the same.
func Diff(a, b *Sheet) []Difference {
	if a.hash == b.hash {
		return nil
	}
	before, after := lines(a.Spec()), lines(b.Spec())
	all := map[string]bool{}
	for where := range before {
		all[where] = true
	}
	for where := range after {
		all[where] = true
	}
	var out []Difference
	for _, where := range slices.Sorted(maps.Keys(all)) {
		if before[where] != after[where] {
			out = append(out, Difference{where, before[where], after[where]})
		}
	}
	return out
}

// lines are a spec's values by their place. Rules go by what they match, and
// by their order where that is the same.
func lines(s Spec) map[string]string {
	out := map[string]string{}
	if s.CreditUSD != 0 {
		out["currency, creditUsd"] = s.CreditUSD.String()
	}
	spread(out, "defaults", s.Defaults)
	seen := map[string]int{}
	order := ""
	for _, r := range s.Rules {
		name := "rule " + r.Match.String()
		if seen[name]++; seen[name] > 1 {
			name = fmt.Sprintf("%s (%d)", name, seen[name])
		}
		order += name + "; "
		spread(out, name, r.Price)
	}
	if len(s.Rules) > 0 && !flatRules(s.Rules) {
		out["order of rules"] = order
	}
	for _, d := range s.Dims {
		spread(out, "dimension "+d.Name, d)
	}
	for _, p := range s.Plans {
		spread(out, "plan "+p.Name, p)
	}
	return out
}

// flatRules says whether the order of rules cannot matter: each is for a tool
// of its own.
func flatRules(rules []Rule) bool {
	return !slices.ContainsFunc(rules, func(r Rule) bool { return r.Match.Tool == "" || isGlob(r.Match.Tool) })
}

func spread(out map[string]string, where string, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		return // of numbers and texts: it cannot fail
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return // an object, as it was just written
	}
	for name, value := range fields {
		if text := bytes.Trim(value, `"`); name != "name" {
			out[where+", "+name] = string(text)
		}
	}
}

// String names the match: its tool when that is all.
func (m Match) String() string {
	tool := m.Tool
	if m.Tool = ""; tool == "" {
		tool = "*"
	}
	raw, err := json.Marshal(m)
	if err != nil || string(raw) == "{}" {
		return tool
	}
	return tool + " " + string(raw)
}
