package sheetfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/pricing/filetree"
	"paygate/pricing/spelling"
)

// MostRules is how many rules a sheet may have.
const MostRules = 1000

func (r *reader) sheet(n *filetree.Node, f *File) pricing.Spec {
	var s pricing.Spec
	r.object(n, "", fields{
		"name":     func(n *filetree.Node, field string) { r.text(n, field, &f.Name) },
		"currency": func(n *filetree.Node, field string) { r.currency(n, field, &s) },
		"rounding": r.rounding,
		"defaults": func(n *filetree.Node, field string) { s.Defaults = r.price(n, field, true) },
		"rules":    func(n *filetree.Node, field string) { s.Rules = r.rules(n, field) },
		"plans":    func(n *filetree.Node, field string) { s.Plans = r.plans(n, field) },

		"dimensions": func(n *filetree.Node, field string) { s.Dims = r.dims(n, field) },
	})
	r.together(n, &s)
	if n.Kind == filetree.Object && !slices.ContainsFunc(n.Members, func(m filetree.Member) bool { return m.Name == "defaults" || m.Name == "rules" }) {
		r.bad(n, "", `there are no prices: a sheet has "defaults", "rules" or both`)
	}
	return s
}

func (r *reader) currency(n *filetree.Node, field string, s *pricing.Spec) {
	r.object(n, field, fields{"credit_usd": func(n *filetree.Node, field string) { r.decimal(n, field, &s.CreditUSD) }})
}

func (r *reader) rounding(n *filetree.Node, field string) {
	var how string
	r.object(n, field, fields{"per_call": func(n *filetree.Node, field string) { r.word(n, field, &how, "up") }})
}

func (r *reader) rules(n *filetree.Node, field string) []pricing.Rule {
	if n.Kind != filetree.List {
		r.bad(n, field, "must be a list of rules, not %s", n.Kind)
		return nil
	}
	if len(n.Items) > MostRules {
		r.bad(n, field, "has %d rules; at most %d are possible", len(n.Items), MostRules)
		return nil
	}
	var out []pricing.Rule
	for i, item := range n.Items {
		var rule pricing.Rule
		at := fmt.Sprintf("%s[%d]", field, i)
		priced := false
		r.object(item, at, fields{
			"match": func(n *filetree.Node, field string) { rule.Match = r.match(n, field) },
			"price": func(n *filetree.Node, field string) {
				tiers, free := rule.Price.Tiers, rule.Price.Free
				rule.Price, priced = r.price(n, field, false), true
				if rule.Price.Tiers == nil {
					rule.Price.Tiers = tiers
				}
				if rule.Price.Free == nil {
					rule.Price.Free = free
				}
			},
			"tiers": func(n *filetree.Node, field string) { rule.Price.Tiers = r.tiers(n, field) },
			"free":  func(n *filetree.Node, field string) { rule.Price.Free = r.allowance(n, field) },
		})
		if !priced && item.Kind == filetree.Object {
			r.bad(item, at, `a rule needs a "price"`)
		}
		out = append(out, rule)
	}
	return out
}

