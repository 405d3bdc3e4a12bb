package report

// Guardrail is one condition of going live.
type Guardrail struct {
	Name   string `json:"name"`
	Value  any    `json:"value"` // a number, a grade, or null when it cannot be known
	Limit  any    `json:"limit"`
	Pass   bool   `json:"pass"`
	Blocks string `json:"blocks"` // see the constants
}

// What a guardrail that fails blocks.
const (
	BlocksAll        = "promotion"
	BlocksUnattended = "unattended promotion" // one at a later time, or without a person
	BlocksNothing    = "nothing"              // it only warns
	BlocksCanary     = "canary"               // a canary that runs: it is taken back
)

// The defaults.
const (
	minWindowDays  = 14
	minAttempts    = 1000
	minPayers      = 5
	maxNewlyDenied = .01
	maxStoppedKeys = .02
	maxRunsBroken  = .01
	maxStranded    = .01
	maxBillShock   = .05
	maxSteepest    = 3.0
	minLift        = -.02
)

func guardrails(r *Report) []Guardrail {
	e := &r.Exact
	most := func(name string, value, limit float64) Guardrail {
		return Guardrail{name, value, limit, value <= limit, BlocksAll}
	}
	least := func(name string, value, limit float64) Guardrail {
		return Guardrail{name, value, limit, value >= limit, BlocksUnattended}
	}
	share := func(n, of int) float64 {
		if of == 0 {
			return 0
		}
		return float64(n) / float64(of)
	}
	negative := 0
	for _, t := range e.Tools {
		if t.Margin < 0 && t.MarginLive >= 0 {
			negative++
		}
	}
	out := []Guardrail{
		{"grade", r.Grade, "B", r.Grade != "C", BlocksAll},
		{"coverage", r.Coverage, 1.0, r.Coverage == 1, BlocksAll},
		{"selfDifference", r.SelfDifference, 0, r.SelfDifference == 0, BlocksAll},
		least("windowDays", r.To.Sub(r.From).Hours()/24, minWindowDays),
		least("attempts", float64(r.Attempts), minAttempts),
		least("effectivePayers", min(e.Bills.Eff, e.Bills.EffLive), minPayers),
		most("newlyDeniedAttempts", share(e.Newly.Attempts, r.Attempts), maxNewlyDenied),
		most("newlyStoppedKeys", share(e.Newly.Keys, len(e.Keys)), maxStoppedKeys),
		most("runsBroken", e.Runs.Broken-e.Runs.BrokenLive, maxRunsBroken),
		most("strandedSpend", e.Runs.StrandedShare, maxStranded),
		most("billShock", e.Bills.Shock, maxBillShock),
		most("steepestRise", e.Bills.Steepest, maxSteepest),
		{"negativeMarginTools", negative, 0, negative == 0, BlocksNothing},
	}
	return append(out, lift(r))
}

// lift asks for the lower bound of the lift, or where there is no interval for
// the least lift without any one key.
func lift(r *Report) Guardrail {
	g := Guardrail{"liftLowerBound", nil, minLift, false, BlocksAll}
	bound := r.Projected.Lift
	if bound == nil {
		bound = r.Projected.LeaveOneOut
	}
	switch {
	case bound != nil:
		g.Value, g.Pass = bound.Low, bound.Low > minLift
	case r.Exact.Change.Total >= 0:
		g.Pass = true // live collects nothing: it can only be more
	}
	return g
}

// Failing are the guardrails that are not met, warnings aside.
func (r *Report) Failing() []Guardrail {
	var out []Guardrail
	for _, g := range r.Guardrails {
		if !g.Pass && g.Blocks != BlocksNothing {
			out = append(out, g)
		}
	}
	return out
}
