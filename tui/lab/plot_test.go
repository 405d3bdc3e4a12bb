package lab_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"paygate/pricing"
	"paygate/shadow/report"
	"paygate/shadow/stats"
	"paygate/shadow/trial"
	"paygate/tui/lab"
	"paygate/tui/paint"
)

// anyReport is a report with whatever figures: nothing, huge, not a number.
func anyReport(t *rapid.T) *report.Report {
	credits := rapid.Custom(func(t *rapid.T) pricing.Credits {
		return pricing.Credits(rapid.SampledFrom([]int64{0, 1, -1, 7, 1e6, math.MaxInt64 / 4, -math.MaxInt64 / 4}).Draw(t, "credits"))
	})
	share := rapid.SampledFrom([]float64{0, .001, .5, 1, -3, math.NaN(), math.Inf(1)})
	name := rapid.SampledFrom([]string{"", "acme", strings.Repeat("研究", 40), "\x1b[31m"})
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	r := &report.Report{Live: "a", Candidate: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "hash"), From: at, To: at.Add(time.Duration(rapid.IntRange(0, 1e6).Draw(t, "seconds")) * time.Second), Attempts: rapid.IntRange(0, 10).Draw(t, "attempts")}
	e := &r.Exact
	e.Live.Collectable, e.Candidate.Collectable, e.Candidate.Potential = credits.Draw(t, "live"), credits.Draw(t, "candidate"), credits.Draw(t, "potential")
	e.Change = report.Change{Rate: credits.Draw(t, "rate"), AccessWon: credits.Draw(t, "won"), AccessLost: credits.Draw(t, "lost"), Refunds: credits.Draw(t, "refunds")}
	for range rapid.IntRange(0, 4).Draw(t, "keys") {
		k := report.KeyRow{ID: name.Draw(t, "id"), Name: name.Draw(t, "key"), Live: credits.Draw(t, "paid"), Candidate: credits.Draw(t, "would pay"), NewlyDenied: rapid.IntRange(0, 2).Draw(t, "denied"), StoppedBy: name.Draw(t, "reason"), Run: name.Draw(t, "run"), Tool: name.Draw(t, "driver")}
		if rapid.Bool().Draw(t, "stopped") {
			k.FirstDeniedAt = &at
		}
		e.Keys, e.Losers, e.Winners = append(e.Keys, k), append(e.Losers, k), append(e.Winners, k)
		e.Timeline.From, e.Timeline.Hours = &at, 3
		e.Timeline.Keys = append(e.Timeline.Keys, report.TimelineKey{ID: k.ID, Name: k.Name, Denied: []int{0, rapid.IntRange(0, 1e9).Draw(t, "in an hour"), 1}})
		e.Tools = append(e.Tools, report.ToolRow{Tool: k.Tool, Candidate: k.Candidate})
		e.Survival.Curve = append(e.Survival.Curve, report.CurveStep{Hours: share.Draw(t, "hours"), Share: share.Draw(t, "share")})
		r.Projected.Sensitivity = append(r.Projected.Sensitivity, report.Sensitivity{Elasticity: -share.Draw(t, "elasticity"), Change: share.Draw(t, "change") * 1e12})
	}
	e.Runs = report.Runs{Runs: rapid.IntRange(0, 9).Draw(t, "runs"), CostP50: share.Draw(t, "p50"), CostP90: share.Draw(t, "p90") * 1e9, CostP99: share.Draw(t, "p99") * 1e300, Broken: share.Draw(t, "broken"), Stranded: credits.Draw(t, "stranded")}
	r.Projected.Runway = report.Runway{Refused: name.Draw(t, "why not"), EmptyBy7: rapid.IntRange(0, 9).Draw(t, "empty")}
	for day := range rapid.IntRange(0, 31).Draw(t, "days") {
		r.Projected.Runway.Fan = append(r.Projected.Runway.Fan, report.FanDay{Day: day, P10: share.Draw(t, "low"), P50: share.Draw(t, "middle") * 1e6, P90: share.Draw(t, "high") * 1e9})
		r.Projected.Runway.Soonest = append(r.Projected.Runway.Soonest, report.RunwayKey{ID: name.Draw(t, "id"), Name: name.Draw(t, "key"), Balance: credits.Draw(t, "left"), Days: share.Draw(t, "lasts") * 100, EmptyBy7: share.Draw(t, "chance")})
	}
	r.Grade, r.Limits, r.LogDigest = rapid.SampledFrom([]string{"", "C"}).Draw(t, "grade"), []string{"Nothing.", strings.Repeat("long ", 40)}, name.Draw(t, "digest")
	r.Projected.Refused, r.Projected.Advice = name.Draw(t, "refused"), name.Draw(t, "advice")
	if rapid.Bool().Draw(t, "break-even") {
		f := share.Draw(t, "at")
		r.Projected.BreakEven, r.Projected.AffordToLose, r.Projected.MustStay = &f, &f, &f
	}
	return r
}