func (r *reader) price(n *filetree.Node, field string, defaults bool) pricing.Price {
	var p pricing.Price
	known := fields{
		"per_call":   func(n *filetree.Node, field string) { r.decimal(n, field, &p.PerCall) },
		"per_kb_in":  func(n *filetree.Node, field string) { r.decimal(n, field, &p.PerKBIn) },
		"per_kb_out": func(n *filetree.Node, field string) { r.decimal(n, field, &p.PerKBOut) },
		"per_second": func(n *filetree.Node, field string) { r.decimal(n, field, &p.PerSecond) },
		"min":        func(n *filetree.Node, field string) { r.credits(n, field, &p.Min) },
		"max":        func(n *filetree.Node, field string) { r.bound(n, field, &p.Max) },
		"hold":       func(n *filetree.Node, field string) { r.bound(n, field, &p.Hold) },
		"free":       func(n *filetree.Node, field string) { p.Free = r.allowance(n, field) },
		"tiers":      func(n *filetree.Node, field string) { p.Tiers = r.tiers(n, field) },
		"bill_on": func(n *filetree.Node, field string) {
			r.word(n, field, &p.BillOn, pricing.BillAccepted, pricing.BillSuccess, pricing.BillBytes, pricing.BillUnits)
		},
		"cached": func(n *filetree.Node, field string) {
			p.Cached = new(pricing.Decimal)
			if r.decimal(n, field, p.Cached); *p.Cached > pricing.One {
				r.bad(n, field, "is a share of the price: at most 100%%")
			}
		},
		"retry": func(n *filetree.Node, field string) { p.Retry, p.RetryWithin = r.retry(n, field) },
	}
	r.object(n, field, known)
	if p.Max > 0 && p.Min > p.Max {
		r.bad(n, field, "min %d is more than max %d", p.Min, p.Max)
	}
	if (p.PerKBOut > 0 || p.PerSecond > 0) && p.Max == 0 && p.Hold == 0 {
		r.warn(n, field, "part of this price is only known after the call, and a key that cannot pay it then gets it for nothing", `set "hold" or "max" to what a call may come to`)
	}
	return p
}

// retry reads "charge", "free" or "free_within 5m".
func (r *reader) retry(n *filetree.Node, field string) (string, time.Duration) {
	var word string
	r.text(n, field, &word)
	if within, ok := strings.CutPrefix(word, "free_within "); ok {
		d, err := time.ParseDuration(within)
		switch {
		case err != nil || d <= 0 || d%time.Millisecond != 0:
			r.bad(n, field, `%q is not a duration such as "5m"`, within)
		case d > pricing.LongestRetry:
			r.bad(n, field, "answers are remembered for at most %s, not %s", pricing.LongestRetry, d)
		}
		return pricing.RetryFree, d
	}
	r.oneOf(n, field, word, pricing.RetryFree, pricing.RetryCharged, "free_within DURATION")
	return word, 0
}

// allowance reads "100/month".
func (r *reader) allowance(n *filetree.Node, field string) *pricing.Allowance {
	a := &pricing.Allowance{}
	a.Calls, a.Per = r.ratio(n, field, "calls", pricing.Periods()...)
	return a
}

func (r *reader) tiers(n *filetree.Node, field string) *pricing.Tiers {
	t := &pricing.Tiers{Mode: pricing.Graduated, Per: "month"}
	r.object(n, field, fields{
		"mode": func(n *filetree.Node, field string) { r.word(n, field, &t.Mode, pricing.Graduated, pricing.Volume) },
		"per": func(n *filetree.Node, field string) {
			r.word(n, field, &t.Per, "key/day", "key/month", "key/ever")
			t.Per = strings.TrimPrefix(t.Per, "key/")
		},
		"steps": func(n *filetree.Node, field string) { t.Steps = r.steps(n, field) },
	})
	if n.Kind == filetree.Object && len(t.Steps) == 0 {
		r.bad(n, field, `needs "steps", such as [{to: 1000, x: 1.0}, {x: 0.8}]`)
	}
	return t
}

func (r *reader) steps(n *filetree.Node, field string) []pricing.Step {
	if n.Kind != filetree.List {
		r.bad(n, field, "must be a list of steps, not %s", n.Kind)
		return nil
	}
	var out []pricing.Step
	before := int64(0)
	for i, item := range n.Items {
		var s pricing.Step
		at, hasX := fmt.Sprintf("%s[%d]", field, i), false
		r.object(item, at, fields{
			"to": func(n *filetree.Node, field string) { r.whole(n, field, &s.To) },
			"x": func(n *filetree.Node, field string) {
				hasX = true
				if r.decimal(n, field, &s.X); s.X > 1000*pricing.One {
					r.bad(n, field, "a multiplier is at most 1000")
				}
			},
		})
		last := i == len(n.Items)-1
		switch {
		case item.Kind != filetree.Object:
		case !hasX:
			r.bad(item, at, `needs "x", the multiplier`)
		case last && s.To != 0:
			r.bad(item, at, `the last step has no "to": it is for all calls beyond`)
		case !last && s.To <= before:
			r.bad(item, at, `"to" must be more than %d`, before)
		}
		before = s.To
		out = append(out, s)
	}
	return out
}

