package oracle

import (
	"encoding/json"
	"slices"
	"time"
)

// granted is what a key has had of its plan's grants.
type granted struct {
	period      string
	left, spent int64
}

// topUps count the top-ups of a key on a day.
type topUps map[string]map[string]int64

// due is what a plan adds to what is available, counted.
func (t topUps) due(c *Call, p *Plan, available int64) int64 {
	day := c.At.UTC().Format("2006-01-02")
	if t[c.Key] == nil {
		t[c.Key] = map[string]int64{}
	}
	if p.TopUp.Add <= 0 || available >= p.TopUp.Below || p.TopUp.PerDay > 0 && t[c.Key][day] >= p.TopUp.PerDay {
		return 0
	}
	t[c.Key][day]++
	return p.TopUp.Add
}

func (p *Plan) layout() string {
	if p.GrantPer == "day" {
		return "20060102"
	}
	return "200601"
}

// planner gives the candidate's keys what its plans give, in place of what the
// plans of the live prices gave.
type planner struct {
	x              *walker
	sheet          *Sheet
	granted        map[string]granted
	topped         topUps
	added, expired int64
}

func newPlanner(x *walker, s *Sheet) *planner {
	p := &planner{x: x, sheet: s, granted: map[string]granted{}, topped: topUps{}}
	for key, g := range x.grants {
		p.granted[key] = g
	}
	x.cand.skips = func(l *Line) bool {
		return slices.Contains([]string{"key.granted", "key.auto_topup", "key.would_topup"}, l.Type)
	}
	x.cand.before, x.cand.limits = p.turn, p.limits
	return p
}

// turn gives a key before a call what its plan owes it: the grant of every
// period that has begun since the last one, and a top-up when its balance is low.
func (p *planner) turn(c *Call) {
	plan := p.sheet.plan(c.Plan)
	if plan == nil || c.Key == "" {
		return
	}
	a := p.x.cand.of("key:" + c.Key)
	for _, period := range plan.owed(p.granted[c.Key].period, c.At) {
		g := p.granted[c.Key]
		left := min(max(0, g.left-max(0, a.spent-g.spent)), max(0, a.posted-a.held))
		if plan.Expires {
			gone := max(0, left-plan.Rollover)
			left -= gone
			a.posted -= gone
			p.expired += gone
		}
		a.posted += plan.Grant
		p.added += plan.Grant
		p.granted[c.Key] = granted{period, left + plan.Grant, a.spent}
	}
	n := p.topped.due(c, plan, a.posted-a.held)
	a.posted += n
	p.added += n
}

// owed are the periods up to a time whose grant is due; of a key that never had
// one, only the one of now.
func (p *Plan) owed(last string, now time.Time) []string {
	if p.Grant <= 0 {
		return nil
	}
	var out []string
	for at := now.UTC(); ; {
		period := at.Format(p.layout())
		if last != "" && (len(period) < len(last) || len(period) == len(last) && period <= last) {
			break
		}
		if out = append(out, period); last == "" {
			break
		}
		y, m, d := at.Date()
		if p.GrantPer == "day" {
			at = time.Date(y, m, d-1, 0, 0, 0, 0, time.UTC)
		} else {
			at = time.Date(y, m-1, 1, 0, 0, 0, 0, time.UTC)
		}
		if len(out) > 400 {
			break
		}
	}
	slices.Reverse(out)
	return out
}

// planLimits are the limits that a plan sets.
func planLimits(p *Plan, payer string) (out []Limit) {
	if p == nil {
		return nil
	}
	if p.Rate > 0 {
		out = append(out, Limit{payer, keyRate, p.Rate, 60_000})
	}
	if p.SpendCap > 0 {
		kind := "daily_credit_quota_exceeded"
		if p.CapPer == "month" {
			kind = "monthly_credit_quota_exceeded"
		}
		out = append(out, Limit{payer, kind, p.SpendCap, 0})
	}
	return out
}

// limits are a call's with the candidate's plan in place of the live one.
func (p *planner) limits(c *Call) []Limit {
	was, is := planLimits(p.x.then(c).plan(c.Plan), c.Payer), planLimits(p.sheet.plan(c.Plan), c.Payer)
	out := slices.Clone(c.Limits)
	for _, l := range was {
		if i := slices.Index(out, l); i >= 0 {
			out = slices.Delete(out, i, i+1)
		}
	}
	return append(out, is...)
}

// granted follows what the plans of the live prices have given, so that the
// candidate goes on from there.
func (x *walker) granted(l *Line) {
	var d struct {
		Period           json.Number
		Granted, Expired int64
	}
	if json.Unmarshal(l.Data, &d) != nil || l.Subject == "" {
		return
	}
	spent := x.real.of("key:" + l.Subject).spent
	was := x.grants[l.Subject]
	left := max(0, was.left-max(0, spent-was.spent))
	x.grants[l.Subject] = granted{d.Period.String(), max(0, left-d.Expired) + d.Granted, spent}
}

// reaction is a what-if in the candidate's books.
type reaction struct {
	WhatIf
	broken map[string]bool
	last   map[string]time.Time
	topped map[string]int
	given  map[string]bool
	added  int64
	load   int
}

func runOf(c *Call) string { return c.Key + "\x00" + c.Run }

func newReaction(w WhatIf, cand *books) *reaction {
	r := &reaction{WhatIf: w, broken: map[string]bool{}, last: map[string]time.Time{}, topped: map[string]int{}, given: map[string]bool{}}
	cand.refuse = func(c *Call) string { return r.refuse(cand, c) }
	switch w.Policy {
	case "top-up":
		cand.fund = r.fund
	case "downgrade":
		cand.cheaper = w.Cheaper
	}
	return r
}

// refuse also gives a key its grant, before its first call.
func (r *reaction) refuse(cand *books, c *Call) string {
	if c.Key != "" && r.Grant > 0 && !r.given[c.Key] {
		r.given[c.Key] = true
		r.added += r.Grant
		cand.of("key:" + c.Key).posted += r.Grant
	}
	if r.Policy != "stop-run" {
		return ""
	}
	if c.Run == "" {
		if at, ok := r.last[c.Key]; ok && c.At.Sub(at) >= 15*time.Minute {
			delete(r.broken, runOf(c))
		}
		r.last[c.Key] = c.At
	}
	if r.broken[runOf(c)] {
		return "run_stopped"
	}
	return ""
}

func (r *reaction) fund(c *Call, lacks int64) int64 {
	id := c.Key + c.At.UTC().Format(" 2006-01-02")
	if r.PerDay > 0 && r.topped[id] >= r.PerDay {
		return 0
	}
	r.topped[id]++
	n := max(lacks, r.TopUp)
	r.added += n
	return n
}

func (r *reaction) see(list []verdict) {
	for _, v := range list {
		if v.admitted || v.ended || len(v.reasons) == 0 || v.reasons[0] == "run_stopped" {
			continue
		}
		r.broken[runOf(v.call)] = true
		if r.Policy == "retry" {
			r.load += r.Retries
		}
	}
}
