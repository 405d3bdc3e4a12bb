package pricing_test

import (
	"testing"
	"time"

	"paygate/pricing"
)

func BenchmarkRate(b *testing.B) {
	c := pricing.Call{Tool: "search_web", Outcome: pricing.OK, At: time.Unix(1e9, 0), Out: 4000}
	var u pricing.Usage
	rules, err := pricing.Compile(pricing.Spec{Defaults: pricing.Price{PerCall: 1_500_000},
		Rules: []pricing.Rule{{Match: pricing.Match{Tool: "read*"}}, {Match: pricing.Match{Tool: "search*"}, Price: pricing.Price{PerCall: 2_500_000, PerKBOut: 300_000, Max: 60}}}})
	if err != nil {
		b.Fatal(err)
	}
	for name, s := range map[string]*pricing.Sheet{"flat": pricing.FromTools(pricing.ToolPrice{PerCall: 2}, map[string]pricing.ToolPrice{"search_web": {PerCall: 3}}, true), "rules": rules} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				pricing.Rate(&c, s, &u)
			}
		})
	}
}