func (r *reader) text(n *filetree.Node, field string, to *string) {
	if n.Kind != filetree.Text && n.Kind != filetree.Number && n.Kind != filetree.Boolean {
		r.bad(n, field, "must be text, not %s", n.Kind)
		return
	}
	if len(n.Text) > 500 {
		r.bad(n, field, "is longer than 500 characters")
		return
	}
	*to = n.Text
}

func (r *reader) word(n *filetree.Node, field string, to *string, known ...string) {
	var word string
	if r.text(n, field, &word); (word != "" || n.Kind == filetree.Text) && r.oneOf(n, field, word, known...) {
		*to = word
	}
}

func (r *reader) oneOf(n *filetree.Node, field, word string, known ...string) bool {
	if slices.Contains(known, word) {
		return true
	}
	d := Diagnostic{Line: n.Line, Column: n.Column, Field: field, Message: fmt.Sprintf("%q is not one of %s", word, strings.Join(known, ", "))}
	if near := spelling.Nearest(word, known); near != "" {
		d.Suggestion = fmt.Sprintf("did you mean %q?", near)
	}
	r.found = append(r.found, d)
	return false
}

func (r *reader) decimal(n *filetree.Node, field string, to *pricing.Decimal) {
	if n.Kind != filetree.Number && n.Kind != filetree.Text {
		r.bad(n, field, "must be a number, not %s", n.Kind)
		return
	}
	d, err := pricing.ParseDecimal(n.Text)
	switch {
	case strings.HasPrefix(n.Text, "-"):
		r.bad(n, field, "must not be below zero")
	case err != nil:
		r.bad(n, field, "%s", err)
	default:
		*to = d
	}
}

func (r *reader) whole(n *filetree.Node, field string, to *int64) {
	v, err := strconv.ParseInt(n.Text, 10, 64)
	if n.Kind != filetree.Number || err != nil || v <= 0 || v > int64(pricing.MaxCredits) {
		r.bad(n, field, "must be a whole number from 1 to %d", pricing.MaxCredits)
		return
	}
	*to = v
}

func (r *reader) credits(n *filetree.Node, field string, to *pricing.Credits) {
	v, err := strconv.ParseInt(n.Text, 10, 64)
	if n.Kind != filetree.Number || err != nil || v < 0 || v > int64(pricing.MaxCredits) {
		r.bad(n, field, "must be a number of whole credits from 0 to %d", pricing.MaxCredits)
		return
	}
	*to = pricing.Credits(v)
}

// bound reads credits that 0 would not bound.
func (r *reader) bound(n *filetree.Node, field string, to *pricing.Credits) {
	if r.credits(n, field, to); n.Kind == filetree.Number && n.Text == "0" {
		r.bad(n, field, "must be at least 1; leave it out for none")
	}
}

// ratio reads "500/month".
func (r *reader) ratio(n *filetree.Node, field, what string, per ...string) (int64, string) {
	count, period, ok := strings.Cut(n.Text, "/")
	v, err := strconv.ParseInt(count, 10, 64)
	if n.Kind != filetree.Text || !ok || err != nil || v < 1 || v > int64(pricing.MaxCredits) {
		r.bad(n, field, `must be a number of %s and a period, such as "500/%s"`, what, per[len(per)-1])
		return 0, per[0]
	}
	if !r.oneOf(n, field, period, per...) {
		return 0, per[0]
	}
	return v, period
}
