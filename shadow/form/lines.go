package form

import (
	"fmt"
	"strconv"

	"paygate/pricing"
	"paygate/shadow/report"
)

// Line is a figure of a report under both sheets; one that only a candidate has
// leaves Live empty.
type Line struct{ Name, Live, Candidate string }

// Lines are the figures that have no plot and no table of their own.
func Lines(r *report.Report) []Line {
	e := &r.Exact
	return append([]Line{
		{"of the potential not collected", maybeShare(e.Live.Leakage), maybeShare(e.Candidate.Leakage)},
		{"calls denied", count(e.Live.Denied), count(e.Candidate.Denied)},
		{"newly denied for one reason only", "", count(e.Newly.SoleCause)},
		{"keys stopped within a day, a week, 30 days", stopped(&e.LiveLife), stopped(&e.Survival)},
		{"half of the keys are stopped after", hours(e.LiveLife.MedianHours), hours(e.Survival.MedianHours)},
		{"keys that pay less, more", "", count(e.Bills.Winners) + ", " + count(e.Bills.Losers)},
		{"keys up by more than half, and what they bring", "", count(e.Bills.Shocked) + ", " + percent(e.Bills.ShockPaid)},
		{"steepest rise of a bill", "", percent(e.Bills.Steepest)},
		{"effective payers", fmt.Sprintf("%.1f", e.Bills.EffLive), fmt.Sprintf("%.1f", e.Bills.Eff)},
		{"concentration (Gini)", fmt.Sprintf("%.2f", e.Bills.GiniLive), fmt.Sprintf("%.2f", e.Bills.Gini)},
		{"paid by the dearest tenth of keys", percent(e.Bills.TopLive), percent(e.Bills.TopTenth)},
		{"cost of a run, 95 of 100 to the middle one", "", maybe(e.Runs.Predictability, "%.1f") + "×"},
		{"quoted more than charged", "", maybeShare(e.QuoteError)},
		{"open balances", credits(e.Wallets.LiabilityLive), credits(e.Wallets.Liability)},
		{"of them on keys that did not call", credits(e.Wallets.UnusedLive), credits(e.Wallets.Unused)},
		{"given by plans, and of it expired", "", credits(e.Wallets.Given) + ", " + credits(e.Wallets.Expired)},
		{"calls that reality refused, guessed at", "", count(e.Imputed.Attempts) + " for " + credits(e.Imputed.Credits)},
	}, projected(&r.Projected)...)
}

func projected(p *report.Projected) []Line {
	between := func(i *report.Interval, form string) string {
		if i == nil {
			return "–"
		}
		return fmt.Sprintf(form+" ["+form+", "+form+"]", i.Estimate, i.Low, i.High)
	}
	percents := func(i *report.Interval) string {
		if i == nil {
			return "–"
		}
		return fmt.Sprintf("%+.1f %% [%+.1f, %+.1f]", i.Estimate*100, i.Low*100, i.High*100)
	}
	out := []Line{
		{"next window: lift, 95 %", "", percents(p.Lift)},
		{"next window: change in credits, 95 %", "", between(p.Change, "%+.0f")},
		{"change of a key's bill, looked at any day, 95 %", "", between(p.Sequence, "%+.1f")},
		{"lift without any one key", "", percents(p.LeaveOneOut)},
		{"break-even elasticity", "", maybe(p.BreakEven, "%.2f")},
		{"calls that may go before the margin is live's", "", maybeShare(p.AffordToLose)},
		{"free calls that must stay", "", maybeShare(p.MustStay)},
	}
	if p.ByWeek != nil {
		out = append(out, Line{"lift, whole weeks drawn again, 95 %", "", percents(p.ByWeek)})
	}
	return out
}

func maybeShare(f *float64) string {
	if f == nil {
		return "–"
	}
	return percent(*f)
}

func stopped(s *report.Survival) string {
	return fmt.Sprintf("%.0f %%, %.0f %%, %.0f %%", s.Day1*100, s.Day7*100, s.Day30*100)
}

func hours(h *float64) string {
	switch {
	case h == nil:
		return "never"
	case *h < 48:
		return fmt.Sprintf("%.1f hours", *h)
	}
	return fmt.Sprintf("%.1f days", *h/24)
}

func count(n int) string { return strconv.Itoa(n) }

func credits(n pricing.Credits) string { return strconv.FormatInt(int64(n), 10) }
