package pricing_test

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"paygate/pricing"
)

// However large the numbers, a charge is what the exact sum says, up to the most
// that one operation may move: it never wraps around into a small one.
func TestHugePricesAndCallsNeverWrapAround(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most := int64(pricing.MaxCredits) * int64(pricing.One)
		size := func(name string, top int64) int64 {
			return rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(top-3, top), rapid.Int64Range(0, top)).Draw(t, name)
		}
		d := func(name string) pricing.Decimal { return pricing.Decimal(size(name, most)) }
		share := pricing.Decimal(size("share", int64(pricing.One)))
		p := pricing.Price{PerCall: d("call"), PerKBIn: d("in"), PerKBOut: d("out"), PerSecond: d("second"), Cached: &share}
		p.Tiers = &pricing.Tiers{Mode: pricing.Graduated, Per: "ever", Steps: []pricing.Step{{X: pricing.Decimal(size("x", 1000*int64(pricing.One)))}}}
		c := pricing.Call{Tool: "a", In: size("bytes in", math.MaxInt64-1023), Out: size("bytes out", math.MaxInt64-1023), Outcome: pricing.OK,
			Took: time.Duration(size("ms", math.MaxInt64/1_000_000)) * time.Millisecond, Cached: rapid.Bool().Draw(t, "cached")}
		got, _ := pricing.Rate(&c, compile(t, pricing.Spec{Defaults: p}), &pricing.Usage{})
		part := func(d pricing.Decimal, n, of int64) *big.Rat {
			return new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(int64(d)), big.NewInt(n)), big.NewInt(of))
		}
		kb := func(n int64) int64 { return (n + 1023) / 1024 }
		sum := new(big.Rat).Add(part(p.PerCall, 1, 1), part(p.PerKBIn, kb(c.In), 1))
		sum.Add(sum, part(p.PerKBOut, kb(c.Out), 1)).Add(sum, part(p.PerSecond, c.Took.Milliseconds(), 1000))
		one := int64(pricing.One)
		if limit := big.NewRat(most, 1); sum.Cmp(limit) > 0 { // what is summed up stops there, too
			sum = limit
		}
		sum.Mul(sum, big.NewRat(int64(p.Tiers.Steps[0].X), one))
		if c.Cached {
			sum.Mul(sum, big.NewRat(int64(share), one))
		}
		sum.Mul(sum, big.NewRat(1, one))
		want := new(big.Int).Div(new(big.Int).Add(sum.Num(), new(big.Int).Sub(sum.Denom(), big.NewInt(1))), sum.Denom())
		if top := big.NewInt(int64(pricing.MaxCredits)); want.Cmp(top) > 0 {
			want = top
		}
		if off := int64(got.Due) - want.Int64(); off < 0 || off > 1 { // per second is rounded up to a nano first
			t.Fatalf("%+v %+v: %d, want %s", p, c, got.Due, want)
		}
	})
}
