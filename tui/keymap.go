package tui

import (
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// key is what one or a few key presses do: the footer, the help and the robot
// that tests them all read it from here.
type key struct {
	on    string                     // presses, apart by spaces; "space" is the space bar
	show  string                     // how it is written; empty: as on
	label string                     // in the footer; empty: only in the help
	help  string                     // a sentence in the help; empty: the label
	acts  bool                       // changes something: viewers do not see it
	do    func(press string) tea.Cmd // inside Update
}

func (k key) written() string {
	if k.show != "" {
		return k.show
	}
	return k.on
}

func (k key) is(press string) bool {
	for on := range strings.FieldsSeq(k.on) {
		if on == press {
			return true
		}
	}
	return false
}

// globals are the keys that mean the same everywhere.
func (m *Model) globals() []key {
	all := []key{
		{on: "!", label: "attention", help: "what needs you", do: func(string) tea.Cmd { return m.showAttention() }},
		{on: "S", label: m.modeLabel(), help: "go live, or back to shadow", acts: true, do: func(string) tea.Cmd { return m.askMode("") }},
		{on: "1 2 3 4 5 6 7 8 9", show: "1-" + string(rune('0'+len(m.screens))), help: "a view", do: m.digit},
		{on: "tab", help: "the next view; shift+tab the one before", do: func(string) tea.Cmd { return m.turn(1) }},
		{on: "shift+tab", do: func(string) tea.Cmd { return m.turn(-1) }},
		{on: "/", help: "filter the calls", do: func(string) tea.Cmd {
			cmd := m.show(m.view("Calls"))
			return tea.Batch(cmd, m.hit("/"))
		}},
		{on: "u", help: "undo the last thing that can be undone", acts: true, do: func(string) tea.Cmd { return m.undo() }},
		{on: "Y", help: "show the text that y copies, bare, to select by hand", do: func(string) tea.Cmd { return m.showBare() }},
		{on: "%", help: "free the mouse, to select text; again to take it back", do: func(string) tea.Cmd { return m.freeMouse() }},
		{on: "ctrl+l", help: "draw everything again", do: func(string) tea.Cmd { return tea.ClearScreen }},
		{on: "ctrl+z", help: "suspend; fg comes back", do: func(string) tea.Cmd { return m.suspend() }},
		{on: ":", label: "command", help: "a command, with tab and history", do: func(string) tea.Cmd { return m.openCommand("") }},
		{on: "?", label: "help", help: "this help", do: func(string) tea.Cmd { return m.showHelp() }},
		{on: "q", label: "quit", help: "leave", do: func(string) tea.Cmd { return m.leave() }},
		{on: "ctrl+c", do: func(string) tea.Cmd { return m.leave() }},
	}
	return all
}

// suspend gives the terminal back to the shell. With the gateway inside it
// would stop that too, so it asks for a second press.
func (m *Model) suspend() tea.Cmd {
	now := m.now()
	if m.opt.Inside && now.Sub(m.wanted) > 5*time.Second {
		m.wanted = now
		m.warn("This would stop the gateway too. ctrl+z again does it; q d closes only this.")
		return nil
	}
	m.wanted = time.Time{}
	return tea.Suspend
}

// press does what a key means where the person is.
func (m *Model) press(k tea.KeyPressMsg) tea.Cmd {
	if m.flash.stays {
		m.flash = flash{}
	}
	press := k.String()
	if press == " " {
		press = "space"
	}
	if len(m.dialogs) > 0 {
		return m.pressDialog(press, k.Text)
	}
	if m.bar != nil {
		return m.bar.press(press, k.Text)
	}
	return m.hit(press)
}

// hit finds the binding of a press: the view's own first.
func (m *Model) hit(press string) tea.Cmd {
	for _, list := range [][]key{m.screens[m.at].Keys(), m.globals()} {
		for _, k := range list {
			if !k.is(press) || k.do == nil {
				continue
			}
			if k.acts && m.feed.viewer() {
				m.warn("You look on as a viewer; this needs an admin key.")
				return nil
			}
			return k.do(press)
		}
	}
	return nil
}

func (m *Model) paste(text string) tea.Cmd {
	if len(m.dialogs) > 0 {
		return m.pressDialog("paste", text)
	}
	if m.bar != nil {
		return m.bar.press("paste", text)
	}
	return nil
}

func (m *Model) digit(press string) tea.Cmd {
	return m.show(int(press[0] - '1'))
}

func (m *Model) turn(by int) tea.Cmd {
	n := len(m.screens)
	return m.show(((m.at+by)%n + n) % n)
}

// shownMsg tells a screen that it is the one that is seen now.
type shownMsg struct{}

// show turns to a view.
func (m *Model) show(i int) tea.Cmd {
	if i < 0 || i >= len(m.screens) {
		return nil
	}
	m.at = i
	return m.screens[i].Update(shownMsg{})
}

// tab is the digit that shows a view.
func (m *Model) tab(name string) string { return strconv.Itoa(m.view(name) + 1) }

// view finds a screen by its name.
func (m *Model) view(name string) int {
	for i, s := range m.screens {
		if strings.EqualFold(s.Name(), name) {
			return i
		}
	}
	return -1
}
