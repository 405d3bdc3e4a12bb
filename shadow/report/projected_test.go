package report_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"paygate/pricing"
	"paygate/shadow/report"
)

// bills draws keys' bills, lognormal, and what a re-mix makes of them.
func bills(random *rand.Rand, keys int, sigma float64) (live, cand []pricing.Credits) {
	for range keys {
		b := math.Exp(6 + sigma*random.NormFloat64())
		live, cand = append(live, pricing.Credits(b)), append(cand, pricing.Credits(b*(1+.1*(1+random.NormFloat64()))))
	}
	return live, cand
}

func id(i int) string { return fmt.Sprintf("key_%04d", i) }

// A 95 % interval for the lift by key holds the truth about as often as it
// says, at 200 payers of ordinary spread; a percentile interval is a little
// short.
func TestIntervalsHoldWhatTheyPromise(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	held, repeats := 0, 40
	for range repeats {
		live, cand := bills(random, 200, .5)
		p := report.ProjectBills(live, cand, id)
		if p.Lift == nil {
			t.Fatal(p.Refused)
		}
		if p.Lift.Low <= .1 && .1 <= p.Lift.High {
			held++
		}
	}
	if share := float64(held) / float64(repeats); share < .85 {
		t.Errorf("the interval held the truth in %.0f %% of cases", 100*share)
	}
}

func TestFewPayersGetNoInterval(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	live, cand := bills(random, 15, .2)
	p := report.ProjectBills(live, cand, id)
	if p.Lift != nil || p.Refused == "" || p.LeaveOneOut == nil {
		t.Errorf("%+v", p)
	}
	again := report.ProjectBills(live, cand, id)
	if *again.LeaveOneOut != *p.LeaveOneOut {
		t.Error("the same bills say two things")
	}
}
