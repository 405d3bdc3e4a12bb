package tui

import (
	"fmt"
	"path"
	"sort"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"paygate/server/api"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// whole reads a whole number as people write it: 5000, 5,000, 5k, 1.5M.
func whole(s string, lo, hi int64) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(plain(s), 10, 64)
	switch {
	case err != nil:
		return 0, fmt.Errorf("a whole number, such as 5,000 or 5k")
	case n < lo:
		return 0, fmt.Errorf("at least %s", figure.Group(lo))
	case n > hi:
		return 0, fmt.Errorf("at most %s", figure.Group(hi))
	}
	return n, nil
}

// plain writes a number without what makes it easy to read.
func plain(s string) string {
	s = strings.NewReplacer(",", "", "_", "", " ", "").Replace(s)
	for unit, zeros := range map[string]int{"k": 3, "M": 6, "G": 9} {
		if digits, ok := strings.CutSuffix(s, unit); ok {
			before, after, _ := strings.Cut(digits, ".")
			if len(after) <= zeros {
				return strings.TrimLeft(before, "0") + after + strings.Repeat("0", zeros-len(after))
			}
		}
	}
	return s
}

// seconds reads a stretch of time: 90d, 12h, 30m, 45s; empty is 0.
func seconds(s string) (int64, error) {
	s = strings.TrimSpace(strings.TrimPrefix(s, "in "))
	if s == "" || s == "never" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 64)
		if err == nil && n > 0 && n <= 36500 {
			return n * 86400, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second {
		return 0, fmt.Errorf("a stretch of time, such as 90d, 12h or 30m")
	}
	return int64(d / time.Second), nil
}

