package tui

import (
	"fmt"
	"math"
	"sort"
	"strconv"

	"paygate/server/api"
	"paygate/tui/chart"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// plan says how the lines of the Overview are shared out.
type plan struct {
	plot, rows, tail int
	gaps             bool // blank lines between the blocks
	columns          int
}

func planOf(w, h int, denied bool) plan {
	p := plan{columns: 2}
	if w >= 120 {
		p.columns = 3
	}
	fixed := 2 + 1 + 1 // chart titles and labels, latency, list heads
	fixed += 2         // servers, attention
	if p.columns == 2 && denied {
		fixed++
	}
	p.gaps = h >= fixed+4+3+2
	if p.gaps {
		fixed += 4
	}
	left := h - fixed
	p.plot = min(max(left*4/9, 2), 4)
	if h >= 32 {
		p.plot = min(max(h/5, 5), 12)
	}
	p.rows = max(min(left-p.plot, 5), 1)
	if h >= 32 {
		p.rows = min(max(h/5, 5), 10)
		p.tail = left - p.plot - p.rows - 2
		if p.tail < 4 {
			p.rows += max(min(p.tail+1, 6), 0)
			p.tail = 0
		}
	}
	return p
}

func (o *overview) Draw(a paint.Area) {
	f := o.m.feed.frame()
	v := f.Overview
	if len(v.Tools) == 0 && v.CallsPerSecond == 0 && chart.Top(v.Calls) == 0 {
		o.drawEmpty(a)
		return
	}
	p := planOf(a.W, a.H, true)
	if need := max(len(v.Tools), len(v.TopKeys), len(v.Denied), 3); p.rows > need {
		p.rows = need // the lines go to the tail of calls
	}
	y := 0
	gap := func() {
		if p.gaps {
			y++
		}
	}
	gap()
	o.drawCharts(a.Sub(0, y, a.W, p.plot+2), p)
	y += p.plot + 2
	if a.H >= 32 {
		y++
	}
	o.drawLatency(a.Row(y), v)
	y++
	gap()
	o.drawLists(a.Sub(0, y, a.W, p.rows+1), p)
	y += p.rows + 1
	gap()
	if p.columns == 2 {
		o.drawDenied(a.Row(y), v)
		y++
	}
	o.drawServers(a.Row(y), f)
	y++
	if a.H >= 32 {
		y++
	}
	o.drawAttention(a.Row(y), f)
	y += 2
	if p.tail > 0 && a.H-y >= 4 {
		o.drawTail(a.From(y))
	}
}

func (o *overview) drawCharts(a paint.Area, p plan) {
	v := o.m.feed.frame().Overview
	w := a.W / p.columns
	oldest := "-" + span(v.WindowSeconds)
	muted := paint.In(paint.Muted)

	left := a.Sub(0, 0, w-1, a.H)
	head := []paint.Span{{S: "calls/s ", St: paint.Strong()}, {S: figure.Rate(v.CallsPerSecond), St: paint.Strong()}}
	if v.ChangePercent != nil && !math.IsNaN(*v.ChangePercent) {
		arrow := "▲"
		if *v.ChangePercent < 0 {
			arrow = "▼"
		}
		head = append(head, paint.Span{S: fmt.Sprintf(" %s %s %% on yesterday", arrow, figure.Big(math.Abs(math.Round(*v.ChangePercent)))), St: muted})
	}
	left.Spans(1, 0, head...)
	o.curve(left.From(1), v.Calls, oldest)

	mid := a.Sub(w, 0, w-1, a.H)
	word := " charged"
	if o.m.feed.shadow() {
		word = " would"
	}
	if p.columns == 3 {
		word += " · " + figure.Short(v.CreditsToday, 8) + " today"
	}
	mid.Spans(1, 0, paint.Span{S: "credits/s " + figure.Rate(v.CreditsPerSecond), St: paint.Strong()}, paint.Span{S: word, St: muted})
	o.curve(mid.From(1), v.Credits, oldest)

	if p.columns == 3 {
		o.drawHeat(a.Sub(2*w, 0, a.W-2*w-1, a.H), v, oldest)
	}
}

func (o *overview) curve(a paint.Area, values []float64, oldest string) {
	top := chart.Nice(chart.Top(values))
	label := figure.Big(top)
	if top < 10 {
		label = strconv.FormatFloat(top, 'f', -1, 64)
	}
	plot := chart.Framed(a, chart.Axis{Top: label, Bottom: "0", Oldest: oldest, Newest: "now", Gutter: 6})
	chart.Area(plot, values, top, paint.In(paint.Accent))
}

// drawHeat shows how long calls took: bands as rows, slow ones above.
func (o *overview) drawHeat(a paint.Area, v api.Overview, oldest string) {
	about := "each cell " + span(v.StepSeconds)
	if more := about + ", denser = more calls"; paint.Width(more)+len("latency ")+1 <= a.W {
		about = more
	}
	a.Spans(1, 0, paint.Span{S: "latency ", St: paint.Strong()}, paint.Span{S: about, St: paint.In(paint.Muted)})
	bands := append(api.LatencyBands(), math.Inf(1))
	plot := chart.Framed(a.From(1), chart.Axis{Oldest: oldest, Newest: "now", Gutter: 6})
	if plot.Empty() || len(v.Latency) == 0 {
		return
	}
	lo := shownBand(v.Latency, len(bands), plot.H)
	for y := range plot.H {
		if band := lo + plot.H - 1 - y; band < len(bands) {
			a.Right(6, 1+y, 6, bandName(bands, band), paint.In(paint.Muted))
			a.Text(6, 1+y, "┤", paint.In(paint.Muted))
		}
	}
	grid := make([][]int, len(v.Latency))
	for i, col := range v.Latency {
		if lo < len(col) {
			grid[i] = col[lo:]
		}
	}
	// Cells stay square steps: one a column while there is room, at the right.
	if len(grid) < plot.W {
		wide := plot.W / len(grid) * len(grid)
		plot = plot.Sub(plot.W-wide, 0, wide, plot.H)
	}
	chart.Heat(plot, grid)
}

// shownBand is the lowest band to show when not all of them fit: those with
// the calls are.
func shownBand(grid [][]int, bands, rows int) int {
	if rows >= bands {
		return 0
	}
	best, most := 0, -1
	for lo := 0; lo+rows <= bands; lo++ {
		n := 0
		for _, col := range grid {
			for b := lo; b < min(lo+rows, len(col)); b++ {
				n += col[b]
			}
		}
		if n > most {
			best, most = lo, n
		}
	}
	return best
}

func bandName(bands []float64, i int) string {
	if math.IsInf(bands[i], 1) {
		return ">" + bandName(bands, i-1)
	}
	if ms := bands[i]; ms < 1000 {
		return strconv.FormatFloat(ms, 'f', -1, 64)
	}
	return strconv.FormatFloat(bands[i]/1000, 'f', -1, 64) + "s"
}

func (o *overview) drawLatency(a paint.Area, v api.Overview) {
	muted, strong := paint.In(paint.Muted), paint.Strong()
	slow := strong
	if v.P99 >= 100 {
		slow = paint.Bold(paint.Warn)
	}
	spans := []paint.Span{{S: "LATENCY", St: strong}, {S: "  p50 ", St: muted}, {S: figure.Millis(v.P50), St: strong},
		{S: "  p95 ", St: muted}, {S: figure.Millis(v.P95), St: strong}, {S: "  p99 ", St: muted}, {S: figure.Millis(v.P99) + " ms", St: slow},
		{S: "  failed ", St: muted}, {S: figure.Percent(v.FailedShare), St: strong}, {S: "  denied ", St: muted}, {S: figure.Percent(v.DeniedShare), St: strong}}
	more := [][2]string{{"  gate adds ", figure.Millis(v.GateP50) + " ms"}, {"  in flight ", figure.Group(int64(v.InFlight))},
		{"  sessions ", figure.Group(int64(v.Sessions))}, {"  keys today ", figure.Group(int64(v.KeysToday)) + " of " + figure.Group(int64(v.Keys))}}
	used := 1
	for _, s := range spans {
		used += paint.Width(s.S)
	}
	for _, m := range more {
		if used += paint.Width(m[0] + m[1]); used > a.W-1 {
			break
		}
		spans = append(spans, paint.Span{S: m[0], St: muted}, paint.Span{S: m[1], St: strong})
	}
	a.Spans(1, 0, spans...)
}

// sortedServers has those that are not well first.
func sortedServers(in []api.Server) []api.Server {
	out := append([]api.Server(nil), in...)
	sort.SliceStable(out, func(i, j int) bool { return out[i].State != "ready" && out[j].State == "ready" })
	return out
}

func (o *overview) drawServers(a paint.Area, f *api.Live) {
	spans := []paint.Span{{S: "SERVERS", St: paint.Strong()}}
	for _, s := range sortedServers(f.Servers) {
		mark, tone, text := serverMark(s, o.m.now())
		spans = append(spans, paint.Span{S: "  " + mark + " ", St: paint.In(tone)}, paint.Span{S: serverName(s.Prefix) + " "}, paint.Span{S: text + " ", St: paint.In(paint.Muted)})
	}
	if len(f.Servers) == 0 {
		spans = append(spans, paint.Span{S: "  none yet; " + o.m.tab("Servers") + " a adds one", St: paint.In(paint.Muted)})
	}
	a.Spans(1, 0, spans...)
	a.Zone(0, 0, a.W, 1, keyHit{o.m.tab("Servers")})
}

func (o *overview) drawAttention(a paint.Area, f *api.Live) {
	if len(f.Attention) == 0 {
		a.Text(1, 0, "Nothing needs you.", paint.In(paint.Muted))
		return
	}
	word := " need you"
	if len(f.Attention) == 1 {
		word = " needs you"
	}
	spans := []paint.Span{{S: "! " + strconv.Itoa(len(f.Attention)) + word, St: paint.Bold(paint.Warn)}}
	for i, it := range f.Attention {
		sep := " · "
		if i == 0 {
			sep = "  "
		}
		spans = append(spans, paint.Span{S: sep, St: paint.In(paint.Muted)}, paint.Span{S: it.Text})
	}
	a.Spans(1, 0, spans...)
	a.Zone(0, 0, a.W, 1, keyHit{"!"})
}
