package tui

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"paygate/server/api"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// servers is the MCP servers behind the gateway, and what the one under the
// cursor last said on its standard error.
type servers struct {
	m      *Model
	list   list
	stderr map[string][]api.LogLine
	fault  map[string]string
	fresh  time.Time
	of     string // whose stderr was asked for last
}

func newServers(m *Model) *servers {
	s := &servers{m: m, stderr: map[string][]api.LogLine{}, fault: map[string]string{}}
	s.list.ids = func(i int) string { return "/" + s.rows()[i].Prefix }
	return s
}

func (s *servers) Name() string { return "Servers" }

// rows are the servers of the last frame: they are always fresh.
func (s *servers) rows() []api.Server { return s.m.feed.frame().Servers }

func (s *servers) selected() (*api.Server, bool) {
	rows := s.rows()
	if s.list.cur < 0 || s.list.cur >= len(rows) {
		return nil, false
	}
	return &rows[s.list.cur], true
}

func (s *servers) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case frameMsg:
		s.list.sync(len(s.rows()))
		if s.list.cur < 0 {
			s.list.to(0)
		}
	case shownMsg:
		return s.tail()
	case beatMsg:
		if r, ok := s.selected(); ok && (s.m.now().Sub(s.fresh) >= 2*time.Second || s.of != r.Prefix) {
			return s.tail()
		}
	case wheelMsg:
		s.list.to(max(s.list.cur, 0) + msg.by/3)
		return s.tail()
	case rowHit:
		s.list.to(msg.i)
		return s.tail()
	case openMsg:
		s.list.id = "/" + msg.id
		s.list.sync(len(s.rows()))
		return s.tail()
	}
	return nil
}

// tail asks what the server said last.
func (s *servers) tail() tea.Cmd {
	r, ok := s.selected()
	if !ok {
		return nil
	}
	s.fresh, s.of = s.m.now(), r.Prefix
	prefix := r.Prefix
	return ask(s.m, "GET", "/admin/servers/stderr?prefix="+url.QueryEscape(prefix), nil, func(l logLines, err error) tea.Cmd {
		delete(s.fault, prefix)
		if err != nil {
			s.fault[prefix] = err.Error()
			return nil
		}
		s.stderr[prefix] = l.all()
		return nil
	})
}

func (s *servers) restart(prefix string) tea.Cmd {
	cli := strings.TrimSpace("paygate servers restart " + quoteSome(prefix))
	do := act{path: "/admin/servers/restart", in: map[string]string{"prefix": prefix}, done: "restarting " + serverName(prefix), cli: cli, after: s.tail}
	lines := []string{"Calls that are on it end in an error and are not charged."}
	for _, r := range s.rows() {
		if r.Prefix != prefix {
			continue
		}
		if r.State != "ready" {
			return s.m.perform(do) // nothing can be lost
		}
		lines = append(lines, plural(r.InFlight, "call")+" in flight now. d drains it instead.")
	}
	return s.m.open(&question{title: "Restart " + serverName(prefix) + "?", lines: lines, cli: cli, yes: func() tea.Cmd { return s.m.perform(do) }})
}

func (s *servers) drain(prefix string) tea.Cmd {
	return s.m.perform(act{path: "/admin/servers/drain", in: map[string]string{"prefix": prefix}, done: serverName(prefix) + " finishes its calls and takes no new ones",
		cli: strings.TrimSpace("paygate servers drain " + quoteSome(prefix)), after: s.tail,
		undo: &undo{"drain", func() tea.Cmd { return s.restart(prefix) }}})
}

func (s *servers) remove(r *api.Server) tea.Cmd {
	prefix := r.Prefix
	cli := strings.TrimSpace("paygate servers remove " + quoteSome(prefix))
	return s.m.open(&question{title: "Remove " + serverName(prefix) + "?", word: serverName(prefix), cli: cli,
		lines: []string{fmt.Sprintf("Its %s are gone for every caller. Prices and history stay.", plural(r.Tools, "tool"))},
		yes: func() tea.Cmd {
			return s.m.perform(act{method: "DELETE", path: "/admin/servers?prefix=" + url.QueryEscape(prefix), done: "removed " + serverName(prefix), cli: cli})
		}})
}

func quoteSome(s string) string {
	if s == "" {
		return ""
	}
	return quote(s)
}