// anyTrial is an experiment with whatever figures, or none.
func anyTrial(t *rapid.T) *trial.Trial {
	if rapid.Bool().Draw(t, "untried") {
		return nil
	}
	x := rapid.SampledFrom([]float64{0, .001, -.5, 1, -3, 1e300, math.NaN(), math.Inf(1), math.Inf(-1)})
	effect := func() *stats.Effect {
		of := func() stats.Interval {
			return stats.Interval{Estimate: x.Draw(t, "estimate"), Low: x.Draw(t, "low"), High: x.Draw(t, "high")}
		}
		return &stats.Effect{Control: x.Draw(t, "control"), Absolute: of(), Once: of()}
	}
	return &trial.Trial{Verdict: strings.Repeat("it is so ", 30), Broken: rapid.Bool().Draw(t, "broken"), Attempts: effect(), Spend: effect(),
		Rows: []trial.Row{{Name: "研究", Value: "\x1b[31m", Note: strings.Repeat("long ", 40)}}}
}

// TestEveryPlotOfAnyReportStaysInItsArea draws every plot of whatever report in
// an area of whatever size: none panics, none writes beyond its area, and every
// key that it names stands inside.
func TestEveryPlotOfAnyReportStaysInItsArea(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(1, 120).Draw(t, "w"), rapid.IntRange(1, 30).Draw(t, "h")
		d := &lab.Data{Name: "dear", Names: []string{"live", "dear", "flat"}, Reports: []*report.Report{anyReport(t), anyReport(t), nil}, Trial: anyTrial(t)}
		if rapid.Bool().Draw(t, "known") {
			d.Report = d.Reports[1]
		}
		charset := rapid.SampledFrom([]paint.Charset{paint.Unicode, paint.ASCII}).Draw(t, "charset")
		for _, p := range lab.Plots() {
			c := paint.New(w+20, h+4, paint.NewTheme(paint.Mono, paint.DarkBackground, charset))
			c.All().Fill(0, 0, w+20, "~", paint.Style{})
			keys := p.Draw(c.All().Sub(10, 2, w, h), d)
			for y, line := range strings.Split(c.String(), "\n") {
				plain := ansi.Strip(line)
				out := y < 2 && strings.Trim(plain, "~ ") != "" || y >= h+2 && strings.TrimSpace(plain) != ""
				if y >= 2 && y < h+2 {
					out = strings.TrimLeft(plain, " ") != "" && len(plain)-len(strings.TrimLeft(plain, " ")) < 10 || ansi.StringWidthWc(plain) > w+10
				}
				if out {
					t.Fatalf("%s wrote beyond its area in line %d: %q", p.Name, y, plain)
				}
			}
			for _, k := range keys {
				if k.Y < 0 || k.Y >= h {
					t.Fatalf("%s puts key %q in row %d of %d", p.Name, k.ID, k.Y, h)
				}
			}
		}
	})
}
