package lab

import (
	"fmt"
	"math"
	"strings"

	"paygate/tui/figure"
	"paygate/tui/paint"
)

// runCost is one line of Runs: what a finished run costs under a sheet.
type runCost struct {
	name          string
	p50, p90, p99 float64
	broken        float64 // share of the runs
	stranded      int64   // credits spent in runs that then broke
}

// Runs shows what an unbroken run costs under each sheet: the bar is full to
// what half of them stay below, lighter to nine of ten, lightest to 99 of 100.
func Runs(a paint.Area, d *Data) []Key {
	if waiting(a, d) {
		return nil
	}
	rows, most := runCosts(d)
	muted := paint.In(paint.Muted)
	if d.Report.Exact.Runs.Runs == 0 {
		a.Text(1, 0, "No run has ended yet: a run is what one key does without a pause of 15 minutes, or one X-Run-Id.", muted)
		return nil
	}
	name := min(26, max(a.W/5, 12))
	const number, broken = 8, 20
	bar := a.W - name - 2 - 3*number - broken - 4
	x := 1 + name
	for _, head := range []string{"p50", "p90", "p99"} {
		x += number
		a.Right(x, 0, number, head, muted)
	}
	a.Right(a.W-1, 0, broken, "broken   stranded", muted)
	for i, r := range rows {
		y := i + 1
		if y >= a.H {
			break
		}
		a.Fit(1, y, name, paint.CutMiddle(r.name, name), paint.Style{})
		x := 1 + name
		for _, v := range []float64{r.p50, r.p90, r.p99} {
			x += number
			a.Right(x, y, number, figure.Short(whole(v), number-1), paint.Style{})
		}
		drawQuantiles(a, x+2, y, bar, r, most)
		a.Right(a.W-1-11, y, broken-11, figure.Percent(r.broken), paint.Style{})
		a.Right(a.W-1, y, 10, figure.Short(r.stranded, 9), paint.Style{})
	}
	y := len(rows) + 1
	if p := d.Report.Exact.Runs.Predictability; p != nil && y < a.H {
		a.Text(1, y, fmt.Sprintf("Under %s one run in twenty costs more than %.1f times the middle one.", paint.CutMiddle(d.Name, 26), *p), muted)
		y++
	}
	if y < a.H {
		a.Text(1, y, "A run: what one key does without a pause of 15 minutes, or one X-Run-Id. Stranded: spent in runs that then broke.", muted)
	}
	return nil
}

// runCosts are the lines, live first, and the largest cost of any.
func runCosts(d *Data) (rows []runCost, most float64) {
	live := &d.Report.Exact.Runs
	rows = append(rows, runCost{"live", live.CostP50Live, live.CostP90Live, live.CostP99Live, live.BrokenLive, int64(live.StrandedLive)})
	for i, r := range d.Reports {
		if r == nil || i >= len(d.Names) || r.Candidate == r.Live {
			continue
		}
		q := &r.Exact.Runs
		rows = append(rows, runCost{d.Names[i], q.CostP50, q.CostP90, q.CostP99, q.Broken, int64(q.Stranded)})
	}
	for _, r := range rows {
		most = max(most, r.p99)
	}
	return rows, most
}

func drawQuantiles(a paint.Area, x, y, width int, r runCost, most float64) {
	if width < 6 || !(most > 0) || math.IsInf(most, 0) {
		return
	}
	cell := func(v float64) int { return min(max(int(math.Round(v/most*float64(width))), 0), width) }
	from := 0
	for i, to := range []int{cell(r.p50), cell(r.p90), cell(r.p99)} {
		if to > from {
			glyph := []string{"█", "▒", "░"}[i]
			if a.ASCII() {
				glyph = string("#=-"[i])
			}
			a.Text(x+from, y, strings.Repeat(glyph, to-from), paint.In([]paint.Tone{paint.Accent, paint.Text, paint.Muted}[i]))
			from = to
		}
	}
}

// whole is a figure without its fraction; what is no number is 0.
func whole(v float64) int64 {
	if math.IsNaN(v) || math.Abs(v) > 1e18 {
		return 0
	}
	return int64(math.Round(v))
}
