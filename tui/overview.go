package tui

import (
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"paygate/server/api"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// overview is the first view: what happens now, as numbers and small charts.
type overview struct {
	m      *Model
	window int // index into windows
	column int // of the cursor: tools, keys, denied
	row    int // -1: no cursor
	// The order of rows may change under the cursor, so it belongs to a name.
	id string
}

// windows are the stretches of time that the charts can show.
func windows() []struct {
	seconds int
	name    string
} {
	return []struct {
		seconds int
		name    string
	}{{300, "5 min"}, {3600, "1 h"}, {86400, "24 h"}, {14 * 86400, "14 d"}}
}

func newOverview(m *Model) *overview { return &overview{m: m, row: -1} }

func (o *overview) Name() string { return "Overview" }

// listen subscribes to the live stream with the window and the filter that
// the views want.
func (m *Model) listen() tea.Cmd {
	if m.feed.window == 0 {
		m.feed.window = windows()[0].seconds
	}
	return m.link.subscribe(liveStream, livePath(m.feed.window, m.feed.filter))
}

func (o *overview) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case frameMsg:
		o.follow()
	case overviewHit:
		again := o.column == msg.column && o.row == msg.row
		o.column, o.row = msg.column, msg.row
		o.name()
		if again {
			return o.enter()
		}
	case wheelMsg:
		o.move(msg.by / 3)
	}
	return nil
}

// overviewHit is a press on a row of one of the three lists.
type overviewHit struct{ column, row int }

func (o *overview) ids(column int) []string {
	v := o.m.feed.frame().Overview
	var out []string
	switch column {
	case 0:
		for _, t := range v.Tools {
			out = append(out, t.Tool)
		}
	case 1:
		for _, k := range v.TopKeys {
			out = append(out, k.ID)
		}
	case 2:
		for _, r := range v.Denied {
			out = append(out, r.Reason)
		}
	}
	return out
}

func (o *overview) name() {
	o.id = ""
	if ids := o.ids(o.column); o.row >= 0 && o.row < len(ids) {
		o.id = ids[o.row]
	}
}

// follow keeps the cursor on its id when the rows have moved.
func (o *overview) follow() {
	if o.row < 0 {
		return
	}
	ids := o.ids(o.column)
	for i, id := range ids {
		if id == o.id {
			o.row = i
			return
		}
	}
	o.row = min(o.row, len(ids)-1)
	o.name()
}

func (o *overview) move(by int) {
	n := len(o.ids(o.column))
	if o.row < 0 {
		o.row = -1
		by = max(by, 1)
	}
	o.row = min(max(o.row+by, 0), n-1)
	o.name()
}

func (o *overview) enter() tea.Cmd {
	if o.row < 0 || o.id == "" {
		return o.m.showAttention()
	}
	switch o.column {
	case 0:
		return o.m.command("calls ~t " + filterWord(o.id))
	case 1:
		return o.m.jump("Keys", o.id)
	}
	return o.m.command("calls ~r " + filterWord(o.id))
}

func (o *overview) Keys() []key {
	return []key{
		{on: "enter", label: "open", help: "the calls of the tool or reason, or the key, under the cursor", do: func(string) tea.Cmd { return o.enter() }},
		{on: "t", label: "window", help: "the last 5 minutes, hour, day, fortnight", do: func(string) tea.Cmd {
			o.window = (o.window + 1) % len(windows())
			o.m.feed.window = windows()[o.window].seconds
			return o.m.listen()
		}},
		{on: "j k down up ctrl+d ctrl+u g G", show: "j k", help: "move in a list", do: func(press string) tea.Cmd {
			by := map[string]int{"j": 1, "down": 1, "k": -1, "up": -1, "ctrl+d": 5, "ctrl+u": -5, "g": -100, "G": 100}[press]
			o.move(by)
			return nil
		}},
		{on: "h l left right", show: "h l", help: "the list beside", do: func(press string) tea.Cmd {
			by := 1
			if press == "h" || press == "left" {
				by = 2
			}
			o.column = (o.column + by) % 3
			o.row = max(o.row, 0)
			o.move(0)
			return nil
		}},
		{on: "esc", do: func(string) tea.Cmd { o.row, o.id = -1, ""; return nil }},
		{on: "y", help: "copy the name under the cursor; without one a curl that makes a call", do: func(string) tea.Cmd {
			if o.id != "" {
				return o.m.copy(o.id, "")
			}
			return o.m.copy(o.m.firstCall(), "a curl that makes a call")
		}},
	}
}

