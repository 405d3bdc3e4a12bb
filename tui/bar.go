package tui

import (
	tea "charm.land/bubbletea/v2"

	"paygate/tui/edit"
	"paygate/tui/paint"
)

// bar is the line at the bottom in which a command, a filter or a search is
// typed.
type bar struct {
	m       *Model
	kind    string // "command", or the view whose filter it is
	prompt  string
	line    edit.Line
	past    int // how far back in what was typed before
	started string

	change   func(text string) (at int, err error) // as it is typed; a mistake has a place
	complete func(text string) []string            // whole lines that could be meant
	live     func(text string) tea.Cmd             // acts while it is typed
	want     func(text string) tea.Cmd             // fetches what could complete it
	enter    func(text string) tea.Cmd
	esc      func() tea.Cmd
	nudge    func(by int64) // a number: the arrows change it
	literal  bool           // + and - are typed, whatever nudge does
	whole    bool           // the first thing typed replaces what is there
	mistake  error
	mistaken int
	offers   []string
	offer    int // -1: none taken yet
}

func (m *Model) openBar(b *bar, text string) {
	b.m = m
	b.offer = -1
	b.past = len(m.past[b.kind])
	b.line.Set(text)
	b.started = text
	m.bar = b
	b.changed()
}

func (b *bar) changed() {
	b.mistake, b.mistaken = nil, 0
	if b.change != nil {
		b.mistaken, b.mistake = b.change(b.line.String())
	}
	b.offer, b.offers = -1, nil
	if b.complete != nil {
		b.offers = b.complete(b.line.String())
	}
}

// ghost is what tab or → would add.
func (b *bar) ghost() string {
	text := b.line.String()
	for _, o := range b.offers {
		if len(o) > len(text) && o[:len(text)] == text {
			return o[len(text):]
		}
	}
	return ""
}

// step is how much an arrow changes a number.
func step(press string) int64 {
	switch press {
	case "left", "down", "-":
		return -1
	case "right", "up", "+":
		return 1
	case "shift+left", "shift+down":
		return -10
	case "shift+right", "shift+up":
		return 10
	}
	return 0
}

func (b *bar) press(press, text string) tea.Cmd {
	if by := step(press); by != 0 && b.nudge != nil && !(b.literal && text != "") {
		b.nudge(by)
		return nil
	}
	switch press {
	case "esc", "ctrl+c":
		b.m.bar = nil
		if b.esc != nil {
			return b.esc()
		}
		return nil
	case "enter":
		return b.accept()
	case "tab", "shift+tab":
		b.cycle(press == "tab")
		return nil
	case "up", "ctrl+p":
		b.remember(-1)
		return nil
	case "down", "ctrl+n":
		b.remember(1)
		return nil
	case "backspace":
		if b.line.String() == "" {
			return b.press("esc", "")
		}
	case "right", "ctrl+e", "end":
		if g := b.ghost(); b.line.AtEnd() && g != "" {
			b.line.Insert(g)
			b.changed()
			return nil
		}
	case "space":
		press = " "
	}
	if b.whole && text != "" {
		b.line.Set("")
	}
	b.whole = false
	if b.line.Key(press, text) {
		b.changed()
		if b.live != nil {
			return b.live(b.line.String())
		}
		if b.want != nil {
			return b.want(b.line.String())
		}
	}
	return nil
}

func (b *bar) accept() tea.Cmd {
	text := b.line.String()
	if b.mistake != nil && b.kind != "command" {
		return nil // it stays, marked; esc leaves
	}
	b.m.bar = nil
	past := b.m.past[b.kind]
	if text != "" && (len(past) == 0 || past[len(past)-1] != text) {
		past = append(past, text)
		b.m.past[b.kind] = past[max(len(past)-200, 0):]
	}
	return b.enter(text)
}

func (b *bar) cycle(forward bool) {
	if len(b.offers) == 0 {
		return
	}
	n := len(b.offers)
	switch {
	case forward:
		b.offer = (b.offer + 1) % n
	case b.offer <= 0:
		b.offer = n - 1
	default:
		b.offer--
	}
	offers, at := b.offers, b.offer
	b.line.Set(offers[at])
	b.changed()
	b.offers, b.offer = offers, at
	if n == 1 {
		b.changed() // go on from what was taken
	}
}

func (b *bar) remember(by int) {
	past := b.m.past[b.kind]
	b.past = min(max(b.past+by, 0), len(past))
	if b.past == len(past) {
		b.line.Set("")
	} else {
		b.line.Set(past[b.past])
	}
	b.changed()
}

func (b *bar) draw(a paint.Area) {
	x := a.Text(1, 0, b.prompt, paint.Bold(paint.Accent))
	room := a.W - x - 1
	note := ""
	if b.mistake != nil {
		note = b.mistake.Error()
		room = max(room-min(paint.Width(note)+3, room/2), 8)
	}
	field := a.Sub(x, 0, room, 1)
	b.line.Draw(field, b.ghost(), paint.Style{})
	if b.mistake == nil {
		return
	}
	// The mistake is marked under its character: in place, reversed.
	before := b.line.String()
	if b.mistaken >= 0 && b.mistaken < len(before) && paint.Width(before) < room-2 {
		mark := string([]rune(before[b.mistaken:])[:1])
		field.Text(paint.Width(before[:b.mistaken]), 0, mark, paint.Style{Tone: paint.Bad, Reverse: true})
	}
	a.Text(x+max(min(paint.Width(before)+2, room), 0)+1, 0, note, paint.In(paint.Bad))
}

func (b *bar) hints() []key {
	ks := []key{{on: "enter", label: "does it"}, {on: "esc", label: "leaves"}}
	if b.nudge != nil {
		return append(ks, key{on: "right", show: "← →", label: "by 1, shift by 10"})
	}
	if b.complete != nil {
		ks = append(ks, key{on: "tab", label: "completes"})
	}
	return append(ks, key{on: "up", show: "↑", label: "history"})
}