// add is the form for a new server.
func (s *servers) add() tea.Cmd {
	m := s.m
	prefix := &field{name: "Prefix", hint: func(v string) (string, error) {
		if strings.ContainsAny(v, ": ") {
			return "", fmt.Errorf("without a colon or a space")
		}
		for _, r := range s.rows() {
			if r.Prefix == v && v != "" {
				return "", fmt.Errorf("is taken")
			}
		}
		return "its tools are called prefix:tool", nil
	}}
	target := &field{name: "Server", hint: func(v string) (string, error) {
		switch {
		case v == "":
			return "a command, or http://…", fmt.Errorf("a command line or a URL")
		case isURL(v):
			return "over HTTP", nil
		}
		return "a command, over stdio", nil
	}}
	env := &field{name: "Env", hint: func(v string) (string, error) {
		_, err := pairs(v)
		return "NAME=value; it inherits no secrets", err
	}}
	f := &form{m: m, title: "New server", note: "an MCP server whose tools get a price", fields: []*field{prefix, target, env}, button: "Add"}
	f.cli = func(v []string) string {
		cli := "paygate servers add " + or(quoteSome(v[0]), "PREFIX") + " " + quote(or(v[1], "COMMAND"))
		for _, e := range words(v[2]) {
			name, _, _ := strings.Cut(e, "=")
			cli += " --env " + quote(name+"=$"+name) // a secret is not repeated
		}
		return cli
	}
	f.submit = func(v []string) tea.Cmd {
		spec := api.ServerSpec{Prefix: v[0], Command: v[1]}
		if isURL(v[1]) {
			spec.Command, spec.URL = "", v[1]
		}
		if e, _ := pairs(v[2]); len(e) > 0 {
			spec.Env = e
		}
		return ask(m, "POST", "/admin/servers", spec, func(_ struct{}, err error) tea.Cmd {
			if err != nil {
				f.refused(err)
				return nil
			}
			f.close()
			m.did(act{done: "added " + serverName(v[0]), cli: f.cli(v)})
			return nil
		})
	}
	return m.open(f)
}

