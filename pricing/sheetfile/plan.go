package sheetfile

import (
	"paygate/pricing"
	"paygate/pricing/filetree"
)

// plans reads what the keys of each plan get and may use.
func (r *reader) plans(n *filetree.Node, field string) []pricing.Plan {
	if n.Kind != filetree.Object {
		r.bad(n, field, "must be an object of plans by name, not %s", n.Kind)
		return nil
	}
	var out []pricing.Plan
	for _, m := range n.Members {
		out = append(out, r.plan(m.Name, m.Value, join(field, m.Name)))
	}
	return out
}

func (r *reader) plan(name string, n *filetree.Node, field string) pricing.Plan {
	p := pricing.Plan{Name: name}
	var expires string
	rolls := false // also of nothing: then all that is left expires
	r.object(n, field, fields{
		"grant": func(n *filetree.Node, field string) {
			v, per := r.ratio(n, field, "credits", "day", "month")
			p.Grant, p.GrantPer = pricing.Credits(v), per
		},
		"expires": func(n *filetree.Node, field string) { r.word(n, field, &expires, "month_end", "day_end") },
		"rollover": func(n *filetree.Node, field string) {
			r.credits(n, field, &p.Rollover)
			rolls = true
		},
		"rate": func(n *filetree.Node, field string) { p.Rate, _ = r.ratio(n, field, "calls", "min") },
		"spend_cap": func(n *filetree.Node, field string) {
			v, per := r.ratio(n, field, "credits", "day", "month")
			p.SpendCap, p.CapPer = pricing.Credits(v), per
		},
		"overdraft": func(n *filetree.Node, field string) {
			var most pricing.Credits
			if r.credits(n, field, &most); most > 0 {
				r.bad(n, field, "no balance goes below zero here: only 0 is possible")
			}
		},
		"auto_topup": func(n *filetree.Node, field string) { p.TopUp = r.topUp(n, field) },
	})
	p.Expires = expires != "" || rolls
	switch {
	case p.Grant == 0 && p.Expires:
		r.bad(n, field, `only a "grant" can expire or roll over, and there is none`)
	case expires != "" && expires != p.GrantPer+"_end":
		r.bad(n, field, "a grant per %s expires at %s_end, not %s", p.GrantPer, p.GrantPer, expires)
	}
	return p
}

func (r *reader) topUp(n *filetree.Node, field string) pricing.TopUp {
	var t pricing.TopUp
	r.object(n, field, fields{
		"below": func(n *filetree.Node, field string) { r.credits(n, field, &t.Below) },
		"add":   func(n *filetree.Node, field string) { r.credits(n, field, &t.Add) },
		"max":   func(n *filetree.Node, field string) { t.PerDay, _ = r.ratio(n, field, "top-ups", "day") },
	})
	if n.Kind == filetree.Object && t.Below == 0 {
		r.bad(n, field, `needs "below", the balance under which %d credits are added`, t.Add)
	}
	if n.Kind == filetree.Object && t.Add == 0 {
		r.bad(n, field, `needs "add", the credits that are added below %d`, t.Below)
	}
	return t
}
