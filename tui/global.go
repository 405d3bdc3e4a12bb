package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"paygate/server/api"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

func (m *Model) modeLabel() string {
	switch {
	case m.feed.live == nil:
		return ""
	case m.feed.shadow():
		return "go live"
	}
	return "to shadow"
}

// askMode asks before the gateway begins, or stops, to charge. Want is the
// mode asked for; empty is the other one.
func (m *Model) askMode(want string) tea.Cmd {
	return ask(m, "GET", "/admin/mode", nil, func(now api.Mode, err error) tea.Cmd {
		if err != nil {
			m.warn("%s", err)
			return nil
		}
		if want == "" {
			want = "live"
			if now.Mode == "live" {
				want = "shadow"
			}
		}
		if want == now.Mode {
			m.say("it is in %s mode already", want)
			return nil
		}
		set := act{path: "/admin/mode", in: map[string]string{"mode": want}, cli: "paygate mode " + want}
		if want == "shadow" {
			set.done = "shadow: nothing is charged"
			return m.open(&question{title: "Back to shadow mode?", cli: set.cli, yes: func() tea.Cmd { return m.perform(set) },
				lines: []string{"Every call is served and nothing is charged, until you go live again."}})
		}
		set.done = "live: calls are charged"
		broke := "No key would be refused at once for want of credits."
		if now.Broke == 1 {
			broke = "1 key has no credits and will be refused."
		} else if now.Broke > 1 {
			broke = fmt.Sprintf("%d keys have no credits and will be refused.", now.Broke)
		}
		return m.open(&question{title: "Go live?", word: "live", cli: set.cli, yes: func() tea.Cmd { return m.perform(set) },
			lines: []string{"From now on calls are charged.", broke}})
	})
}

// pick is a dialog in which one of a few things is chosen.
type pick struct {
	title string
	rows  []pickRow
	list  list
	label string // what enter does
}

type pickRow struct {
	tone paint.Tone
	mark string
	text string
	do   func() tea.Cmd
}

func (p *pick) Press(press, _ string) (bool, tea.Cmd) {
	switch press {
	case "esc", "q", "ctrl+c", "!":
		return true, nil
	case "enter":
		if p.list.cur >= 0 && p.list.cur < len(p.rows) && p.rows[p.list.cur].do != nil {
			return true, p.rows[p.list.cur].do()
		}
		return false, nil
	}
	p.list.n = len(p.rows)
	p.list.move(press)
	return false, nil
}

func (p *pick) Size(w, h int) (int, int) {
	want := paint.Width(p.title)
	for _, r := range p.rows {
		want = max(want, paint.Width(r.text)+5)
	}
	return min(want+2, max(w, 1)), min(len(p.rows)+2, max(h, 3))
}

func (p *pick) Draw(a paint.Area) {
	a.Text(0, 0, p.title, paint.Strong())
	body := a.From(2)
	p.list.n = len(p.rows)
	if p.list.cur < 0 {
		p.list.to(0)
	}
	from, to := p.list.window(body.H)
	for i := from; i < to; i++ {
		r := p.rows[i]
		body.Text(1, i-from, r.mark, paint.In(r.tone))
		body.Text(3, i-from, r.text, paint.Style{})
		if i == p.list.cur {
			body.Select(i - from)
		}
		body.Zone(0, i-from, body.W, 1, rowHit{i})
	}
}

func (p *pick) Hints() []key {
	return []key{{on: "enter", label: p.label}, {on: "j", show: "j k", label: "move"}, {on: "esc", label: "closes"}}
}

func (m *Model) showAttention() tea.Cmd {
	items := m.feed.frame().Attention
	if len(items) == 0 {
		m.say("nothing needs you")
		return nil
	}
	p := &pick{title: fmt.Sprintf("%d need you", len(items)), label: "goes there"}
	if len(items) == 1 {
		p.title = "1 needs you"
	}
	for _, it := range items {
		tone := paint.Warn
		if it.Level == "bad" {
			tone = paint.Bad
		}
		p.rows = append(p.rows, pickRow{tone: tone, mark: "!", text: it.Text, do: func() tea.Cmd { return m.jump(it.View, it.ID) }})
	}
	return m.open(p)
}

