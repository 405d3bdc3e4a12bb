package lab

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"paygate/shadow/report"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// Demand shows what becomes of the change if callers react to the prices: one
// bar for each elasticity, from nobody to strongly, with the one at which
// nothing is won.
func Demand(a paint.Area, d *Data) []Key {
	if waiting(a, d) || same(a, d) {
		return nil
	}
	p := &d.Report.Projected
	muted := paint.In(paint.Muted)
	most := 1.0
	for _, s := range p.Sensitivity {
		most = max(most, math.Abs(s.Change))
	}
	rows := p.Sensitivity
	notes := demandNotes(p)
	if a.H < len(rows)+len(notes) {
		notes = notes[:max(min(len(notes), a.H-len(rows)), 0)]
	}
	const label = 25
	number := min(13, max(a.W/5, 8))
	x := 1 + label + number + 2
	half := max((a.W-x-2)/2, 0)
	for y := range min(len(rows), a.H) {
		s := rows[y]
		a.Text(1, y, elasticity(s.Elasticity), muted)
		a.Right(1+label+number, y, number, figure.Signed(int64(math.Round(s.Change))), paint.In(signTone(int64(math.Round(s.Change)))))
		if half < 3 {
			continue
		}
		n := int(math.Round(math.Abs(s.Change) / most * float64(half)))
		if s.Change != 0 {
			n = max(n, 1)
		}
		n = min(max(n, 0), half) // beside a change that is not a number no length is one
		a.Text(x+half, y, "│", muted)
		if s.Change < 0 {
			a.Text(x+half-n, y, strings.Repeat("▒", n), paint.In(paint.Bad))
		} else {
			a.Text(x+half+1, y, strings.Repeat("█", n), paint.In(paint.OK))
		}
	}
	for i, n := range notes {
		a.Text(1, len(rows)+i, n, paint.Style{})
	}
	return nil
}

func elasticity(e float64) string {
	word := ""
	switch e {
	case 0:
		return "0     nobody reacts"
	case -.5:
		word = "weakly"
	case -1:
		word = "as much as prices move"
	case -2:
		word = "strongly"
	}
	return strings.TrimRight(fmt.Sprintf("%-5s %s", strings.Replace(fmt.Sprintf("%.2g", e), "-", "−", 1), word), " ")
}

func demandNotes(p *report.Projected) []string {
	var out []string
	if p.BreakEven != nil {
		out = append(out, fmt.Sprintf("Break-even at an elasticity of %s: weaker than that it pays.", strings.Replace(fmt.Sprintf("%.2f", *p.BreakEven), "-", "−", 1)))
	}
	if p.AffordToLose != nil {
		out = append(out, fmt.Sprintf("%s of today's calls may go before the margin is less than now.", figure.Percent(*p.AffordToLose)))
	}
	if p.MustStay != nil && *p.MustStay > 0 {
		out = append(out, fmt.Sprintf("Of the calls that were free, %s must stay.", figure.Percent(*p.MustStay)))
	}
	if out == nil {
		out = []string{"There is no elasticity at which it breaks even."}
	}
	return out
}

// Frontier sets what each sheet collects against the share of calls that it
// newly refuses. A sheet that another one beats in everything is muted.
func Frontier(a paint.Area, d *Data) []Key {
	points, names := points(d)
	muted := paint.In(paint.Muted)
	if len(points) < 2 {
		a.Text(1, 0, "One sheet makes no frontier: n makes a candidate.", muted)
		return nil
	}
	right, top := 0.0, 0.0
	for _, p := range points {
		right, top = max(right, p.NewlyDenied), max(top, float64(p.Collectable))
	}
	right = max(right*1.1, .001)
	const gutter = 8
	w, h := a.W-gutter-2, a.H-1
	if w < 16 || h < 2 || top <= 0 {
		a.Text(1, 0, "too small to draw", muted)
		return nil
	}
	bottom := slices.MinFunc(points, func(p, q report.Point) int { return int(p.Collectable - q.Collectable) })
	low := float64(bottom.Collectable) - math.Abs(float64(bottom.Collectable))/10
	if top-low < top/1000 {
		low = 0
	}
	for y := range h {
		a.Text(gutter, y, "│", muted)
	}
	a.Right(gutter, 0, gutter-1, figure.Short(int64(top), gutter-1), muted)
	a.Right(gutter, h-1, gutter-1, figure.Short(int64(low), gutter-1), muted)
	a.Text(gutter+1, h, "0 % refused", muted)
	a.Right(gutter+1+w, h, w-14, "newly refused "+figure.Percent(right), muted)
	used := make([]bool, h)
	for i, p := range points {
		x := gutter + 1 + int(math.Round(p.NewlyDenied/right*float64(w-14)))
		y := min(max(h-1-int(math.Round((float64(p.Collectable)-low)/(top-low)*float64(h-1))), 0), h-1)
		for used[y] && y+1 < h && !used[y+1] {
			y++ // names must not lie over each other
		}
		used[y] = true
		st, mark := paint.In(paint.Accent), "●"
		switch {
		case p.Dominated:
			st, mark = muted, "○"
		case names[i] == d.Name:
			st = paint.Bold(paint.Accent)
		}
		x = a.Text(min(x, a.W-8), y, mark, st)
		a.Text(x+1, y, paint.CutMiddle(names[i], max(a.W-x-2, 1)), st)
	}
	return nil
}

// points are all columns that are known. Domination is told anew: they may have
// been re-enacted one after another.
func points(d *Data) ([]report.Point, []string) {
	var out []report.Point
	var names []string
	for i, r := range d.Reports {
		if r == nil {
			continue
		}
		p := report.Point{Collectable: r.Exact.Candidate.Collectable, Shock: r.Exact.Bills.Shock}
		if r.Attempts > 0 {
			p.NewlyDenied = float64(r.Exact.Newly.Attempts) / float64(r.Attempts)
		}
		for _, t := range r.Exact.Tools {
			p.Margin += t.Margin
		}
		out, names = append(out, p), append(names, d.Names[i])
	}
	for i := range out {
		for j := range out {
			p, q := &out[j], &out[i]
			atLeast := p.Collectable >= q.Collectable && p.Margin >= q.Margin && p.NewlyDenied <= q.NewlyDenied && p.Shock <= q.Shock
			better := p.Collectable > q.Collectable || p.Margin > q.Margin || p.NewlyDenied < q.NewlyDenied || p.Shock < q.Shock
			q.Dominated = q.Dominated || atLeast && better
		}
	}
	return out, names
}
