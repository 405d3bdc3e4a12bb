package report

import (
	"context"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/journal"
)

type keyUseIn struct {
	Key   string     `query:"key"`
	Hours api.Number `query:"hours"`
}

// keyUse is a key's balance and use in steps of time, for a chart.
func (p *Reports) keyUse(ctx context.Context, in keyUseIn) (api.KeyUse, error) {
	id, ok := p.opts.Keys.Resolve(in.Key)
	if !ok {
		return api.KeyUse{}, api.NotFound("Key not found")
	}
	hours := in.Hours.Or(168, 1, 24*90)
	const steps = 96
	step := time.Duration(hours) * time.Hour / steps
	now := p.opts.Now()
	out := api.KeyUse{StepSeconds: int(step.Seconds()), Balance: make([]float64, steps), Spent: make([]float64, steps), Calls: make([]float64, steps), Denied: make([]float64, steps)}
	if err := p.opts.Book.Flush(ctx); err != nil {
		return out, err
	}
	balance := float64(p.opts.Book.Key(id).Credits)
	filled := steps
	fill := func(until int) { // the balance was this one at the ends of the steps from until on
		for ; filled > until; filled-- {
			out.Balance[filled-1] = balance
		}
	}
	account := journal.KeyAccount(id)
	for before := uint64(0); ; {
		events, err := p.opts.Book.Journal().OfKey(id, before, 1000)
		if err != nil || len(events) == 0 {
			fill(0)
			return out, err
		}
		for _, e := range events {
			i := steps - 1 - int(now.Sub(e.At)/step)
			if i < 0 {
				fill(0)
				return out, nil
			}
			fill(i)
			if c := e.Call; c != nil && i < steps {
				out.Spent[i] += float64(Due(c))
				out.Calls[i]++
				if c.Outcome == pricing.Denied {
					out.Denied[i]++
				}
			}
			for _, row := range p.entries(e) {
				if row.From == string(account) {
					balance += float64(row.Amount)
				}
				if row.To == string(account) {
					balance -= float64(row.Amount)
				}
			}
		}
		before = events[len(events)-1].Seq
	}
}
