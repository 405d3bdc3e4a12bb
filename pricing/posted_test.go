package pricing_test

import (
	"testing"

	"paygate/pricing"
)

func TestThePostedPriceIsTheOneWithoutConditions(t *testing.T) {
	t.Parallel()
	s, err := pricing.Compile(pricing.Spec{Defaults: pricing.Price{PerCall: pricing.One}, Rules: []pricing.Rule{
		{Match: pricing.Match{Tool: "search*", Plan: "pro"}, Price: pricing.Price{PerCall: 2 * pricing.One}},
		{Match: pricing.Match{Tool: "search*"}, Price: pricing.Price{PerCall: pricing.One / 2}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for tool, want := range map[string]pricing.Decimal{"search_web": pricing.One / 2, "read": pricing.One, "*": pricing.One} {
		if got := s.Posted(tool).PerCall; got != want {
			t.Errorf("%s is posted at %s, want %s", tool, got, want)
		}
	}
}
