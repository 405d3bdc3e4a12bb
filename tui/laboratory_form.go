package tui

import (
	"fmt"
	"maps"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"paygate/pricing"
	"paygate/shadow"
	"paygate/tui/lab"
)

// freeName is a name that no column has.
func (l *laboratory) freeName(stem string) string {
	taken := map[string]bool{}
	for _, c := range l.cols {
		taken[c.name] = true
	}
	if !taken[stem] {
		return stem
	}
	for i := 2; ; i++ {
		if name := stem + "-" + strconv.Itoa(i); !taken[name] {
			return name
		}
	}
}

// nameHint judges the name of a new candidate; what has not started may be
// replaced.
func (l *laboratory) nameHint(v string) (string, error) { return l.nameOf(nil, v) }

func (l *laboratory) nameOf(own *column, v string) (string, error) {
	switch {
	case v == "":
		return "letters, digits, - _ .", fmt.Errorf("it needs a name")
	case v == "live":
		return "", fmt.Errorf("live is what is charged")
	}
	for i, r := range v {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && (i == 0 || r != '-' && r != '_' && r != '.') || len(v) > 64 {
			return "", fmt.Errorf("up to 64 letters, digits, - _ .")
		}
	}
	for _, c := range l.cols {
		if c.name == v && c == own && c.unstarted() {
			return "replaces what is kept", nil
		}
		if c.name == v && c.state != unkept {
			return "", fmt.Errorf("there is one of this name")
		}
	}
	return "letters, digits, - _ .", nil
}

// create copies the sheet under the cursor into a column that is only
// here until it is kept.
func (l *laboratory) create() tea.Cmd {
	from := l.at()
	if from == nil {
		return nil
	}
	if from.faults != nil {
		l.editable() // says what to do
		return nil
	}
	name := &field{name: "Name", hint: l.nameHint}
	name.line.Set(l.freeName("candidate"))
	times := &field{name: "Prices", hint: func(v string) (string, error) {
		_, err := factor(v)
		return "all times this: 1, 1.2, 80%", err
	}}
	times.line.Set("1")
	f := &form{m: l.m, title: "New candidate", note: "a copy of " + from.name + ", to change and try", fields: []*field{name, times}, button: "Copy"}
	f.cli = func(v []string) string {
		return "paygate shadow new " + quote(or(v[0], "NAME")) + " --sheet FILE"
	}
	f.submit = func(v []string) tea.Cmd {
		f.close()
		by, err := factor(v[1])
		if err != nil {
			return nil // its field has said so
		}
		c := &column{name: v[0], base: from.base, state: unkept, rules: from.rules, prices: from.prices, set: maps.Clone(from.set), stale: true}
		if c.set == nil {
			c.set = map[string]lab.Price{}
		}
		if by != pricing.One {
			for tool := range c.prices {
				_, shown := from.price(tool)
				if p := shown.Times(by); p != c.prices[tool] {
					c.set[tool] = p
				}
			}
		}
		l.cols = append(l.cols, c)
		l.col, l.key = len(l.cols)-1, ""
		l.list.to(0)
		l.touched = l.m.now()
		return l.sums(nil)
	}
	return l.m.open(f)
}

// factor reads by how much prices are multiplied.
func factor(text string) (pricing.Decimal, error) {
	d, err := pricing.ParseDecimal(text)
	if err != nil || d > 1000*pricing.One {
		return 0, fmt.Errorf("0 to 1,000, such as 1.2, 80%%")
	}
	return d, nil
}

// keep makes a candidate of what is changed. A sheet that was started never
// changes, so it gets a name of its own.
func (l *laboratory) keep() tea.Cmd {
	c := l.at()
	switch {
	case c == nil || l.col == 0:
		l.m.warn("The live prices are kept already: n copies them into a candidate.")
		return nil
	case c.faults != nil:
		l.editable() // says what to do
		return nil
	case c.state == shadow.IsDraft && len(c.set) == 0:
		return l.m.perform(act{path: "/admin/shadow/validate", in: map[string]string{"name": c.name}, done: c.name + " is a candidate", cli: "paygate shadow validate " + quote(c.name), after: l.fetch})
	case c.state != unkept && len(c.set) == 0:
		l.m.say("%s is kept as it stands; + − changes a price", c.name)
		return nil
	}
	name := &field{name: "Name", hint: func(v string) (string, error) { return l.nameOf(c, v) }}
	name.line.Set(c.name)
	if c.state != unkept && !c.unstarted() {
		name.line.Set(l.freeName(c.name + "-2"))
	}
	start := choice("Shadow", "agents notice nothing", "from now on", "not yet")
	note := plural(len(c.set), "price") + " other than " + c.base
	f := &form{m: l.m, title: "Keep as a candidate", note: note, fields: []*field{name, start}, button: "Keep"}
	f.cli = func(v []string) string {
		s := "paygate shadow new " + quote(or(v[0], "NAME")) + " --sheet FILE"
		if v[1] == start.choices[0] {
			s += " && paygate shadow start " + quote(or(v[0], "NAME"))
		}
		return s
	}
	f.submit = func(v []string) tea.Cmd {
		in := map[string]any{"name": v[0], "from": c.variant().Name, "set": c.variant().Set}
		return ask(l.m, "POST", "/admin/shadow", in, func(_ struct{}, err error) tea.Cmd {
			if err != nil {
				f.refused(err)
				return nil
			}
			f.close()
			l.kept(c, v[0])
			if v[1] != start.choices[0] {
				l.m.did(act{done: v[0] + " is kept", cli: f.cli(v)})
				return l.fetch()
			}
			return l.m.perform(act{path: "/admin/shadow/start", in: map[string]string{"name": v[0]}, done: v[0] + " shadows every call from now on", cli: f.cli(v), after: l.fetch})
		})
	}
	return l.m.open(f)
}

