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

// ledger is the books: entries as they are posted, the proof that they agree,
// and, by a, the audit log beside them.
type ledger struct {
	m      *Model
	rows   []api.LedgerRow // newest first
	list   list
	before uint64
	proof  api.Proof
	known  bool
	fault  string
	fresh  time.Time
	asked  bool
	filter string // key=NAME kind=KIND as typed
	audit  bool
	events []auditEvent
}

// auditEvent is one line of GET /audit.
type auditEvent struct {
	ID       int64          `json:"id"`
	At       time.Time      `json:"timestamp"`
	Type     string         `json:"type"`
	Actor    string         `json:"actor"`
	Message  string         `json:"message"`
	Metadata map[string]any `json:"metadata"`
}

func newLedger(m *Model) *ledger {
	l := &ledger{m: m}
	l.list.cur = -1
	l.list.ids = func(i int) string {
		if l.audit {
			return fmt.Sprint(l.events[i].ID)
		}
		return l.rows[i].ID + fmt.Sprint(l.rows[i].N)
	}
	return l
}

func (l *ledger) Name() string { return "Ledger" }

func (l *ledger) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case shownMsg:
		return l.fetch(0)
	case beatMsg:
		every := 2 * time.Second
		if l.proof.Running {
			every = 300 * time.Millisecond
		}
		if l.list.cur <= 0 && l.m.now().Sub(l.fresh) >= every {
			return l.fetch(0)
		}
	case wheelMsg:
		l.list.to(max(l.list.cur, 0) + msg.by)
		return l.more()
	case rowHit:
		again := l.list.cur == msg.i
		l.list.to(msg.i)
		if again {
			return l.enter()
		}
	}
	return nil
}

// query is the filter as the API takes it.
func (l *ledger) query() url.Values {
	q := url.Values{"limit": {"200"}}
	for _, w := range strings.Fields(l.filter) {
		k, v, ok := strings.Cut(w, "=")
		switch {
		case ok && (k == "key" || k == "kind"):
			q.Set(k, v)
		case !ok:
			q.Set("key", w)
		}
	}
	return q
}

func (l *ledger) fetch(before uint64) tea.Cmd {
	if l.asked {
		return nil
	}
	l.asked = true
	l.fresh = l.m.now()
	if l.audit {
		return l.fetchAudit()
	}
	q := l.query()
	if before > 0 {
		q.Set("before", fmt.Sprint(before))
	}
	filter := l.filter
	return ask(l.m, "GET", "/admin/ledger?"+q.Encode(), nil, func(p api.LedgerPage, err error) tea.Cmd {
		l.asked = false
		if filter != l.filter {
			return l.fetch(0)
		}
		if err != nil {
			l.fault = err.Error()
			return nil
		}
		l.fault, l.known, l.proof, l.before = "", true, p.Proof, p.Before
		if before > 0 {
			l.rows = append(l.rows, p.Entries...)
		} else {
			l.rows = p.Entries
		}
		l.list.sync(len(l.rows))
		return nil
	})
}

func (l *ledger) fetchAudit() tea.Cmd {
	type page struct {
		Events []auditEvent `json:"events"`
	}
	q := url.Values{"limit": {"200"}, "calls": {"false"}} // calls have a screen of their own
	if l.filter != "" {
		q.Set("types", l.filter)
	}
	return ask(l.m, "GET", "/audit?"+q.Encode(), nil, func(p page, err error) tea.Cmd {
		l.asked = false
		if err != nil {
			l.fault = err.Error()
			return nil
		}
		l.fault, l.known, l.events = "", true, p.Events
		if l.audit {
			l.list.sync(len(l.events))
		}
		return nil
	})
}

// more asks for older entries near the end of the list.
func (l *ledger) more() tea.Cmd {
	if !l.audit && l.before > 0 && l.list.cur > len(l.rows)-40 && len(l.rows) < 20000 {
		return l.fetch(l.before)
	}
	return nil
}

func (l *ledger) verify() tea.Cmd {
	return ask(l.m, "POST", "/admin/ledger/verify", nil, func(p api.Proof, err error) tea.Cmd {
		if err != nil {
			l.m.warn("%s", err)
			return nil
		}
		l.proof = p
		l.m.did(act{done: "the books are being proved", cli: "paygate doctor"})
		return nil
	})
}

func (l *ledger) enter() tea.Cmd {
	if l.list.cur < 0 {
		l.list.to(0)
	}
	if l.list.cur < 0 {
		return nil
	}
	if l.audit {
		return l.showEvent(l.events[l.list.cur])
	}
	return l.showEntry(l.rows[l.list.cur])
}

func (l *ledger) showEntry(e api.LedgerRow) tea.Cmd {
	line := func(name, value string) []paint.Span {
		return []paint.Span{{S: fmt.Sprintf("%-8s", name), St: paint.In(paint.Muted)}, {S: value}}
	}
	lines := [][]paint.Span{
		line("id", e.ID), line("event", figure.Group(int64(e.N))), line("time", e.At.In(l.m.now().Location()).Format("2006-01-02 15:04:05.000 MST")),
		line("kind", e.Kind), line("amount", figure.Group(e.Amount)), line("from", account(e.From, e.FromName)), line("to", account(e.To, e.ToName)),
	}
	if e.Ref != "" {
		lines = append(lines, line("for", e.Ref))
	}
	lines = append(lines, nil, []paint.Span{{S: "An entry takes from one account and gives the same to another.", St: paint.In(paint.Muted)}})
	return l.m.open(&page{m: l.m, title: "Entry " + figure.Group(int64(e.N)), lines: lines, copy: e.ID})
}

