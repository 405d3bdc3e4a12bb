package tui

import (
	"fmt"
	"strings"

	"paygate/shadow/report"
	"paygate/tui/figure"
	"paygate/tui/lab"
	"paygate/tui/paint"
)

func (l *laboratory) Draw(a paint.Area) {
	l.keys = nil
	switch {
	case l.state != nil:
		l.state.draw(a)
		return
	case !l.known && l.fault != "":
		a.Text(1, 1, "The lab could not be read.", paint.Bold(paint.Bad))
		for i, line := range paint.Wrap(l.fault, a.W-2) {
			a.Text(1, 3+i, line, paint.Style{})
		}
		return
	case !l.known:
		a.Text(1, 1, "asking …", paint.In(paint.Muted))
		return
	}
	table, plots, verdict := l.split(a)
	switch {
	case len(l.cols) < 2:
		l.drawTable(table)
		l.teach(plots[0])
	case l.zoom:
		l.drawPlot(a.Sub(0, 0, a.W, a.H-1), l.plot)
	default:
		l.drawTable(table)
		for i, p := range plots {
			l.drawPlot(p, (l.plot+i)%len(l.plots()))
		}
	}
	spans := l.verdict(a.W)
	verdict.Spans(1, 0, spans...)
}

// figures of a column are lines below its prices.
const figuresRows = 9

// split says what stands where: the table, the charts, the verdict.
func (l *laboratory) split(a paint.Area) (table paint.Area, plots []paint.Area, verdict paint.Area) {
	verdict = a.Row(a.H - 1)
	a = a.Sub(0, 0, a.W, a.H-1)
	prices := 3
	switch {
	case a.H >= 50:
		prices = 14
	case a.H >= 36:
		prices = 8
	case a.H >= 25:
		prices = 5
	}
	prices = min(prices, max(len(l.tools), 1))
	h := 1 + prices + figuresRows
	if a.H >= 22 {
		h++ // a blank line between
	}
	if a.W < 150 || a.H < 30 {
		table = a.Sub(0, 0, a.W, h)
		rest := a.From(h)
		if a.H >= 24 {
			rest = a.From(h + 1)
		}
		return table, tiles(rest, len(l.cols) < 2), verdict
	}
	left := 82
	if a.W >= 190 {
		left = 98
	}
	table = a.Sub(0, 0, left, h)
	right := a.Sub(left+2, 0, a.W-left-2, h)
	if len(l.cols) < 2 {
		return table, []paint.Area{right}, verdict
	}
	half := h * 2 / 5
	plots = []paint.Area{right.Sub(0, 0, right.W, half), right.Sub(0, half, right.W, h-half)}
	return table, append(plots, tiles(a.From(h+1), false)...), verdict
}

// tiles divides what is left among as many charts as say something there.
func tiles(a paint.Area, one bool) []paint.Area {
	if one || a.H < 4 {
		return []paint.Area{a}
	}
	across := 1
	if a.W >= 110 {
		across = 2
	}
	down := max(a.H/10, 1)
	var out []paint.Area
	for y := range down {
		from, to := y*a.H/down, (y+1)*a.H/down
		for x := range across {
			left, right := x*a.W/across, (x+1)*a.W/across
			out = append(out, a.Sub(left, from, right-left-across+1, to-from))
		}
	}
	return out[:min(len(out), len(lab.Plots()))]
}

func (l *laboratory) data() *lab.Data {
	d := &lab.Data{Key: l.key, First: l.enact.first}
	for i, c := range l.cols {
		d.Names = append(d.Names, c.name)
		r := c.report
		if c.stale {
			r = nil
		}
		d.Reports = append(d.Reports, r)
		if i == l.col {
			d.Name, d.Report, d.Trial = c.name, c.report, c.trial // an old one is better than a hole, while a new one is made
		}
	}
	return d
}

