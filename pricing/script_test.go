package pricing_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/pricing/sheetfile"
)

// TestPrices runs the scripts: sheets, and what calls cost under them. The
// usage of the calls of a sheet adds up.
func TestPrices(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../testdata/price/rules.test")
	if err != nil {
		t.Fatal(err)
	}
	var file []string
	var s *pricing.Sheet
	var usage pricing.Usage
	inSheet := false
	for n, line := range strings.Split(string(raw), "\n") {
		switch {
		case strings.HasPrefix(line, "--- "):
			inSheet, file, usage = true, nil, pricing.Usage{}
		case line == "---":
			inSheet = false
			f, err := sheetfile.Parse([]byte(strings.Join(file, "\n")))
			if err != nil {
				t.Fatalf("line %d: %v", n+1, err)
			}
			s = f.Sheet
		case inSheet:
			file = append(file, line)
		case line != "" && line[0] != '#':
			facts, want, _ := strings.Cut(line, "->")
			c := call(t, facts)
			quote := pricing.Quote(&c, s, &usage).Due
			charge, deltas := pricing.Rate(&c, s, &usage)
			usage.Add(deltas)
			if got := fmt.Sprintf("%d %d", quote, charge.Due); got != strings.TrimSpace(want) {
				t.Errorf("line %d: %s: %s", n+1, line, got)
			}
			if charge.Call+charge.Input+charge.Output != charge.Due {
				t.Errorf("line %d: the parts are not the whole: %+v", n+1, charge)
			}
		}
	}
}

// call reads facts such as "tool=x in=10 cached".
func call(t *testing.T, facts string) pricing.Call {
	t.Helper()
	c := pricing.Call{Outcome: pricing.OK, Class: "ok", At: time.Date(2026, 3, 30, 12, 0, 0, 0, time.UTC), Tags: map[string]string{}, Dims: map[string]string{}}
	number := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, fact := range strings.Fields(facts) {
		name, value, _ := strings.Cut(fact, "=")
		switch kind, sub, _ := strings.Cut(name, "."); kind {
		case "tool":
			c.Tool = value
		case "plan":
			c.Plan = value
		case "group":
			c.Group = value
		case "class":
			c.Class = value
		case "tag":
			c.Tags[sub] = value
		case "dim":
			c.Dims[sub] = value
		case "in":
			c.In = number(value)
		case "out":
			c.Out = number(value)
		case "units":
			c.Units = pricing.Credits(number(value))
		case "took":
			c.Took = time.Duration(number(value)) * time.Millisecond
		case "day":
			c.At = c.At.AddDate(0, 0, int(number(value)))
		case "at":
			h, m, _ := strings.Cut(value, ":")
			c.At = time.Date(2026, 3, 30, int(number(h)), int(number(m)), 0, 0, time.UTC)
		case "cached":
			c.Cached = true
		case "repeated":
			c.Repeated = true
			c.RepeatedAfter, _ = time.ParseDuration(value) // empty: at once
		case "outcome":
			c.Outcome = map[string]pricing.Outcome{"failed": pricing.Failed, "lost": pricing.Lost, "denied": pricing.Denied}[value]
		default:
			t.Fatalf("unknown fact %q", fact)
		}
	}
	return c
}
