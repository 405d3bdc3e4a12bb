package sums

import (
	"fmt"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/shadow/tally"
	"paygate/store/journal"
)

// BenchmarkSums prices a million calls of 500 payers under one sheet that has
// not been asked for before: what a key press in a price costs.
func BenchmarkSums(b *testing.B) {
	c := newColumns(0)
	for i := range Most {
		call := &journal.Call{AdmitSeq: 1}
		call.Key = fmt.Sprintf("key_%d", i%500)
		call.Tool, call.Payer, call.Outcome, call.Class = fmt.Sprintf("tool_%d", i%20), call.Key, pricing.OK, "ok"
		call.At, call.In, call.Out, call.Took = time.Unix(int64(1e9+i), 0), int64(i%3000), int64(i%70_000), time.Duration(i%900)*time.Millisecond
		c.add(call)
	}
	price := pricing.Price{PerCall: 1_500_000, PerKBOut: 200_000}
	rules := pricing.Spec{Defaults: price, Rules: []pricing.Rule{{Match: pricing.Match{Tool: "tool_1*"}, Price: pricing.Price{PerCall: 2_500_000, Max: 60}}}}
	tiers := rules
	tiers.Defaults.Tiers = &pricing.Tiers{Mode: pricing.Graduated, Per: "month", Steps: []pricing.Step{{To: 1000, X: pricing.One}, {X: pricing.One / 2}}}
	for name, spec := range map[string]pricing.Spec{"by tool": {Defaults: pricing.Price{PerCall: 2 * pricing.One, PerKBOut: pricing.One}}, "rules": rules, "tiers": tiers} {
		sheet, err := pricing.Compile(spec)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s := &Calls{cols: c, kept: map[sumKey][]pricing.Credits{}}
				if got := s.of([]*pricing.Sheet{sheet}, tally.Window{}); got.Calls < Most-inChunk || got.Credits[0] == 0 {
					b.Fatal(got)
				}
			}
		})
	}
}
