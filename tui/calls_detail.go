package tui

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	tea "charm.land/bubbletea/v2"

	"paygate/server/api"
	"paygate/tui/chart"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// callDetail is what is known of one call, or why it is not.
type callDetail struct {
	api.CallDetail
	ready bool
	fault string

	// Request and response as they are drawn, for one width: a response may
	// have a megabyte, and a screen is drawn four times a second.
	width int
	lines map[string][]string
}

// body is a request or a response in lines of at most w cells.
func (d *callDetail) body(text string, w int) []string {
	if d.width != w || d.lines == nil {
		d.width, d.lines = w, map[string][]string{}
	}
	lines, ok := d.lines[text]
	if !ok {
		lines = indent(text, w)
		d.lines[text] = lines
	}
	return lines
}

var tabNames = [...]string{"Quote", "Way", "Request", "Response"}

// look asks for the detail of the call under the cursor, when it is seen and
// not here yet.
func (c *calls) look() tea.Cmd {
	r, ok := c.selected()
	if !ok || !c.open && c.m.w < 140 || c.detail[r.ID] != nil {
		return nil
	}
	return c.load(r.ID, func() tea.Cmd { return nil })
}

// load asks for the detail of a call, and goes on when it is here.
func (c *calls) load(id string, then func() tea.Cmd) tea.Cmd {
	if len(c.detail) >= keepDetails {
		clear(c.detail)
	}
	d := &callDetail{}
	c.detail[id] = d
	return ask(c.m, "GET", "/admin/calls/"+url.PathEscape(id), nil, func(got api.CallDetail, err error) tea.Cmd {
		d.CallDetail, d.ready = got, true
		if err != nil {
			d.fault = err.Error()
		}
		return then()
	})
}

// withArguments does something with the selected call when its arguments are
// known, as far as they are kept.
func (c *calls) withArguments(do func(*api.CallRow) tea.Cmd) func(string) tea.Cmd {
	return c.withCall(func(r *api.CallRow) tea.Cmd {
		if d := c.detail[r.ID]; d != nil && d.ready {
			return do(r)
		}
		call := *r
		return c.load(r.ID, func() tea.Cmd { return do(&call) })
	})
}

// drawBelow is the detail under a short list: one tab at a time, the way
// below the quote while there is room.
func (c *calls) drawBelow(a paint.Area) {
	r, ok := c.selected()
	if !ok {
		return
	}
	a.Rule(0, paint.Span{S: paint.Cut(r.Tool, 40) + "  " + paint.CutMiddle(r.Key, 30), St: paint.Strong()})
	x := 1
	for i, name := range tabNames {
		from := x
		st := paint.In(paint.Muted)
		if i == c.tab {
			st = paint.Style{Reverse: true}
		}
		x = a.Text(x, 1, " "+name+" ", st) + 1
		a.Zone(from, 1, x-from, 1, keyHit{"]"})
	}
	d := c.detail[r.ID]
	body := a.From(2)
	if !c.known(body, d) {
		return
	}
	if note := detailNote(d); a.W-x > paint.Width(note)+3 {
		a.Right(a.W-1, 1, a.W-x, note, paint.In(paint.Muted))
	}
	switch c.tab {
	case 0:
		y := c.drawQuote(body, d)
		if body.H-y > 3 {
			c.drawWay(body.From(y), d, true)
		}
	case 1:
		c.drawWay(body, d, false)
	case 2:
		c.drawBody(body, d.Request, d)
	case 3:
		c.drawBody(body, d.Response, d)
	}
}

func (c *calls) known(a paint.Area, d *callDetail) bool {
	switch {
	case d == nil || !d.ready:
		a.Text(2, 0, "asking …", paint.In(paint.Muted))
		return false
	case d.fault != "":
		for i, l := range paint.Wrap(d.fault, a.W-3) {
			a.Text(2, i, l, paint.In(paint.Bad))
		}
		return false
	}
	return true
}

