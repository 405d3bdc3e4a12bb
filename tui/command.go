package tui

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"paygate/pricing/spelling"
	"paygate/server/api"
)

// livePath is the live stream with a window and a filter.
func livePath(window int, filter string) string {
	q := url.Values{"window": {strconv.Itoa(window)}}
	if filter != "" {
		q.Set("filter", filter)
	}
	return "/admin/live?" + q.Encode()
}

// verb is a command that can be typed after a colon.
type verb struct {
	words string // how it begins, such as "keys suspend"
	args  string // for people
	takes string // what its first argument names: key, tool, server
	acts  bool
	do    func(args []string) tea.Cmd
}

// verbs are the command line's own commands; old and short forms beside them.
func (m *Model) verbs() []verb {
	k := m.screens[m.view("Keys")].(*keys)
	p := m.screens[m.view("Prices")].(*prices)
	s := m.screens[m.view("Servers")].(*servers)
	l := m.screens[m.view("Ledger")].(*ledger)
	lb := m.screens[m.view("Lab")].(*laboratory)
	lab := lb.named
	onKey := func(do func([]api.KeyRow) tea.Cmd) func([]string) tea.Cmd {
		return func(args []string) tea.Cmd {
			if len(args) == 0 {
				m.warn("Which key? Say its name or id.")
				return nil
			}
			return m.findKey(args[0], func(r api.KeyRow) tea.Cmd { return do([]api.KeyRow{r}) })
		}
	}
	topUp := func(args []string) tea.Cmd {
		amount := ""
		if len(args) > 1 {
			amount = args[1]
		}
		return onKey(func(t []api.KeyRow) tea.Cmd { return k.topUpBy(t, amount) })(args)
	}
	prefix := s.byName
	return []verb{
		{"keys create", "NAME", "", true, func(a []string) tea.Cmd { return k.create(strings.Join(a, " ")) }},
		{"keys show", "KEY", "key", false, onKey(func(t []api.KeyRow) tea.Cmd {
			return tea.Batch(m.show(m.view("Keys")), k.openKey(t[0]))
		})},
		{"keys suspend", "KEY", "key", true, onKey(k.suspend)}, {"keys resume", "KEY", "key", true, onKey(k.suspend)},
		{"keys limit", "KEY", "key", true, onKey(k.limits)}, {"keys tools", "KEY", "key", true, onKey(k.access)}, {"keys tag", "KEY", "key", true, onKey(k.tags)},
		{"keys plan", "KEY", "key", true, onKey(k.standing)},
		{"keys rotate", "KEY", "key", true, onKey(k.rotate)}, {"keys revoke", "KEY", "key", true, onKey(k.revoke)},
		{"key topup", "KEY N", "key", true, topUp}, {"credits add", "KEY N", "key", true, topUp},
		{"prices set", "TOOL N", "tool", true, p.set},
		{"servers add", "", "", true, func([]string) tea.Cmd { return s.add() }},
		{"servers restart", "SERVER", "server", true, prefix(s.restart)}, {"servers drain", "SERVER", "server", true, prefix(s.drain)},
		{"shadow start", "NAME", "candidate", true, lab(lb.startStop)}, {"shadow stop", "NAME", "candidate", true, lab(lb.startStop)},
		{"shadow drop", "NAME", "candidate", true, lab(lb.discard)}, {"shadow validate", "NAME", "candidate", true, lab(lb.keep)},
		{"shadow promote", "NAME", "candidate", true, lab(lb.promote)}, {"shadow what-if", "NAME", "candidate", false, lab(lb.bracketing)},
		{"shadow rollback", "", "", true, func([]string) tea.Cmd { return lb.rollBack() }},
		{"mode live", "", "", true, func([]string) tea.Cmd { return m.askMode("live") }}, {"mode shadow", "", "", true, func([]string) tea.Cmd { return m.askMode("shadow") }},
		{"ledger verify", "", "", true, func([]string) tea.Cmd { return l.verify() }},
		{"go", "req_…", "", false, func(a []string) tea.Cmd { return m.goTo(strings.Join(a, "")) }},
		{"set theme", "dark | light", "", false, func(a []string) tea.Cmd { return m.set("theme", a) }},
		{"set rate", "250ms", "", false, func(a []string) tea.Cmd { return m.set("rate", a) }},
		{"set mouse", "on | off", "", false, func(a []string) tea.Cmd { return m.set("mouse", a) }},
		{"audit", "", "", false, func([]string) tea.Cmd {
			cmd := m.show(m.view("Ledger"))
			if !l.audit {
				return tea.Batch(cmd, m.hit("a"))
			}
			return cmd
		}},
		{"help", "", "", false, func([]string) tea.Cmd { return m.showHelp() }}, {"quit", "", "", false, func([]string) tea.Cmd { return m.leave() }},
	}
}

