package pricing_test

import (
	"testing"

	"pgregory.net/rapid"

	"paygate/pricing"
)

func anySheet(t *rapid.T) *pricing.Sheet {
	whole := rapid.Bool().Draw(t, "whole credits")
	line := func() pricing.Price {
		p := price(t)
		for _, d := range []*pricing.Decimal{&p.PerCall, &p.PerKBIn, &p.PerKBOut, &p.PerSecond} {
			if whole {
				*d -= *d % pricing.One
			}
			if rapid.Bool().Draw(t, "nothing") {
				*d = 0
			}
		}
		p.BillOn = rapid.SampledFrom([]string{"", pricing.BillAccepted, pricing.BillSuccess, pricing.BillBytes}).Draw(t, "bill on")
		return p
	}
	s := pricing.Spec{Defaults: line()}
	for range rapid.IntRange(0, 3).Draw(t, "rules") {
		m := pricing.Match{Tool: rapid.SampledFrom([]string{"", "a", "a*"}).Draw(t, "match")}
		if rapid.Bool().Draw(t, "sized") {
			m.Out.From = 4096
		}
		s.Rules = append(s.Rules, pricing.Rule{Match: m, Price: line()})
	}
	return compile(t, s)
}

// What is said to go straight with a call's sizes is what the call costs.
func TestAffinePricesAreThePrices(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, c := anySheet(t), anyCall(t)
		c.In, c.Out = rapid.Int64Range(0, 1<<32-1).Draw(t, "in"), rapid.Int64Range(0, 1<<32-1).Draw(t, "out")
		p, ok := s.Affine(&c)
		if !ok {
			return
		}
		charge, _ := pricing.Rate(&c, s, &pricing.Usage{})
		if c.Outcome == pricing.Denied {
			charge = pricing.Quote(&c, s, &pricing.Usage{})
		}
		if due := p.Due(c.In, c.Out, c.Took.Milliseconds()); due != min(charge.Due, pricing.MaxCredits) {
			t.Fatalf("%s: %+v: %d, want %d", s.Canonical(), c, due, charge.Due)
		}
	})
}

// A changed cell changes its tool alone.
func TestACellChangesOneTool(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, c := anySheet(t), anyCall(t)
		n := 7 * pricing.One
		changed, err := s.With(map[string]pricing.Cell{"a": {PerCall: &n}})
		if err != nil {
			t.Fatal(err)
		}
		var u pricing.Usage
		before, _ := pricing.Rate(&c, s, &u)
		after, _ := pricing.Rate(&c, changed, &u)
		if c.Tool != "a" && before != after {
			t.Fatalf("%s: %s: %+v is now %+v", s.Canonical(), changed.Canonical(), before, after)
		}
	})
}

func TestACellOfASheetByTools(t *testing.T) {
	t.Parallel()
	s := pricing.FromTools(pricing.ToolPrice{PerCall: 2, PerKBOut: 1}, map[string]pricing.ToolPrice{"a": {PerCall: 3}}, true)
	four, none := 4*pricing.One, pricing.Decimal(0)
	got, err := s.With(map[string]pricing.Cell{"a": {PerCall: &four}, "b": {PerKBOut: &none}, "*": {PerCall: &four}})
	want := pricing.FromTools(pricing.ToolPrice{PerCall: 4, PerKBOut: 1}, map[string]pricing.ToolPrice{"a": {PerCall: 4}, "b": {PerCall: 4}}, true)
	if err != nil || got.Hash() != want.Hash() {
		t.Errorf("%v\n%s\n%s", err, got.Canonical(), want.Canonical())
	}
}
