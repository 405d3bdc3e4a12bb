package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"paygate/server/api"
	"paygate/tui/edit"
	"paygate/tui/paint"
)

// prices is the live sheet as a table. Cells are edited in place; nothing is
// applied before w, and what it would have done to the last hour is shown
// first.
type prices struct {
	m      *Model
	sheet  api.Prices
	known  bool
	list   list
	cell   int // 0 per call, 1 per KB in, 2 per KB out
	staged map[string]*api.PriceChange
	edit   *edit.Line // of the cell under the cursor, while it is typed
	effect *api.Effect
	wrong  string // why there is no effect
	fault  string
	fresh  time.Time
	epoch  int // answers about older changes are dropped
	filter string
}

func newPrices(m *Model) *prices {
	p := &prices{m: m, staged: map[string]*api.PriceChange{}}
	p.list.ids = func(i int) string { return p.rows()[i].Tool }
	return p
}

func (p *prices) Name() string { return "Prices" }

// rows are the tools that are shown, the default price last.
func (p *prices) rows() []api.PriceRow {
	var out []api.PriceRow
	for _, r := range p.sheet.Tools {
		if p.filter == "" || strings.Contains(strings.ToLower(r.Tool), strings.ToLower(p.filter)) {
			out = append(out, r)
		}
	}
	if p.filter == "" {
		out = append(out, api.PriceRow{Tool: "*", Own: true, Known: true, PerCall: p.sheet.Default})
	}
	return out
}

func (p *prices) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case shownMsg:
		return p.fetch()
	case beatMsg:
		if p.m.now().Sub(p.fresh) >= 10*time.Second && p.edit == nil {
			return p.fetch()
		}
	case wheelMsg:
		p.list.to(max(p.list.cur, 0) + msg.by)
	case rowHit:
		again := p.list.cur == msg.i
		p.list.to(msg.i)
		if again {
			p.begin("")
		}
	case openMsg:
		p.list.id = msg.id
		p.list.sync(len(p.rows()))
	}
	return nil
}

func (p *prices) fetch() tea.Cmd {
	p.fresh = p.m.now()
	return ask(p.m, "GET", "/admin/prices", nil, func(got api.Prices, err error) tea.Cmd {
		if err != nil {
			p.fault = err.Error()
			return nil
		}
		p.fault, p.known = "", true
		p.sheet = got
		p.list.sync(len(p.rows()))
		if p.list.cur < 0 {
			p.list.to(0)
		}
		return nil
	})
}

// price is what a cell says now, staged or not; ok is false for the default
// row's missing cells.
func (p *prices) price(r *api.PriceRow, cell int) (now, staged int64, changed bool) {
	now = [3]int64{r.PerCall, r.PerKBIn, r.PerKBOut}[cell]
	c := p.staged[r.Tool]
	if c == nil {
		return now, now, false
	}
	if v := [3]*int64{c.PerCall, c.PerKBIn, c.PerKBOut}[cell]; v != nil {
		return now, *v, *v != now
	}
	return now, now, false
}

// stage changes a cell; the old value takes the change away.
func (p *prices) stage(r *api.PriceRow, cell int, v int64) tea.Cmd {
	v = min(max(v, 0), 1_000_000_000)
	now := [3]int64{r.PerCall, r.PerKBIn, r.PerKBOut}[cell]
	c := p.staged[r.Tool]
	if c == nil {
		c = &api.PriceChange{Tool: r.Tool}
		p.staged[r.Tool] = c
	}
	at := [3]**int64{&c.PerCall, &c.PerKBIn, &c.PerKBOut}[cell]
	*at = &v
	if v == now {
		*at = nil
	}
	if c.PerCall == nil && c.PerKBIn == nil && c.PerKBOut == nil {
		delete(p.staged, r.Tool)
	}
	return p.ask()
}

// changes are what is staged, in the order of the table.
func (p *prices) changes() []api.PriceChange {
	var out []api.PriceChange
	rows := append(append([]api.PriceRow(nil), p.sheet.Tools...), api.PriceRow{Tool: "*"})
	for _, r := range rows {
		if c := p.staged[r.Tool]; c != nil {
			out = append(out, *c)
		}
	}
	return out
}

// ask wants to know what the staged prices would have done to the last hour.
func (p *prices) ask() tea.Cmd {
	p.epoch++
	p.wrong = ""
	if len(p.staged) == 0 {
		p.effect = nil
		return nil
	}
	epoch := p.epoch
	in := api.PriceUpdate{Base: p.sheet.Sheet, Changes: p.changes()}
	return ask(p.m, "POST", "/admin/prices/effect", in, func(e api.Effect, err error) tea.Cmd {
		if epoch != p.epoch {
			return nil
		}
		p.effect, p.wrong = &e, ""
		if err != nil {
			p.effect, p.wrong = nil, err.Error()
		}
		return nil
	})
}

func (p *prices) selected() (*api.PriceRow, bool) {
	rows := p.rows()
	if p.list.cur < 0 || p.list.cur >= len(rows) {
		return nil, false
	}
	return &rows[p.list.cur], true
}