func detailNote(d *callDetail) string {
	note := ""
	if d.Sheet != "" {
		note = "sheet " + d.Sheet[:min(6, len(d.Sheet))]
	}
	if d.Plan != "" {
		note += " · plan " + d.Plan
	}
	return note
}

// drawQuote writes the charge line by line; the lines add up to what is due.
func (c *calls) drawQuote(a paint.Area, d *callDetail) int {
	amount := min(a.W-2, 56)
	how := 14
	y := 0
	for _, l := range d.Lines {
		a.Fit(2, y, how-3, l.What, paint.Style{})
		a.Fit(how, y, amount-how-10, l.How, paint.In(paint.Muted))
		a.Right(amount, y, 14, figure.Group(l.Amount), paint.Style{})
		y++
	}
	words := dueWords(d)
	a.Fit(2, y, how-3, "due", paint.Strong())
	a.Fit(how, y, amount-how-10, words, paint.In(paint.Muted))
	a.Right(amount, y, 14, figure.Group(d.Due), paint.Strong())
	y++
	if d.Shortfall > 0 {
		a.Text(2, y, fmt.Sprintf("%s more was due than the key had", figure.Group(d.Shortfall)), paint.In(paint.Warn))
		y++
	}
	return y
}

// dueWords says what happened to the hold.
func dueWords(d *callDetail) string {
	free := d.Held - d.Due
	switch {
	case d.Outcome == "denied":
		return "refused: nothing is charged"
	case d.Outcome == "lost":
		return "no answer came: nothing is charged"
	case d.Would && d.Held > 0:
		return fmt.Sprintf("would hold %s, release %s", figure.Group(d.Held), figure.Group(max(free, 0)))
	case d.Would:
		return "would be charged"
	case free > 0:
		return fmt.Sprintf("held %s, released %s", figure.Group(d.Held), figure.Group(free))
	case d.Held > 0:
		return "held " + figure.Group(d.Held)
	}
	return ""
}

// drawWay writes every check and wrap with its time; passed checks fold into
// one line when asked.
func (c *calls) drawWay(a paint.Area, d *callDetail, fold bool) int {
	total := 0.0
	for _, s := range d.Way {
		total += s.TookMs
	}
	a.Rule(0, paint.Span{S: "way  ", St: paint.Strong()}, paint.Span{S: wayWords(d), St: paint.In(paint.Muted)})
	y := 1
	var names []string
	passed := 0.0
	if fold {
		for _, s := range d.Way {
			if folds(s, total) {
				names = append(names, s.Name)
				passed += s.TookMs
			}
		}
		if len(names) > 1 {
			c.drawStep(a, y, api.Step{Name: fmt.Sprintf("%d passed", len(names)), TookMs: passed, Mark: "ok", Text: strings.Join(names, ", ")}, total)
			y++
		}
	}
	for _, s := range d.Way {
		if len(names) > 1 && folds(s, total) {
			continue
		}
		c.drawStep(a, y, s, total)
		y++
	}
	return y
}

// folds says whether a step passed and took no time worth a line.
func folds(s api.Step, total float64) bool {
	return s.Mark == "ok" && s.TookMs < total/100+0.0001 && s.Name != "upstream" && s.Name != "settle" && s.Name != "hold"
}

func wayWords(d *callDetail) string {
	up := d.TookMs - d.GateMs
	if up < 0 {
		up = 0
	}
	return "gate " + figure.Millis(d.GateMs) + " ms  upstream " + figure.Millis(up) + " ms"
}

func (c *calls) drawStep(a paint.Area, y int, s api.Step, total float64) {
	a.Fit(2, y, 11, s.Name, paint.Style{})
	a.Right(20, y, 7, figure.Millis(s.TookMs), paint.Style{})
	if total > 0 && s.TookMs/total >= 0.01 {
		a.Text(21, y, chart.Block(s.TookMs/total, 12, a.ASCII()), paint.In(paint.Accent))
	}
	mark, tone := "✓", paint.OK
	switch s.Mark {
	case "deny":
		mark, tone = "⊘", paint.Bad
	case "would":
		mark, tone = "◇", paint.Accent
	case "fail":
		mark, tone = "✗", paint.Warn
	}
	a.Text(34, y, mark, paint.In(tone))
	a.Text(36, y, s.Text, paint.In(paint.Muted))
}

