package form

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"paygate/shadow/report"
)

// Verdict is for the page.
func (r view) Verdict() string { return r.verdict() }

func (r view) verdict() string {
	e := &r.Exact
	var b strings.Builder
	fmt.Fprintf(&b, "The candidate would have collected %d credits (exact) where live collects %d", e.Candidate.Collectable, e.Live.Collectable)
	if p := r.Projected.Lift; p != nil {
		fmt.Fprintf(&b, "; lift %s [%s, %s] for the next window", percent(p.Estimate), percent(p.Low), percent(p.High))
	}
	passed := 0
	for _, g := range r.Guardrails {
		if g.Pass {
			passed++
		}
	}
	fmt.Fprintf(&b, "; %d keys newly stopped, %d attempts newly denied, %s of runs broken; guardrails %d/%d.",
		e.Newly.Keys, e.Newly.Attempts, percent(e.Runs.Broken), passed, len(r.Guardrails))
	return b.String()
}

func percent(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) }

// percentOf is percent of a number or of a pointer to one, as templates have
// them.
func percentOf(x any) string {
	switch x := x.(type) {
	case *float64:
		if x == nil {
			return "–"
		}
		return percent(*x)
	case float64:
		return percent(x)
	}
	return "–"
}

func maybe(x *float64, format string) string {
	if x == nil {
		return "–"
	}
	return fmt.Sprintf(format, *x)
}

func (r view) markdown() string {
	var b strings.Builder
	e := &r.Exact
	fmt.Fprintf(&b, "# Price experiment %s\n\n%s\n\n", cell(r.Name), r.verdict())
	if r.Demo {
		b.WriteString("**Demo: the calls are made up.**\n\n")
	}
	fmt.Fprintf(&b, "| | |\n|---|---|\n| live sheet | `%.12s` |\n| candidate | `%.12s` |\n| window | %s – %s |\n| grade | %s |\n| coverage | %s of %d attempts |\n| self-difference | %d |\n| seed | %d |\n| version | %s |\n| log digest | `%.12s` (act %d) |\n\n",
		r.Live, r.Candidate, r.From.Format(time.RFC3339), r.To.Format(time.RFC3339), r.Grade, percent(r.Coverage), r.Attempts, r.SelfDifference, r.Seed, cell(r.Version), r.LogDigest, r.LastSeq)
	fmt.Fprintf(&b, "## Exact: the recorded calls\n\n| | potential | collectable | admitted | denied |\n|---|--:|--:|--:|--:|\n| live | %d | %d | %d | %d |\n| candidate | %d | %d | %d | %d |\n\n",
		e.Live.Potential, e.Live.Collectable, e.Live.Admitted, e.Live.Denied, e.Candidate.Potential, e.Candidate.Collectable, e.Candidate.Admitted, e.Candidate.Denied)
	c := e.Change
	fmt.Fprintf(&b, "Change %+d (%s of what live collects) = rate %+d, access won %+d, access lost %+d, refunds %+d.\n\n", c.Total, percentOf(e.Lift), c.Rate, c.AccessWon, c.AccessLost, c.Refunds)
	if e.Imputed.Attempts > 0 {
		fmt.Fprintf(&b, "Not in these figures: %d calls that live refused and the candidate admits, about %d credits at their quotes.\n\n", e.Imputed.Attempts, e.Imputed.Credits)
	}
	fmt.Fprintf(&b, "Newly denied: %d attempts of %d keys%s. Runs broken: %s (live %s); %d credits (%s) were spent in runs that then broke. A finished run costs %.0f (p50), %.0f (p90), %.0f (p99).\n\n",
		e.Newly.Attempts, e.Newly.Keys, reasons(e.Newly.ByReason), percent(e.Runs.Broken), percent(e.Runs.BrokenLive), e.Runs.Stranded, percent(e.Runs.StrandedShare), e.Runs.CostP50, e.Runs.CostP90, e.Runs.CostP99)
	fmt.Fprintf(&b, "Bills: %d keys pay less, %d more, %d more by half; %.1f effective payers; the dearest tenth pays %s. Keys stopped by day 1: %s, 7: %s, 30: %s; half of them after %s h.\n\n",
		e.Bills.Winners, e.Bills.Losers, e.Bills.Shocked, e.Bills.Eff, percent(e.Bills.TopTenth), percent(e.Survival.Day1), percent(e.Survival.Day7), percent(e.Survival.Day30), maybe(e.Survival.MedianHours, "%.1f"))
	r.projected(&b)
	r.keyTables(&b)
	if len(e.Sheets) > 1 {
		b.WriteString("## By the sheet that calls were charged by\n\n| sheet | keys | calls | live | candidate | change |\n|---|--:|--:|--:|--:|--:|\n")
		for _, s := range e.Sheets {
			fmt.Fprintf(&b, "| `%.12s` | %d | %d | %d | %d | %+d |\n", s.Sheet, s.Keys, s.Attempts, s.Live, s.Candidate, s.Change)
		}
		b.WriteString("\n")
	}
	r.beside(&b)
	r.experiment(&b)
	b.WriteString("\n## Guardrails\n\n| | value | limit | | blocks |\n|---|--:|--:|---|---|\n")
	for _, g := range r.Guardrails {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", g.Name, figure(g.Value), figure(g.Limit), map[bool]string{true: "passes", false: "**fails**"}[g.Pass], g.Blocks)
	}
	b.WriteString("\n## All other figures\n\n| | live | candidate |\n|---|--:|--:|\n")
	for _, l := range Lines(r.Report) {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", l.Name, l.Live, l.Candidate)
	}
	b.WriteString("\n## What this assumes\n\n")
	for _, s := range r.Assumptions {
		fmt.Fprintf(&b, "- %s\n", s)
	}
	b.WriteString("\n## What this cannot know\n\n")
	for _, s := range r.Limits {
		fmt.Fprintf(&b, "- %s\n", s)
	}
	return b.String()
}

