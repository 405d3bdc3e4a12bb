package tui

import (
	"paygate/server/api"
	"paygate/tui/chart"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

func (o *overview) drawLists(a paint.Area, p plan) {
	v := o.m.feed.frame().Overview
	w := a.W / p.columns
	o.drawTools(a.Sub(0, 0, w-1, a.H), v)
	o.drawKeys(a.Sub(w, 0, w-1, a.H), v)
	if p.columns == 3 {
		o.drawReasons(a.Sub(2*w, 0, a.W-2*w, a.H), v)
	}
}

// selectRow marks the row of the cursor and makes all rows answer to a press.
func (o *overview) selectRow(a paint.Area, column, row int) {
	a.Zone(0, row+1, a.W, 1, overviewHit{column, row})
	if o.column == column && o.row == row {
		a.Row(row + 1).Select(0)
	}
}

func (o *overview) drawTools(a paint.Area, v api.Overview) {
	bars := 0
	if a.W >= 48 {
		bars = min(a.W-42, 24)
	}
	cols := []col{{title: "TOOLS", width: 14, max: 32}, {title: "/s", width: 6, right: true}, {title: "cr/s", width: 5, right: true}, {title: "p95", width: 6, right: true, rank: 1}}
	if bars > 0 {
		cols = append(cols, col{width: bars, rank: 2})
	}
	ps := layout(cols, a.W)
	drawHeads(a, ps)
	top := 0.0
	for _, t := range v.Tools {
		top = max(top, t.CallsPerSecond)
	}
	for i, t := range v.Tools {
		if i+1 >= a.H {
			break
		}
		for _, p := range ps {
			switch p.i {
			case 0:
				put(a, p, i+1, paint.CutTool(paint.Clean(t.Tool), p.w), paint.Style{})
			case 1:
				put(a, p, i+1, figure.Rate(t.CallsPerSecond), paint.Style{})
			case 2:
				put(a, p, i+1, figure.Rate(t.CreditsPerSecond), paint.Style{})
			case 3:
				slow := paint.Style{}
				if t.P95 >= 500 {
					slow = paint.In(paint.Warn)
				}
				put(a, p, i+1, figure.Millis(t.P95), slow)
			case 4:
				put(a, p, i+1, chart.Bar(t.CallsPerSecond/max(top, 1e-9), p.w), paint.In(paint.Accent))
			}
		}
		o.selectRow(a, 0, i)
	}
}

func (o *overview) drawKeys(a paint.Area, v api.Overview) {
	cols := []col{{title: "KEYS", width: 12, max: 32}, {title: "cr/s", width: 6, right: true}, {title: "dry in", width: 7, right: true}}
	if a.W >= 48 {
		cols = append(cols, col{title: "last 12 h", width: 12})
	}
	ps := layout(cols, a.W)
	drawHeads(a, ps)
	for i, k := range v.TopKeys {
		if i+1 >= a.H {
			break
		}
		put(a, ps[0], i+1, paint.CutMiddle(paint.Clean(k.Name), ps[0].w), paint.Style{})
		put(a, ps[1], i+1, figure.Rate(k.CreditsPerSecond), paint.Style{})
		put(a, ps[2], i+1, figure.Dry(k.DryInSeconds), paint.In(dryTone(k.DryInSeconds)))
		if len(ps) > 3 {
			put(a, ps[3], i+1, chart.Spark(k.Last12h, ps[3].w, a.ASCII()), paint.In(paint.Muted))
		}
		o.selectRow(a, 1, i)
	}
}

// dryTone warns of a key that will soon have no credits.
func dryTone(seconds *int64) paint.Tone {
	switch {
	case seconds == nil:
		return paint.Text
	case *seconds <= 0:
		return paint.Bad
	case *seconds < 12*3600:
		return paint.Warn
	}
	return paint.Text
}

func (o *overview) drawReasons(a paint.Area, v api.Overview) {
	a.Text(1, 0, "DENIED", paint.Strong())
	a.Right(a.W-1, 0, 8, "/min", paint.In(paint.Muted))
	if len(v.Denied) == 0 {
		a.Text(1, 1, "nothing is denied", paint.In(paint.Muted))
		return
	}
	top := 0.0
	for _, r := range v.Denied {
		top = max(top, r.PerMinute)
	}
	name := min(26, a.W-10)
	for i, r := range v.Denied {
		if i+1 >= a.H {
			break
		}
		a.Text(1, i+1, paint.Cut(r.Reason, name), paint.Style{})
		if room := a.W - name - 11; room > 3 && top > 0 {
			a.Text(name+2, i+1, chart.Bar(r.PerMinute/top, min(room, 30)), paint.In(paint.Bad))
		}
		a.Right(a.W-1, i+1, 7, figure.Rate(r.PerMinute), paint.Style{})
		o.selectRow(a, 2, i)
	}
}

func (o *overview) drawDenied(a paint.Area, v api.Overview) {
	spans := []paint.Span{{S: "DENIED", St: paint.Strong()}, {S: " /min", St: paint.In(paint.Muted)}}
	if len(v.Denied) == 0 {
		spans = append(spans, paint.Span{S: "  nothing is denied", St: paint.In(paint.Muted)})
	}
	used := 13
	for i, r := range v.Denied {
		n := "  " + r.Reason + " "
		if used += paint.Width(n) + paint.Width(figure.Rate(r.PerMinute)); used > a.W-4 && i > 0 {
			spans = append(spans, paint.Span{S: "  …", St: paint.In(paint.Muted)})
			break
		}
		st := paint.Style{}
		if o.column == 2 && o.row == i {
			st = paint.Style{Reverse: true}
		}
		spans = append(spans, paint.Span{S: n, St: st}, paint.Span{S: figure.Rate(r.PerMinute), St: paint.Strong()})
	}
	a.Spans(1, 0, spans...)
}

// drawHeads writes a list's headings; the first is its name.
func drawHeads(a paint.Area, ps []place) {
	for i, p := range ps {
		st := paint.In(paint.Muted)
		if i == 0 {
			st = paint.Strong()
		}
		put(a, p, 0, p.title, st)
	}
}