// words reads a list of names apart by spaces or commas.
func words(s string) []string {
	return append([]string{}, strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' })...)
}

// pairs reads k=v k=v.
func pairs(s string) (map[string]string, error) {
	out := map[string]string{}
	for _, w := range words(s) {
		k, v, ok := strings.Cut(w, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("name=value, such as env=prod")
		}
		out[k] = v
	}
	return out, nil
}

// flagged is a flag of a command line, when its value is set.
func flagged(flag, value string) string {
	if value == "" {
		return ""
	}
	return " " + flag + " " + quote(value)
}

// toolsField is a list of tool names; it counts what matches and completes
// from the tools that are known.
func (m *Model) toolsField(name, empty string) *field {
	known := m.toolNames()
	return &field{name: name, hint: func(v string) (string, error) {
		list := words(v)
		if len(list) == 0 {
			return empty, nil
		}
		n := 0
		for _, t := range known {
			for _, w := range list {
				if ok, err := path.Match(w, t); ok && err == nil || strings.HasSuffix(w, "*") && strings.HasPrefix(t, strings.TrimSuffix(w, "*")) {
					n++
					break
				}
			}
		}
		if len(known) == 0 {
			return plural(len(list), "name"), nil
		}
		return fmt.Sprintf("%d of %s match", n, plural(len(known), "tool")), nil
	}, complete: func(v string) []string {
		i := strings.LastIndexAny(v, " ,") + 1
		var out []string
		if v[i:] == "" {
			return nil
		}
		for _, t := range known {
			if strings.HasPrefix(t, v[i:]) {
				out = append(out, v[:i]+t)
			}
		}
		return out
	}}
}

// create is the form for a new key.
func (k *keys) create(name string) tea.Cmd {
	return k.withPlans(func(plans []keyPlan) tea.Cmd { return k.createOn(name, plans) })
}

func (k *keys) createOn(name string, plans []keyPlan) tea.Cmd {
	m := k.m
	number := func(hint string, hi int64) func(string) (string, error) {
		return func(v string) (string, error) { _, err := whole(v, 0, hi); return hint, err }
	}
	nameField := &field{name: "Name", hint: func(v string) (string, error) {
		if v == "" {
			return "up to 200 characters", fmt.Errorf("a key needs a name")
		}
		if len([]rune(v)) > 200 {
			return "", fmt.Errorf("at most 200 characters")
		}
		return "up to 200 characters", nil
	}}
	nameField.line.Set(name)
	credits := &field{name: "Credits", hint: number("at most 1,000,000,000", 1_000_000_000)}
	credits.line.Set("1,000")
	expires := &field{name: "Expires", hint: func(v string) (string, error) {
		n, err := seconds(v)
		if n == 0 {
			return "never; or after 90d, 12h, 30m", err
		}
		return m.now().Add(time.Duration(n) * time.Second).UTC().Format("2 Jan 2006 15:04 UTC"), err
	}}
	tags := &field{name: "Tags", hint: func(v string) (string, error) {
		_, err := pairs(v)
		return "name=value, apart by spaces", err
	}}
	f := &form{m: m, title: "New key", note: "shown once after it is made, stored hashed", button: "Create", fields: []*field{
		nameField, credits, m.toolsField("Tools", "all; or names, globs: fs:* search:*"), m.toolsField("Not", "none is forbidden"),
		{name: "Calls/day", hint: number("empty: no limit", 1e15)}, {name: "Credits/day", hint: number("empty: no limit", 1e15)}, {name: "Calls/minute", hint: number("empty: the gateway's own limit", mostPerMinute)}, expires, tags, planField(plans, ""), groupField("")}}
	f.cli = func(v []string) string {
		cli := "paygate keys create --name " + quote(or(v[0], "NAME")) + flagged("--credits", plain(v[1])) + flagged("--tools", strings.Join(words(v[2]), ",")) +
			flagged("--deny", strings.Join(words(v[3]), ",")) + flagged("--calls-per-day", plain(v[4])) + flagged("--credits-per-day", plain(v[5])) + flagged("--calls-per-minute", plain(v[6])) + flagged("--expires", v[7]) + flagged("--plan", planNamed(v[9])) + flagged("--group", v[10])
		for _, t := range words(v[8]) {
			cli += flagged("--tag", t)
		}
		return cli
	}
	f.submit = func(v []string) tea.Cmd { return k.made(f, v) }
	return m.open(f)
}

// made sends the form of a new key and shows its secret once.
func (k *keys) made(f *form, v []string) tea.Cmd {
	credits, _ := whole(v[1], 0, 1_000_000_000)
	in := map[string]any{"name": v[0], "credits": credits}
	if t := words(v[2]); len(t) > 0 {
		in["allowedTools"] = t
	}
	if t := words(v[3]); len(t) > 0 {
		in["deniedTools"] = t
	}
	calls, _ := whole(v[4], 0, 1e15)
	spend, _ := whole(v[5], 0, 1e15)
	if calls > 0 || spend > 0 {
		in["quota"] = api.Quota{DailyCallLimit: calls, DailyCreditLimit: spend}
	}
	if rate, _ := whole(v[6], 0, mostPerMinute); rate > 0 {
		in["rateLimit"] = rate
	}
	if n, _ := seconds(v[7]); n > 0 {
		in["expiresIn"] = n
	}
	if t, _ := pairs(v[8]); len(t) > 0 {
		in["tags"] = t
	}
	if p := planNamed(v[9]); p != "" {
		in["plan"] = p
	}
	if v[10] != "" {
		in["group"] = v[10]
	}
	return ask(k.m, "POST", "/keys", in, func(got struct {
		Key string `json:"key"`
		ID  string `json:"id"`
	}, err error) tea.Cmd {
		if err != nil {
			f.refused(err)
			return nil
		}
		f.close()
		k.m.did(act{done: "made " + paint.CutMiddle(v[0], 32), cli: f.cli(v)})
		k.showSecret("The secret of "+v[0], got.Key)
		k.list.id = got.ID
		return k.refresh()
	})
}

// mostPerMinute is how many calls a minute a key's own limit may be.
const mostPerMinute = 100_000

// limits sets how much a key may spend and call. u takes it back.
func (k *keys) limits(t []api.KeyRow) tea.Cmd {
	number := func(hint string, hi int64) func(string) (string, error) {
		return func(v string) (string, error) { _, err := whole(v, 0, hi); return hint, err }
	}
	names := []string{"Lifetime", "Calls/day", "Calls/month", "Credits/day", "Credits/month", "Calls/minute"}
	hints := []string{"credits it may ever spend; empty: no limit", "in a UTC day", "in a UTC month", "in a UTC day", "in a UTC month", "empty: the gateway's own limit"}
	most := []int64{1e15, 1e15, 1e15, 1e15, 1e15, mostPerMinute}
	f := &form{m: k.m, title: "Limits of " + named(t), note: "empty: no limit", button: "Set"}
	old := limitsOf(&t[0])
	for i, n := range names {
		x := &field{name: n, hint: number(hints[i], most[i])}
		if old[i] > 0 {
			x.line.Set(figure.Group(old[i]))
		}
		f.fields = append(f.fields, x)
	}
	f.cli = func(v []string) string {
		cli := " " + or(plain(v[0]), "0")
		for i, flag := range []string{"--calls-per-day", "--calls-per-month", "--credits-per-day", "--credits-per-month", "--calls-per-minute"} {
			if v[i+1] != "" || old[i+1] > 0 {
				cli += " " + flag + " " + or(plain(v[i+1]), "0")
			}
		}
		return forKeys(t, func(key string) string { return "paygate keys limit " + key + cli })
	}
	f.submit = func(v []string) tea.Cmd {
		var want [6]int64
		for i := range want {
			want[i], _ = whole(v[i], 0, most[i])
		}
		var do, back []act
		for _, r := range t {
			do = append(do, limitActs(r.ID, want)...)
			back = append(back, limitActs(r.ID, limitsOf(&r))...)
		}
		f.close()
		return k.m.each(do, "set the limits of "+named(t), f.cli(v), &undo{"limits", func() tea.Cmd {
			return k.m.each(back, "put back the limits of "+named(t), "", nil, k.after)
		}}, k.after)
	}
	return k.m.open(f)
}

func limitsOf(r *api.KeyRow) [6]int64 {
	out := [6]int64{0: r.SpendingLimit, 5: r.RateLimit}
	if q := r.Quota; q != nil {
		out[1], out[2], out[3], out[4] = q.DailyCallLimit, q.MonthlyCallLimit, q.DailyCreditLimit, q.MonthlyCreditLimit
	}
	return out
}

func limitActs(id string, l [6]int64) []act {
	quota := map[string]any{"key": id, "dailyCallLimit": l[1], "monthlyCallLimit": l[2], "dailyCreditLimit": l[3], "monthlyCreditLimit": l[4]}
	if l[1]+l[2]+l[3]+l[4] == 0 {
		quota = map[string]any{"key": id, "remove": true}
	}
	return []act{{path: "/limits", in: map[string]any{"key": id, "spendingLimit": l[0], "rateLimit": l[5]}}, {path: "/keys/quota", in: quota}}
}

// access sets which tools a key may call. u takes it back.
func (k *keys) access(t []api.KeyRow) tea.Cmd {
	allow, deny := k.m.toolsField("Tools", "all; or names, globs: fs:* search:*"), k.m.toolsField("Not", "none is forbidden")
	allow.line.Set(strings.Join(t[0].AllowedTools, " "))
	deny.line.Set(strings.Join(t[0].DeniedTools, " "))
	f := &form{m: k.m, title: "Tools of " + named(t), fields: []*field{allow, deny}, button: "Set"}
	f.cli = func(v []string) string {
		return forKeys(t, func(key string) string {
			return "paygate keys allow " + key + " " + quote(strings.Join(words(v[0]), ",")) + " && paygate keys deny " + key + " " + quote(strings.Join(words(v[1]), ","))
		})
	}
	f.submit = func(v []string) tea.Cmd {
		var do, back []act
		for _, r := range t {
			do = append(do, act{path: "/keys/acl", in: map[string]any{"key": r.ID, "allowedTools": words(v[0]), "deniedTools": words(v[1])}})
			back = append(back, act{path: "/keys/acl", in: map[string]any{"key": r.ID, "allowedTools": list0(r.AllowedTools), "deniedTools": list0(r.DeniedTools)}})
		}
		f.close()
		return k.m.each(do, "set the tools of "+named(t), f.cli(v), &undo{"tools", func() tea.Cmd {
			return k.m.each(back, "put back the tools of "+named(t), "", nil, k.after)
		}}, k.after)
	}
	return k.m.open(f)
}

// list0 is a list that is [] rather than null in JSON.
func list0(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// tags sets the tags of a key. u takes it back.
func (k *keys) tags(t []api.KeyRow) tea.Cmd {
	x := &field{name: "Tags", hint: func(v string) (string, error) {
		_, err := pairs(v)
		return "name=value, apart by spaces; empty: none", err
	}}
	var have []string
	for n, v := range t[0].Tags {
		have = append(have, n+"="+v)
	}
	sort.Strings(have)
	x.line.Set(strings.Join(have, " "))
	f := &form{m: k.m, title: "Tags of " + named(t), fields: []*field{x}, button: "Set"}
	f.cli = func(v []string) string {
		return forKeys(t, func(key string) string {
			return "paygate keys tag " + key + " " + or(strings.Join(words(v[0]), " "), "--none")
		})
	}
	f.submit = func(v []string) tea.Cmd {
		want, _ := pairs(v[0])
		var do, back []act
		for _, r := range t {
			do = append(do, tagAct(r, want))
			old := r
			old.Tags = want
			back = append(back, tagAct(old, r.Tags))
		}
		f.close()
		return k.m.each(do, "tagged "+named(t), f.cli(v), &undo{"tags", func() tea.Cmd {
			return k.m.each(back, "put back the tags of "+named(t), "", nil, k.after)
		}}, k.after)
	}
	return k.m.open(f)
}

// tagAct sets tags; one that goes is sent as null, as the API wants it.
func tagAct(r api.KeyRow, want map[string]string) act {
	tags := map[string]any{}
	for n := range r.Tags {
		if _, ok := want[n]; !ok {
			tags[n] = nil
		}
	}
	for n, v := range want {
		tags[n] = v
	}
	return act{path: "/keys/tags", in: map[string]any{"key": r.ID, "tags": tags}}
}