// experiment is what keys did that paid by the candidate, beside the others.
func (r view) experiment(b *strings.Builder) {
	t := r.Trial
	b.WriteString("\n## How callers react: the real experiment\n\n")
	if t == nil {
		fmt.Fprintf(b, "%s\n", report.NoTrial)
		return
	}
	fmt.Fprintf(b, "%s\n\n| | keys | expected | attempts | denied | charged |\n|---|--:|--:|--:|--:|--:|\n", t.Verdict)
	for i, a := range t.Arms {
		fmt.Fprintf(b, "| %s | %d | %.1f | %d | %d | %d |\n", armName(i), a.Keys, a.Expected, a.Attempts, a.Denied, a.Charged)
	}
	b.WriteString("\n| | | |\n|---|---|---|\n")
	for _, row := range t.Rows {
		fmt.Fprintf(b, "| %s | %s | %s |\n", row.Name, cell(row.Value), cell(row.Note))
	}
}

func armName(i int) string { return [...]string{"as before", "by the candidate"}[i] }

func (r view) projected(b *strings.Builder) {
	p := &r.Projected
	b.WriteString("## Projected: other calls\n\n")
	if p.Lift != nil {
		fmt.Fprintf(b, "Lift %s, 95 %% [%s, %s] by key. ", percent(p.Lift.Estimate), percent(p.Lift.Low), percent(p.Lift.High))
	} else {
		fmt.Fprintf(b, "No interval: %s. ", p.Refused)
	}
	if p.LeaveOneOut != nil {
		fmt.Fprintf(b, "Without any one key the lift is between %s and %s. ", percent(p.LeaveOneOut.Low), percent(p.LeaveOneOut.High))
	}
	if p.AffordToLose != nil {
		fmt.Fprintf(b, "%s of the volume may go before the candidate collects less than live. ", percent(*p.AffordToLose))
	}
	if p.BreakEven != nil {
		fmt.Fprintf(b, "It breaks even at an elasticity of %.2f. ", *p.BreakEven)
	}
	if p.MustStay != nil {
		fmt.Fprintf(b, "%s of the calls that were free must stay. ", percent(*p.MustStay))
	}
	if g := p.Growth; g != nil {
		fmt.Fprintf(b, "With %.0f keys (synthetic, drawn of those there are): %.0f [%.0f, %.0f] where live collects %.0f. ", g.Keys, g.Candidate.Estimate, g.Candidate.Low, g.Candidate.High, g.Live.Estimate)
	}
	b.WriteString(p.Advice)
	b.WriteString("\n\n| elasticity | change | margin |\n|--:|--:|--:|\n")
	for _, s := range p.Sensitivity {
		fmt.Fprintf(b, "| %.2f | %+.0f | %.0f |\n", s.Elasticity, s.Change, s.Margin)
	}
	b.WriteString("\n")
}

