// Package quota bounds what a key may use: credits over its whole life, and
// calls and credits in a UTC day and month. It counts nothing itself: it
// appends limits, and the hold checks and counts all of them at once, so two
// calls cannot both take the last one.
package quota

import (
	"paygate/server/gate"
	"paygate/server/keys"
	"paygate/store/journal"
)

// Check appends the limits of the call's key; a key without a quota of its own
// has the global one. A maximum of 0 is no limit.
func Check(global keys.Quota) gate.Check {
	return gate.Check{Name: "quota", Do: func(c *gate.Call) *gate.Denial {
		owner := journal.KeyAccount(c.Key)
		add := func(kind journal.Kind, most int64) {
			if most > 0 {
				c.Limits = append(c.Limits, journal.Limit{Owner: owner, Kind: kind, Max: most})
			}
		}
		q := global
		if c.Terms.Quota != nil {
			q = *c.Terms.Quota
		}
		add(journal.LifetimeSpend, c.Terms.SpendingLimit)
		add(journal.DailyCalls, q.DailyCalls)
		add(journal.MonthlyCalls, q.MonthlyCalls)
		add(journal.DailyCredits, q.DailyCredits)
		add(journal.MonthlyCredits, q.MonthlyCredits)
		return nil
	}}
}
