package lab

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"paygate/shadow/report"
	"paygate/tui/chart"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// Refused is a strip of time for each key that the candidate refuses: the
// denser, the more of its calls.
func Refused(a paint.Area, d *Data) []Key {
	if waiting(a, d) {
		return nil
	}
	t := &d.Report.Exact.Timeline
	muted := paint.In(paint.Muted)
	if t.From == nil || len(t.Keys) == 0 {
		a.Text(1, 0, "Nobody is refused.", muted)
		return nil
	}
	name := min(26, max(a.W/5, 10))
	cells := min(a.W-name-12, t.Hours*4)
	rows := min(len(t.Keys), a.H-1)
	if cells < 4 || rows < 1 {
		return nil
	}
	top := 1.0
	for _, k := range t.Keys[:rows] {
		for _, v := range squeeze(k.Denied, cells) {
			top = max(top, v)
		}
	}
	var keys []Key
	for y := range rows {
		k := &t.Keys[y]
		a.Fit(1, y, name, paint.CutMiddle(paint.Clean(k.Name), name), paint.Style{})
		for x, v := range squeeze(k.Denied, cells) {
			glyph, tone := heat(v/top, a.ASCII())
			a.Text(name+2+x, y, glyph, paint.In(tone))
		}
		total := 0
		for _, n := range k.Denied {
			total += n
		}
		a.Right(name+2+cells+8, y, 7, figure.Short(int64(total), 6), muted)
		if d.Key == "refused "+k.ID {
			a.Select(y)
		}
		keys = append(keys, Key{k.ID, k.Name, "refused", y, 0, a.W})
	}
	foot := t.From.Local().Format("2 Jan 15:04")
	a.Text(name+2, rows, foot, muted)
	end := t.From.Add(time.Duration(t.Hours) * time.Hour).Local().Format("2 Jan 15:04")
	if cells > paint.Width(foot)+paint.Width(end)+2 {
		a.Right(name+2+cells, rows, cells, end, muted)
	}
	if more := len(t.Keys) - rows + t.More; more > 0 {
		a.Fit(1, rows, name, fmt.Sprintf("and %s more", figure.Group(int64(more))), muted)
	}
	return keys
}

// squeeze gives n cells of a series of counts: a cell is the most of its hours.
func squeeze(counts []int, n int) []float64 {
	out := make([]float64, n)
	if len(counts) == 0 {
		return out
	}
	for i := range out {
		from := i * len(counts) / n
		to := min(max((i+1)*len(counts)/n, from+1), len(counts))
		for _, c := range counts[from:to] {
			out[i] = max(out[i], float64(c))
		}
	}
	return out
}

// heat is a cell: empty, or one of four densities.
func heat(share float64, ascii bool) (string, paint.Tone) {
	if share <= 0 {
		return "·", paint.Muted
	}
	level := min(int(math.Sqrt(share)*4), 3)
	if ascii {
		return string(".-=#"[level]), paint.Heat1 + paint.Tone(level)
	}
	return []string{"░", "▒", "▓", "█"}[level], paint.Heat1 + paint.Tone(level)
}

// Stopped lists the keys that the candidate alone refuses, the first refused
// first, with the reason and what would have helped.
func Stopped(a paint.Area, d *Data) []Key {
	if waiting(a, d) || same(a, d) {
		return nil
	}
	var rows []*report.KeyRow
	for i := range d.Report.Exact.Keys {
		if k := &d.Report.Exact.Keys[i]; k.NewlyDenied > 0 {
			rows = append(rows, k)
		}
	}
	if len(rows) == 0 {
		a.Text(1, 0, "No key is stopped that goes on under the live prices.", paint.In(paint.Muted))
		return nil
	}
	at := func(k *report.KeyRow) time.Time {
		if k.FirstDeniedAt == nil {
			return time.Time{}
		}
		return *k.FirstDeniedAt
	}
	slices.SortStableFunc(rows, func(p, q *report.KeyRow) int { return at(p).Compare(at(q)) })
	name := min(26, max(a.W/5, 10))
	var keys []Key
	for y := range min(len(rows), a.H) {
		k := rows[y]
		if y == a.H-1 && len(rows) > a.H {
			a.Text(1, y, fmt.Sprintf("and %s more", figure.Group(int64(len(rows)-y))), paint.In(paint.Muted))
			break
		}
		a.Fit(1, y, name, paint.CutMiddle(paint.Clean(k.Name), name), paint.Style{})
		x := a.Text(name+2, y, at(k).Local().Format("2 Jan 15:04"), paint.In(paint.Muted))
		x = a.Text(x+1, y, fmt.Sprintf("%-22s", k.StoppedBy), paint.In(paint.Bad))
		x = a.Text(x+1, y, fmt.Sprintf("%6s refused", figure.Short(int64(k.NewlyDenied), 6)), paint.Style{})
		if k.Run != "" && a.W-x > 24 {
			x = a.Text(x+2, y, "run "+paint.CutMiddle(paint.Clean(k.Run), 20)+" broke", paint.In(paint.Muted))
		}
		if cure := cure(k.StoppedBy); a.W-x > paint.Width(cure)+2 {
			a.Text(x+2, y, cure, paint.In(paint.Muted))
		}
		if d.Key == "stopped "+k.ID {
			a.Select(y)
		}
		keys = append(keys, Key{k.ID, k.Name, "stopped", y, 0, a.W})
	}
	return keys
}