func (l *laboratory) drawPlot(a paint.Area, i int) {
	if a.H < 2 {
		return
	}
	all := l.plots()
	i %= len(all)
	if c := l.at(); i == l.plot%len(all) && c != nil && c.faults != nil {
		drawFaults(a, c)
		return
	}
	p, d := all[i], l.data()
	title := []paint.Span{{S: p.Title(d), St: paint.Strong()}}
	if c := l.at(); c != nil && c.stale && c.report != nil {
		title = append(title, paint.Span{S: "  as it was before the change", St: paint.In(paint.Warn)})
	}
	a.Rule(0, title...)
	if i == l.plot%len(all) {
		a.Spans(a.W-12, 0, paint.Span{S: fmt.Sprintf(" %5s ", fmt.Sprintf("%d/%d", i+1, len(all))), St: paint.In(paint.Muted)}, paint.Span{S: "v ", St: paint.In(paint.Accent)})
	}
	body := a.From(1)
	for _, k := range p.Draw(body, d) {
		l.keys = append(l.keys, k)
		body.Zone(k.X, k.Y, k.W, 1, plotKeyHit{k.Plot + " " + k.ID})
	}
}

// columnsAt says how wide the names of rows and the columns are, and which
// columns are seen: live always is.
func (l *laboratory) columnsAt(w int) (label, width int, seen []int) {
	label = 22
	if w >= 98 {
		label = 32
	} else if w > 80 {
		label = 25
	}
	n := max((w-label-1)/12, 1)
	n = min(n, max(len(l.cols), 1))
	from := max(l.col-n+1, 0)
	for i := range l.cols {
		if len(seen) < n && (i == 0 || i > from) {
			seen = append(seen, i)
		}
	}
	return label, min((w-label-1)/n, 16), seen
}

func (l *laboratory) drawTable(a paint.Area) {
	label, width, seen := l.columnsAt(a.W)
	muted := paint.In(paint.Muted)
	gap := 0
	if a.H > figuresRows+1+3 && a.H-figuresRows-1 > min(3, len(l.tools)) {
		gap = 1
	}
	rows := a.H - 1 - gap - figuresRows
	l.list.n = len(l.tools)
	first, last := l.list.window(rows)
	head := "last " + labWindows()[l.window].name
	if len(l.tools) > rows && l.list.cur >= 0 {
		head += fmt.Sprintf("  %d/%d", l.list.cur+1, len(l.tools))
	}
	a.Fit(1, 0, label-1, head, paint.Strong())
	for at, i := range seen {
		c, x := l.cols[i], label+1+(at+1)*width
		st := paint.Strong()
		if i == l.col {
			st.Reverse = true
		}
		name := c.name
		if i == 0 {
			name += " ●"
		}
		a.Right(x, 0, width-1, " "+paint.CutMiddle(paint.Clean(name), width-3)+" ", st)
		a.Zone(x-width, 0, width, 1, cellHit{i, max(l.list.cur, 0)})
		for y := first; y < last; y++ {
			l.drawCell(a, x, 1+y-first, width, i, y)
		}
		for n := range figuresRows {
			text, tone := l.figure(c, i, n)
			a.Right(x-1, a.H-figuresRows+n, width-1, text, paint.In(tone))
		}
	}
	for y := first; y < last; y++ {
		st := muted
		if y == l.list.cur && l.key == "" {
			st = paint.Style{}
			a.Text(0, 1+y-first, "▌", paint.In(paint.Accent))
		}
		a.Fit(1, 1+y-first, label-1, paint.CutTool(paint.Clean(toolWord(l.tools[y])), label-1), st)
	}
	for n, name := range figureNames() {
		a.Fit(1, a.H-figuresRows+n, label-1, name, muted)
	}
	if len(seen) > 1 && seen[1] > 1 {
		a.Text(label+1+width, 0, "‹", paint.In(paint.Accent))
	}
	if len(seen) > 0 && seen[len(seen)-1] < len(l.cols)-1 {
		a.Text(a.W-1, 0, "›", paint.In(paint.Accent))
	}
}

// drawCell is one price: yellow where it is not the live one, with the old one
// before it while it is not kept.
func (l *laboratory) drawCell(a paint.Area, x, y, width, col, row int) {
	c, tool := l.cols[col], l.tools[row]
	kept, shown := c.price(tool)
	_, live := l.cols[0].price(tool)
	text, st := shown.String(), paint.Style{}
	switch {
	case c.faults != nil:
		text, st = "–", paint.In(paint.Muted)
	case shown != live:
		st = paint.In(paint.Warn)
	}
	if shown != kept {
		st.Bold = true
		text = kept.String() + "→" + text
		if paint.Width(text) > width-2 {
			text = "→" + shown.String()
		}
	}
	if col == l.col && row == l.list.cur && l.key == "" {
		st.Reverse = true
		if l.edit != nil {
			text = l.edit.String() + "_"
		}
		text = " " + text + " "
		a.Right(x, y, width-1, text, st)
	} else {
		a.Right(x-1, y, width-2, text, st)
	}
	a.Zone(x-width, y, width, 1, cellHit{col, row})
}

