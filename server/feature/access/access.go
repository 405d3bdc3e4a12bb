// Package access keeps a key to the tools it may call: a list of allowed
// tools, of which an empty one means all, and a list of denied ones, which
// wins. Names may hold *, which stands for any run of characters.
package access

import (
	"slices"
	"strings"

	"paygate/server/gate"
	"paygate/server/keys"
)

// Check refuses a tool that the key's lists do not let through.
func Check() gate.Check {
	return gate.Check{Name: "access", Do: func(c *gate.Call) *gate.Denial {
		if reason := Refusal(c.Terms, c.Tool); reason != "" {
			return gate.Deny(reason)
		}
		return nil
	}}
}

// Refusal is why a key may not call a tool, or empty. tools/list asks it too,
// so that an agent sees what it can call.
func Refusal(t *keys.Terms, tool string) string {
	if len(t.Allowed) > 0 && !slices.ContainsFunc(t.Allowed, matching(tool)) {
		return "tool_not_allowed"
	}
	if slices.ContainsFunc(t.Denied, matching(tool)) {
		return "tool_denied"
	}
	return ""
}

func matching(tool string) func(string) bool {
	return func(pattern string) bool { return match(pattern, tool) }
}

// match compares whole strings, case and all; only * is special.
func match(pattern, name string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, head)
	if !ok {
		return false
	}
	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, part := range parts[:len(parts)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return strings.HasSuffix(name, last)
}