// cure says what would have helped against a reason.
func cure(reason string) string {
	switch {
	case strings.Contains(reason, "insufficient"):
		return "a top-up would have carried it"
	case strings.Contains(reason, "spending"), strings.Contains(reason, "cap"):
		return "a higher spending limit"
	case strings.Contains(reason, "quota"):
		return "a higher quota"
	case strings.Contains(reason, "rate"):
		return "a higher rate, or slower calls"
	}
	return ""
}

// Survival shows which share of keys had not been refused yet, by the time
// since their first call: the candidate as a line, live as dots.
func Survival(a paint.Area, d *Data) []Key {
	if waiting(a, d) {
		return nil
	}
	e := &d.Report.Exact
	begin := d.Report.From
	if d.First.After(begin) {
		begin = d.First
	}
	hours := max(d.Report.To.Sub(begin).Hours(), 1.0/60)
	lowest := 1.0
	for _, c := range [][]report.CurveStep{e.Survival.Curve, e.LiveLife.Curve} {
		for _, s := range c {
			lowest = min(lowest, s.Share)
			hours = max(hours, s.Hours)
		}
	}
	if lowest >= 1 {
		a.Text(1, 0, "Every key goes on to the end: none is refused.", paint.In(paint.Muted))
		return nil
	}
	low := 0.0
	for _, l := range []float64{.95, .9, .8, .5} {
		if lowest >= l {
			low = l
			break
		}
	}
	span := time.Duration(hours * float64(time.Hour))
	plot := chart.Framed(a, chart.Axis{Top: "100 %", Bottom: fmt.Sprintf("%.0f %%", low*100), Oldest: "first call", Newest: figure.Span(span) + " later", Gutter: 6})
	if plot.Empty() {
		return nil
	}
	line := func(curve []report.CurveStep) []float64 {
		out := make([]float64, plot.W*2)
		i, share := 0, 1.0
		for x := range out {
			for i < len(curve) && curve[i].Hours <= hours*float64(x)/float64(len(out)) {
				share = curve[i].Share
				i++
			}
			out[x] = (share - low) / (1 - low)
		}
		return out
	}
	chart.Curves(plot, []chart.Curve{{Values: line(e.LiveLife.Curve), Style: paint.In(paint.Muted), Dotted: true}, {Values: line(e.Survival.Curve), Style: paint.In(paint.Accent)}})
	legend := fmt.Sprintf("%s: %s stopped in a day, %s in a week, %s in 30 days", paint.CutMiddle(d.Name, 20), share(e.Survival.Day1), share(e.Survival.Day7), share(e.Survival.Day30))
	if d.Report.Live != d.Report.Candidate {
		legend += "   dots: live"
	}
	if plot.H >= 3 && paint.Width(legend) < plot.W {
		plot.Text(1, plot.H-1, legend, paint.In(paint.Muted))
	}
	return nil
}

func share(f float64) string { return fmt.Sprintf("%.0f %%", f*100) }

// toolRow is what one tool brings under each sheet.
type toolRow struct {
	tool string
	sum  []int64
	all  int64
}

// brought are the tools, what brings most first, and the most of any cell; nil
// while nothing is known.
func brought(reports []*report.Report) (rows []*toolRow, top int64) {
	byTool := map[string]*toolRow{}
	for i, r := range reports {
		if r == nil {
			continue
		}
		for _, t := range r.Exact.Tools {
			w := byTool[t.Tool]
			if w == nil {
				w = &toolRow{tool: t.Tool, sum: make([]int64, len(reports))}
				byTool[t.Tool] = w
			}
			w.sum[i] = int64(t.Candidate)
			w.all += int64(t.Candidate)
		}
	}
	top = 1
	for _, w := range byTool {
		rows = append(rows, w)
		top = max(top, slices.Max(w.sum))
	}
	slices.SortFunc(rows, func(p, q *toolRow) int { return cmp.Or(cmp.Compare(q.all, p.all), strings.Compare(p.tool, q.tool)) })
	return rows, top
}

// Heat is what each tool brings under each sheet: a cell is denser for more.
func Heat(a paint.Area, d *Data) []Key {
	rows, top := brought(d.Reports)
	if rows == nil {
		a.Text(1, 0, "… not re-enacted yet", paint.In(paint.Muted))
		return nil
	}
	name := min(28, max(a.W/3, 8))
	cell := min((a.W-name-2)/max(len(d.Names), 1), 16)
	if cell < 3 {
		return nil
	}
	for i, n := range d.Names {
		st := paint.In(paint.Muted)
		if n == d.Name {
			st = paint.Strong()
		}
		a.Right(name+2+(i+1)*cell-1, 0, cell-1, paint.CutMiddle(n, cell-1), st)
	}
	for y := range min(len(rows), a.H-1) {
		w := rows[y]
		a.Fit(1, y+1, name, paint.CutTool(paint.Clean(w.tool), name), paint.Style{})
		for i, n := range w.sum {
			if d.Reports[i] == nil {
				a.Text(name+2+i*cell, y+1, "…", paint.In(paint.Muted))
				continue
			}
			glyph, tone := heat(float64(n)/float64(top), a.ASCII())
			number := ""
			if cell >= 10 {
				number = figure.Short(n, 5)
			}
			blocks := cell - 2 - paint.Width(number)
			a.Text(name+2+i*cell, y+1, strings.Repeat(glyph, max(blocks, 1)), paint.In(tone))
			a.Right(name+2+(i+1)*cell-1, y+1, 7, number, paint.In(paint.Muted))
		}
	}
	return nil
}
