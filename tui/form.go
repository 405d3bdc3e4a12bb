package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"paygate/tui/edit"
	"paygate/tui/paint"
)

// field is one line of a form.
type field struct {
	name string
	line edit.Line
	// hint says what the value means, or what is wrong with it. It stands
	// beside the field while it is typed.
	hint     func(value string) (string, error)
	complete func(value string) []string
	choices  []string // when set, one of them: ← and → change it, nothing is typed
	wide     bool     // the value takes the whole line; there is no hint
	expect   string   // what a wide field waits for, shown as it is typed
	touched  bool
	fault    string
}

// choice is a field in which one of a few things is chosen.
func choice(name, hint string, choices ...string) *field {
	f := &field{name: name, choices: choices, hint: func(string) (string, error) { return hint, nil }}
	f.line.Set(choices[0])
	return f
}

// turn chooses the next or the one before.
func (x *field) turn(by int) {
	for i, c := range x.choices {
		if c == x.line.String() {
			x.line.Set(x.choices[(i+by+len(x.choices))%len(x.choices)])
			return
		}
	}
	x.line.Set(x.choices[0])
}

// form is a page of fields with what they would do and the command line that
// does the same.
type form struct {
	m      *Model
	title  string
	note   string
	head   func(w, h int) [][]paint.Span // above the fields, in at most h lines
	fields []*field
	at     int // len(fields): the button; one more: cancel
	button string
	cli    func(values []string) string
	submit func(values []string) tea.Cmd
	busy   bool
	failed string
}

func (f *form) values() []string {
	out := make([]string, len(f.fields))
	for i, x := range f.fields {
		out[i] = strings.TrimSpace(x.line.String())
	}
	return out
}

func (f *form) Press(press, text string) (bool, tea.Cmd) {
	if f.busy && press != "esc" {
		return false, nil
	}
	n := len(f.fields)
	switch press {
	case "esc", "ctrl+c":
		return true, nil
	case "ctrl+y":
		return false, f.m.copy(f.cli(f.values()), "the command")
	case "down", "ctrl+n":
		f.at = (f.at + 1) % (n + 2)
		return false, nil
	case "up", "shift+tab", "ctrl+p":
		f.at = (f.at + n + 1) % (n + 2)
		return false, nil
	case "tab":
		if !f.completed() {
			f.at = (f.at + 1) % (n + 2)
		}
		return false, nil
	case "enter":
		if f.at < n-1 {
			f.fields[f.at].touched = true
			f.at++
			return false, nil
		}
		if f.at == n+1 {
			return true, nil
		}
		return false, f.send()
	case "left", "right", "space":
		if f.at >= n {
			f.at = n + (f.at-n+1)%2
			return false, nil
		}
		if x := f.fields[f.at]; x.choices != nil {
			by := 1
			if press == "left" {
				by = -1
			}
			x.turn(by)
			f.failed = ""
			return false, nil
		}
		if press == "space" {
			press, text = " ", " "
		}
	}
	if f.at < n && f.fields[f.at].choices == nil {
		x := f.fields[f.at]
		if x.line.Key(press, text) {
			x.touched, x.fault, f.failed = true, "", ""
		}
	}
	return false, nil
}

// completed takes the one completion there is for the field.
func (f *form) completed() bool {
	if f.at >= len(f.fields) {
		return false
	}
	x := f.fields[f.at]
	if x.complete == nil {
		return false
	}
	text := x.line.String()
	for _, o := range x.complete(text) {
		if len(o) > len(text) {
			x.line.Set(o)
			x.touched = true
			return true
		}
	}
	return false
}

func (f *form) send() tea.Cmd {
	for i, x := range f.fields {
		if x.hint == nil {
			continue
		}
		if _, err := x.hint(strings.TrimSpace(x.line.String())); err != nil {
			x.fault, f.at = err.Error(), i
			return nil
		}
	}
	f.busy = true
	return f.submit(f.values())
}

// refused brings the gateway's refusal to the form; it stays open.
func (f *form) refused(err error) {
	f.busy, f.failed = false, err.Error()
	for i, x := range f.fields {
		first, _, _ := strings.Cut(f.failed, " ")
		if strings.EqualFold(strings.Trim(first, ":\"'"), x.name) {
			x.fault, f.at, f.failed = err.Error(), i, ""
			return
		}
	}
}

// close takes the form away; it may lie under a later dialog.
func (f *form) close() {
	for i, d := range f.m.dialogs {
		if d == dialog(f) {
			f.m.dialogs = append(f.m.dialogs[:i:i], f.m.dialogs[i+1:]...)
			return
		}
	}
}

