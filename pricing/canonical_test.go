package pricing_test

import (
	"testing"

	"pgregory.net/rapid"

	"paygate/pricing"
)

func TestASheetComesBackFromItsText(t *testing.T) {
	t.Parallel()
	price := func(t *rapid.T) pricing.ToolPrice {
		n := func() pricing.Credits { return pricing.Credits(rapid.Int64Range(0, 1e9).Draw(t, "credits")) }
		return pricing.ToolPrice{PerCall: n(), PerKBIn: n(), PerKBOut: n()}
	}
	rapid.Check(t, func(t *rapid.T) {
		tools := map[string]pricing.ToolPrice{}
		for _, name := range rapid.SliceOf(rapid.String()).Draw(t, "tools") {
			tools[name] = price(t)
		}
		s := pricing.FromTools(price(t), tools, rapid.Bool().Draw(t, "refund"))
		got, err := pricing.ReadCanonical(s.Canonical())
		if err != nil || got.Hash() != s.Hash() {
			t.Fatalf("%q: %v", s.Canonical(), err)
		}
	})
}

func TestADamagedSheetIsRefused(t *testing.T) {
	t.Parallel()
	s := pricing.FromTools(pricing.ToolPrice{PerCall: 2}, nil, true)
	for _, text := range []string{"", "nonsense", s.Canonical() + " ", s.Canonical() + s.Canonical(), s.Canonical()[1:]} {
		if _, err := pricing.ReadCanonical(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