func (o *overview) Status() []paint.Span {
	v := o.m.feed.frame().Overview
	muted := paint.In(paint.Muted)
	if v.WindowSeconds == 0 {
		return nil
	}
	text := "last " + span(v.WindowSeconds) + " in " + span(v.StepSeconds) + " steps · "
	out := []paint.Span{{S: text, St: muted}, {S: "t", St: paint.In(paint.Accent)}}
	for i, w := range windows() {
		if i == 0 {
			continue
		}
		sep := " "
		if i > 1 {
			sep = " · "
		}
		out = append(out, paint.Span{S: sep + w.name, St: muted})
	}
	return out
}

// span writes seconds in the largest unit that is whole.
func span(seconds int) string {
	switch {
	case seconds >= 2*86400 && seconds%86400 == 0:
		return fmt.Sprintf("%d d", seconds/86400)
	case seconds >= 3600 && seconds%3600 == 0:
		return fmt.Sprintf("%d h", seconds/3600)
	case seconds >= 60 && seconds%60 == 0:
		return fmt.Sprintf("%d min", seconds/60)
	}
	return fmt.Sprintf("%d s", seconds)
}

// drawCard is what a terminal too small for a view gets: mode, rates, latency
// and what needs the person.
func (m *Model) drawCard(a paint.Area) {
	f := m.feed.frame()
	word, st := m.block(a.W)
	x := a.Text(0, 0, word, st)
	if f.Demo {
		x = a.Text(x+1, 0, " DEMO ", paint.Bold(paint.Demo))
	}
	if m.feed.down(m.now()) {
		a.Text(x+1, 0, " OFFLINE "+figure.Span(m.now().Sub(m.feed.since))+" ", paint.Style{Tone: paint.Bad, Reverse: true})
	}
	v := f.Overview
	lines := [][2]string{
		{"calls/s", figure.Rate(v.CallsPerSecond)}, {"credits/s", figure.Rate(v.CreditsPerSecond)},
		{"p95 ms", figure.Millis(v.P95)}, {"denied", figure.Percent(v.DeniedShare)},
		{"failed", figure.Percent(v.FailedShare)}, {"spendable", figure.Short(v.Spendable, 11)},
	}
	y := 1
	for _, l := range lines {
		if y >= a.H-2 {
			break
		}
		a.Text(1, y, l[0], paint.In(paint.Muted))
		a.Text(12, y, l[1], paint.Strong())
		y++
	}
	for _, s := range sortedServers(f.Servers) {
		if y >= a.H-2 {
			return
		}
		mark, tone, text := serverMark(s, m.now())
		a.Spans(1, y, paint.Span{S: mark + " ", St: paint.In(tone)}, paint.Span{S: serverName(s.Prefix) + " "}, paint.Span{S: text, St: paint.In(paint.Muted)})
		y++
	}
	for _, it := range f.Attention {
		if y >= a.H-2 {
			return
		}
		a.Spans(1, y, paint.Span{S: "! ", St: paint.In(paint.Warn)}, paint.Span{S: it.Text})
		y++
	}
}

// serverMark is how a server does, in a glyph and a few words.
func serverMark(s api.Server, now time.Time) (string, paint.Tone, string) {
	switch s.State {
	case "ready":
		if s.P95 == 0 {
			return "●", paint.OK, "ready"
		}
		return "●", paint.OK, figure.Millis(s.P95) + " ms"
	case "restarting", "starting":
		text := s.State
		if s.NextTry != nil {
			text = "restarts in " + figure.Uptime(s.NextTry.Sub(now))
			if s.Restarts > 0 {
				text += fmt.Sprintf(" (%d so far)", s.Restarts)
			}
		}
		if s.State == "starting" {
			return "◇", paint.Warn, text
		}
		return "✗", paint.Bad, text
	case "slow": // it answers calls, and let a list of all servers' things wait in vain
		return "◇", paint.Warn, "slow to list"
	case "draining":
		return "◇", paint.Warn, "drains, " + plural(s.InFlight, "call") + " left"
	}
	return "✗", paint.Bad, s.State
}

func serverName(prefix string) string {
	if prefix == "" {
		return "server"
	}
	return prefix
}
