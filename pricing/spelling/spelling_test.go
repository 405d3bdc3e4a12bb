package spelling_test

import (
	"strings"
	"testing"

	"paygate/pricing/spelling"
)

func TestAMistypedNameFindsWhatItMeant(t *testing.T) {
	t.Parallel()
	known := []string{"port", "host", "toolPricing", "globalRateLimitPerMin", "shadowMode"}
	for _, c := range []struct{ name, want string }{
		{"prot", "port"}, {"Port", "port"}, {"tolPricing", "toolPricing"}, {"shadowmode", "shadowMode"},
		{"globalRateLimit", "globalRateLimitPerMin"}, {"zebra", ""}, {"", ""}, {strings.Repeat("x", 1000), ""},
	} {
		if got := spelling.Nearest(c.name, known); got != c.want {
			t.Errorf("%.20q means %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDistanceCountsEdits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"abc", "abc", 0}, {"abc", "acb", 2}} {
		if got := spelling.Distance(c.a, c.b); got != c.want {
			t.Errorf("from %q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
		if got := spelling.Distance(c.b, c.a); got != c.want {
			t.Errorf("from %q to %q: %d, want %d", c.b, c.a, got, c.want)
		}
	}
}
