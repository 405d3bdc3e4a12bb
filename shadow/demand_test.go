package shadow

import (
	"math"
	"testing"
	"time"

	"paygate/pricing"
)

func near(t *testing.T, what string, got *float64, want float64) {
	t.Helper()
	if got == nil || math.Abs(*got-want) > 1e-9 {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func tool(calls int, live, cand, cost pricing.Credits) *ToolTally {
	return &ToolTally{Calls: calls, Paid: [2]pricing.Credits{live, cand}, Potential: [2]pricing.Credits{live, cand}, Cost: [2]pricing.Credits{cost, cost}}
}

// 100 calls at 2 that cost the server 1 each, at 4 instead: the margin goes from
// 100 to 300.
func TestWhatDemandDecides(t *testing.T) {
	t.Parallel()
	tally := NewTally(time.Time{}, time.Time{})
	tally.Tools["a"] = tool(100, 200, 400, 100)
	d := tally.demand()
	near(t, "what one can afford to lose", d.AffordToLose, 2./3)
	near(t, "the break-even elasticity", d.BreakEven, math.Log2(1./3))
	if s := d.Sensitivity; len(s) != 6 || s[0].Change != 200 || s[3].Elasticity != -1 || s[3].Change != 0 || s[3].Margin != 150 || s[3].Live != 100 || s[3].Tools[0].Tool != "a" {
		t.Errorf("%+v", s)
	}
	if d.MustStay != nil || len(d.Tornado) != 2 || d.Tornado[0].Low != -100 || d.Tornado[0].High != 200 {
		t.Errorf("%+v", d)
	}
	tally.Tools["free"] = tool(50, 0, 100, 0)
	tally.Tools["a"] = tool(100, 200, 160, 0)
	near(t, "the share that must stay", tally.demand().MustStay, .4)
}

func TestTheFrontierLeavesOutWhatAnotherIsBetterThan(t *testing.T) {
	t.Parallel()
	points := frontier([]Point{
		{Name: "live", Live: 100, Collectable: 100, Margin: 100},
		{Name: "dear", Live: 100, Collectable: 150, Margin: 150, NewlyDenied: .2, Shock: .1},
		{Name: "worse", Live: 100, Collectable: 140, Margin: 140, NewlyDenied: .2, Shock: .1},
		{Name: "later", Live: 50, Collectable: 76, Margin: 76, NewlyDenied: .2, Shock: .1}, // of fewer calls: more than dear
	})
	for i, dominated := range []bool{false, true, true, false} {
		if points[i].Dominated != dominated {
			t.Errorf("%+v", points[i])
		}
	}
}

func TestDenialsByHour(t *testing.T) {
	t.Parallel()
	tally := NewTally(time.Time{}, time.Time{})
	at := time.Date(2026, 3, 30, 12, 59, 0, 0, time.UTC)
	for i, key := range []string{"a", "b", "b", "b"} {
		k := tally.Keys[key]
		if k == nil {
			k = &KeyTally{Key: key}
			tally.Keys[key] = k
		}
		k.Denied++
		k.denied(at.Add(time.Duration(i) * time.Hour))
	}
	tally.Keys["c"] = &KeyTally{Key: "c"}
	line := tally.timeline(func(id string) string { return "name of " + id })
	if line.Hours != 4 || !line.From.Equal(at.Truncate(time.Hour)) || len(line.Keys) != 2 || line.Keys[0].ID != "b" || line.Keys[0].Denied[1] != 1 || line.Keys[1].Denied[0] != 1 || line.Total[3] != 1 || line.More != 0 {
		t.Errorf("%+v", line)
	}
}

// A key that pays 10 a day and has 35 is empty in three and a half days; what
// was paid last counts most.
func TestHowLongBalancesLast(t *testing.T) {
	t.Parallel()
	tally := NewTally(time.Time{}, time.Time{})
	tally.First = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tally.Last, tally.Attempts = tally.First.AddDate(0, 0, 13), 14
	steady, late := &KeyTally{Key: "steady"}, &KeyTally{Key: "late"}
	for d := range 14 {
		steady.spend(tally.First.AddDate(0, 0, d), [2]pricing.Credits{5, 10})
		if d >= 7 {
			late.spend(tally.First.AddDate(0, 0, d), [2]pricing.Credits{0, 20})
		}
	}
	tally.Keys["steady"], tally.Keys["late"] = steady, late
	r := tally.runway(func(string) string { return "" }, purse{"steady": 35, "late": 1000})
	if len(r.Soonest) != 2 || math.Abs(r.Soonest[0].Days-3.5) > 1e-9 || r.Soonest[0].EmptyBy7 != 1 || r.EmptyBy7 != 1 || r.EmptyBy30 != 1 {
		t.Errorf("%+v", r)
	}
	if b := r.Soonest[1].Burn; b <= 10 || b >= 20 || len(r.Fan) != 31 || r.Fan[0].P50 != 1035 || r.Fan[30].P90 >= 1035 {
		t.Errorf("burn %v, %+v", b, r.Fan)
	}
	if w := tally.weeks(); len(w) != 2 || w[0].Live != 35 || w[1].Candidate != 210 {
		t.Errorf("%+v", w)
	}
	tally.Last = tally.First
	if r := tally.runway(func(string) string { return "" }, nil); r.Refused == "" {
		t.Error("a runway of one day")
	}
}
