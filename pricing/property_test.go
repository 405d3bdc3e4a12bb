package pricing_test

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"paygate/pricing"
)

func price(t *rapid.T) pricing.Price {
	d := func(name string) pricing.Decimal {
		return pricing.Decimal(rapid.Int64Range(0, 50_000_000).Draw(t, name))
	}
	p := pricing.Price{PerCall: d("call"), PerKBIn: d("in"), PerKBOut: d("out"), PerSecond: d("second")}
	if rapid.Bool().Draw(t, "bounded") {
		p.Min = pricing.Credits(rapid.Int64Range(0, 20).Draw(t, "min"))
		p.Max = p.Min + pricing.Credits(rapid.Int64Range(1, 500).Draw(t, "more"))
	}
	return p
}

func anyCall(t *rapid.T) pricing.Call {
	return pricing.Call{Tool: rapid.SampledFrom([]string{"a", "b", "ab"}).Draw(t, "tool"), In: rapid.Int64Range(0, 1<<20).Draw(t, "in"), Out: rapid.Int64Range(0, 1<<20).Draw(t, "out"),
		Took: time.Duration(rapid.Int64Range(0, 100_000).Draw(t, "ms")) * time.Millisecond, At: time.Unix(rapid.Int64Range(1e9, 2e9).Draw(t, "at"), 0),
		Outcome: rapid.SampledFrom([]pricing.Outcome{pricing.OK, pricing.Failed, pricing.Lost, pricing.Denied}).Draw(t, "outcome"), Cached: rapid.Bool().Draw(t, "cached"), Repeated: rapid.IntRange(0, 3).Draw(t, "repeated") == 0}
}

func compile(t *rapid.T, s pricing.Spec) *pricing.Sheet {
	sheet, err := pricing.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return sheet
}

// What is charged is the exact sum, rounded up once.
func TestChargesAreExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, c := price(t), anyCall(t)
		p.Min, p.Max = 0, 0
		c.Outcome, c.Cached, c.Repeated = pricing.OK, false, false
		x := pricing.Decimal(rapid.Int64Range(0, 3_000_000).Draw(t, "x"))
		p.Tiers = &pricing.Tiers{Mode: pricing.Graduated, Per: "ever", Steps: []pricing.Step{{X: x}}}
		got, _ := pricing.Rate(&c, compile(t, pricing.Spec{Defaults: p}), &pricing.Usage{})
		kb := func(n int64) int64 { return (n + 1023) / 1024 }
		part := func(d pricing.Decimal, n, of int64) *big.Rat { return big.NewRat(int64(d)*n, of) }
		sum := new(big.Rat).Add(part(p.PerCall, 1, 1), part(p.PerKBIn, kb(c.In), 1))
		sum.Add(sum, part(p.PerKBOut, kb(c.Out), 1)).Add(sum, part(p.PerSecond, c.Took.Milliseconds(), 1000))
		sum.Mul(sum, big.NewRat(int64(x), 1e12))
		want, rest := new(big.Int).DivMod(sum.Num(), sum.Denom(), new(big.Int))
		if rest.Sign() > 0 {
			want.Add(want, big.NewInt(1))
		}
		if int64(got.Due) != want.Int64() {
			t.Fatalf("%+v %+v: %d, want %s", p, c, got.Due, want)
		}
	})
}

// A dearer sheet never charges less; a bounded one never more than it holds;
// rating changes nothing and says the same twice.
func TestSheetsKeepTheirWord(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, c := price(t), anyCall(t)
		spec := pricing.Spec{Defaults: p}
		spec.Rules = []pricing.Rule{{Match: pricing.Match{Tool: "a*"}, Price: price(t)}}
		s := compile(t, spec)
		var u pricing.Usage
		quote := pricing.Quote(&c, s, &u).Due
		first, _ := pricing.Rate(&c, s, &u)
		again, _ := pricing.Rate(&c, s, &u)
		if first != again || u != (pricing.Usage{}) {
			t.Fatal("rating twice says two things")
		}
		used := spec.Defaults
		if c.Tool != "b" {
			used = spec.Rules[0].Price
		}
		if used.Max > 0 && first.Due > quote {
			t.Fatalf("charges %d, held %d", first.Due, quote)
		}
		if (c.Outcome == pricing.Lost || c.Outcome == pricing.Denied) && first.Due != 0 {
			t.Fatal("a call without an answer is charged")
		}
		spec.Defaults.PerCall += pricing.Decimal(rapid.Int64Range(0, 5_000_000).Draw(t, "rise"))
		if dearer, _ := pricing.Rate(&c, compile(t, spec), &u); dearer.Due < first.Due {
			t.Fatalf("%d at the dearer price, %d before", dearer.Due, first.Due)
		}
		back, err := pricing.ReadCanonical(s.Canonical())
		if err != nil || back.Hash() != s.Hash() || len(pricing.Diff(s, back)) != 0 {
			t.Fatal(err)
		}
	})
}

func TestDecimalsAreReadExactly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]pricing.Decimal{"0": 0, "1": 1e6, "0.000001": 1, "10%": 1e5, "12.5%": 125000, "1000000000": 1e15, "2.50": 2_500_000} {
		if got, err := pricing.ParseDecimal(text); got != want || err != nil {
			t.Errorf("%q: %d %v", text, got, err)
		}
	}
	for _, text := range []string{"", ".5", "1.", "-1", "1e3", "0.0000001", "1000000001", "99999999999", "1 ", "%", "0x1", "1.2.3"} {
		if _, err := pricing.ParseDecimal(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func TestDiffSaysWhatChanged(t *testing.T) {
	t.Parallel()
	a := pricing.FromTools(pricing.ToolPrice{PerCall: 2}, map[string]pricing.ToolPrice{"x": {PerCall: 3}}, false)
	b := pricing.FromTools(pricing.ToolPrice{PerCall: 2}, map[string]pricing.ToolPrice{"x": {PerCall: 4, PerKBOut: 1}}, true)
	want := []string{"defaults, billOn: accepted → success", "rule x, perCall: 3 → 4", "rule x, perKbOut: not set → 1"}
	got := pricing.Diff(a, b)
	if len(got) != len(want) {
		t.Fatalf("%v", got)
	}
	for i, d := range got {
		if d.String() != want[i] {
			t.Errorf("%s, want %s", d, want[i])
		}
	}
}

func TestRatingAllocatesNothing(t *testing.T) { // not parallel: it counts allocations
	rules, err := pricing.Compile(pricing.Spec{Defaults: pricing.Price{PerCall: 1500000, Tiers: &pricing.Tiers{Mode: pricing.Volume, Per: "month", Steps: []pricing.Step{{X: pricing.One}}}},
		Rules: []pricing.Rule{{Match: pricing.Match{Tool: "a*", Tags: map[string]string{"x": "y*"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	c := pricing.Call{Tool: "abc", Outcome: pricing.OK, At: time.Unix(1e9, 0), Tags: map[string]string{"x": "z"}}
	var u pricing.Usage
	for _, s := range []*pricing.Sheet{pricing.FromTools(pricing.ToolPrice{PerCall: 2}, nil, false), rules} {
		if n := testing.AllocsPerRun(100, func() { pricing.Quote(&c, s, &u); pricing.Rate(&c, s, &u) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}
