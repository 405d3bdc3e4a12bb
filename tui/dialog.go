package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"paygate/tui/edit"
	"paygate/tui/paint"
)

// dialog is what lies over a view and takes all keys.
type dialog interface {
	Press(press, text string) (done bool, cmd tea.Cmd)
	Size(w, h int) (int, int) // wanted, inside its frame, given the room
	Draw(a paint.Area)
	Hints() []key
}

func (m *Model) open(d dialog) tea.Cmd {
	m.bar = nil
	m.dialogs = append(m.dialogs, d)
	return nil
}

func (m *Model) pressDialog(press, text string) tea.Cmd {
	top := m.dialogs[len(m.dialogs)-1]
	done, cmd := top.Press(press, text)
	if done {
		for i, d := range m.dialogs {
			if d == top {
				m.dialogs = append(m.dialogs[:i:i], m.dialogs[i+1:]...)
				break
			}
		}
	}
	return cmd
}

// drawDialog floats the dialog while it takes under 70 % of the body, and
// else lets it replace the body: slivers of a table around a frame help
// nobody.
func (m *Model) drawDialog(a paint.Area) {
	if len(m.dialogs) == 0 {
		return
	}
	a.Cover()
	d := m.dialogs[len(m.dialogs)-1]
	body := a.Sub(0, 2, a.W, a.H-4)
	if a.H < 16 || a.W < 60 {
		body = a.Sub(0, 1, a.W, a.H-3)
	}
	w, h := d.Size(body.W-6, body.H-2)
	if w+10 > body.W || h+4 > body.H && h > 12 || h+2 > body.H || (w+6)*(h+2)*10 > body.W*body.H*7 {
		body.Clear()
		d.Draw(body.Sub(2, min(1, body.H-1), body.W-4, body.H-1))
		return
	}
	box := body.Sub((body.W-w-6)/2, (body.H-h-2)/2, w+6, h+2)
	box.Clear()
	frame(box)
	d.Draw(box.Sub(3, 1, w, h))
}

func frame(a paint.Area) {
	st := paint.In(paint.Muted)
	for _, y := range []int{0, a.H - 1} {
		a.Fill(1, y, a.W-2, "─", st)
	}
	for y := 1; y < a.H-1; y++ {
		a.Fill(0, y, 1, "│", st)
		a.Fill(a.W-1, y, 1, "│", st)
	}
	a.Fill(0, 0, 1, "╭", st)
	a.Fill(a.W-1, 0, 1, "╮", st)
	a.Fill(0, a.H-1, 1, "╰", st)
	a.Fill(a.W-1, a.H-1, 1, "╯", st)
}

// question asks before something happens: by y, or by a word that must be
// typed. Enter alone does nothing.
type question struct {
	title string
	lines []string // why one might not want to
	word  string   // to be typed; empty: y is enough
	cli   string   // the command line that does the same
	yes   func() tea.Cmd

	line  edit.Line
	wrong bool
}

func (q *question) Press(press, text string) (bool, tea.Cmd) {
	if press == "esc" || press == "ctrl+c" {
		return true, nil
	}
	if q.word == "" {
		switch press {
		case "y", "Y":
			return true, q.yes()
		case "n", "N", "q", "enter":
			return true, nil
		}
		return false, nil
	}
	if press == "enter" {
		if strings.TrimSpace(q.line.String()) == q.word {
			return true, q.yes()
		}
		q.wrong = true
		return false, nil
	}
	q.wrong = false
	q.line.Key(press, text)
	return false, nil
}

func (q *question) Size(w, _ int) (int, int) {
	want := min(max(56, paint.Width(q.title)), max(w, 20), 76)
	h := 1 + len(q.wrapped(want)) + 2
	if q.cli != "" {
		h += len(commandLines(q.cli, want-9)) + 1
	}
	return want, h
}

func (q *question) wrapped(w int) []string {
	var out []string
	for _, l := range q.lines {
		out = append(out, paint.Wrap(l, w)...)
	}
	return out
}

func (q *question) Draw(a paint.Area) {
	a.Text(0, 0, q.title, paint.Strong())
	y := 1
	for _, l := range q.wrapped(a.W) {
		a.Text(0, y, l, paint.Style{})
		y++
	}
	y++
	if q.word == "" {
		x := a.Spans(0, y, paint.Span{S: "y", St: paint.In(paint.Accent)}, paint.Span{S: " does it   "}, paint.Span{S: "N", St: paint.Bold(paint.Accent)}, paint.Span{S: " leaves it"})
		a.Zone(0, y, 10, 1, keyHit{"y"})
		a.Zone(12, y, x-12, 1, keyHit{"n"})
	} else {
		x := a.Spans(0, y, paint.Span{S: "Type  "}, paint.Span{S: q.word, St: paint.Strong()}, paint.Span{S: "  "})
		q.line.Draw(a.Sub(x, y, max(a.W-x, 0), 1), "", paint.In(paint.Accent))
		if q.wrong {
			a.Text(x+paint.Width(q.line.String())+2, y, "not yet: type it exactly", paint.In(paint.Bad))
		}
	}
	if q.cli != "" {
		drawCommand(a.From(y+2), "same as  ", q.cli)
	}
}