// kept lets a column go on under its name: one that was only here becomes it, a changed one
// is again what it was.
func (l *laboratory) kept(c *column, name string) {
	fresh := &column{name: name, base: name, state: shadow.Validated, prices: map[string]lab.Price{}, set: map[string]lab.Price{}, report: c.report, stale: c.stale, sum: c.sum}
	for tool := range c.prices {
		_, fresh.prices[tool] = c.price(tool)
	}
	if c.state == unkept || c.name == name {
		*c = *fresh
		return
	}
	c.set, c.stale = map[string]lab.Price{}, true
	l.cols = append(l.cols, fresh)
	l.col = len(l.cols) - 1
}

// discard forgets what is changed, or a column with nothing changed that never
// started.
func (l *laboratory) discard() tea.Cmd {
	c := l.at()
	switch {
	case c == nil || l.col == 0:
		return nil
	case len(c.set) > 0:
		old := c.set
		c.set, c.stale, c.sum = map[string]lab.Price{}, true, nil
		l.touched = l.m.now()
		l.m.undos = append(l.m.undos, undo{"prices", func() tea.Cmd {
			c.set, c.stale, l.touched = old, true, l.m.now()
			return l.sums(nil)
		}})
		l.m.say("%s is as it was  u undoes", c.name)
		return l.sums(nil)
	case c.state == unkept:
		l.cols = append(l.cols[:l.col:l.col], l.cols[l.col+1:]...)
		l.col = min(l.col, len(l.cols)-1)
		return nil
	}
	if c.unstarted() {
		drop := act{path: "/admin/shadow/drop", in: map[string]string{"name": c.name}, done: c.name + " is dropped", cli: "paygate shadow drop " + quote(c.name), after: l.fetch}
		return l.m.open(&question{title: "Drop " + c.name + "?", lines: []string{"It never started, so there is no report. Its prices are forgotten."}, cli: drop.cli, yes: func() tea.Cmd { return l.m.perform(drop) }})
	}
	l.m.say("nothing is changed here")
	return nil
}

// startStop shadows a candidate, or ends it.
func (l *laboratory) startStop() tea.Cmd {
	c := l.at()
	if c != nil && c.state == shadow.IsDraft && c.faults == nil {
		l.m.warn("%s is a draft: w makes a candidate of it, which can be shadowed.", c.name)
		return nil
	}
	if c != nil && c.faults != nil {
		l.editable() // says what to do
		return nil
	}
	if c == nil || l.shadowLabel() == "" {
		l.m.warn("Only a candidate that is kept can be shadowed: n makes one, w keeps it.")
		return nil
	}
	in := map[string]string{"name": c.name}
	if c.state == shadow.Validated {
		return l.m.perform(act{path: "/admin/shadow/start", in: in, done: c.name + " shadows every call from now on", cli: "paygate shadow start " + quote(c.name), after: l.fetch})
	}
	if c.state == shadow.Scheduled {
		return l.m.perform(act{path: "/admin/shadow/cancel", in: in, done: c.name + " does not go live by itself any more", cli: "paygate shadow cancel " + quote(c.name), after: l.fetch})
	}
	stop := act{path: "/admin/shadow/stop", in: in, done: c.name + " is ended; its report stays", cli: "paygate shadow stop " + quote(c.name), after: l.fetch}
	return l.m.open(&question{title: "End the shadow of " + c.name + "?", lines: []string{"Its report stays. It cannot go on from where it ends: a new one begins anew."}, cli: stop.cli, yes: func() tea.Cmd { return l.m.perform(stop) }})
}