// beside has tools, reasons and candidates, each sheet in a column or row.
func (r view) beside(b *strings.Builder) {
	b.WriteString("## Tools\n\n| tool | calls | live | candidate | per success, live | per success | margin, live | margin |\n|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, t := range r.Exact.Tools {
		fmt.Fprintf(b, "| %s | %d | %d | %d | %s | %s | %d | %d |\n", cell(t.Tool), t.Calls, t.Live, t.Candidate, maybe(t.PerSuccessLive, "%.2f"), maybe(t.PricePerSuccess, "%.2f"), t.MarginLive, t.Margin)
	}
	if len(r.Exact.Leakage) > 0 {
		b.WriteString("\n## What is not collected, by why it is denied\n\n| reason | live | candidate |\n|---|--:|--:|\n")
		for _, l := range r.Exact.Leakage {
			fmt.Fprintf(b, "| %s | %d | %d |\n", cell(l.Reason), l.Live, l.Candidate)
		}
	}
	b.WriteString("\n## Candidates beside each other\n\n| | collects | newly denied | bill shock | margin | |\n|---|--:|--:|--:|--:|---|\n")
	for _, p := range r.Frontier {
		fmt.Fprintf(b, "| %s | %d | %s | %s | %d | %s |\n", cell(p.Name), p.Collectable, percent(p.NewlyDenied), percent(p.Shock), p.Margin, map[bool]string{true: "another one is better in all"}[p.Dominated])
	}
	if w := &r.Projected.Runway; w.Refused == "" {
		fmt.Fprintf(b, "\n## How long balances last\n\nHalf of the keys that spend: %s days. %d keys are empty within a week, %d within 30 days, if nothing is added.\n", maybe(w.MedianDays, "%.1f"), w.EmptyBy7, w.EmptyBy30)
	}
}

// keyTables has the ten keys that win most and the ten that lose most.
func (r view) keyTables(b *strings.Builder) {
	table := func(title string, rows []report.KeyRow) {
		if len(rows) == 0 {
			return
		}
		fmt.Fprintf(b, "## %s\n\n| key | live | candidate | change | newly denied | first denied | tool |\n|---|--:|--:|--:|--:|---|---|\n", title)
		for _, k := range rows {
			first := ""
			if k.FirstDeniedAt != nil {
				first = k.FirstDeniedAt.Format(time.RFC3339)
			}
			fmt.Fprintf(b, "| %s | %d | %d | %+d | %d | %s | %s |\n", cell(cmp.Or(k.Name, k.ID)), k.Live, k.Candidate, k.Candidate-k.Live, k.NewlyDenied, first, cell(k.Tool))
		}
		b.WriteString("\n")
	}
	table("Who pays more", r.Exact.Losers)
	table("Who pays less", r.Exact.Winners)
}

func reasons(by map[string]int) string {
	var names []string
	for name := range by {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, by[name])
	}
	if names == nil {
		return ""
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// cell keeps other people's names from breaking a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ", "<", "&lt;", "`", "'").Replace(s)
}

func figure(v any) string {
	switch v := v.(type) {
	case nil:
		return "–"
	case float64:
		return fmt.Sprintf("%.4g", v)
	}
	return fmt.Sprint(v)
}
