package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/tui/figure"
)

// keyPlan is a plan of the live prices and how many keys are on it.
type keyPlan struct {
	pricing.Plan
	Keys int `json:"keys"`
}

// withPlans asks for the plans that a key may be on.
func (k *keys) withPlans(then func([]keyPlan) tea.Cmd) tea.Cmd {
	return ask(k.m, "GET", "/plans", nil, func(got struct {
		Plans []keyPlan `json:"plans"`
	}, err error) tea.Cmd {
		if err != nil {
			got.Plans = nil // a form without plans is better than none
		}
		return then(got.Plans)
	})
}

// noPlan is the choice of none.
const noPlan = "none"

// planNamed is the plan that a field names.
func planNamed(v string) string {
	if v == noPlan {
		return ""
	}
	return v
}

// planField is the choice of a plan. Without any plan it is typed: a sheet that
// goes live later may have it.
func planField(plans []keyPlan, now string) *field {
	if len(plans) == 0 {
		f := &field{name: "Plan", hint: func(string) (string, error) { return "none; the live prices have no plans", nil }}
		f.line.Set(now)
		return f
	}
	names, about := []string{noPlan}, map[string]string{noPlan: "pays by call alone"}
	for _, p := range plans {
		names = append(names, p.Name)
		about[p.Name] = planWords(p)
	}
	f := choice("Plan", "", names...)
	if now != "" {
		f.line.Set(now)
	}
	f.hint = func(v string) (string, error) { return about[v], nil }
	return f
}

// planWords says what a plan gives, in a line.
func planWords(p keyPlan) string {
	var out []string
	if p.Grant > 0 {
		out = append(out, figure.Group(int64(p.Grant))+" a "+or(p.GrantPer, "month"))
	}
	if p.Rate > 0 {
		out = append(out, figure.Group(p.Rate)+" calls/min")
	}
	if p.SpendCap > 0 {
		out = append(out, "at most "+figure.Group(int64(p.SpendCap))+" a "+or(p.CapPer, "day"))
	}
	return strings.Join(append(out, plural(p.Keys, "key")), ", ")
}

func groupField(now string) *field {
	f := &field{name: "Group", hint: func(string) (string, error) { return "none; prices may differ by it", nil }}
	f.line.Set(now)
	return f
}

// standing sets the plan and the group of keys. u takes it back.
func (k *keys) standing(t []api.KeyRow) tea.Cmd {
	return k.withPlans(func(plans []keyPlan) tea.Cmd {
		f := &form{m: k.m, title: "Plan and group of " + named(t), fields: []*field{planField(plans, t[0].Plan), groupField(t[0].Group)}, button: "Set"}
		f.cli = func(v []string) string {
			return forKeys(t, func(key string) string {
				s := "paygate keys plan " + key + " " + quote(planNamed(v[0]))
				if v[1] != t[0].Group {
					s += " && paygate keys group " + key + " " + quote(v[1])
				}
				return s
			})
		}
		f.submit = func(v []string) tea.Cmd {
			var do, back []act
			for _, r := range t {
				do = append(do, act{path: "/keys/plan", in: map[string]any{"key": r.ID, "plan": planNamed(v[0])}})
				back = append(back, act{path: "/keys/plan", in: map[string]any{"key": r.ID, "plan": r.Plan}})
				if v[1] != r.Group {
					do = append(do, act{path: "/keys/group", in: map[string]any{"key": r.ID, "group": v[1]}})
					back = append(back, act{path: "/keys/group", in: map[string]any{"key": r.ID, "group": r.Group}})
				}
			}
			f.close()
			return k.m.each(do, "set the plan of "+named(t), f.cli(v), &undo{"plan", func() tea.Cmd {
				return k.m.each(back, "put back the plan of "+named(t), "", nil, k.after)
			}}, k.after)
		}
		return k.m.open(f)
	})
}