func isURL(s string) bool { return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") }

func (s *servers) Keys() []key {
	one := func(do func(*api.Server) tea.Cmd) func(string) tea.Cmd {
		return func(string) tea.Cmd {
			if r, ok := s.selected(); ok {
				return do(r)
			}
			s.m.say("there is no server yet; a adds one")
			return nil
		}
	}
	keys := []key{
		{on: "enter", label: "calls", help: "the calls of this server", do: one(func(r *api.Server) tea.Cmd {
			if r.Prefix == "" {
				return s.m.show(s.m.view("Calls"))
			}
			return s.m.command("calls ~s " + filterWord(r.Prefix))
		})},
		{on: "r", label: "restart", acts: true, do: one(func(r *api.Server) tea.Cmd { return s.restart(r.Prefix) })},
		{on: "d", label: "drain", help: "finish its calls, take no new ones", acts: true, do: one(func(r *api.Server) tea.Cmd { return s.drain(r.Prefix) })},
		{on: "t", label: "tools", help: "its tools and their prices", do: one(func(r *api.Server) tea.Cmd { return s.m.command("prices " + r.Prefix) })},
		{on: "a", label: "add", help: "add a server", acts: true, do: func(string) tea.Cmd { return s.add() }},
		{on: "X", label: "remove", help: "remove it; asks for its name", acts: true, do: one(s.remove)},
		{on: "y", help: "copy its command line or URL", do: one(func(r *api.Server) tea.Cmd { return s.m.copy(r.Target, "") })},
	}
	return append(keys, moves(&s.list, s.tail))
}

func (s *servers) Status() []paint.Span {
	tools := 0
	for _, r := range s.rows() {
		tools += r.Tools
	}
	return []paint.Span{{S: plural(len(s.rows()), "server") + " · " + plural(tools, "tool"), St: paint.In(paint.Muted)}}
}

func (s *servers) Draw(a paint.Area) {
	rows := s.rows()
	if len(rows) == 0 {
		drawHint(a, "No server yet.", []string{"A server is what does the work: an MCP server that PayGate puts a price on."}, "paygate servers add fs 'npx -y @modelcontextprotocol/server-filesystem .'", [][2]string{{"a", "adds one"}})
		return
	}
	ps := layout([]col{{title: "SERVER", width: 8, max: 24}, {title: "  STATE", width: 22, max: 34}, {title: "OVER", width: 5, rank: 2}, {title: "UP", width: 4, right: true, rank: 1},
		{title: "RESTARTS", width: 8, right: true, rank: 3}, {title: "TOOLS", width: 6, right: true}, {title: "/S", width: 5, right: true}, {title: "P95", width: 6, right: true}, {title: "FAILED", width: 7, right: true}}, min(a.W, 130))
	heads(a, ps, "", false)
	listH := min(len(rows), max(a.H/3, 3))
	body := a.Sub(0, 1, a.W, listH)
	s.list.n = len(rows)
	from, to := s.list.window(listH)
	for i := from; i < to; i++ {
		s.drawRow(body, ps, i-from, &rows[i])
		if i == s.list.cur {
			body.Select(i - from)
		}
		body.Zone(0, i-from, body.W, 1, rowHit{i})
	}
	if r, ok := s.selected(); ok {
		s.drawOne(a.From(listH+2), r)
	}
}

func (s *servers) drawRow(a paint.Area, ps []place, y int, r *api.Server) {
	now := s.m.now()
	mark, tone, text := serverMark(*r, now)
	if r.State == "ready" {
		text = "ready"
	}
	text, _, _ = strings.Cut(text, " (") // the count has its own column
	up := "–"
	if r.State == "ready" && !r.Since.IsZero() {
		up = figure.Span(now.Sub(r.Since))
	}
	failed := paint.Style{}
	if r.FailedShare >= 0.05 {
		failed = paint.In(paint.Bad)
	}
	for _, p := range ps {
		switch p.i {
		case 0:
			put(a, p, y, paint.CutMiddle(serverName(r.Prefix), p.w), paint.Style{})
		case 1:
			a.Text(p.x, y, mark, paint.In(tone))
			st := paint.Style{}
			if r.State != "ready" {
				st = paint.In(tone)
			}
			a.Fit(p.x+2, y, p.w-2, text, st)
		case 2:
			put(a, p, y, r.Transport, paint.In(paint.Muted))
		case 3:
			put(a, p, y, up, paint.In(paint.Muted))
		case 4:
			put(a, p, y, figure.Group(int64(r.Restarts)), paint.Style{})
		case 5:
			put(a, p, y, figure.Group(int64(r.Tools)), paint.Style{})
		case 6:
			put(a, p, y, figure.Rate(r.CallsPerSecond), paint.Style{})
		case 7:
			put(a, p, y, dashed(r.P95 == 0, figure.Millis(r.P95)), paint.Style{})
		case 8:
			put(a, p, y, figure.Percent(r.FailedShare), failed)
		}
	}
}

// drawOne is the server under the cursor: how to reach it, what is wrong, what
// it said.
func (s *servers) drawOne(a paint.Area, r *api.Server) {
	muted := paint.In(paint.Muted)
	a.Rule(0, paint.Span{S: serverName(r.Prefix) + " stderr", St: paint.Strong()}, paint.Span{S: ", newest last", St: muted})
	foot := 2
	if r.State != "ready" {
		foot = 4
	}
	body := a.Sub(0, 1, a.W, max(a.H-1-foot, 0))
	lines := s.stderr[r.Prefix]
	switch {
	case s.fault[r.Prefix] != "":
		body.Text(1, 0, s.fault[r.Prefix], paint.In(paint.Bad))
	case r.Transport == "http" && len(lines) == 0:
		body.Text(1, 0, "A server over HTTP keeps its own log.", muted)
	case len(lines) == 0:
		body.Text(1, 0, "It has said nothing.", muted)
	}
	lines = lines[max(len(lines)-body.H, 0):]
	for i, l := range lines {
		x := body.Text(1, i, figure.Clock(l.At), muted) + 1
		body.Text(x, i, l.Text, paint.Style{})
	}
	y := 1 + min(max(len(lines), 1), body.H) + 1
	if r.State != "ready" && y < a.H {
		words := "Its calls now fail and are not charged. r restarts it now."
		if r.Prefix != "" {
			words = "Calls to " + r.Prefix + ":* now fail and are not charged. r restarts it now."
		}
		if r.State == "draining" {
			words = "It takes no new calls. r starts it again."
		}
		if r.LastError != "" {
			a.Text(1, y, r.LastError, paint.In(paint.Bad))
			y++
		}
		a.Text(1, y, words, muted)
		y++
	}
	facts := r.Target
	if r.Revision != "" {
		facts += " · MCP " + r.Revision
	}
	if len(r.Pids) > 0 {
		facts += " · " + pids(r.Pids)
	}
	if r.InFlight > 0 {
		facts += " · " + plural(r.InFlight, "call") + " in flight"
	}
	a.Text(1, y, facts, muted)
}

func pids(ids []int) string {
	if len(ids) == 1 {
		return fmt.Sprintf("pid %d", ids[0])
	}
	return fmt.Sprintf("%d processes", len(ids))
}
