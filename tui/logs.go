package tui

import (
	"encoding/json"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"paygate/server/api"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// logs is the gateway's own log, as it is written.
type logs struct {
	m      *Model
	lines  []api.LogLine // oldest first, at most keepLines
	level  int           // index into levels
	filter string
	hold   bool
	newer  int
	bottom int // how many shown lines are below the window while it is held
	wrap   bool
	opened bool
	fault  string
}

const keepLines = 5000

var levels = [...]string{"debug", "info", "warn", "error"}

func newLogs(m *Model) *logs { return &logs{m: m, level: 1} }

func (l *logs) Name() string { return "Logs" }

// logLines reads a list of lines, bare or in an object.
type logLines struct {
	Lines []api.LogLine `json:"lines"`
	bare  []api.LogLine
}

func (l *logLines) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, &l.bare)
	}
	type object logLines
	return json.Unmarshal(b, (*object)(l))
}

func (l *logLines) all() []api.LogLine {
	if l.bare != nil {
		return l.bare
	}
	return l.Lines
}

func (l *logs) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case shownMsg:
		if !l.opened {
			l.opened = true
			return l.m.link.subscribe(logStream, "/admin/logs")
		}
	case wheelMsg:
		l.scroll(-msg.by)
	}
	return nil
}

// take adds a line of the stream.
func (l *logs) take(msg streamMsg) {
	if msg.ended {
		l.fault = "the log stream ended"
		if msg.err != nil {
			l.fault = msg.err.Error()
		}
		return
	}
	var line api.LogLine
	if json.Unmarshal(msg.data, &line) != nil {
		return
	}
	l.fault = ""
	// A stream that is opened again begins with lines that are here already.
	if n := len(l.lines); n > 0 && !line.At.After(l.lines[n-1].At) {
		for i := n - 1; i >= max(n-1000, 0) && !l.lines[i].At.Before(line.At); i-- {
			if l.lines[i] == line {
				return
			}
		}
	}
	l.lines = append(l.lines, line)
	if over := len(l.lines) - keepLines; over > keepLines/4 {
		l.lines = append(l.lines[:0], l.lines[over:]...)
	}
	if l.hold && l.shows(&line) {
		l.newer++
		l.bottom++
	}
}

func (l *logs) shows(line *api.LogLine) bool {
	if rank(line.Level) < l.level {
		return false
	}
	if l.filter == "" {
		return true
	}
	f := strings.ToLower(l.filter)
	return strings.Contains(strings.ToLower(line.Text), f) || strings.Contains(strings.ToLower(line.Attrs), f)
}

func rank(level string) int {
	for i, n := range levels {
		if strings.EqualFold(n, level) {
			return i
		}
	}
	return 1
}

func (l *logs) shown() []*api.LogLine {
	var out []*api.LogLine
	for i := range l.lines {
		if l.shows(&l.lines[i]) {
			out = append(out, &l.lines[i])
		}
	}
	return out
}

// scroll moves the window up by some lines; at the end it follows again.
func (l *logs) scroll(up int) {
	l.bottom = min(max(l.bottom+up, 0), max(len(l.shown())-1, 0))
	l.hold = l.bottom > 0
	if !l.hold {
		l.newer = 0
	}
}

func (l *logs) Keys() []key {
	return []key{
		{on: "l", label: "level", help: "from which level on lines are shown", do: func(string) tea.Cmd { l.level = (l.level + 1) % len(levels); l.bottom = 0; return nil }},
		{on: "/", label: "find", help: "only lines with this text", do: func(string) tea.Cmd {
			search := func(text string) tea.Cmd { l.filter = strings.TrimSpace(text); return nil }
			before := l.filter
			l.m.openBar(&bar{kind: "logs", prompt: "find ", enter: search, live: search, esc: func() tea.Cmd { return search(before) }}, l.filter)
			return nil
		}},
		{on: "p", label: "pause", help: "hold the lines; again lets them go on", do: func(string) tea.Cmd {
			if l.hold {
				l.bottom, l.newer = 0, 0
			}
			l.hold = !l.hold
			return nil
		}},
		{on: "f", label: "follow", do: func(string) tea.Cmd { l.hold, l.bottom, l.newer = false, 0, 0; return nil }},
		{on: "w", label: "wrap", help: "long lines on several rows, or cut", do: func(string) tea.Cmd { l.wrap = !l.wrap; return nil }},
		{on: "y", help: "copy the lines that are shown, at most 200", do: func(string) tea.Cmd { return l.m.copy(l.text(200), "the newest lines") }},
		{on: moveKeys, show: "j k g G", help: "scroll", do: func(press string) tea.Cmd {
			by := map[string]int{"j": -1, "down": -1, "k": 1, "up": 1, "ctrl+d": -10, "pgdown": -20, "ctrl+u": 10, "pgup": 20, "G": -1 << 30, "end": -1 << 30, "g": 1 << 30, "home": 1 << 30}[press]
			l.scroll(by)
			return nil
		}},
		{on: "esc", help: "follow again, then show all lines", do: func(string) tea.Cmd {
			if l.hold {
				l.hold, l.bottom, l.newer = false, 0, 0
			} else {
				l.filter = ""
			}
			return nil
		}},
	}
}