// byName finds the server that a command names.
func (s *servers) byName(do func(prefix string) tea.Cmd) func([]string) tea.Cmd {
	return func(args []string) tea.Cmd {
		name := strings.Join(args, "")
		for _, r := range s.rows() {
			if serverName(r.Prefix) == name || r.Prefix == name {
				return do(r.Prefix)
			}
		}
		s.m.warn("No server is called %q.", name)
		return nil
	}
}

// command does what was typed: a view with a filter, or a verb.
func (m *Model) command(text string) tea.Cmd {
	text = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), "paygate "))
	if text == "" {
		return nil
	}
	for _, v := range m.verbs() {
		rest, ok := strings.CutPrefix(text+" ", v.words+" ")
		if !ok {
			rest, ok = strings.CutPrefix(text+" ", strings.Replace(v.words, "keys ", "key ", 1)+" ")
		}
		if !ok {
			continue
		}
		if v.acts && m.feed.viewer() {
			m.warn("You look on as a viewer; this needs an admin key.")
			return nil
		}
		return v.do(unquote(shellWords(rest)))
	}
	first, rest, _ := strings.Cut(text, " ")
	if i := m.view(first); i >= 0 {
		return m.viewWith(i, strings.TrimSpace(rest))
	}
	m.warn("There is no command %q; did you mean %s?", first, m.nearest(first))
	return nil
}

func unquote(words []string) []string {
	for i, w := range words {
		if n := len(w); n > 1 && (w[0] == '"' || w[0] == '\'') && w[n-1] == w[0] {
			words[i] = w[1 : n-1]
		}
	}
	return words
}

// viewWith shows a view with a filter.
func (m *Model) viewWith(i int, filter string) tea.Cmd {
	cmd := m.show(i)
	switch s := m.screens[i].(type) {
	case *calls:
		if filter == "" {
			break
		}
		more, err := s.set(filter)
		if err != nil {
			m.warn("%s", err)
			break
		}
		s.open = false
		return more
	case *keys:
		if filter != "" {
			s.one = nil
			return tea.Batch(cmd, s.searchFor(filter))
		}
	case *prices:
		s.filter = filter
		s.list.n = len(s.rows())
		s.list.to(0)
	case *ledger:
		if filter != "" {
			return tea.Batch(cmd, s.narrow(filter))
		}
	case *logs:
		s.filter = filter
	}
	return cmd
}

// goTo shows the thing with this id.
func (m *Model) goTo(id string) tea.Cmd {
	switch {
	case id == "":
		m.warn("Where to? A call is req_…, a key is key_….")
		return nil
	case strings.HasPrefix(id, "key_"):
		return m.jump("Keys", id)
	}
	return m.jump("Calls", id)
}

// set changes an option of the dashboard for as long as it runs.
func (m *Model) set(what string, args []string) tea.Cmd {
	value := strings.Join(args, " ")
	switch what {
	case "theme":
		if value != "dark" && value != "light" {
			m.warn("The theme is dark or light.")
			return nil
		}
		m.look.wanted = value
		m.restyle()
	case "rate":
		d, err := time.ParseDuration(value)
		if err != nil || d < 50*time.Millisecond || d > 10*time.Second {
			m.warn("The rate is a time from 50ms to 10s, such as 1s.")
			return nil
		}
		m.rate = d
	case "mouse":
		m.mouseFree = value == "off"
	}
	m.say("%s is %s", what, value)
	return nil
}

