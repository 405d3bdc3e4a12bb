package lab

import (
	"fmt"
	"math"
	"strings"

	"paygate/shadow/report"
	"paygate/shadow/trial"
	"paygate/tui/paint"
)

// Experiment shows what keys did that paid the candidate's prices, beside those
// that did not: the verdict, a line for each effect about the middle where
// nothing changes, and the rest in words.
func Experiment(a paint.Area, d *Data) []Key {
	say := teller{a: a}
	if d.Trial == nil {
		say.all(strings.ReplaceAll(report.NoTrial, "NAME", d.Name), paint.In(paint.Muted))
		return nil
	}
	t := d.Trial
	tone := paint.Text
	if t.Broken {
		tone = paint.Bad
	}
	say.all(t.Verdict, paint.Bold(tone))
	bars := t.Bars()
	most := .1
	for _, b := range bars {
		for _, x := range [...]float64{b.Is.Low, b.Is.High} {
			if !math.IsNaN(x) && !math.IsInf(x, 0) {
				most = max(most, math.Abs(x))
			}
		}
	}
	for _, b := range bars {
		effect(a.From(say.y), b, most)
		say.y++
	}
	for _, row := range t.Rows {
		text := row.Name + ": " + row.Value
		if row.Note != "" {
			text += "; " + row.Note
		}
		say.all(text, paint.Style{})
	}
	return nil
}

// teller writes texts one below the other.
type teller struct {
	a paint.Area
	y int
}

func (t *teller) all(text string, st paint.Style) {
	for _, line := range paint.Wrap(paint.Clean(text), max(t.a.W-2, 1)) {
		t.a.Text(1, t.y, line, st)
		t.y++
	}
}

// effect is one line: thin where the effect lies however often one looks, thick
// where it lies for whoever looks once, a dot at the estimate.
func effect(a paint.Area, b trial.Bar, most float64) {
	const label, number = 9, 22
	w := a.W - label - number - 2
	a.Text(1, 0, b.Name, paint.In(paint.Muted))
	a.Right(a.W-1, 0, number, fmt.Sprintf("%s [%s, %s]", percent(b.Is.Estimate), percent(b.Is.Low), percent(b.Is.High)), paint.Style{})
	if w < 10 {
		return
	}
	at := func(share float64) int {
		if math.IsNaN(share) {
			share = 0
		}
		return label + int(math.Round((max(-most, min(most, share))+most)/(2*most)*float64(w-1)))
	}
	tone := paint.Muted
	switch {
	case b.Is.High < 0:
		tone = paint.Bad
	case b.Is.Low > 0:
		tone = paint.OK
	}
	low, high := at(b.Is.Low), at(b.Is.High)
	a.Text(low, 0, strings.Repeat("─", max(high-low+1, 1)), paint.In(tone))
	low, high = at(b.Once.Low), at(b.Once.High)
	a.Text(low, 0, strings.Repeat("━", max(high-low+1, 1)), paint.In(tone))
	a.Text(at(0), 0, "│", paint.In(paint.Muted))
	a.Text(at(b.Is.Estimate), 0, "●", paint.Bold(tone))
}
