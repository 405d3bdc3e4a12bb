package tui

import (
	"fmt"
	"sort"
	"strings"

	"paygate/server/api"
	"paygate/tui/chart"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

func (p *prices) cols() []col {
	return []col{
		{title: " TOOL", width: 20, max: 48}, {title: "PER CALL", width: 9, max: 12, right: true}, {title: "KB IN", width: 8, max: 10, right: true},
		{title: "KB OUT", width: 8, max: 10, right: true}, {title: "CALLS/H", width: 8, max: 10, right: true, rank: 2}, {title: "CR/H", width: 9, max: 12, right: true, rank: 1}, {title: "WOULD BE", width: 9, max: 12, right: true},
	}
}

func (p *prices) Draw(a paint.Area) {
	if !p.known {
		if p.fault != "" {
			a.Text(1, 1, "The prices could not be read.", paint.Bold(paint.Bad))
			for i, l := range paint.Wrap(p.fault, a.W-2) {
				a.Text(1, 3+i, l, paint.Style{})
			}
			return
		}
		a.Text(1, 1, "asking …", paint.In(paint.Muted))
		return
	}
	rows := p.rows()
	table := a
	foot := 0
	if len(p.staged) > 0 {
		foot = min(8, a.H/2)
		if a.H >= 30 {
			foot = 14
		}
		table = a.Sub(0, 0, a.W, a.H-foot)
	}
	if len(p.sheet.Tools) == 0 {
		drawHint(table.Sub(0, min(3, table.H), table.W, table.H), "No tools are known yet.", []string{"They appear when a server is connected; until then only the default price is here."}, "", [][2]string{{p.m.tab("Servers"), "shows the servers"}})
		table = table.Sub(0, 0, table.W, 3)
	}
	ps := layout(p.cols(), min(table.W, 120))
	heads(table, ps, "", false)
	body := table.From(1)
	p.list.n = len(rows)
	if p.list.cur < 0 {
		p.list.to(0)
	}
	from, to := p.list.window(body.H)
	for i := from; i < to; i++ {
		p.drawRow(body, ps, i-from, &rows[i], i == p.list.cur)
		body.Zone(0, i-from, body.W, 1, rowHit{i})
	}
	if foot > 0 {
		p.drawEffect(a.From(min(a.H-foot, len(rows)+2)))
	}
}

func (p *prices) drawRow(a paint.Area, ps []place, y int, r *api.PriceRow, cursor bool) {
	changed := p.staged[r.Tool] != nil
	if cursor {
		a.Row(y).Select(0)
	}
	in := func(st paint.Style) paint.Style {
		st.Selected = cursor
		return st
	}
	for _, c := range ps {
		switch c.i {
		case 0:
			if changed {
				a.Text(c.x, y, "•", in(paint.In(paint.Warn)))
			}
			name, st := paint.CutTool(paint.Clean(r.Tool), c.w-1), paint.Style{}
			switch {
			case r.Tool == "*":
				name, st = "any other tool", paint.In(paint.Muted)
			case !r.Known:
				st = paint.In(paint.Muted)
			}
			a.Fit(c.x+1, y, c.w-1, name, in(st))
		case 1, 2, 3:
			if r.Tool == "*" && c.i > 1 {
				put(a, c, y, "·", in(paint.In(paint.Muted)))
				break
			}
			text, st := p.cellText(r, c.i-1, c.w)
			if cursor && p.cell == c.i-1 {
				st.Reverse = true
				if p.edit != nil {
					text = paint.Cut(p.edit.String()+"_", c.w)
				}
			}
			put(a, c, y, text, in(st))
		case 4:
			put(a, c, y, dashed(r.Tool == "*", hourly(r.CallsPerHour, c.w)), in(paint.Style{}))
		case 5:
			put(a, c, y, dashed(r.Tool == "*", hourly(r.CreditsPerHour, c.w)), in(paint.Style{}))
		case 6:
			text, st := p.wouldBe(r, c.w)
			put(a, c, y, text, in(st))
		}
	}
}

func dashed(not bool, s string) string {
	if not {
		return "–"
	}
	return s
}

// cellText is a price as it is written: free, unset, or what it becomes.
func (p *prices) cellText(r *api.PriceRow, cell, w int) (string, paint.Style) {
	now, staged, changed := p.price(r, cell)
	word := func(n int64) string {
		switch {
		case n == 0 && cell == 0:
			return "free"
		case n == 0:
			return "·"
		}
		return figure.Short(n, w)
	}
	switch {
	case changed:
		text := word(now) + "→" + word(staged)
		if paint.Width(text) > w {
			text = "→" + word(staged)
		}
		return text, paint.In(paint.Warn)
	case now == 0 && cell > 0, !r.Own:
		return word(now), paint.In(paint.Muted)
	}
	return word(now), paint.Style{}
}

// wouldBe is the tool's hourly income at the staged price per call: an
// estimate from its rate; the effect below re-enacts the calls.
func (p *prices) wouldBe(r *api.PriceRow, w int) (string, paint.Style) {
	now, staged, changed := p.price(r, 0)
	if !changed {
		if p.staged[r.Tool] != nil {
			return "?", paint.In(paint.Warn)
		}
		return "·", paint.In(paint.Muted)
	}
	if r.Tool == "*" {
		return "?", paint.In(paint.Warn)
	}
	would := r.CreditsPerHour + float64(staged-now)*r.CallsPerHour
	if r.PerKBIn == 0 && r.PerKBOut == 0 && now > 0 { // as many calls are charged as were, whatever the price was
		charged := min(1, r.CreditsPerHour/max(1, r.CallsPerHour*float64(now)))
		would = r.CallsPerHour * float64(staged) * charged
	}
	return "≈" + hourly(max(would, 0), w-1), paint.In(paint.Warn)
}

func (p *prices) drawEffect(a paint.Area) {
	muted := paint.In(paint.Muted)
	e := p.effect
	if e == nil {
		a.Rule(0, paint.Span{S: "effect on the last hour", St: paint.Strong()})
		text := "working it out …"
		if p.wrong != "" {
			text = p.wrong
		}
		for i, l := range paint.Wrap(text, a.W-4) {
			a.Text(2, 1+i, l, muted)
		}
		return
	}
	a.Rule(0, paint.Span{S: fmt.Sprintf("effect on the last hour: %s calls of %s", figure.Group(int64(e.Calls)), plural(e.Keys, "key")), St: paint.Strong()})
	top := float64(max(e.Now, e.Staged, 1))
	w := min(a.W-50, 60)
	a.Text(2, 1, "now", muted)
	a.Right(22, 1, 14, figure.Group(e.Now), muted)
	a.Text(24, 1, chart.Block(float64(e.Now)/top, w, a.ASCII()), muted)
	a.Text(2, 2, "staged", paint.Strong())
	a.Right(22, 2, 14, figure.Group(e.Staged), paint.Strong())
	x := a.Text(24, 2, chart.Block(float64(e.Staged)/top, w, a.ASCII()), paint.In(paint.Accent))
	a.Text(x+2, 2, rise(e.Now, e.Staged), paint.Strong())

	y := 3
	denied := ""
	if e.Denied > 0 {
		share := 0.0
		if e.Calls > 0 {
			share = float64(e.Denied) / float64(e.Calls)
		}
		denied = fmt.Sprintf(" · %s (%s) denied", plural(e.Denied, "call"), figure.Percent(share))
	}
	if n := len(e.Stopped); n > 0 {
		a.Spans(2, y, paint.Span{S: plural(n, "key") + " would have stopped", St: paint.In(paint.Warn)}, paint.Span{S: "  " + stoppedWords(e, 3) + denied, St: muted})
	} else {
		a.Spans(2, y, paint.Span{S: "No key would have stopped" + denied, St: muted})
	}
	y++
	a.Text(2, y, billWords(e), muted)
	drawCommand(a.From(min(y+2, a.H-1)).Sub(2, 0, a.W-2, a.H), "same as  ", p.cli(p.changes()))
}

func stoppedWords(e *api.Effect, n int) string {
	var out []string
	for i, k := range e.Stopped {
		if i == n {
			out = append(out, "…")
			break
		}
		s := paint.CutMiddle(k.Name, 24)
		if k.At != nil {
			s += " " + k.At.Format("15:04")
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

// billWords says whose bills change most.
func billWords(e *api.Effect) string {
	var big []api.EffectKey
	for _, k := range e.Bills {
		if k.Now == 0 && k.Staged > 0 || k.Now > 0 && float64(k.Staged-k.Now) > 0.25*float64(k.Now) {
			big = append(big, k)
		}
	}
	if len(big) == 0 {
		return "No bill rises by more than 25 %"
	}
	sort.SliceStable(big, func(i, j int) bool {
		return float64(big[i].Staged)/float64(max(big[i].Now, 1)) > float64(big[j].Staged)/float64(max(big[j].Now, 1))
	})
	var out []string
	for i, k := range big {
		if i == 3 {
			out = append(out, "…")
			break
		}
		out = append(out, paint.CutMiddle(k.Name, 20)+" "+roundRise(k.Now, k.Staged))
	}
	word := " rise by more than 25 %  "
	if len(big) == 1 {
		word = " rises by more than 25 %  "
	}
	return plural(len(big), "bill") + word + strings.Join(out, ", ")
}

// roundRise is a change in whole percent.
func roundRise(now, staged int64) string {
	if now <= 0 {
		return "new"
	}
	return fmt.Sprintf("%+.0f %%", float64(staged-now)*100/float64(now))
}

// hourly is a figure of an hour, grouped while there is room.
func hourly(f float64, w int) string {
	if f < 10 {
		return figure.Rate(f)
	}
	return figure.Short(int64(f+0.5), w)
}
