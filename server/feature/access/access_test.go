package access_test

import (
	"testing"

	"paygate/server/feature/access"
	"paygate/server/keys"
)

func TestRefusal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		allowed, denied []string
		tool, want      string
	}{
		{nil, nil, "read", ""},
		{[]string{"read"}, nil, "read", ""},
		{[]string{"read"}, nil, "reader", "tool_not_allowed"},
		{[]string{"fs:*"}, nil, "fs:read", ""},
		{[]string{"fs:*"}, nil, "web:fs:", "tool_not_allowed"},
		{[]string{"*search*"}, nil, "web:search_all", ""},
		{[]string{"a*b*c"}, nil, "a-b-c", ""},
		{[]string{"a*b*c"}, nil, "a-c-b", "tool_not_allowed"},
		{[]string{"a*a"}, nil, "a", "tool_not_allowed"},
		{nil, []string{"write"}, "write", "tool_denied"},
		{nil, []string{"*"}, "anything", "tool_denied"},
		{[]string{"read"}, []string{"read"}, "read", "tool_denied"},
		{[]string{"re.d"}, nil, "read", "tool_not_allowed"},
	} {
		terms := &keys.Terms{Allowed: c.allowed, Denied: c.denied}
		if got := access.Refusal(terms, c.tool); got != c.want {
			t.Errorf("allowed %q, denied %q, tool %q: %q, want %q", c.allowed, c.denied, c.tool, got, c.want)
		}
	}
}