// begin edits the cell under the cursor, with a digit or with its value.
func (p *prices) begin(text string) {
	r, ok := p.selected()
	if !ok || p.m.feed.viewer() {
		return
	}
	if r.Tool == "*" {
		p.cell = 0
	}
	p.edit = &edit.Line{}
	if text == "" {
		_, staged, _ := p.price(r, p.cell)
		text = fmt.Sprint(staged)
	}
	p.edit.Set(text)
	p.m.openBar(&bar{kind: "price", whole: true, prompt: p.cellName(r) + " ",
		change: func(text string) (int, error) {
			p.edit.Set(text)
			_, err := price(text)
			return 0, err
		},
		enter: func(text string) tea.Cmd {
			p.edit = nil
			v, _ := price(text)
			return p.stage(r, p.cell, v)
		},
		esc: func() tea.Cmd { p.edit = nil; return nil },
		nudge: func(by int64) {
			v, err := price(p.m.bar.line.String())
			if err == nil {
				p.m.bar.line.Set(fmt.Sprint(max(v+by, 0)))
				p.m.bar.changed()
			}
		}}, text)
}

// price reads what was typed into a cell.
func price(text string) (int64, error) {
	text = strings.TrimSpace(text)
	if text == "free" || text == "" {
		return 0, nil
	}
	return whole(text, 0, 1_000_000_000)
}

func (p *prices) cellName(r *api.PriceRow) string {
	tool := r.Tool
	if tool == "*" {
		tool = "any other tool"
	}
	return paint.CutTool(tool, 30) + [3]string{" per call", " per KB in", " per KB out"}[p.cell]
}

func (p *prices) Keys() []key {
	bump := func(by int64) func(string) tea.Cmd {
		return func(string) tea.Cmd {
			r, ok := p.selected()
			if !ok {
				return nil
			}
			_, staged, _ := p.price(r, p.cell)
			return p.stage(r, p.cell, staged+by)
		}
	}
	keys := []key{
		{on: "enter", label: "edit", help: "type the price; ← → by 1, shift by 10", acts: true, do: func(string) tea.Cmd { p.begin(""); return nil }},
		{on: "+ =", show: "+", label: "more", help: "1 more", acts: true, do: bump(1)},
		{on: "- _", show: "-", label: "less", help: "1 less", acts: true, do: bump(-1)},
		{on: "w", label: "review & apply", help: "see the changes once more and apply them", acts: true, do: func(string) tea.Cmd { return p.review() }},
		{on: "x", label: "discard", help: "forget what is staged", acts: true, do: func(string) tea.Cmd {
			clear(p.staged)
			return p.ask()
		}},
		{on: "h l left right", show: "← →", help: "the cell beside", do: func(press string) tea.Cmd {
			by := 1
			if press == "h" || press == "left" {
				by = 2
			}
			p.cell = (p.cell + by) % 3
			return nil
		}},
		{on: "/", label: "find", help: "search for a tool", do: func(string) tea.Cmd { return p.find() }},
		{on: "c", help: "the calls of this tool", do: func(string) tea.Cmd {
			if r, ok := p.selected(); ok && r.Tool != "*" {
				return p.m.command("calls ~t " + filterWord(r.Tool))
			}
			return nil
		}},
		{on: "y", help: "copy the command that does the same", do: func(string) tea.Cmd { return p.m.copy(p.cli(p.changes()), "the command") }},
		{on: "esc", help: "show all tools", do: func(string) tea.Cmd { p.filter = ""; p.list.sync(len(p.rows())); return nil }},
	}
	return append(keys, moves(&p.list, nil))
}

func (p *prices) find() tea.Cmd {
	search := func(text string) tea.Cmd {
		p.filter = strings.TrimSpace(text)
		p.list.n = len(p.rows())
		p.list.to(0)
		return nil
	}
	before := p.filter
	b := &bar{kind: "prices", prompt: "find ", enter: search, live: search, esc: func() tea.Cmd { return search(before) }}
	p.m.openBar(b, before)
	return nil
}

func (p *prices) Status() []paint.Span {
	muted := paint.In(paint.Muted)
	if p.fault != "" {
		return []paint.Span{{S: "✗ " + p.fault, St: paint.In(paint.Bad)}}
	}
	n := len(p.staged)
	if n > 0 {
		return []paint.Span{{S: plural(n, "change") + " staged", St: paint.In(paint.Warn)}, {S: " · w reviews and applies, x discards", St: muted}}
	}
	text := plural(len(p.sheet.Tools), "tool")
	if p.filter != "" {
		text = "find " + p.filter + " · " + text
	}
	if p.sheet.Sheet != "" {
		text += " · sheet " + p.sheet.Sheet[:min(6, len(p.sheet.Sheet))]
	}
	if p.sheet.Source != "" {
		text += " from " + p.sheet.Source
	}
	return []paint.Span{{S: text + " · nothing staged", St: muted}}
}

// toolNames are the tools that are known, for completion.
func (m *Model) toolNames() []string {
	seen := map[string]bool{}
	var out []string
	add := func(t string) {
		if t != "" && t != "*" && !seen[t] {
			seen[t] = true
			out = append(out, t)
		}
	}
	for _, s := range m.screens {
		if p, ok := s.(*prices); ok {
			for _, r := range p.sheet.Tools {
				add(r.Tool)
			}
		}
	}
	for _, t := range m.feed.frame().Overview.Tools {
		add(t.Tool)
	}
	return out
}
