package tui

import (
	"slices"
	"strings"

	"paygate/server/api"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// callCols are the columns of a list of calls. The credits column is named by
// the mode, so that nobody takes a would-be price for money.
func (m *Model) callCols(w int) []col {
	credits := "CHARGED"
	if m.feed.shadow() {
		credits = "WOULD"
	}
	cols := []col{
		{title: "TIME", width: 8}, {title: "KEY", width: 14, max: 40}, {title: "TOOL", width: 18, max: 32},
		{title: "  RESULT", width: 19, max: 28}, {title: credits, width: 8, right: true}, {title: "MS", width: 6, right: true},
	}
	if w >= 85 {
		cols[3].width = 22
	}
	if w >= 100 {
		cols[0].width = 12
		cols = append(cols, col{title: "GATE", width: 6, right: true, rank: 1}, col{title: "IN", width: 8, right: true, rank: 3}, col{title: "OUT", width: 8, right: true, rank: 2})
	}
	return cols
}

// outcome is how a call ended, in a glyph, a tone and a word.
func outcome(c *api.CallRow) (mark string, tone paint.Tone, word string) {
	switch {
	case c.Outcome == "denied":
		return "⊘", paint.Bad, or(c.Reason, "denied")
	case c.Outcome == "ok" && c.Would && c.Reason != "":
		return "◇", paint.Accent, c.Reason
	case c.Outcome == "ok" && c.Cached:
		return "✓", paint.OK, "ok, cached"
	case c.Outcome == "ok":
		return "✓", paint.OK, "ok"
	}
	return "✗", paint.Warn, or(c.Reason, c.Outcome)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// drawCallRow writes one call on line y.
func (m *Model) drawCallRow(a paint.Area, ps []place, y int, c *api.CallRow) {
	mark, tone, word := outcome(c)
	for _, p := range ps {
		switch p.i {
		case 0:
			clock := figure.Clock(c.At)
			if p.w >= 12 {
				clock = figure.Fine(c.At)
			}
			put(a, p, y, clock, paint.In(paint.Muted))
		case 1:
			put(a, p, y, paint.CutMiddle(paint.Clean(c.Key), p.w), paint.Style{})
		case 2:
			put(a, p, y, paint.CutTool(paint.Clean(c.Tool), p.w), paint.Style{})
		case 3:
			st := paint.In(tone)
			a.Text(p.x, y, mark, st)
			if word == "ok" {
				st = paint.Style{}
			}
			a.Fit(p.x+2, y, p.w-2, word, st)
		case 4:
			text := figure.Short(c.Credits, p.w)
			if c.Outcome == "denied" || c.Outcome == "lost" || c.Outcome == "failed" && c.Credits == 0 {
				text = "–"
			}
			put(a, p, y, text, paint.Style{})
		case 5:
			st := paint.Style{}
			if c.TookMs >= 100 {
				st = paint.In(paint.Warn)
			}
			put(a, p, y, figure.Millis(c.TookMs), st)
		case 6:
			put(a, p, y, figure.Millis(c.GateMs), paint.In(paint.Muted))
		case 7:
			put(a, p, y, figure.Short(c.In, p.w), paint.In(paint.Muted))
		case 8:
			put(a, p, y, figure.Short(c.Out, p.w), paint.In(paint.Muted))
		}
	}
}

// drawTail is the newest calls at the foot of a large Overview.
func (o *overview) drawTail(a paint.Area) {
	ps := layout(o.m.callCols(a.W), a.W)
	heads(a, ps, "", false)
	c := o.m.screens[o.m.view("Calls")].(*calls)
	for i := 0; i < min(a.H-1, len(c.rows)); i++ {
		o.m.drawCallRow(a, ps, i+1, c.row(i))
	}
}

func (c *calls) Draw(a paint.Area) {
	if len(c.rows) == 0 {
		c.drawEmpty(a)
		return
	}
	list := a
	switch {
	case a.W >= 140:
		list = a.Sub(0, 0, min(a.W*86/160, 100), a.H)
		side := a.Sub(list.W, 0, a.W-list.W, a.H)
		for y := range side.H {
			side.Text(1, y, "│", paint.In(paint.Muted))
		}
		c.drawSide(side.Sub(3, 0, side.W-3, side.H))
	case c.open:
		list = a.Sub(0, 0, a.W, max(a.H*3/10, 4))
		c.drawBelow(a.From(list.H))
	}
	ps := layout(c.m.callCols(list.W), list.W)
	heads(list, ps, "", false)
	body := list.From(1)
	c.list.n = len(c.rows)
	from, to := c.list.window(body.H)
	for i := from; i < to; i++ {
		c.m.drawCallRow(body, ps, i-from, c.row(i))
		if i == c.list.cur {
			body.Select(i - from)
		}
		body.Zone(0, i-from, body.W, 1, rowHit{i})
	}
}

// firstCall is a curl that makes a call: what somebody with a gateway and no
// calls needs.
func (m *Model) firstCall() string {
	tool := "TOOL"
	if known := m.toolNames(); len(known) > 0 {
		tool = known[0]
	}
	return "curl " + strings.TrimSuffix(or(m.opt.URL, "http://127.0.0.1:3402"), "/") + `/mcp -H "X-API-Key: $API_KEY" -H 'Content-Type: application/json' ` +
		`-d ` + quote(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+tool+`","arguments":{}}}`)
}

func (o *overview) drawEmpty(a paint.Area) {
	title, first := "Ready. No call has come yet.", "Send one:"
	if v := o.m.feed.frame().Overview; v.HasCalls {
		title, first = "No call in the last "+windows()[o.window].name+": t looks further back, "+o.m.tab("Calls")+" has them all.", "Send one:"
	}
	servers := o.m.feed.frame().Servers
	if down := slices.IndexFunc(servers, func(s api.Server) bool { return s.State != "ready" }); down >= 0 && len(servers) == 1 {
		title, first = "Not ready: the server is not up. "+o.m.tab("Servers")+" says why.", "Then send a call:"
	}
	drawHint(a, title, []string{first}, o.m.firstCall(),
		[][2]string{{"y", "copies it; export API_KEY=… first"}, {o.m.tab("Keys") + " n", "makes a key"}, {o.m.tab("Servers") + " a", "adds a server"}})
	o.drawServers(a.Row(a.H-2), o.m.feed.frame())
	o.drawAttention(a.Row(a.H-1), o.m.feed.frame())
}

func (c *calls) drawEmpty(a paint.Area) {
	if c.fault != "" {
		a.Text(1, 1, "The calls could not be read.", paint.Bold(paint.Bad))
		for i, l := range paint.Wrap(c.fault, a.W-2) {
			a.Text(1, 3+i, l, paint.Style{})
		}
		return
	}
	if !c.filter.All() {
		drawHint(a, "No call matches  "+c.filter.String(), nil, "", [][2]string{{"/", "changes the filter"}, {"esc", "shows all calls"}})
		return
	}
	drawHint(a, "No calls yet.", []string{"A call appears here the moment an agent makes it:"}, c.m.firstCall(),
		[][2]string{{c.m.tab("Keys") + " n", "makes a key for it"}})
}

// drawHint is an empty view: what it is, one command, the next keys.
func drawHint(a paint.Area, title string, lines []string, command string, keys [][2]string) {
	y := 1
	a.Text(1, y, title, paint.Strong())
	y += 2
	for _, l := range lines {
		for _, w := range paint.Wrap(l, a.W-2) {
			a.Text(1, y, w, paint.Style{})
			y++
		}
	}
	if command != "" {
		y++
		for _, l := range commandLines(command, a.W-6) {
			a.Text(3, y, l, paint.In(paint.Muted))
			y++
		}
		y++
	} else if len(lines) > 0 {
		y++
	}
	for _, k := range keys {
		x := a.Text(1, y, k[0], paint.In(paint.Accent))
		a.Text(max(x+1, 6), y, k[1], paint.Style{})
		y++
	}
}
