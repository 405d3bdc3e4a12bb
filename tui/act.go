package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"paygate/tui/paint"
)

// undo is how to take something back.
type undo struct {
	what string
	do   func() tea.Cmd
}

// act is a change that a person asks for.
type act struct {
	method, path string
	in           any
	done         string         // what has happened, in past tense
	cli          string         // the command line that does the same
	undo         *undo          // nil: it cannot be taken back
	after        func() tea.Cmd // to see the change
}

// perform sends a change and says how it ended, where it ended.
func (m *Model) perform(a act) tea.Cmd {
	method := a.method
	if method == "" {
		method = "POST"
	}
	return ask(m, method, a.path, a.in, func(_ struct{}, err error) tea.Cmd {
		if err != nil {
			m.warn("%s", err)
			return nil
		}
		m.did(a)
		if a.after != nil {
			return a.after()
		}
		return nil
	})
}

// did says and remembers what happened.
func (m *Model) did(a act) {
	tail := ""
	if a.undo != nil {
		m.undos = append(m.undos, *a.undo)
		m.undos = m.undos[max(len(m.undos)-50, 0):]
		tail = "  u undoes"
	}
	if a.cli != "" {
		m.done = append(m.done, a.cli)
		m.done = m.done[max(len(m.done)-100, 0):]
		tail += "  = " + a.cli
	}
	m.say("%s%s", a.done, tail)
}

func (m *Model) undo() tea.Cmd {
	if len(m.undos) == 0 {
		m.flash = flash{text: "Nothing to undo.", tone: paint.Muted, until: m.now().Add(flashTime)}
		return nil
	}
	last := m.undos[len(m.undos)-1]
	m.undos = m.undos[:len(m.undos)-1]
	return last.do()
}

// copy puts text on the clipboard through the terminal. The terminal may
// swallow it, so Y shows it bare.
func (m *Model) copy(what, name string) tea.Cmd {
	if what == "" {
		return nil
	}
	m.past["copied"] = []string{what}
	if name == "" {
		name = what
	}
	m.say("copied %s  Y shows it to select by hand", paint.Cut(paint.Clean(name), 48))
	return tea.SetClipboard(what)
}

func (m *Model) showBare() tea.Cmd {
	copied := m.past["copied"]
	if len(copied) == 0 {
		m.flash = flash{text: "Nothing was copied yet; y copies.", tone: paint.Muted, until: m.now().Add(flashTime)}
		return nil
	}
	m.mouseFree = true
	return m.open(&page{m: m, title: "Copied last  (the mouse is free to select; % takes it back)", lines: text(bare(copied[0], m.w-10)...), copy: copied[0]})
}

func (m *Model) freeMouse() tea.Cmd {
	m.mouseFree = !m.mouseFree
	if m.mouseFree {
		m.say("the mouse selects text; %% takes it back")
	} else {
		m.say("the mouse presses and scrolls again")
	}
	return nil
}

// quote writes an argument as a shell wants it.
func quote(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@,+%", r))
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// bare breaks text into lines of at most w cells without changing it, to be
// selected by hand.
func bare(s string, w int) []string {
	var out []string
	for _, l := range strings.Split(s, "\n") {
		for w > 10 && paint.Width(l) > w {
			part := strings.TrimSuffix(paint.Cut(l, w+1), "…")
			out, l = append(out, part), l[len(part):]
		}
		out = append(out, l)
	}
	return out
}