func (l *ledger) showEvent(e auditEvent) tea.Cmd {
	lines := [][]paint.Span{{{S: e.Type, St: paint.Strong()}, {S: " by " + e.Actor}}, {{S: e.At.In(l.m.now().Location()).Format("2006-01-02 15:04:05 MST"), St: paint.In(paint.Muted)}}, nil}
	for _, w := range paint.Wrap(e.Message, 70) {
		lines = append(lines, []paint.Span{{S: w}})
	}
	for _, k := range sortedNames(e.Metadata) {
		lines = append(lines, []paint.Span{{S: fmt.Sprintf("%-16s", k), St: paint.In(paint.Muted)}, {S: fmt.Sprint(e.Metadata[k])}})
	}
	return l.m.open(&page{m: l.m, title: fmt.Sprintf("Event %d", e.ID), lines: lines, copy: e.Message})
}

func (l *ledger) Keys() []key {
	name := "audit"
	if l.audit {
		name = "entries"
	}
	keys := []key{
		{on: "a", label: name, help: "the audit log, or the entries", do: func(string) tea.Cmd {
			l.audit, l.known, l.asked, l.filter = !l.audit, false, false, ""
			l.list.none()
			return l.fetch(0)
		}},
		{on: "enter", label: "open", help: "all of one entry or event", do: func(string) tea.Cmd { return l.enter() }},
		{on: "/", label: "filter", help: "entries of a key or a kind: acme-ci, or kind=topup; events by type", do: func(string) tea.Cmd { return l.find() }},
		{on: "v", label: "verify", help: "prove the books now: fold the journal again and compare", acts: true, do: func(string) tea.Cmd { return l.verify() }},
		{on: "f", help: "the newest again", do: func(string) tea.Cmd { l.list.none(); l.asked = false; return l.fetch(0) }},
		{on: "y", help: "copy the entry's id", do: func(string) tea.Cmd {
			if !l.audit && l.list.cur >= 0 && l.list.cur < len(l.rows) {
				return l.m.copy(l.rows[l.list.cur].ID, "")
			}
			return nil
		}},
		{on: "esc", help: "the newest, then all entries", do: func(string) tea.Cmd {
			if l.list.cur >= 0 {
				l.list.none()
				return nil
			}
			if l.filter != "" {
				return l.narrow("")
			}
			if l.audit {
				return l.m.hit("a")
			}
			return nil
		}},
	}
	return append(keys, moves(&l.list, l.more))
}

func (l *ledger) narrow(text string) tea.Cmd {
	l.filter, l.known, l.asked = strings.TrimSpace(text), false, false
	l.rows, l.events = nil, nil
	l.list.none()
	l.list.n = 0
	return l.fetch(0)
}

func (l *ledger) find() tea.Cmd {
	l.m.openBar(&bar{kind: "ledger", prompt: "filter ", enter: func(text string) tea.Cmd {
		if l.audit || text == "" || strings.Contains(text, "kind=") && !strings.Contains(text, " ") {
			return l.narrow(text)
		}
		// A key is meant by its name; the API wants the id.
		name := strings.TrimPrefix(strings.Fields(text)[0], "key=")
		return l.m.findKey(name, func(r api.KeyRow) tea.Cmd {
			return l.narrow(strings.Replace(text, strings.Fields(text)[0], "key="+r.ID, 1))
		})
	}}, l.filter)
	return nil
}

func (l *ledger) Status() []paint.Span {
	muted := paint.In(paint.Muted)
	if l.fault != "" {
		return []paint.Span{{S: "✗ " + l.fault, St: paint.In(paint.Bad)}}
	}
	var out []paint.Span
	if l.filter != "" {
		out = append(out, paint.Span{S: "filter ", St: muted}, paint.Span{S: l.filter, St: paint.In(paint.Accent)}, paint.Span{S: " · ", St: muted})
	}
	p := l.proof
	switch {
	case p.Running:
		return append(out, paint.Span{S: fmt.Sprintf("proving the books, %d %%", int(p.Done*100)), St: muted})
	case p.At == nil:
		return append(out, paint.Span{S: "not proved since the start; v proves the books now", St: muted})
	case !p.OK:
		words := "the books do not agree"
		if len(p.Faults) > 0 {
			words += ": " + p.Faults[0]
		}
		return append(out, paint.Span{S: "✗ " + words, St: paint.Bold(paint.Bad)})
	}
	words := fmt.Sprintf("proved %s · %s entries sum to 0 · %s balances agree", since(*p.At, l.m.now()), figure.Group(int64(p.Entries)), figure.Group(int64(p.Balances)))
	return append(out, paint.Span{S: words, St: muted})
}

func since(t, now time.Time) string {
	if d := now.Sub(t); d >= time.Second {
		return figure.Span(d) + " ago"
	}
	return "now"
}
