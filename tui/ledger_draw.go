package tui

import (
	"fmt"
	"sort"
	"strings"

	"paygate/tui/figure"
	"paygate/tui/paint"
)

func sortedNames(m map[string]any) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// account is an account with the key's name where it is a key's.
func account(id, name string) string {
	if name != "" && strings.HasPrefix(id, "key:") {
		return "key:" + name
	}
	return id
}

func (l *ledger) Draw(a paint.Area) {
	if !l.known {
		if l.fault != "" {
			a.Text(1, 1, "The books could not be read.", paint.Bold(paint.Bad))
			for i, w := range paint.Wrap(l.fault, a.W-2) {
				a.Text(1, 3+i, w, paint.Style{})
			}
			return
		}
		a.Text(1, 1, "asking …", paint.In(paint.Muted))
		return
	}
	if l.audit {
		l.drawAudit(a)
		return
	}
	if len(l.rows) == 0 {
		title := "The books are empty."
		if l.filter != "" {
			title = "No entry matches  " + l.filter
		}
		drawHint(a, title, []string{"Every credit that is issued, charged or given back is an entry here. Each takes from one account and gives to another, so all of them sum to 0."}, "", [][2]string{{"a", "shows the audit log"}, {"v", "proves the books"}})
		return
	}
	ps := layout([]col{{title: "ENTRY", width: 10, right: true}, {title: "TIME", width: 12, rank: 1}, {title: "KIND", width: 9, max: 12}, {title: "AMOUNT", width: 11, max: 15, right: true},
		{title: "FROM", width: 14, max: 40}, {title: "TO", width: 14, max: 40}, {title: "FOR", width: 14, max: 48, rank: 2}}, a.W)
	heads(a, ps, "", false)
	body := a.From(1)
	l.list.n = len(l.rows)
	from, to := l.list.window(body.H)
	for i := from; i < to; i++ {
		e, y := &l.rows[i], i-from
		for _, p := range ps {
			switch p.i {
			case 0:
				put(body, p, y, figure.Group(int64(e.N)), paint.In(paint.Muted))
			case 1:
				put(body, p, y, when(e.At, l.m.now()), paint.In(paint.Muted))
			case 2:
				put(body, p, y, e.Kind, paint.In(kindTone(e.Kind)))
			case 3:
				put(body, p, y, figure.Group(e.Amount), paint.Style{})
			case 4:
				put(body, p, y, paint.CutMiddle(paint.Clean(account(e.From, e.FromName)), p.w), paint.Style{})
			case 5:
				put(body, p, y, paint.CutMiddle(paint.Clean(account(e.To, e.ToName)), p.w), paint.Style{})
			case 6:
				put(body, p, y, paint.CutMiddle(paint.Clean(e.Ref), p.w), paint.In(paint.Muted))
			}
		}
		if i == l.list.cur {
			body.Select(y)
		}
		body.Zone(0, y, body.W, 1, rowHit{i})
	}
}

func kindTone(kind string) paint.Tone {
	switch kind {
	case "topup", "initial", "credit":
		return paint.OK
	case "refund", "expire", "revoke":
		return paint.Warn
	}
	return paint.Text
}

func (l *ledger) drawAudit(a paint.Area) {
	if len(l.events) == 0 {
		drawHint(a, "Nothing is in the audit log yet.", []string{"Whoever changes something leaves a line here: what, when, by whom."}, "", [][2]string{{"a", "shows the entries"}})
		return
	}
	ps := layout([]col{{title: "TIME", width: 12}, {title: "EVENT", width: 22, max: 30}, {title: "ACTOR", width: 12, max: 24, rank: 1}, {title: "WHAT", width: 20, max: 120}}, a.W)
	heads(a, ps, "", false)
	body := a.From(1)
	l.list.n = len(l.events)
	from, to := l.list.window(body.H)
	for i := from; i < to; i++ {
		e, y := &l.events[i], i-from
		for _, p := range ps {
			switch p.i {
			case 0:
				put(body, p, y, when(e.At, l.m.now()), paint.In(paint.Muted))
			case 1:
				tone := paint.Text
				if strings.Contains(e.Type, "fail") || strings.Contains(e.Type, "deny") {
					tone = paint.Warn
				}
				put(body, p, y, e.Type, paint.In(tone))
			case 2:
				put(body, p, y, paint.CutMiddle(paint.Clean(e.Actor), p.w), paint.Style{})
			case 3:
				put(body, p, y, paint.Clean(what(e)), paint.Style{})
			}
		}
		if i == l.list.cur {
			body.Select(y)
		}
		body.Zone(0, y, body.W, 1, rowHit{i})
	}
}

// what is an event in words: its message without the type that stands beside
// it, or what is known about it.
func what(e *auditEvent) string {
	text := strings.TrimSpace(strings.TrimPrefix(e.Message, e.Type))
	if text != "" {
		return text
	}
	var known []string
	for _, k := range sortedNames(e.Metadata) {
		known = append(known, fmt.Sprintf("%s=%v", k, e.Metadata[k]))
	}
	return strings.Join(known, " ")
}
