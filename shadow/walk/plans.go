package walk

import (
	"encoding/json"
	"slices"

	"paygate/pricing"
	"paygate/shadow/snapshot"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// planner gives a candidate's keys what its plans grant and add, in place of
// what the plans of the live prices gave: grants of a period are there before
// its first call, a low balance is filled up before a call is judged.
type planner struct {
	sheet   *pricing.Sheet
	then    func(*journal.Call) *pricing.Sheet // the one a call was judged by
	cand    *ledger.Scenario
	granted grants
	topped  topUps
	Added   pricing.Credits // granted and topped up
	Expired pricing.Credits
}

type toppedUp struct{ Day, Times int64 }

func newPlanner(sheet *pricing.Sheet, then func(*journal.Call) *pricing.Sheet, granted grants) *planner {
	return &planner{sheet: sheet, then: then, granted: grants{granted.Clone()}, topped: newTopUps(nil)}
}

// attach makes a scenario live by the planner.
func (p *planner) attach(s *ledger.Scenario) {
	p.cand = s
	s.Skips = ofPlans
	s.Limits = p.limits
	if len(p.sheet.Plans()) > 0 {
		s.Before = p.turn
	}
}

// ofPlans says whether an event is what a plan gave.
func ofPlans(e *journal.Event) bool {
	return e.Type == journal.TypeGranted || e.Type == journal.TypeToppedUp || e.Type == journal.TypeWouldAdd
}

// wouldAdd says whether an event filled up a wallet of shadow mode's books.
func wouldAdd(e *journal.Event) bool { return e.Type == journal.TypeWouldAdd }

// topUps count what plans have added, by key.
type topUps struct{ *snapshot.Map[toppedUp] }

func newTopUps(of map[string]toppedUp) topUps { return topUps{snapshot.New(of)} }

// fill lets the live prices' own wallets be filled up in shadow mode as their
// plans say: they may have begun later than those of shadow mode's books.
func (t topUps) fill(s *ledger.Scenario, then func(*journal.Call) *pricing.Sheet) {
	s.Skips = wouldAdd
	s.Before = func(c *journal.Call) {
		if !c.Observed || c.Plan == "" || c.Key == "" {
			return
		}
		if plan := then(c).Plan(c.Plan); plan != nil {
			_, available := s.Wallet(c.Key)
			if due := t.due(c, plan, available); due > 0 {
				s.Give(c.Key, due)
			}
		}
	}
}

// due is what a plan adds to a wallet before a call, counted.
func (t topUps) due(c *journal.Call, plan *pricing.Plan, available pricing.Credits) pricing.Credits {
	day := c.At.Unix() / (24 * 3600)
	topped, _ := t.Get(c.Key)
	if topped.Day != day {
		topped = toppedUp{Day: day}
	}
	due := plan.TopUp.Due(available, topped.Times)
	if due > 0 {
		topped.Times++
		t.Set(c.Key, topped)
	}
	return due
}

func (p *planner) turn(c *journal.Call) {
	plan := p.sheet.Plan(c.Plan)
	if plan == nil || c.Key == "" {
		return
	}
	spent, available := p.cand.Wallet(c.Key)
	g, _ := p.granted.Get(c.Key)
	if plan.Grant > 0 && g.Period < plan.GrantPeriod(c.At) {
		for _, at := range plan.Begins(g, c.At) {
			next, expired, granted := plan.Turn(g, at, spent, available)
			p.cand.Expire(c.Key, expired)
			p.cand.Give(c.Key, granted)
			g, available = next, available-expired+granted
			p.Added, p.Expired = p.Added+granted, p.Expired+expired
		}
		p.granted.Set(c.Key, g)
	}
	if due := p.topped.due(c, plan, available); due > 0 {
		p.cand.Give(c.Key, due)
		p.Added += due
	}
}

// limits are those of a call with the candidate's plan in the place of the one
// that it was judged by; nil: they are the same.
func (p *planner) limits(c *journal.Call) []journal.Limit {
	if c.Plan == "" {
		return nil
	}
	payer := journal.Account(c.Payer)
	was, is := ledger.PlanLimits(p.then(c).Plan(c.Plan), payer), ledger.PlanLimits(p.sheet.Plan(c.Plan), payer)
	if slices.Equal(was, is) {
		return nil
	}
	out := make([]journal.Limit, 0, len(c.Limits)+len(is))
	for _, l := range c.Limits {
		if i := slices.Index(was, l); i >= 0 {
			was = slices.Delete(was, i, i+1)
			continue
		}
		out = append(out, l)
	}
	return append(out, is...)
}

// grants follow what plans of the live prices have given, so that a candidate
// begins where they are.
type grants struct {
	*snapshot.Map[pricing.Granted]
}

func newGrants(of map[string]pricing.Granted) grants { return grants{snapshot.New(of)} }

func (g grants) see(e *journal.Event, spent pricing.Credits) {
	var d struct {
		Period           int64
		Granted, Expired pricing.Credits
	}
	if json.Unmarshal(e.Data, &d) != nil || e.Subject == "" {
		return // it says nothing that one could go on from
	}
	was, _ := g.Get(e.Subject)
	left := max(0, was.Left-max(0, spent-was.Spent))
	g.Set(e.Subject, pricing.Granted{Period: d.Period, Left: max(0, left-d.Expired) + d.Granted, Spent: spent})
}