// drawBody writes a request or a response, indented, scrolled by J and K.
func (c *calls) drawBody(a paint.Area, body string, d *callDetail) int {
	if body == "" {
		why := "It is no longer kept: bodies stay in memory for a short while and are never written to disk."
		if d.Kept {
			why = "There is none."
		}
		for i, l := range paint.Wrap(why, a.W-3) {
			a.Text(2, i, l, paint.In(paint.Muted))
		}
		return 2
	}
	lines := d.body(body, max(a.W-3, 10))
	c.scroll = min(c.scroll, max(len(lines)-a.H, 0))
	y := 0
	for _, l := range lines[min(c.scroll, len(lines)):] {
		if y == a.H-1 && c.scroll+a.H < len(lines) {
			a.Text(2, y, fmt.Sprintf("… %s, J scrolls", plural(len(lines)-c.scroll-y, "more line")), paint.In(paint.Muted))
			return y + 1
		}
		a.Text(2, y, l, paint.Style{})
		y++
	}
	return y
}

// indent writes JSON for reading, or the text as it is, in lines of at most w.
func indent(body string, w int) []string {
	var v json.RawMessage
	if json.Unmarshal([]byte(body), &v) == nil {
		if b, err := json.MarshalIndent(v, "", "  "); err == nil {
			body = string(b)
		}
	}
	var out []string
	for _, l := range strings.Split(body, "\n") {
		out = append(out, bare(paint.Clean(l), w)...)
	}
	return out
}

// drawSide is the detail beside a long list: all of it at once.
func (c *calls) drawSide(a paint.Area) {
	r, ok := c.selected()
	if !ok {
		a.Text(0, 0, "j or enter holds the list and shows a call here.", paint.In(paint.Muted))
		return
	}
	a.Rule(0, paint.Span{S: paint.Cut(r.Tool, 40) + "  " + paint.CutMiddle(r.Key, 24), St: paint.Strong()})
	d := c.detail[r.ID]
	if !c.known(a.From(2), d) {
		return
	}
	y := 2
	a.Spans(1, y, paint.Span{S: "QUOTE   ", St: paint.Strong()}, paint.Span{S: detailNote(d), St: paint.In(paint.Muted)})
	y += 1 + c.drawQuote(a.From(y+1), d)
	y++
	y += c.drawWay(a.From(y), d, a.H < 30)
	y++
	c.drawFacts(a.Row(y), d)
	y += 2
	left := a.H - y - 8
	for _, part := range []struct {
		name, body string
		bytes      int64
	}{{"REQUEST", d.Request, d.In}, {"RESPONSE", d.Response, d.Out}} {
		if y >= a.H-4 {
			break
		}
		a.Spans(1, y, paint.Span{S: part.name + "  ", St: paint.Strong()}, paint.Span{S: figure.Group(part.bytes) + " B", St: paint.In(paint.Muted)})
		room := a.Sub(0, y+1, a.W, max(min(left/2, a.H-y-5), 1))
		y += 1 + c.drawBody(room, part.body, d) + 1
	}
	if y < a.H-1 {
		drawCommand(a.From(y), " same as  ", "paygate calls show "+d.ID)
	}
}

func (c *calls) drawFacts(a paint.Area, d *callDetail) {
	facts := []string{d.ID}
	if d.Server != "" {
		facts = append(facts, "server "+d.Server)
	}
	if d.IP != "" {
		facts = append(facts, d.IP)
	}
	a.Text(1, 0, strings.Join(facts, " · ")+tagWords(d.Tags), paint.In(paint.Muted))
}