func (f *form) Size(w, room int) (int, int) {
	width := min(max(w, 40), 100)
	if len(f.fields) < 4 {
		width = min(max(w-4, 40), 66)
	}
	h := f.rows(width)
	if f.head != nil {
		width = min(max(w, 40), 100)
		h = f.rows(width)
		h += len(f.head(width, room-h-1)) + 1
	}
	return width, h
}

// rows is how many lines it takes without what stands above the fields.
func (f *form) rows(w int) int {
	return 5 + len(f.fields) + len(commandLines(f.cli(f.values()), w-9))
}

func (f *form) Draw(a paint.Area) {
	x := a.Text(0, 0, f.title, paint.Strong())
	a.Text(x+3, 0, f.note, paint.In(paint.Muted))
	if f.head != nil {
		lines := f.head(a.W, a.H-f.rows(a.W)-1)
		for i, line := range lines {
			a.Spans(1, 2+i, line...)
		}
		a = a.From(len(lines) + 1)
	}
	label := 12
	for _, y := range f.fields {
		label = max(label, paint.Width(y.name)+4)
	}
	value := min(max((a.W-label)*4/10, 12), 40)
	for i, x := range f.fields {
		row := a.Sub(0, 2+i, a.W, 1)
		st := paint.Style{}
		if i == f.at {
			row.Text(0, 0, "▌", paint.In(paint.Accent))
			st = paint.In(paint.Accent)
		}
		row.Text(2, 0, x.name, st)
		x.draw(row.From(0).Sub(label, 0, a.W-label, 1), value, i == f.at)
		row.Zone(0, 0, row.W, 1, fieldHit{i})
	}
	y := 3 + len(f.fields)
	f.buttons(a, y)
	if f.failed != "" {
		for i, l := range paint.Wrap(f.failed, a.W-2) {
			a.Text(1, y+1+i, l, paint.In(paint.Bad))
		}
	}
	drawCommand(a.From(y+2), "same as  ", f.cli(f.values()))
}

// draw writes the value, in value cells, and the hint beside it.
func (x *field) draw(a paint.Area, value int, focus bool) {
	box := a.Sub(0, 0, value, 1)
	if x.wide || x.choices != nil {
		box = a
	}
	switch {
	case x.choices != nil:
		st := paint.Style{Bold: focus}
		arrows := paint.In(paint.Muted)
		if focus {
			arrows = paint.In(paint.Accent)
		}
		end := box.Spans(0, 0, paint.Span{S: "‹ ", St: arrows}, paint.Span{S: x.line.String(), St: st}, paint.Span{S: " ›", St: arrows})
		value = max(value, end)
	case focus:
		x.line.Draw(box, x.ghost(), paint.Strong())
	case x.line.String() == "":
		box.Text(0, 0, x.expect, paint.In(paint.Muted))
	default:
		box.Text(0, 0, x.line.String(), paint.Style{})
	}
	if !x.wide || x.fault != "" {
		x.drawHint(a.Sub(value+1, 0, a.W, 1))
	}
}

// ghost is what has to be typed in a wide field, as far as it is not there yet.
func (x *field) ghost() string {
	if x.expect == "" {
		return ""
	}
	if rest, ok := strings.CutPrefix(x.expect, x.line.String()); ok {
		return rest
	}
	return ""
}

func (x *field) drawHint(a paint.Area) {
	if x.fault != "" {
		a.Text(0, 0, "✗ "+x.fault, paint.In(paint.Bad)) // a sign, for those who see no colours
		return
	}
	if x.hint == nil {
		return
	}
	hint, err := x.hint(strings.TrimSpace(x.line.String()))
	switch {
	case err == nil:
		a.Text(0, 0, hint, paint.In(paint.Muted))
	case x.touched:
		a.Text(0, 0, "✗ "+err.Error(), paint.In(paint.Warn))
	default:
		a.Text(0, 0, hint, paint.In(paint.Muted))
	}
}

func (f *form) buttons(a paint.Area, y int) {
	x := 4
	words := []string{f.button, "Cancel"}
	if f.busy {
		words[0] = "…"
	}
	for i, w := range words {
		st := paint.In(paint.Accent)
		if f.at == len(f.fields)+i {
			st = paint.Style{Tone: paint.Accent, Reverse: true}
		}
		from := x
		x = a.Text(x, y, " "+w+" ", st)
		a.Zone(from, y, x-from, 1, fieldHit{len(f.fields) + i})
		x += 2
	}
}

func (f *form) Hints() []key {
	return []key{{on: "tab", label: "next field"}, {on: "enter", label: "next, then does it"}, {on: "esc", label: "cancels"}, {on: "ctrl+y", label: "copies the command"}}
}

// fieldHit is a press on a field or a button of a form.
type fieldHit struct{ i int }
