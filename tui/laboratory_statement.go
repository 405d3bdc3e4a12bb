package tui

import (
	"net/url"
	"strings"

	tea "charm.land/bubbletea/v2"

	"paygate/shadow"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// statement is what one key would have paid, call by call, newest first.
type statement struct {
	m        *Model
	name     string // of the candidate
	id, key  string
	lines    []shadow.Line
	known    bool
	fault    string
	only     bool // those that differ
	list     list
	paid     [2]int64 // live, candidate, over all lines
	refused  [2]int
	filtered []int
}

// openKey opens the statement of the key under the cursor.
func (l *laboratory) openKey() tea.Cmd {
	c := l.at()
	plot, id, ok := strings.Cut(l.key, " ")
	if c == nil || !ok {
		return nil
	}
	if c.state == unkept || len(c.set) > 0 {
		l.m.warn("A statement is of a candidate that is kept: w keeps these prices.")
		return nil
	}
	s := &statement{m: l.m, name: c.name, id: id, key: id}
	for _, k := range l.keys {
		if k.Plot == plot && k.ID == id && k.Name != "" {
			s.key = k.Name
		}
	}
	s.list.ids = func(i int) string { return s.lines[s.filtered[i]].Call }
	l.state = s
	q := url.Values{"name": {c.name}, "key": {id}}
	return ask(l.m, "GET", "/admin/shadow/statement?"+q.Encode(), nil, func(got struct {
		Lines []shadow.Line `json:"lines"`
	}, err error) tea.Cmd {
		s.known = true
		if err != nil {
			s.fault = err.Error()
			return nil
		}
		s.take(got.Lines)
		return nil
	})
}

func (s *statement) take(lines []shadow.Line) {
	s.lines, s.paid, s.refused = lines, [2]int64{}, [2]int{}
	for _, l := range lines {
		if !l.Imputed {
			s.paid[0] += int64(l.Live)
			s.paid[1] += int64(l.Candidate)
		}
		if len(l.LiveNo) > 0 {
			s.refused[0]++
		}
		if len(l.No) > 0 {
			s.refused[1]++
		}
	}
	s.filter()
}

// filter lists the newest first, all or only those that differ.
func (s *statement) filter() {
	s.filtered = s.filtered[:0]
	for i := len(s.lines) - 1; i >= 0; i-- {
		l := &s.lines[i]
		if !s.only || l.Live != l.Candidate || (len(l.LiveNo) > 0) != (len(l.No) > 0) {
			s.filtered = append(s.filtered, i)
		}
	}
	s.list.n = len(s.filtered)
	s.list.to(0)
}

func (s *statement) keys(l *laboratory) []key {
	return []key{
		{on: "esc", label: "back", do: func(string) tea.Cmd { l.state = nil; return nil }},
		{on: "d", label: "differences", help: "only calls that differ, or all", do: func(string) tea.Cmd { s.only = !s.only; s.filter(); return nil }},
		{on: "enter", label: "call", help: "the call as it was", do: func(string) tea.Cmd {
			if s.list.cur >= 0 && s.list.cur < len(s.filtered) {
				return s.m.jump("Calls", s.lines[s.filtered[s.list.cur]].Call)
			}
			return nil
		}},
		{on: "y", help: "copy the call's id", do: func(string) tea.Cmd {
			if s.list.cur >= 0 && s.list.cur < len(s.filtered) {
				return s.m.copy(s.lines[s.filtered[s.list.cur]].Call, "")
			}
			return nil
		}},
		moves(&s.list, nil),
	}
}

func (s *statement) status() []paint.Span {
	text := "the newest " + plural(len(s.lines), "call") + " since " + s.name + " was started"
	if s.only {
		text += " · only those that differ: " + figure.Group(int64(len(s.filtered)))
	}
	return []paint.Span{{S: text, St: paint.In(paint.Muted)}}
}

func (s *statement) draw(a paint.Area) {
	muted := paint.In(paint.Muted)
	a.Rule(0, paint.Span{S: "statement of " + paint.Clean(s.key) + " under " + s.name, St: paint.Strong()})
	switch {
	case s.fault != "":
		for i, l := range paint.Wrap(s.fault, a.W-2) {
			a.Text(1, 2+i, l, paint.In(paint.Bad))
		}
		return
	case !s.known:
		a.Text(1, 2, "re-enacting …", muted)
		return
	case len(s.lines) == 0:
		drawHint(a.From(2), "No call of this key has been lived through.", []string{"A statement begins when its candidate is started: only calls after that are in it."}, "", [][2]string{{"esc", "goes back"}})
		return
	}
	x := a.Spans(1, 1, paint.Span{S: "live ", St: muted}, paint.Span{S: figure.Group(s.paid[0])}, paint.Span{S: "   " + s.name + " ", St: muted}, paint.Span{S: figure.Group(s.paid[1]), St: paint.Strong()},
		paint.Span{S: "   " + figure.Signed(s.paid[1]-s.paid[0]) + "  " + rise(s.paid[0], s.paid[1]), St: paint.In(tone(s.paid[0] - s.paid[1]))})
	if s.refused != [2]int{} {
		a.Text(x+3, 1, "refused "+figure.Group(int64(s.refused[0]))+" → "+figure.Group(int64(s.refused[1])), paint.In(paint.Bad))
	}
	ps := layout([]col{{title: "TIME", width: 15}, {title: "TOOL", width: 18, max: 40}, {title: "WAS", width: 7, rank: 1}, {title: "LIVE", width: 9, right: true}, {title: paint.Cut(strings.ToUpper(s.name), 14), width: 10, max: 14, right: true},
		{title: "CHANGE", width: 9, right: true}, {title: "WHY", width: 12, max: 40}}, min(a.W, 140))
	heads(a.From(2), ps, "", false)
	body := a.From(3)
	from, to := s.list.window(body.H)
	for i := from; i < to; i++ {
		s.drawLine(body, ps, i-from, &s.lines[s.filtered[i]])
		if i == s.list.cur {
			body.Select(i - from)
		}
		body.Zone(0, i-from, body.W, 1, rowHit{i})
	}
}

func (s *statement) drawLine(a paint.Area, ps []place, y int, l *shadow.Line) {
	price := func(n int64, no []string) (string, paint.Style) {
		if len(no) > 0 {
			return "⊘", paint.In(paint.Bad)
		}
		return figure.Group(n), paint.Style{}
	}
	for _, c := range ps {
		switch c.i {
		case 0:
			put(a, c, y, l.At.Local().Format("2 Jan 15:04:05"), paint.In(paint.Muted))
		case 1:
			put(a, c, y, paint.CutTool(paint.Clean(l.Tool), c.w), paint.Style{})
		case 2:
			put(a, c, y, l.Outcome, paint.In(paint.Muted))
		case 3:
			text, st := price(int64(l.Live), l.LiveNo)
			put(a, c, y, text, st)
		case 4:
			text, st := price(int64(l.Candidate), l.No)
			if l.Imputed {
				text, st = "≈ "+text, paint.In(paint.Warn)
			}
			put(a, c, y, text, st)
		case 5:
			if d := int64(l.Candidate - l.Live); d != 0 {
				put(a, c, y, figure.Signed(d), paint.In(tone(-d)))
			} else {
				put(a, c, y, "·", paint.In(paint.Muted))
			}
		case 6:
			put(a, c, y, strings.Join(l.No, ", "), paint.In(paint.Bad))
		}
	}
}