func figureNames() [figuresRows]string {
	return [...]string{"state", "collected", "lift", "  95 % interval", "newly denied calls", "keys stopped", "runs broken", "bill shock > 50 %", "guardrails"}
}

// figure is one figure of a column and how good it is.
func (l *laboratory) figure(c *column, i, n int) (string, paint.Tone) {
	switch n {
	case 0:
		return l.stateWord(c, i)
	case 1:
		return l.collected(c)
	case 2:
		return l.lift(c, i)
	}
	r := c.report
	if c.stale || r == nil {
		return l.unknown(c)
	}
	return exactFigure(r, i, n)
}

func exactFigure(r *report.Report, i, n int) (string, paint.Tone) {
	e := &r.Exact
	switch {
	case n == 6:
		return figure.Percent(e.Runs.Broken), worse(e.Runs.Broken-e.Runs.BrokenLive, .01)
	case n == 5:
		stopped := 0
		for k := range e.Keys {
			if e.Keys[k].FirstDeniedAt != nil {
				stopped++
			}
		}
		return figure.Group(int64(stopped)), worse(float64(e.Newly.Keys)/float64(max(len(e.Keys), 1)), .02)
	case i == 0:
		return "–", paint.Muted
	case n == 3:
		return interval(&r.Projected)
	case n == 4:
		share := float64(e.Newly.Attempts) / float64(max(r.Attempts, 1))
		return figure.Percent(share), worse(share, .01)
	case n == 7:
		return figure.Percent(e.Bills.Shock), worse(e.Bills.Shock, .05)
	}
	return guardrailWord(r)
}

// worse is red where a figure is over what its guardrail allows.
func worse(f, limit float64) paint.Tone {
	if f > limit {
		return paint.Bad
	}
	return paint.Text
}

func interval(p *report.Projected) (string, paint.Tone) {
	two := func(i *report.Interval) string {
		return signed(i.Low) + " " + signed(i.High)
	}
	switch {
	case p.Lift != nil && p.Lift.High < 0:
		return two(p.Lift), paint.Bad
	case p.Lift != nil:
		return two(p.Lift), paint.Text
	}
	return "few payers", paint.Muted
}

// signed is a share in percent without its sign for percent: +14.
func signed(share float64) string {
	p := share * 100
	form := "%.0f"
	if p < 10 && p > -10 {
		form = "%.1f"
	}
	s := fmt.Sprintf(form, p)
	if p > 0 {
		s = "+" + s
	}
	return strings.Replace(s, "-", "−", 1)
}

func guardrailWord(r *report.Report) (string, paint.Tone) {
	pass := 0
	for _, g := range r.Guardrails {
		if g.Pass {
			pass++
		}
	}
	word := fmt.Sprintf("%d/%d", pass, len(r.Guardrails))
	for _, g := range r.Failing() {
		if g.Blocks == report.BlocksAll {
			return word + " ✗", paint.Bad
		}
	}
	return word + " ✓", paint.OK
}

func (l *laboratory) collected(c *column) (string, paint.Tone) {
	switch {
	case !c.stale && c.report != nil:
		return figure.Short(int64(c.report.Exact.Candidate.Collectable), 12), paint.Text
	case c.sum != nil && l.enact.summed > 0:
		return "≈ " + figure.Short(*c.sum, 10), paint.Warn
	}
	return l.unknown(c)
}

// lift is the change of what is collected in the window: exact, or while that
// is being worked out the change of the sums that ignore limits.
func (l *laboratory) lift(c *column, i int) (string, paint.Tone) {
	if i == 0 {
		return "–", paint.Muted
	}
	if !c.stale && c.report != nil {
		e := &c.report.Exact
		return rise(int64(e.Live.Collectable), int64(e.Candidate.Collectable)), tone(int64(e.Change.Total))
	}
	if live := l.cols[0]; c.sum != nil && live.sum != nil {
		return "≈ " + rise(*live.sum, *c.sum), paint.Warn
	}
	return l.unknown(c)
}

func tone(change int64) paint.Tone {
	switch {
	case change > 0:
		return paint.OK
	case change < 0:
		return paint.Bad
	}
	return paint.Text
}
