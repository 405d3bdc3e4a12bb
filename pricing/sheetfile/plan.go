package sheetfile

import (
	"paygate/pricing"
)

// plans reads what the keys of each plan get and may use.
func (r *reader) plans(n *node, field string) []pricing.Plan {
	if n.kind != object {
		r.bad(n, field, "must be an object of plans by name, not %s", n.kind)
		return nil
	}
	var out []pricing.Plan
	for _, m := range n.members {
		out = append(out, r.plan(m.name, m.value, join(field, m.name)))
	}
	return out
}

func (r *reader) plan(name string, n *node, field string) pricing.Plan {
	p := pricing.Plan{Name: name}
	var expires string
	r.object(n, field, fields{
		"grant": func(n *node, field string) {
			v, per := r.ratio(n, field, "credits", "day", "month")
			p.Grant, p.GrantPer = pricing.Credits(v), per
		},
		"expires":  func(n *node, field string) { r.word(n, field, &expires, "month_end") },
		"rollover": func(n *node, field string) { r.credits(n, field, &p.Rollover) },
		"rate":     func(n *node, field string) { p.Rate, _ = r.ratio(n, field, "calls", "min") },
		"spend_cap": func(n *node, field string) {
			v, per := r.ratio(n, field, "credits", "day", "month")
			p.SpendCap, p.CapPer = pricing.Credits(v), per
		},
		"overdraft": func(n *node, field string) {
			var most pricing.Credits
			if r.credits(n, field, &most); most > 0 {
				r.bad(n, field, "no balance goes below zero here: only 0 is possible")
			}
		},
		"auto_topup": func(n *node, field string) { p.TopUp = r.topUp(n, field) },
	})
	return p
}

func (r *reader) topUp(n *node, field string) pricing.TopUp {
	var t pricing.TopUp
	r.object(n, field, fields{
		"below": func(n *node, field string) { r.credits(n, field, &t.Below) },
		"add":   func(n *node, field string) { r.credits(n, field, &t.Add) },
		"max":   func(n *node, field string) { t.PerDay, _ = r.ratio(n, field, "top-ups", "day") },
	})
	if n.kind == object && t.Add == 0 {
		r.bad(n, field, `needs "add", the credits that are added below %d`, t.Below)
	}
	return t
}
