package report

import (
	"math"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/shadow/tally"
)

func near(t *testing.T, what string, got *float64, want float64) {
	t.Helper()
	if got == nil || math.Abs(*got-want) > 1e-9 {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func tool(calls int, live, cand, cost pricing.Credits) *tally.Tool {
	return &tally.Tool{Calls: calls, Paid: [2]pricing.Credits{live, cand}, Potential: [2]pricing.Credits{live, cand}, Cost: [2]pricing.Credits{cost, cost}, Ran: cost}
}

// 100 calls at 2 that cost the server 1 each, at 4 instead: the margin goes from
// 100 to 300.
func TestWhatDemandDecides(t *testing.T) {
	t.Parallel()
	counts := counted{tally.New(tally.Window{})}
	counts.Tools["a"] = tool(100, 200, 400, 100)
	d := counts.demand()
	near(t, "what one can afford to lose", d.AffordToLose, 2./3)
	near(t, "the break-even elasticity", d.BreakEven, math.Log2(1./3))
	if s := d.Sensitivity; len(s) != 6 || s[0].Change != 200 || s[3].Elasticity != -1 || s[3].Change != 0 || s[3].Margin != 150 || s[3].Live != 100 || s[3].Tools[0].Tool != "a" {
		t.Errorf("%+v", s)
	}
	if d.MustStay != nil || len(d.Tornado) != 2 || d.Tornado[0].Low != -100 || d.Tornado[0].High != 200 {
		t.Errorf("%+v", d)
	}
	counts.Tools["free"] = tool(50, 0, 100, 0)
	counts.Tools["a"] = tool(100, 200, 160, 0)
	near(t, "the share that must stay", counts.demand().MustStay, .4)
}

func TestTheFrontierLeavesOutWhatAnotherIsBetterThan(t *testing.T) {
	t.Parallel()
	points := dominate([]Point{
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
	counts := counted{tally.New(tally.Window{})}
	at := time.Date(2026, 3, 30, 12, 59, 0, 0, time.UTC)
	for i, key := range []string{"a", "b", "b", "b"} {
		k := counts.Keys[key]
		if k == nil {
			k = &tally.Key{Key: key}
			counts.Keys[key] = k
		}
		k.Denied++
		k.Hours = append(k.Hours, tally.HourCount{Hour: at.Unix()/3600 + int64(i), Denied: 1})
	}
	counts.Keys["c"] = &tally.Key{Key: "c"}
	line := counts.timeline(func(id string) string { return "name of " + id })
	if line.Hours != 4 || !line.From.Equal(at.Truncate(time.Hour)) || len(line.Keys) != 2 || line.Keys[0].ID != "b" || line.Keys[0].Denied[1] != 1 || line.Keys[1].Denied[0] != 1 || line.Total[3] != 1 || line.More != 0 {
		t.Errorf("%+v", line)
	}
}

// A key that pays 10 a day and has 35 is empty in three and a half days; what
// was paid last counts most.
func TestHowLongBalancesLast(t *testing.T) {
	t.Parallel()
	counts := counted{tally.New(tally.Window{})}
	counts.First = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	counts.Last, counts.Attempts = counts.First.AddDate(0, 0, 13), 14
	steady, late := &tally.Key{Key: "steady"}, &tally.Key{Key: "late"}
	for d := range 14 {
		day := counts.First.AddDate(0, 0, d).Unix() / (24 * 3600)
		steady.Days = append(steady.Days, tally.DaySpend{Day: day, Paid: [2]pricing.Credits{5, 10}})
		if d >= 7 {
			late.Days = append(late.Days, tally.DaySpend{Day: day, Paid: [2]pricing.Credits{0, 20}})
		}
	}
	counts.Keys["steady"], counts.Keys["late"] = steady, late
	r := counts.runway(func(string) string { return "" }, map[string]pricing.Credits{"steady": 35, "late": 1000})
	if len(r.Soonest) != 2 || math.Abs(r.Soonest[0].Days-3.5) > 1e-9 || r.Soonest[0].EmptyBy7 != 1 || r.EmptyBy7 != 1 || r.EmptyBy30 != 1 {
		t.Errorf("%+v", r)
	}
	if left := r.Fan[30].P50; left < 600 || left > 800 { // the steady one is empty and spends no more
		t.Errorf("after 30 days %v are left", left)
	}
	if r := counts.runway(func(string) string { return "" }, map[string]pricing.Credits{"late": 1000}); r.EmptyNow != 1 || len(r.Soonest) != 1 || r.Soonest[0].ID != "late" {
		t.Errorf("one has nothing left: %+v", r)
	}
	if b := r.Soonest[1].Burn; b <= 10 || b >= 20 || len(r.Fan) != 31 || r.Fan[0].P50 != 1035 || r.Fan[30].P90 >= 1035 {
		t.Errorf("burn %v, %+v", b, r.Fan)
	}
	if w := counts.weeks(); len(w) != 2 || w[0].Live != 35 || w[1].Candidate != 210 {
		t.Errorf("%+v", w)
	}
	counts.Last = counts.First
	if r := counts.runway(func(string) string { return "" }, nil); r.Refused == "" {
		t.Error("a runway of one day")
	}
}
