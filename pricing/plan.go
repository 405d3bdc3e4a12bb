package pricing

import (
	"slices"
	"time"
)

// Plan is what the keys of a plan get and may use.
type Plan struct {
	Name     string  `json:"name"`
	Grant    Credits `json:"grant,omitempty"`
	GrantPer string  `json:"grantPer,omitempty"` // month or day
	Expires  bool    `json:"expires,omitempty"`  // what is left of a grant ends with its period, but for Rollover
	Rollover Credits `json:"rollover,omitempty"`
	Rate     int64   `json:"rate,omitempty"` // calls a minute
	SpendCap Credits `json:"spendCap,omitempty"`
	CapPer   string  `json:"capPer,omitempty"` // month or day
	TopUp    TopUp   `json:"topUp,omitzero"`
}

// TopUp adds credits when a balance falls below a number, at most so many
// times a day.
type TopUp struct {
	Below  Credits `json:"below,omitempty"`
	Add    Credits `json:"add,omitempty"`
	PerDay int64   `json:"perDay,omitempty"` // 0: as often as need be
}

// Plan is the plan of a name; nil when the sheet has none.
func (s *Sheet) Plan(name string) *Plan {
	if s.rules == nil || name == "" {
		return nil
	}
	i := slices.IndexFunc(s.rules.spec.Plans, func(p Plan) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &s.rules.spec.Plans[i]
}

// Plans are all plans of the sheet, by name.
func (s *Sheet) Plans() []Plan {
	if s.rules == nil {
		return nil
	}
	return slices.Clone(s.rules.spec.Plans)
}

// Granted is what a key has had of its plan: the state that Plan.Turn goes on
// from.
type Granted struct {
	Period int64   // of the newest grant, as GrantPeriod tells it; 0: none yet
	Left   Credits // of grants that expire, at the time of the newest one
	Spent  Credits // what the key had spent by then, in its life
}

// GrantPeriod is the UTC day or month of a time as grants count them.
func (p *Plan) GrantPeriod(at time.Time) int64 {
	y, m, d := at.UTC().Date()
	if p.GrantPer == "day" {
		return int64(y*10000 + int(m)*100 + d)
	}
	return int64(y*100 + int(m))
}

// Begins are the times at which the grants after the newest one were or are
// due, oldest first; only now when there was none yet.
func (p *Plan) Begins(g Granted, now time.Time) []time.Time {
	now = now.UTC()
	if g.Period == 0 {
		return []time.Time{now}
	}
	var out []time.Time
	y, m, d := now.Date()
	for back := 0; ; back++ {
		at := time.Date(y, m-time.Month(back), 1, 0, 0, 0, 0, time.UTC)
		if p.GrantPer == "day" {
			at = time.Date(y, m, d-back, 0, 0, 0, 0, time.UTC)
		}
		if p.GrantPeriod(at) <= g.Period || back > mostPeriods {
			break
		}
		out = append(out, at)
	}
	slices.Reverse(out)
	return out
}

// mostPeriods is how far back grants are caught up with.
const mostPeriods = 400

// Turn is what is due to a wallet at a time: how much of earlier grants has
// expired, and what is granted; nothing when the period's grant was given. spent
// is what the key has spent in its life, available what it can spend now. Grants
// are spent before other credits.
func (p *Plan) Turn(g Granted, at time.Time, spent, available Credits) (next Granted, expired, granted Credits) {
	period := p.GrantPeriod(at)
	if p.Grant <= 0 || period <= g.Period {
		return g, 0, 0
	}
	left := min(max(0, g.Left-max(0, spent-g.Spent)), max(0, available))
	if p.Expires {
		expired = max(0, left-p.Rollover)
		left -= expired
	}
	return Granted{Period: period, Left: left + p.Grant, Spent: spent}, expired, p.Grant
}

// Due is how much a top-up adds to what is available; today is how many there
// were this day already.
func (t TopUp) Due(available Credits, today int64) Credits {
	if t.Add <= 0 || available >= t.Below || t.PerDay > 0 && today >= t.PerDay {
		return 0
	}
	return t.Add
}
