package tui

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"paygate/shadow"
	"paygate/shadow/report"
	"paygate/tui/figure"
	"paygate/tui/lab"
	"paygate/tui/paint"
)

// preview is what stands against a promotion, and whom it concerns.
type preview struct {
	Guardrails []report.Guardrail `json:"guardrails"`
	Failing    []report.Guardrail `json:"failing"` // stands against it: not what was overridden before
	Report     *report.Report     `json:"report"`
	Keys       int                `json:"keys"`
	Concerned  int                `json:"concerned"`
}

// begin is a way to go live.
type begin struct{ words, canary, lasts string }

func begins() []begin {
	return []begin{{"at once, for all keys", "", ""}, {"canary 5 % of keys, then all in 24 h", "5", "24h"}, {"canary 1 % of keys, then all in 7 d", "1", "7d"}, {"canary 10 % of keys, until I promote again", "10", ""}, {"canary 25 % of keys, until I promote again", "25", ""}}
}

// keeps are who goes on paying the old price.
func keeps(now time.Time) [][2]string {
	quarter := now.AddDate(0, 3, 0)
	return [][2]string{{"nobody", ""}, {"existing keys, for good", "existing"}, {"existing keys until " + quarter.Format("2 Jan 2006"), "until:" + quarter.Format(time.DateOnly)}}
}

// promote shows what stands against going live and asks how to begin.
func (l *laboratory) promote() tea.Cmd {
	c := l.at()
	switch {
	case c == nil || l.col == 0:
		l.m.warn("These prices are live already: → goes to a candidate.")
		return nil
	case c.state == unkept || len(c.set) > 0:
		l.m.warn("w keeps these prices first, so that they can be shadowed; then P promotes them.")
		return nil
	case c.state == shadow.IsDraft:
		return l.startStop() // says what comes first
	case c.state == shadow.Validated:
		l.m.warn("%s has not lived through a call yet: s shadows it; its report decides what may go live.", c.name)
		return nil
	}
	return ask(l.m, "GET", "/admin/shadow/promote?name="+url.QueryEscape(c.name), nil, func(p preview, err error) tea.Cmd {
		if err != nil {
			l.m.warn("%s", err)
			return nil
		}
		if c.state == shadow.InCanary {
			return l.m.open(l.widenCanary(c, p))
		}
		return l.m.open(l.promotion(c, p))
	})
}

func (l *laboratory) promotion(c *column, p preview) *form {
	var words []string
	for _, b := range begins() {
		words = append(words, b.words)
	}
	var who []string
	for _, k := range keeps(l.m.now()) {
		who = append(who, k[0])
	}
	start, keep := choice("Start", "", words...), choice("Old price", "", who...)
	at := l.when()
	typed := &field{name: "Type", wide: true}
	f := &form{m: l.m, title: "Promote " + c.name + " to live", fields: []*field{start, at, keep, typed}, button: "Promote"}
	if p.Report != nil {
		f.note = "report " + p.Report.LogDigest[:min(6, len(p.Report.LogDigest))] + ", grade " + p.Report.Grade + ", " + plural(p.Report.Attempts, "call") + " shadowed"
	}
	want := func() promotion { return promotionOf(c.name, f.values(), p.Guardrails, l.m.now()) }
	f.head = func(w, h int) [][]paint.Span {
		x := want()
		typed.expect = x.word()
		return guardrailLines(p.Guardrails, x, w, h)
	}
	f.cli = func([]string) string { return want().cli() }
	typed.hint = func(v string) (string, error) {
		x := want()
		if v == x.word() || v == "promote "+c.name+" --override all" && len(x.override) > 0 {
			return "", nil
		}
		return "", fmt.Errorf("type %q", x.word())
	}
	f.at = 3
	f.submit = func(v []string) tea.Cmd {
		x := want()
		if strings.HasSuffix(v[3], "--override all") {
			x.override = []string{"all"}
		}
		done := c.name + " is live"
		if x.canary != "" {
			done = c.name + " is live for " + x.canary + " % of keys"
		}
		if x.at != "" {
			done = c.name + " goes live at " + x.at
		}
		return ask(l.m, "POST", "/admin/shadow/promote", x.body(), func(_ struct{}, err error) tea.Cmd {
			if err != nil {
				f.refused(err)
				return nil
			}
			f.close()
			l.m.did(act{done: done + "  R rolls back", cli: x.cli()})
			l.enact.from = time.Time{}
			return l.fetch()
		})
	}
	return f
}

// when is the field for the time of a promotion.
func (l *laboratory) when() *field {
	f := &field{name: "When", hint: func(v string) (string, error) {
		t, err := moment(v, l.m.now())
		switch {
		case err != nil:
			return "", err
		case t.IsZero():
			return "or 2027-01-31 09:00, or in 3d", nil
		}
		return t.Local().Format("Mon 2 Jan 2006 15:04"), nil
	}}
	f.line.Set("now")
	return f
}