// openCommand opens the command line.
func (m *Model) openCommand(text string) tea.Cmd {
	m.openBar(&bar{kind: "command", prompt: ":", complete: m.completeCommand, enter: m.command, want: m.names}, text)
	return nil
}

// completeCommand offers whole command lines.
func (m *Model) completeCommand(text string) []string {
	if text == "" {
		return nil
	}
	var out []string
	offer := func(s string) {
		if strings.HasPrefix(s, text) && s != text {
			out = append(out, s)
		}
	}
	for _, s := range m.screens {
		offer(strings.ToLower(s.Name()))
	}
	for _, v := range m.verbs() {
		if v.acts && m.feed.viewer() {
			continue
		}
		offer(v.words)
		if start := v.words + " "; v.takes != "" && strings.HasPrefix(text, start) {
			for _, n := range m.candidates(v.takes, text[len(start):]) {
				offer(start + n)
			}
		}
	}
	return out
}

func (m *Model) candidates(takes, begun string) []string {
	var out []string
	switch takes {
	case "key":
		if len(begun) >= 2 {
			for _, n := range m.past["names"] {
				out = append(out, quote(n))
			}
		}
	case "tool":
		out = m.toolNames()
	case "candidate":
		for _, c := range m.screens[m.view("Lab")].(*laboratory).cols {
			if c.state != unkept && c.name != "live" {
				out = append(out, c.name)
			}
		}
	case "server":
		for _, s := range m.feed.frame().Servers {
			out = append(out, serverName(s.Prefix))
		}
	}
	return out
}

// names asks for the keys whose names begin like the last word: after two
// letters, so that 100,000 keys need not be here.
func (m *Model) names(text string) tea.Cmd {
	i := strings.LastIndexByte(text, ' ')
	if i < 0 || len(text)-i-1 < 2 || !(strings.HasPrefix(text, "key") || strings.HasPrefix(text, "credits")) {
		return nil
	}
	word := text[i+1:]
	return ask(m, "GET", "/keys?limit=20&offset=0&sortBy=name&search="+url.QueryEscape(word), nil, func(p api.KeyPage, err error) tea.Cmd {
		if err != nil {
			return nil
		}
		var names []string
		for _, r := range p.Keys {
			names = append(names, r.Name)
		}
		m.past["names"] = names
		if b := m.bar; b != nil && b.kind == "command" && b.offer < 0 {
			b.changed()
		}
		return nil
	})
}

// nearest is the command that a typo most likely meant.
func (m *Model) nearest(word string) string {
	var all []string
	for _, s := range m.screens {
		all = append(all, strings.ToLower(s.Name()))
	}
	for _, v := range m.verbs() {
		all = append(all, strings.Fields(v.words)[0])
	}
	best, least := all[0], 1<<30
	for _, c := range all {
		if d := spelling.Distance(strings.ToLower(word), c); d < least {
			best, least = c, d
		}
	}
	return best
}

// set stages a price by command: prices set TOOL N.
func (p *prices) set(args []string) tea.Cmd {
	if len(args) < 2 {
		p.m.warn("Say which tool and how much: prices set search:web_search 7")
		return nil
	}
	n, err := price(args[1])
	if err != nil {
		p.m.warn("price: %s", err)
		return nil
	}
	return tea.Batch(p.m.show(p.m.view("Prices")), ask(p.m, "GET", "/admin/prices", nil, func(got api.Prices, err error) tea.Cmd {
		if err != nil {
			p.m.warn("%s", err)
			return nil
		}
		p.sheet, p.known = got, true
		for i, r := range p.rows() {
			if r.Tool == args[0] {
				p.list.to(i)
				return p.stage(&r, 0, n)
			}
		}
		p.m.warn("No tool is called %s.", args[0])
		return nil
	}))
}
