package server

import (
	"context"
	"maps"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/server/gate"
	"paygate/server/keys"
	"paygate/shadow"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// planOf is what the sheet that a key pays by says of its plan.
func (s *Server) planOf(t *keys.Terms) *pricing.Plan {
	w := s.world.Load()
	if w == nil || t.Plan == "" {
		return nil
	}
	return w.prices.of(t, s.opts.Now()).Plan(t.Plan)
}

// livePlans are the plans of the live sheet.
func (s *Server) livePlans() []pricing.Plan {
	if w := s.world.Load(); w != nil {
		return w.prices.live.Plans()
	}
	return nil
}

// planNames are those of every sheet that a key may pay by, now or one day.
func (s *Server) planNames() ([]string, error) {
	names := map[string]bool{}
	err := s.book.DB().View(func(snap *store.Snapshot) error {
		c := &choice{named: map[string]*pricing.Sheet{}}
		if err := c.read(snap); err != nil {
			return err
		}
		candidates, err := shadow.Kept(snap)
		for _, sheet := range slices.Concat([]*pricing.Sheet{c.live}, slices.Collect(maps.Values(c.named)), candidates) {
			for _, p := range sheet.Plans() {
				names[p.Name] = true
			}
		}
		return err
	})
	return slices.Sorted(maps.Keys(names)), err
}

// plans lets a call be bounded by its key's plan: calls a minute and credits a
// day or month are limits of the one Reserve. A low balance is topped up before
// it is asked, so that no agent is refused what its plan pays for.
func (s *Server) plans() gate.Check {
	return gate.Check{Name: "plan", Do: func(c *gate.Call) *gate.Denial {
		if c.Plan == "" {
			return nil
		}
		plan := c.Price.Plan(c.Plan)
		if plan == nil {
			return nil
		}
		if plan.TopUp.Add > 0 && !c.Dry {
			s.topUp(c, plan)
		}
		c.Limits = append(c.Limits, ledger.PlanLimits(plan, journal.Account(c.Payer))...)
		return nil
	}}
}

// topUp adds to a low balance; in shadow mode to the one that the key would
// have, which is judged by.
func (s *Server) topUp(c *gate.Call, plan *pricing.Plan) {
	ctx, cancel := context.WithTimeout(s.ctx, topUpTime)
	defer cancel()
	var err error
	if c.Observed {
		err = s.keys.WouldTopUp(ctx, c.Key)
	} else {
		_, err = s.keys.TopUp(ctx, c.Key)
	}
	if err != nil {
		s.opts.Log.Error("a plan's top-up failed; the call goes on without", "key", c.Key, "plan", plan.Name, "error", err)
	}
}

const topUpTime = 5 * time.Second
