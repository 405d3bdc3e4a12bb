package tui

import (
	"fmt"
	"net/url"
	"strings"

	tea "charm.land/bubbletea/v2"

	"paygate/server/api"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// each sends one change for each key, one after another, and says how many
// went through.
func (m *Model) each(acts []act, done, cli string, back *undo, after func() tea.Cmd) tea.Cmd {
	return func() tea.Msg {
		var failed error
		ok := 0
		for _, a := range acts {
			if err := m.opt.Client.Do(m.ctx, "POST", a.path, a.in, nil); err != nil {
				failed = err
				break
			}
			ok++
		}
		return answer{func() tea.Cmd {
			if failed != nil && ok == 0 {
				m.warn("%s", failed)
				return after()
			}
			if failed != nil {
				m.warn("%d of %d done, then: %s", ok, len(acts), failed)
				return after()
			}
			m.did(act{done: done, cli: cli, undo: back})
			return after()
		}}
	}
}

// named is how some keys are called in a sentence.
func named(t []api.KeyRow) string {
	if len(t) == 1 {
		return paint.CutMiddle(paint.Clean(or(t[0].Name, t[0].ID)), 32)
	}
	return fmt.Sprintf("%d keys", len(t))
}

// forKeys is the command line that does something to some keys, called as the
// gateway knows them for sure: by alias or id, as a name may stand for two.
func forKeys(t []api.KeyRow, cmd func(key string) string) string {
	if len(t) == 1 {
		return cmd(quote(or(t[0].Alias, t[0].ID)))
	}
	var ids []string
	for _, r := range t {
		ids = append(ids, quote(or(r.Alias, r.ID)))
	}
	return "for k in " + strings.Join(ids, " ") + "; do " + cmd("$k") + "; done"
}

// verbCLI is forKeys for a command that takes nothing but the key.
func verbCLI(verb string, t []api.KeyRow) string {
	return forKeys(t, func(key string) string { return "paygate keys " + verb + " " + key })
}

// suspend suspends keys, or resumes them when all are suspended. It asks
// nothing: u takes it back.
func (k *keys) suspend(t []api.KeyRow) tea.Cmd {
	path, word, opposite := "/keys/resume", "resume", "/keys/suspend"
	var rows []api.KeyRow
	for _, r := range t {
		if r.Active && !r.Suspended {
			path, word, opposite = "/keys/suspend", "suspend", "/keys/resume"
		}
	}
	for _, r := range t {
		if r.Active && r.Suspended == (word == "resume") {
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		k.m.warn("A revoked key cannot be suspended or resumed.")
		return nil
	}
	var do, back []act
	for _, r := range rows {
		do = append(do, act{path: path, in: map[string]any{"key": r.ID, "reason": "by hand"}})
		back = append(back, act{path: opposite, in: map[string]any{"key": r.ID, "reason": "undone by hand"}})
	}
	past := map[string]string{"suspend": "suspended ", "resume": "resumed "}
	other := map[string]string{"suspend": "resume", "resume": "suspend"}[word]
	return k.m.each(do, past[word]+named(rows), verbCLI(word, rows), &undo{word, func() tea.Cmd {
		return k.m.each(back, past[other]+named(rows)+" again", verbCLI(other, rows), nil, k.after)
	}}, k.after)
}

// revoke ends keys for good; it wants their name typed.
func (k *keys) revoke(t []api.KeyRow) tea.Cmd {
	var live []api.KeyRow
	credits := int64(0)
	for _, r := range t {
		if r.Active {
			live = append(live, r)
			credits += r.Credits
		}
	}
	if len(live) == 0 {
		k.m.warn("%s: revoked already.", named(t))
		return nil
	}
	word := fmt.Sprintf("%d keys", len(live))
	if len(live) == 1 {
		word = strings.TrimSpace(paint.Clean(live[0].Name))
		if n := len([]rune(word)); n == 0 || n > 40 {
			word = live[0].ID
		}
	}
	whose := "Its "
	if len(live) > 1 {
		whose = "Their "
	}
	var acts []act
	for _, r := range live {
		acts = append(acts, act{path: "/keys/revoke", in: map[string]any{"key": r.ID}})
	}
	cli := verbCLI("revoke", live)
	return k.m.open(&question{title: "Revoke " + named(live) + " for good?", word: word, cli: cli,
		lines: []string{whose + figure.Group(credits) + " credits are written off; calls in flight finish.", "This cannot be undone; s suspends instead."},
		yes: func() tea.Cmd {
			return k.m.each(acts, "revoked "+named(live), cli, nil, func() tea.Cmd { clear(k.marked); return k.after() })
		}})
}

// rotate gives a key a new secret, shown once.
func (k *keys) rotate(t []api.KeyRow) tea.Cmd {
	if len(t) != 1 {
		k.m.warn("One key at a time: each new secret is shown once.")
		return nil
	}
	r := t[0]
	grace := &field{name: "Grace", hint: func(v string) (string, error) {
		_, err := seconds(v)
		return "the old secret goes on for so long; empty: it ends now", err
	}}
	grace.line.Set("1h")
	f := &form{m: k.m, title: "Rotate " + named(t), note: "the new secret is shown once", fields: []*field{grace}, button: "Rotate",
		cli: func(v []string) string { return verbCLI("rotate", t) + flagged("--grace", v[0]) }}
	f.submit = func(v []string) tea.Cmd {
		n, _ := seconds(v[0])
		return ask(k.m, "POST", "/keys/rotate", map[string]any{"key": r.ID, "graceSeconds": n}, func(got struct {
			NewKey string `json:"newKey"`
		}, err error) tea.Cmd {
			if err != nil {
				f.refused(err)
				return nil
			}
			f.close()
			k.m.did(act{done: "rotated " + named(t), cli: f.cli(v)})
			k.showSecret("The new secret of "+r.Name, got.NewKey)
			return k.after()
		})
	}
	return k.m.open(f)
}

// showSecret shows a secret once: any key closes it and it is gone.
func (k *keys) showSecret(title, secret string) {
	k.m.open(&page{m: k.m, title: title, any: true, copy: secret, lines: [][]paint.Span{
		{{S: "  " + secret, St: paint.Bold(paint.Accent)}}, nil,
		{{S: "This is the only time it is shown. It is stored hashed."}}, nil,
		{{S: "export API_KEY=" + quote(secret), St: paint.In(paint.Muted)}}}})
}

// topUp adds credits; the form shows the balance after.
func (k *keys) topUp(t []api.KeyRow) tea.Cmd { return k.topUpBy(t, "") }

func (k *keys) topUpBy(t []api.KeyRow, amount string) tea.Cmd {
	credits := &field{name: "Credits", hint: func(v string) (string, error) {
		n, err := whole(v, 1, 1_000_000_000)
		if err != nil || v == "" {
			return "whole credits", err
		}
		if len(t) == 1 {
			return "balance after: " + figure.Group(t[0].Credits+n), nil
		}
		return figure.Group(n*int64(len(t))) + " in all", nil
	}}
	credits.line.Set(amount)
	f := &form{m: k.m, title: "Top up " + named(t), fields: []*field{credits}, button: "Add",
		cli: func(v []string) string {
			return forKeys(t, func(key string) string { return "paygate credits add " + key + " " + or(plain(v[0]), "N") })
		}}
	if len(t) == 1 {
		f.note = "balance " + figure.Group(t[0].Credits)
	}
	f.submit = func(v []string) tea.Cmd {
		n, _ := whole(v[0], 1, 1_000_000_000)
		var acts []act
		for _, r := range t {
			acts = append(acts, act{path: "/topup", in: map[string]any{"key": r.ID, "credits": n}})
		}
		f.close()
		return k.m.each(acts, fmt.Sprintf("added %s to %s", figure.Group(n), named(t)), f.cli(v), nil, k.after)
	}
	return k.m.open(f)
}

// findKey finds one key by its id, name, alias or prefix.
func (m *Model) findKey(name string, then func(api.KeyRow) tea.Cmd) tea.Cmd {
	return func() tea.Msg {
		var p api.KeyPage
		q := url.Values{"limit": {"50"}, "offset": {"0"}, "search": {name}}
		err := m.opt.Client.Do(m.ctx, "GET", "/keys?"+q.Encode(), nil, &p)
		return answer{func() tea.Cmd {
			if err != nil {
				m.warn("%s", err)
				return nil
			}
			var found []api.KeyRow
			for _, r := range p.Keys {
				if r.ID == name || r.Name == name || r.Alias == name || r.KeyPrefix == name {
					found = append(found, r)
				}
			}
			switch {
			case len(found) == 1:
				return then(found[0])
			case len(found) > 1:
				m.warn("%d keys are called %s; use the id, such as %s", len(found), name, found[0].ID)
			case len(p.Keys) > 0:
				m.warn("No key is called %s; the nearest is %s", name, p.Keys[0].Name)
			default:
				m.warn("No key is called %s", name)
			}
			return nil
		}}
	}
}
