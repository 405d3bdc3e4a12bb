package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"paygate/shadow"
	"paygate/tui/lab"
	"paygate/tui/paint"
)

func (l *laboratory) Keys() []key {
	if l.state != nil {
		return l.state.keys(l)
	}
	step := func(by int64) func(string) tea.Cmd {
		return func(string) tea.Cmd { return l.stage(func(p lab.Price) lab.Price { return p.Step(by) }) }
	}
	onKey := l.key != ""
	keys := []key{{on: "h l left right", show: "← →", label: "sheet", help: "the sheet beside", do: l.across}}
	if onKey {
		keys = append(keys, key{on: "enter", label: "statement", help: "what this key would have paid, call by call", do: func(string) tea.Cmd { return l.openKey() }})
	} else {
		keys = append(keys, key{on: "+ =", show: "+ -", label: "price", help: "1 more; sums that ignore limits follow at once, marked ≈", acts: true, do: step(1)},
			key{on: "- _", show: "-", help: "1 less", acts: true, do: step(-1)},
			key{on: "enter", label: "edit", help: "type a price: 5, 0.25, 4+1/KB, 4+1/KB in", acts: true, do: func(string) tea.Cmd { return l.begin("") }})
	}
	keys = append(keys,
		key{on: "n", label: "new", help: "copy the sheet under the cursor into a new candidate", acts: true, do: func(string) tea.Cmd { return l.create() }},
		key{on: "w", label: l.keepLabel(), help: "keep changed prices as a candidate", acts: true, do: func(string) tea.Cmd { return l.keep() }},
		key{on: "P", label: "promote", help: "make a candidate's prices live, if its guardrails hold", acts: true, do: func(string) tea.Cmd { return l.promote() }},
		key{on: "v", label: "chart", help: "the next chart; V the one before", do: func(string) tea.Cmd { return l.turn(1) }},
		key{on: "V", do: func(string) tea.Cmd { return l.turn(-1) }},
		key{on: "z", label: "zoom", help: "the chart over the whole view, and back", do: func(string) tea.Cmd { l.zoom = !l.zoom; return nil }},
		key{on: "t", label: "window", help: "how far back: 14 days, 24 hours, an hour, 90 days", do: func(string) tea.Cmd { return l.widen() }},
		key{on: "s", label: l.shadowLabel(), help: "shadow a candidate from now on, or end that", acts: true, do: func(string) tea.Cmd { return l.startStop() }},
		key{on: "R", label: "roll back", help: "make the prices before live again, and refund each key to the credit", acts: true, do: func(string) tea.Cmd { return l.rollBack() }},
		key{on: "f", label: "bracket", help: "what it collects under each way in which refused callers may react", do: func(string) tea.Cmd { return l.bracketing() }},
		key{on: "x", help: "discard changes, or drop what never started", acts: true, do: func(string) tea.Cmd { return l.discard() }},
		key{on: "y", help: "copy the command that shows this report", do: func(string) tea.Cmd { return l.copyCommand() }},
		key{on: "r", help: "re-enact again up to now", do: func(string) tea.Cmd { l.renew(); return l.sums(l.reenact) }},
		key{on: "esc", help: "back to the prices", do: func(string) tea.Cmd { l.key, l.zoom = "", false; return nil }},
		key{on: moveKeys, show: "j k g G", help: "move over the prices and on to the keys in the charts", do: l.move},
	)
	return keys
}

func (l *laboratory) keepLabel() string {
	if c := l.at(); c != nil && (len(c.set) > 0 || c.state == unkept || c.state == shadow.IsDraft && c.faults == nil) {
		return "keep"
	}
	return ""
}

// across goes to the sheet beside.
func (l *laboratory) across(press string) tea.Cmd {
	by := 1
	if press == "h" || press == "left" {
		by = -1
	}
	l.col = min(max(l.col+by, 0), max(len(l.cols)-1, 0))
	l.key = ""
	return nil
}

// find lists the keys of the charts that are shown, as they stand now.
func (l *laboratory) find() {
	if w, h := l.m.w, l.m.h-4; h > 0 {
		l.Draw(paint.New(w, h, l.m.theme).All())
	}
}

// move goes over the prices, and below them over the keys of the charts.
func (l *laboratory) move(press string) tea.Cmd {
	l.find()
	at := -1
	for i, k := range l.keys {
		if l.key == k.Plot+" "+k.ID {
			at = i
		}
	}
	down := press == "j" || press == "down"
	switch {
	case at < 0 && l.key != "":
		l.key = "" // it is not on the screen any more
	case at < 0 && down && l.list.cur >= len(l.tools)-1 && len(l.keys) > 0:
		at = 0
	case at < 0:
		l.list.move(press)
		return nil
	case down:
		at = min(at+1, len(l.keys)-1)
	case press == "k" || press == "up":
		at--
	case press == "G" || press == "end":
		at = len(l.keys) - 1
	default:
		at = -1
		l.list.move(press)
	}
	l.key = ""
	if at >= 0 {
		l.key = l.keys[at].Plot + " " + l.keys[at].ID
	}
	return nil
}

func (l *laboratory) turn(by int) tea.Cmd {
	n := len(l.plots())
	l.plot = (l.plot + by + n) % n
	l.key = ""
	return nil
}

func (l *laboratory) widen() tea.Cmd {
	l.window = (l.window + 1) % len(windows())
	l.renew()
	for _, c := range l.cols {
		c.sum, c.stale = nil, true
	}
	return l.sums(l.reenact)
}

// begin edits the cell under the cursor in place.
func (l *laboratory) begin(first string) tea.Cmd {
	c, tool, ok := l.editable()
	if !ok {
		return nil
	}
	_, shown := c.price(tool)
	b := &bar{kind: "lab price", prompt: c.name + "  " + toolWord(tool) + "  ", whole: true, literal: true,
		change: func(text string) (int, error) { _, err := lab.ParsePrice(text); return 0, err },
		enter: func(text string) tea.Cmd {
			l.edit = nil
			p, err := lab.ParsePrice(text)
			if err != nil {
				return nil // the bar does not accept it
			}
			return l.stage(func(lab.Price) lab.Price { return p })
		},
		esc: func() tea.Cmd { l.edit = nil; return nil }}
	b.nudge = func(by int64) {
		if p, err := lab.ParsePrice(b.line.String()); err == nil {
			b.line.Set(p.Step(by).String())
			b.changed()
		}
	}
	text := first
	if text == "" {
		text = strings.Replace(shown.String(), "free", "0", 1)
	}
	l.m.openBar(b, text)
	l.edit = &b.line
	return nil
}

func toolWord(tool string) string {
	if tool == "*" {
		return "any other tool"
	}
	return tool
}

func (l *laboratory) copyCommand() tea.Cmd {
	c := l.at()
	if c == nil || l.col == 0 || c.state == unkept {
		return l.m.copy("paygate shadow status", "")
	}
	return l.m.copy("paygate shadow report "+quote(c.name), "")
}

// named does something to the candidate that a command names.
func (l *laboratory) named(do func() tea.Cmd) func([]string) tea.Cmd {
	return func(args []string) tea.Cmd {
		name := strings.Join(args, " ")
		for i, c := range l.cols {
			if c.name == name && i > 0 {
				l.col, l.key = i, ""
				return tea.Batch(l.m.show(l.m.view("Lab")), do())
			}
		}
		l.m.warn("No candidate is called %q; the Lab, %s, shows them.", name, l.m.tab("Lab"))
		return nil
	}
}