func (q *question) Hints() []key {
	if q.word == "" {
		return []key{{on: "y", label: "does it"}, {on: "n", show: "N", label: "leaves it"}, {on: "esc", label: "back"}}
	}
	return []key{{on: "enter", label: "confirms what was typed"}, {on: "esc", label: "back"}}
}

// page shows text: help, a secret, what y would copy.
type page struct {
	title string
	lines [][]paint.Span
	copy  string // what y copies
	m     *Model
	any   bool // any key closes it, and it is never seen again
	top   int
	seen  int
}

func text(lines ...string) [][]paint.Span {
	var out [][]paint.Span
	for _, l := range lines {
		out = append(out, []paint.Span{{S: l}})
	}
	return out
}

func (p *page) Press(press, _ string) (bool, tea.Cmd) {
	if press == "y" && p.copy != "" {
		return false, p.m.copy(p.copy, "")
	}
	last := max(len(p.lines)-p.seen, 0)
	switch {
	case p.any:
		return press != "paste", nil
	case press == "j" || press == "down":
		p.top++
	case press == "k" || press == "up":
		p.top--
	case press == "space" || press == "ctrl+d" || press == "pgdown":
		p.top += max(p.seen-1, 1)
	case press == "ctrl+u" || press == "pgup":
		p.top -= max(p.seen-1, 1)
	case press == "g" || press == "home":
		p.top = 0
	case press == "G" || press == "end":
		p.top = last
	case press == "esc" || press == "q" || press == "?" || press == "enter" || press == "ctrl+c":
		return true, nil
	}
	p.top = min(max(p.top, 0), last)
	return false, nil
}

func (p *page) Size(w, h int) (int, int) {
	want := paint.Width(p.title)
	for _, l := range p.lines {
		n := 0
		for _, s := range l {
			n += paint.Width(s.S)
		}
		want = max(want, n)
	}
	return min(want+1, max(w, 1)), min(len(p.lines)+2, max(h, 1))
}

func (p *page) Draw(a paint.Area) {
	a.Text(0, 0, p.title, paint.Strong())
	body := a.From(2)
	p.seen = max(body.H, 1)
	p.top = min(max(p.top, 0), max(len(p.lines)-p.seen, 0))
	for y := range body.H {
		if i := p.top + y; i < len(p.lines) {
			body.Spans(0, y, p.lines[i]...)
		}
	}
}

func (p *page) Hints() []key {
	if p.any {
		ks := []key{}
		if p.copy != "" {
			ks = append(ks, key{on: "y", label: "copies it"})
		}
		return append(ks, key{on: "esc", show: "any other key", label: "closes it"})
	}
	ks := []key{{on: "esc", label: "closes"}}
	if p.copy != "" {
		ks = append(ks, key{on: "y", label: "copies it"})
	}
	if len(p.lines) > p.seen {
		ks = append(ks, key{on: "j", show: "j k", label: "scroll"})
	}
	return ks
}

// commandLines breaks a command line at spaces, with backslashes, so that it
// can be pasted as it stands.
func commandLines(cli string, w int) []string {
	if w < 12 {
		return []string{cli}
	}
	var lines []string
	line := ""
	for _, word := range shellWords(cli) {
		if line != "" && paint.Width(line)+1+paint.Width(word) > w-4 {
			lines, line = append(lines, line+` \`), "  "+word
			continue
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	lines = append(lines, line)
	return lines
}

func drawCommand(a paint.Area, label, cli string) int {
	x := a.Text(0, 0, label, paint.In(paint.Muted))
	lines := commandLines(cli, a.W-x)
	for i, l := range lines {
		a.Text(x, i, l, paint.Style{})
	}
	return len(lines)
}

// shellWords breaks a command line at the spaces that are not in quotes.
func shellWords(s string) []string {
	var out []string
	from, in := 0, byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case in != 0:
			if c == in {
				in = 0
			}
		case c == '\'' || c == '"':
			in = c
		case c == ' ':
			if i > from {
				out = append(out, s[from:i])
			}
			from = i + 1
		}
	}
	if from < len(s) {
		out = append(out, s[from:])
	}
	return out
}
