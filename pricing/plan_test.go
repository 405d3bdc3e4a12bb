package pricing_test

import (
	"strings"
	"testing"
	"time"

	"paygate/pricing"
)

func TestAPlansGrantTurnsWithItsPeriod(t *testing.T) {
	t.Parallel()
	march := time.Date(2026, 3, 30, 12, 0, 0, 0, time.UTC)
	april, may := march.AddDate(0, 0, 2), march.AddDate(0, 1, 2)
	p := pricing.Plan{Grant: 500, GrantPer: "month", Expires: true, Rollover: 50}
	var g pricing.Granted
	for _, turn := range []struct {
		at                     time.Time
		spent, available       pricing.Credits
		expired, granted, left pricing.Credits
	}{
		{march, 70, 10, 0, 500, 500}, // the first grant; what is there already was not granted
		{march, 80, 500, 0, 0, 500},  // once a period
		{april, 370, 210, 150, 500, 550},
		{april, 999, 0, 0, 0, 550},
		{may, 370 + 540, 300, 0, 500, 510}, // 10 are left and roll over
	} {
		next, expired, granted := p.Turn(g, turn.at, turn.spent, turn.available)
		if g = next; expired != turn.expired || granted != turn.granted || g.Left != turn.left {
			t.Errorf("%+v: %d expired, %d granted, %+v", turn, expired, granted, g)
		}
	}
	p.Expires = false
	if _, expired, granted := p.Turn(pricing.Granted{Period: 202603, Left: 400}, april, 0, 400); expired != 0 || granted != 500 {
		t.Errorf("a grant that does not expire: %d, %d", expired, granted)
	}
}

func TestATopUpIsDue(t *testing.T) {
	t.Parallel()
	top := pricing.TopUp{Below: 100, Add: 1000, PerDay: 2}
	for _, test := range []struct {
		available pricing.Credits
		today     int64
		want      pricing.Credits
	}{{100, 0, 0}, {99, 0, 1000}, {99, 1, 1000}, {99, 2, 0}} {
		if got := top.Due(test.available, test.today); got != test.want {
			t.Errorf("%+v: %d", test, got)
		}
	}
}

func TestDimensionsAreWhatRulesAndDeclarationsSay(t *testing.T) {
	t.Parallel()
	s, err := pricing.Compile(pricing.Spec{Dims: []pricing.Dim{{Name: "depth", Argument: "options.depth", Values: []string{"deep", "flat"}}},
		Rules: []pricing.Rule{{Match: pricing.Match{Tool: "a*", Dims: map[string]string{"depth": "deep", "lang": "de"}}}, {Match: pricing.Match{Tool: "b", Dims: map[string]string{"lang": "*"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	d := s.Dims()
	if len(d) != 3 || d[0].Path() != "options.depth" || d[0].Record("else") != pricing.DimOther || d[0].Record("deep") != "deep" || !d[0].About("b") {
		t.Errorf("%+v", d)
	}
	if d[1].Name != "lang" || d[1].Path() != "lang" || !d[1].About("ab") || d[1].About("b") || d[1].Record("x") != "x" {
		t.Errorf("%+v", d)
	}
	if long := d[1].Record(strings.Repeat("x", 65)); !strings.HasPrefix(long, pricing.DimHashed) || len(long) > 64 {
		t.Errorf("a long value is recorded as %q", long)
	}
	var spec pricing.Spec
	for i := range pricing.MostDims + 1 {
		spec.Rules = append(spec.Rules, pricing.Rule{Match: pricing.Match{Dims: map[string]string{string(rune('a' + i)): "x"}}})
	}
	if _, err := pricing.Compile(spec); err == nil {
		t.Error("nine dimensions were taken")
	}
}
