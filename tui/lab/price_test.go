package lab_test

import (
	"testing"

	"pgregory.net/rapid"

	"paygate/pricing"
	"paygate/tui/lab"
)

func TestAPriceIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.Custom(func(t *rapid.T) pricing.Decimal {
			return pricing.Decimal(rapid.Int64Range(0, 1_000_000_000).Draw(t, "millionths"))
		})
		p := lab.Price{PerCall: some.Draw(t, "call"), PerKBIn: some.Draw(t, "in"), PerKBOut: some.Draw(t, "out")}
		again, err := lab.ParsePrice(p.String())
		if err != nil || again != p {
			t.Fatalf("%+v is written %q and read %+v, %v", p, p, again, err)
		}
		if sent, err := lab.PriceOf(p.API()); err != nil || sent != p {
			t.Fatalf("%+v is sent as %+v", p, p.API())
		}
	})
}

func TestPricesAsPeopleTypeThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "free", "0": "free", " 4 + 1/KB": "4+1/KB", "4+1/kb in": "4+1/KB in", "2/KB": "2/KB", "0.25": "0.25", "1+2/KB in+3/KB out": "1+2/KB in+3/KB"} {
		p, err := lab.ParsePrice(text)
		if err != nil || p.String() != want {
			t.Errorf("%q is read as %q, %v", text, p, err)
		}
	}
	for _, text := range []string{"-1", "x", "4+", "4/MB", "1e3", "4+1/KB+"} {
		if p, err := lab.ParsePrice(text); err == nil {
			t.Errorf("%q is read as %q", text, p)
		}
	}
}

func TestStepsAndFactors(t *testing.T) {
	t.Parallel()
	p := lab.Price{PerCall: pricing.One, PerKBOut: 3 * pricing.One}
	if got := p.Step(-5).String(); got != "3/KB" {
		t.Errorf("five less is %s", got)
	}
	if got := p.Times(pricing.One * 3 / 2).String(); got != "1.5+4.5/KB" {
		t.Errorf("half as much again is %s", got)
	}
}
