package ledger

import (
	"time"

	"paygate/pricing"
	"paygate/store/journal"
)

// PlanLimits are the limits that a plan sets to a call: calls in any minute, and
// credits of a UTC day or month. They are recorded with the call like any other;
// a scenario under another sheet puts its own in their place.
func PlanLimits(p *pricing.Plan, payer journal.Account) []journal.Limit {
	if p == nil {
		return nil
	}
	var out []journal.Limit
	if p.Rate > 0 {
		out = append(out, journal.Limit{Owner: payer, Kind: journal.KeyRate, Max: p.Rate, Window: time.Minute})
	}
	if p.SpendCap > 0 {
		kind := journal.DailyCredits
		if p.CapPer == "month" {
			kind = journal.MonthlyCredits
		}
		out = append(out, journal.Limit{Owner: payer, Kind: kind, Max: int64(p.SpendCap)})
	}
	return out
}