// openMsg tells a screen to show one of its things.
type openMsg struct{ id string }

// jump turns to a view and opens what has this id there.
func (m *Model) jump(view, id string) tea.Cmd {
	i := m.view(view)
	if i < 0 {
		return nil
	}
	cmd := m.show(i)
	if id == "" {
		return cmd
	}
	return tea.Batch(cmd, m.screens[i].Update(openMsg{id}))
}

// showHelp writes the help from the keys themselves, so that it cannot lie.
func (m *Model) showHelp() tea.Cmd {
	s := m.screens[m.at]
	var lines [][]paint.Span
	section := func(title string, keys []key) {
		lines = append(lines, []paint.Span{{S: title, St: paint.Strong()}})
		for _, k := range keys {
			what := k.help
			if what == "" {
				what = k.label
			}
			if what == "" || k.acts && m.feed.viewer() {
				continue
			}
			lines = append(lines, []paint.Span{{S: fmt.Sprintf("  %-12s", k.written()), St: paint.In(paint.Accent)}, {S: what}})
		}
		lines = append(lines, nil)
	}
	section(s.Name(), s.Keys())
	section("Everywhere", m.globals())
	lines = append(lines, []paint.Span{{S: "Filters", St: paint.Strong()}},
		[]paint.Span{{S: "  ~k key  ~t tool  ~s server  ~r reason  ~p plan  ~tag  ~ip  ~id   take a glob, /re/ or \"words\""}},
		[]paint.Span{{S: "  ~cost ~ms ~in ~out  with > >= < <= =     ~last 10m   ~at 13:00..13:05"}},
		[]paint.Span{{S: "  ~ok ~fail ~deny ~would ~cached   & and   | or   ! not   ( )   ~t read* & ~deny"}}, nil)
	if len(m.done) > 0 {
		lines = append(lines, []paint.Span{{S: "What you did, as commands", St: paint.Strong()}})
		for i := len(m.done) - 1; i >= max(len(m.done)-10, 0); i-- {
			lines = append(lines, []paint.Span{{S: "  " + m.done[i]}})
		}
	}
	return m.open(&page{m: m, title: "PayGate " + m.feed.frame().Version + "  " + s.Name(), lines: lines})
}

// leave ends the dashboard. With the gateway inside it first asks what shall
// become of it.
func (m *Model) leave() tea.Cmd {
	if !m.opt.Inside {
		return tea.Quit
	}
	return m.open(&farewell{m})
}

type farewell struct{ m *Model }

func (f *farewell) Press(press, _ string) (bool, tea.Cmd) {
	switch press {
	case "d":
		f.m.exit = Headless
		return true, tea.Quit
	case "q":
		f.m.exit = Quit
		return true, tea.Quit
	case "esc", "n", "ctrl+c":
		return true, nil
	}
	return false, nil
}

func (f *farewell) Size(w, _ int) (int, int) { return min(58, w), 5 }

func (f *farewell) Draw(a paint.Area) {
	o := f.m.feed.frame().Overview
	a.Text(0, 0, "The gateway runs in this process.", paint.Strong())
	note := "No call is in flight."
	if o.InFlight == 1 {
		note = "1 call is in flight."
	} else if o.InFlight > 1 {
		note = fmt.Sprintf("%d calls are in flight.", o.InFlight)
	}
	a.Text(0, 1, note, paint.In(paint.Muted))
	for i, l := range [][2]string{{"d", "close the dashboard, the gateway goes on without it"}, {"q", "let calls finish, then stop the gateway"}} {
		a.Text(0, 3+i, l[0], paint.In(paint.Accent))
		a.Text(2, 3+i, l[1], paint.Style{})
		a.Zone(0, 3+i, a.W, 1, keyHit{l[0]})
	}
}

func (f *farewell) Hints() []key {
	return []key{{on: "d", label: "go on without a dashboard"}, {on: "q", label: "stop"}, {on: "esc", label: "back"}}
}

// plural writes a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return figure.Group(int64(n)) + " " + noun + "s"
}
