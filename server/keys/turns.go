package keys

import (
	"context"
	"errors"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/ledger"
)

// PlansChanged says that other prices are live, whose plans may owe keys
// something.
func (d *Directory) PlansChanged() {
	select {
	case d.turning <- struct{}{}:
	default:
	}
}

// keysATime is how many keys get their grants in one transaction, so that calls
// go on between them.
const keysATime = 50

// KeepPlans gives every key what its plan owes it, at the begin of each period
// and when prices change, and writes off what revoked keys are left with, until
// ctx ends.
func (d *Directory) KeepPlans(ctx context.Context) error {
	for {
		if err := errors.Join(d.TurnAll(ctx), d.WriteOff(ctx)); err != nil && ctx.Err() == nil && !errors.Is(err, ledger.ErrUnavailable) {
			return err
		}
		now := d.opts.Now().UTC()
		midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
		wait := time.NewTimer(min(midnight.Sub(now)+time.Millisecond, time.Minute)) // clocks are set
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-d.turning:
		case <-wait.C:
		}
		wait.Stop()
	}
}

// TurnAll gives every key what its plan owes it now.
func (d *Directory) TurnAll(ctx context.Context) error {
	var due []string
	for _, e := range d.all() {
		if d.owes(e.terms, e.key) {
			due = append(due, e.key.ID)
		}
	}
	for some := range slices.Chunk(due, keysATime) {
		if err := d.turn(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

// planRow is a plan and how many keys are on it.
type planRow struct {
	pricing.Plan
	Keys int  `json:"keys"`
	Live bool `json:"live"` // false: no live prices have it
}

type plansOut struct {
	Plans []planRow `json:"plans"`
}

func (d *Directory) plans(context.Context, api.None) (plansOut, error) {
	rows := map[string]*planRow{}
	for _, p := range d.opts.Plans() {
		rows[p.Name] = &planRow{Plan: p, Live: true}
	}
	for _, e := range d.all() {
		if e.key.Plan == "" || e.key.Revoked {
			continue
		}
		r := rows[e.key.Plan]
		if r == nil {
			r = &planRow{Plan: pricing.Plan{Name: e.key.Plan}}
			if p := d.opts.Plan(e.terms); p != nil { // of a sheet that some keys keep
				r.Plan, r.Live = *p, true
			}
			rows[e.key.Plan] = r
		}
		r.Keys++
	}
	out := plansOut{Plans: []planRow{}}
	for _, r := range rows {
		out.Plans = append(out.Plans, *r)
	}
	slices.SortFunc(out.Plans, func(a, b planRow) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out, nil
}
