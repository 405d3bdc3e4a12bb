package lab

import (
	"fmt"
	"math"

	"paygate/shadow/form"
	"paygate/shadow/report"
	"paygate/tui/chart"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// Balances shows what all balances come to in the days ahead if nothing is
// added: the middle of the redrawn days as a line, eight of ten between the
// dots; beside it the keys that are empty first.
func Balances(a paint.Area, d *Data) []Key {
	if waiting(a, d) {
		return nil
	}
	w := &d.Report.Projected.Runway
	switch {
	case w.Refused != "":
		a.Text(1, 0, "It cannot be said yet: "+w.Refused+".", paint.In(paint.Muted))
		return nil
	case len(w.Fan) == 0:
		a.Text(1, 0, "Nobody spends.", paint.In(paint.Muted))
		return nil
	}
	var keys []Key
	fan := a
	if side := min(46, a.W/2); len(w.Soonest) > 0 && a.W-side >= 40 {
		fan = a.Sub(0, 0, a.W-side-2, a.H)
		keys = drawSoonest(a.Sub(a.W-side, 0, side, a.H), a.W-side, w.Soonest, d.Key)
	}
	top := 0.0
	for _, f := range w.Fan {
		top = max(top, f.P90)
	}
	if !(top > 0) || math.IsInf(top, 0) {
		return keys
	}
	top = chart.Nice(top)
	plot := chart.Framed(fan, chart.Axis{Top: figure.Short(whole(top), 7), Bottom: "0", Oldest: "today", Newest: fmt.Sprintf("in %d days", report.FanDays), Gutter: 8})
	if plot.Empty() {
		return keys
	}
	line := func(of func(report.FanDay) float64) []float64 {
		out := make([]float64, len(w.Fan))
		for i, f := range w.Fan {
			out[i] = of(f) / top
		}
		return out
	}
	dots := paint.In(paint.Muted)
	chart.Curves(plot, []chart.Curve{
		{Values: line(func(f report.FanDay) float64 { return f.P90 }), Style: dots, Dotted: true},
		{Values: line(func(f report.FanDay) float64 { return f.P10 }), Style: dots, Dotted: true},
		{Values: line(func(f report.FanDay) float64 { return f.P50 }), Style: paint.In(paint.Accent)}})
	legend := fmt.Sprintf("empty now: %d, in a week: %d, in 30 days: %s", w.EmptyNow, w.EmptyBy7, keysWord(w.EmptyBy30))
	if plot.H >= 3 && paint.Width(legend) < plot.W {
		plot.Text(1, plot.H-1, legend, dots)
	}
	return keys
}

// drawSoonest lists the keys whose balance ends first; left is where the list
// stands in the plot.
func drawSoonest(a paint.Area, left int, soonest []report.RunwayKey, at string) []Key {
	muted := paint.In(paint.Muted)
	const days, chance, balance = 7, 10, 10
	name := a.W - days - chance - balance - 1
	if name < 8 {
		return nil
	}
	a.Text(0, 0, "empty first", muted)
	a.Right(name+balance, 0, balance, "balance", muted)
	a.Right(name+balance+days, 0, days, "lasts", muted)
	a.Right(a.W, 0, chance, "in a week", muted)
	var keys []Key
	for i := range min(len(soonest), a.H-1) {
		k, y := &soonest[i], i+1
		a.Fit(0, y, name, paint.CutMiddle(paint.Clean(k.Name), name), paint.Style{})
		a.Right(name+balance, y, balance, figure.Short(int64(k.Balance), balance-1), paint.Style{})
		a.Right(name+balance+days, y, days, lasts(k.Days), paint.Style{})
		tone := paint.Text
		if k.EmptyBy7 >= .5 {
			tone = paint.Bad
		}
		a.Right(a.W, y, chance, share(k.EmptyBy7), paint.In(tone))
		if at == "balances "+k.ID {
			a.Select(y)
		}
		keys = append(keys, Key{k.ID, k.Name, "balances", y, left, a.W})
	}
	return keys
}

// lasts is a number of days for people.
func lasts(days float64) string {
	switch {
	case math.IsNaN(days) || days > 999:
		return "> 999d"
	case days < 10:
		return fmt.Sprintf("%.1fd", max(days, 0))
	}
	return fmt.Sprintf("%.0fd", days)
}

// Figures are all that no other plot shows, under live and the candidate.
func Figures(a paint.Area, d *Data) []Key {
	if waiting(a, d) {
		return nil
	}
	lines := form.Lines(d.Report)
	across := max(a.W/78, 1)
	w := a.W / across
	const live, candidate = 15, 24
	for i, l := range lines {
		x, y := i/a.H*w, i%a.H
		if i/a.H >= across {
			break
		}
		name := w - live - candidate - 2
		a.Fit(x+1, y, name, l.Name, paint.In(paint.Muted))
		a.Right(x+1+name+live, y, live-1, l.Live, paint.In(paint.Muted))
		a.Right(x+w-1, y, candidate, l.Candidate, paint.Style{})
	}
	return nil
}

// Doubts is what the report rests on and what no report of its kind can know.
func Doubts(a paint.Area, d *Data) []Key {
	if waiting(a, d) {
		return nil
	}
	r, y := d.Report, 0
	say := func(mark, text string, st paint.Style) {
		for i, l := range paint.Wrap(text, a.W-4) {
			if i == 0 {
				a.Text(1, y, mark, st)
			}
			a.Text(3, y, l, st)
			y++
		}
	}
	if r.Grade == "C" {
		say("!", "Grade C: many calls were refused while these were charged, so what callers wanted is not all here.", paint.In(paint.Bad))
	}
	for _, text := range []string{r.Projected.Refused, r.Projected.Advice, r.Projected.Runway.Refused} {
		if text != "" {
			say("!", text+".", paint.In(paint.Warn))
		}
	}
	for _, text := range r.Limits {
		say("·", text, paint.Style{})
	}
	for _, text := range r.Assumptions {
		say("=", text, paint.In(paint.Muted))
	}
	say("·", fmt.Sprintf("Made from %s calls, seed %d, log %s; y copies the command that makes it again.", figure.Group(int64(r.Attempts)), r.Seed, r.LogDigest[:min(6, len(r.LogDigest))]), paint.In(paint.Muted))
	return nil
}