// moment reads when something is to happen; zero is now.
func moment(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "" || text == "now" {
		return time.Time{}, nil
	}
	if after, ok := strings.CutPrefix(text, "in "); ok {
		n, err := seconds(after)
		if err != nil || n == 0 {
			return time.Time{}, fmt.Errorf("in what time? such as in 3d or in 12h")
		}
		return now.Add(time.Duration(n) * time.Second).UTC().Truncate(time.Second), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			if !t.After(now) {
				return t, fmt.Errorf("that is over")
			}
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("now, in 3d, or 2027-01-31 09:00")
}

// promotion is what the form asks for.
type promotion struct {
	name, canary, lasts, at, keep string
	override                      []string
}

func promotionOf(name string, v []string, all []report.Guardrail, now time.Time) promotion {
	p := promotion{name: name}
	for _, b := range begins() {
		if b.words == v[0] {
			p.canary, p.lasts = b.canary, b.lasts
		}
	}
	if t, err := moment(v[1], now); err == nil && !t.IsZero() {
		p.at = t.Format(time.RFC3339)
	}
	for _, k := range keeps(now) {
		if k[0] == v[2] {
			p.keep = k[1]
		}
	}
	for _, g := range all {
		if p.blocks(g) {
			p.override = append(p.override, g.Name)
		}
	}
	return p
}

// blocks says whether a guardrail stands against it: some do only where nobody
// looks on when it happens.
func (p promotion) blocks(g report.Guardrail) bool {
	return !g.Pass && (g.Blocks == report.BlocksAll || g.Blocks == report.BlocksUnattended && (p.at != "" || p.lasts != ""))
}

// word is what has to be typed.
func (p promotion) word() string {
	s := "promote " + p.name
	if len(p.override) > 0 {
		s += " --override " + strings.Join(p.override, ",")
	}
	return s
}

func (p promotion) cli() string {
	s := "paygate shadow promote " + quote(p.name)
	if len(p.override) > 0 {
		s += " --override " + strings.Join(p.override, ",")
	}
	return s + flagged("--canary", p.canary) + flagged("--for", p.lasts) + flagged("--at", p.at) + flagged("--keep", p.keep)
}

func (p promotion) body() map[string]any {
	in := map[string]any{"name": p.name}
	if p.override != nil {
		in["override"] = p.override
	}
	if n, err := strconv.ParseFloat(p.canary, 64); err == nil {
		in["canary"] = n
	}
	for name, v := range map[string]string{"for": p.lasts, "at": p.at, "keep": p.keep} {
		if v != "" {
			in[name] = v
		}
	}
	return in
}

// guardrailLines are the guardrails in at most h lines: those that are not met
// first and whole, the others as far as there is room.
func guardrailLines(all []report.Guardrail, p promotion, w, h int) [][]paint.Span {
	muted := paint.In(paint.Muted)
	var bad, good [][]paint.Span
	for _, g := range all {
		mark, tone, limit := "✓ ", paint.OK, "limit "+lab.Value(g.Name, g.Limit)
		switch {
		case !g.Pass && p.blocks(g):
			mark, tone = "✗ ", paint.Bad
		case !g.Pass:
			mark, tone = "! ", paint.Warn
			if g.Blocks == report.BlocksNothing {
				limit += ", warns only"
			} else {
				limit += ", unattended"
			}
		}
		line := []paint.Span{{S: mark, St: paint.In(tone)}, {S: padded(lab.Words(g.Name), 33)}, {S: padded(lab.Value(g.Name, g.Value), 14), St: paint.In(tone)}, {S: limit, St: muted}}
		if g.Pass {
			good = append(good, line)
		} else {
			bad = append(bad, line)
		}
	}
	tail := 0
	if len(p.override) > 0 {
		tail = 1
	}
	room := max(h, 4) - tail
	out := append([][]paint.Span{}, bad[:min(len(bad), room)]...)
	if left := room - len(out); len(good) <= left {
		out = append(out, good...)
	} else if left > 0 {
		out = append(out, good[:left-1]...)
		out = append(out, []paint.Span{{S: "✓ ", St: paint.In(paint.OK)}, {S: fmt.Sprintf("and %d more that hold", len(good)-left+1), St: muted}})
	}
	if tail == 1 {
		blocked := "Blocked by " + strings.ToLower(lab.Words(p.override[0])) + "."
		if n := len(p.override) - 1; n > 0 {
			blocked = fmt.Sprintf("Blocked by %s and %d more.", strings.ToLower(lab.Words(p.override[0])), n)
		}
		out = append(out, []paint.Span{{S: blocked, St: paint.In(paint.Bad)}, {S: " Typing the names accepts it.", St: muted}})
	}
	return out
}

// widenCanary goes on with a canary, if the guardrails still hold.
func (l *laboratory) widenCanary(c *column, p preview) *form {
	share := choice("Keys", "pay the new prices", "all of them", "10 %", "25 %", "50 %")
	typed := &field{name: "Type", wide: true}
	f := &form{m: l.m, title: "Go on with the canary of " + c.name, fields: []*field{share, typed}, button: "Promote"}
	want := func() promotion {
		x := promotion{name: c.name, canary: strings.TrimSuffix(strings.TrimSuffix(f.values()[0], "all of them"), " %")}
		for _, g := range p.Failing {
			x.override = append(x.override, g.Name)
		}
		return x
	}
	f.head = func(w, h int) [][]paint.Span {
		typed.expect = want().word()
		return guardrailLines(p.Guardrails, want(), w, h)
	}
	f.cli = func([]string) string { return want().cli() }
	typed.hint = func(v string) (string, error) {
		if word := want().word(); v != word {
			return "", fmt.Errorf("type %q", word)
		}
		return "", nil
	}
	f.submit = func(v []string) tea.Cmd {
		x := want()
		return ask(l.m, "POST", "/admin/shadow/promote", x.body(), func(_ struct{}, err error) tea.Cmd {
			if err != nil {
				f.refused(err)
				return nil
			}
			f.close()
			l.m.did(act{done: "done: " + v[0] + " pay the prices of " + c.name, cli: x.cli()})
			return l.fetch()
		})
	}
	return f
}

// rollBack shows what each key would get back, and asks.
func (l *laboratory) rollBack() tea.Cmd {
	return ask(l.m, "GET", "/admin/shadow/rollback?makeGood=true", nil, func(got shadow.RolledBackTo, err error) tea.Cmd {
		if err != nil {
			l.m.warn("%s", err)
			return nil
		}
		refund := fmt.Sprintf("%s credits to %s", figure.Group(int64(got.Total)), plural(len(got.Keys), "key"))
		back := choice("Refund", "what they paid more", refund, "nothing")
		typed := &field{name: "Type", wide: true, expect: "roll back " + got.Name}
		f := &form{m: l.m, title: "Roll back " + got.Name + "?", note: "the prices before it are live again", fields: []*field{back, typed}, button: "Roll back"}
		f.cli = func(v []string) string {
			if v[0] == refund {
				return "paygate shadow rollback " + quote(got.Name) + " --make-good"
			}
			return "paygate shadow rollback " + quote(got.Name)
		}
		f.head = func(_, h int) [][]paint.Span { return refundLines(got.Keys, h) }
		typed.hint = func(v string) (string, error) {
			if v != typed.expect {
				return "", fmt.Errorf("type %q", typed.expect)
			}
			return "", nil
		}
		f.at = 1
		f.submit = func(v []string) tea.Cmd {
			return ask(l.m, "POST", "/admin/shadow/rollback", map[string]any{"makeGood": v[0] == refund, "name": got.Name}, func(done shadow.RolledBackTo, err error) tea.Cmd {
				if err != nil {
					f.refused(err)
					return nil
				}
				f.close()
				l.m.did(act{done: fmt.Sprintf("rolled back %s; %s credits went back to %s", done.Name, figure.Group(int64(done.Total)), plural(len(done.Keys), "key")), cli: f.cli(v)})
				l.enact.from = time.Time{}
				return l.fetch()
			})
		}
		return l.m.open(f)
	})
}

func refundLines(keys []shadow.MadeGood, h int) [][]paint.Span {
	var out [][]paint.Span
	for i, k := range keys {
		if i == max(h-1, 1) && len(keys) > h {
			return append(out, []paint.Span{{S: "and " + plural(len(keys)-i, "more key"), St: paint.In(paint.Muted)}})
		}
		name := k.Name
		if name == "" {
			name = k.ID
		}
		out = append(out, []paint.Span{{S: padded(paint.CutMiddle(paint.Clean(name), 28), 30)}, {S: fmt.Sprintf("%14s", figure.Signed(int64(k.Credits)))}, {S: "  for " + plural(k.Calls, "call"), St: paint.In(paint.Muted)}})
	}
	if out == nil {
		out = append(out, []paint.Span{{S: "Nobody paid more than at the old prices: there is nothing to give back.", St: paint.In(paint.Muted)}})
	}
	return out
}

// padded fills a text with blanks to w cells.
func padded(s string, w int) string { return s + strings.Repeat(" ", max(w-paint.Width(s), 0)) }