func (l *logs) text(n int) string {
	shown := l.shown()
	var b strings.Builder
	for _, line := range shown[max(len(shown)-n, 0):] {
		fmt.Fprintln(&b, line.At.Format("2006-01-02T15:04:05.000Z07:00"), strings.ToUpper(line.Level), line.Text, line.Attrs)
	}
	return b.String()
}

func (l *logs) Status() []paint.Span {
	muted := paint.In(paint.Muted)
	if l.fault != "" && len(l.lines) == 0 {
		return []paint.Span{{S: "✗ " + l.fault, St: paint.In(paint.Bad)}}
	}
	text := levels[l.level] + " and above · " + plural(len(l.lines), "line")
	if l.level == 3 {
		text = "errors only · " + plural(len(l.lines), "line")
	}
	switch {
	case l.hold:
		text += fmt.Sprintf(" · held, %s newer, f follows", figure.Group(int64(l.newer)))
	default:
		text += " · following"
	}
	if l.filter != "" {
		return []paint.Span{{S: "find ", St: muted}, {S: l.filter, St: paint.In(paint.Accent)}, {S: " · " + text, St: muted}}
	}
	return []paint.Span{{S: text, St: muted}}
}

func (l *logs) Draw(a paint.Area) {
	shown := l.shown()
	if len(shown) == 0 {
		switch {
		case l.fault != "":
			drawHint(a, "The log could not be read.", []string{l.fault}, "", nil)
		case l.filter != "" || len(l.lines) > 0:
			drawHint(a, "No line is shown.", []string{"None of " + plural(len(l.lines), "line") + " has this level and text."}, "", [][2]string{{"l", "changes the level"}, {"esc", "forgets the text"}})
		default:
			drawHint(a, "The gateway has nothing to say yet.", nil, "paygate logs -f", nil)
		}
		return
	}
	end := len(shown) - min(l.bottom, len(shown)-1)
	y := a.H
	for i := end - 1; i >= 0 && y > 0; i-- {
		rows := l.rows(a.W, shown[i])
		y -= len(rows)
		for j, r := range rows {
			a.Spans(1, y+j, r...)
		}
	}
	if y > 0 {
		// Fewer lines than room: they begin at the top.
		a.Clear()
		y = 0
		for _, line := range shown[:end] {
			for _, r := range l.rows(a.W, line) {
				a.Spans(1, y, r...)
				y++
			}
		}
	}
}

// rows is one line of the log as it is drawn: on one row, or on several.
func (l *logs) rows(w int, line *api.LogLine) [][]paint.Span {
	tone := [...]paint.Tone{paint.Muted, paint.Text, paint.Warn, paint.Bad}[rank(line.Level)]
	level := fmt.Sprintf(" %-5s ", strings.ToUpper(line.Level))
	head := []paint.Span{{S: figure.Fine(line.At.In(l.m.now().Location())), St: paint.In(paint.Muted)}, {S: level, St: paint.In(tone)}}
	text := fmt.Sprintf("%-20s", line.Text)
	if !l.wrap {
		return [][]paint.Span{append(head, paint.Span{S: text + " "}, paint.Span{S: line.Attrs, St: paint.In(paint.Muted)})}
	}
	const indent = 20
	var out [][]paint.Span
	for i, part := range paint.Wrap(line.Text+"  "+line.Attrs, max(w-indent-1, 10)) {
		if i == 0 {
			out = append(out, append(head, paint.Span{S: part}))
			continue
		}
		out = append(out, []paint.Span{{S: strings.Repeat(" ", indent-1)}, {S: part, St: paint.In(paint.Muted)}})
	}
	if len(out) == 0 {
		out = append(out, head)
	}
	return out
}
