package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// What a plan of a price sheet gives: grants at the beginning of each of its
// periods, and credits by itself when a balance is low. Each is an entry with
// an id that says which it is, in one transaction with the key's record, so it
// happens exactly once, whenever the gateway runs. What a plan allows (rate and
// spending cap) are limits of the call.

// toppedUp counts the top-ups of a UTC day.
type toppedUp struct {
	Day   string `json:"day"`
	Times int64  `json:"times"`
}

type planIn struct {
	keyIn
	Plan string `json:"plan"`
}

type planOut struct {
	Plan    string `json:"plan"`
	Credits int64  `json:"credits"`
	Message string `json:"message"`
}

// setPlan puts a key on a plan. What an earlier plan granted stays, as credits
// that do not expire.
func (d *Directory) setPlan(ctx context.Context, in planIn) (planOut, error) {
	k, err := d.live(in.Key)
	if err != nil {
		return planOut{}, err
	}
	plan := cutText(in.Plan, mostTag)
	if err := d.knownPlan(plan); err != nil {
		return planOut{}, err
	}
	k, err = d.change(ctx, k.ID, func(tx *ledger.Tx, k *Key) (*journal.Event, error) {
		if k.Plan == plan {
			return nil, nil
		}
		was := k.Plan
		k.Plan, k.Granted = plan, nil
		return event("key.plan_set", api.ActorOf(ctx), map[string]any{"keyMasked": k.masked(), "plan": plan, "from": was}), nil
	})
	if err != nil {
		return planOut{}, err
	}
	if err := d.Turn(ctx, k.ID); err != nil {
		return planOut{}, err
	}
	message := "Plan set"
	if plan == "" {
		message = "Plan taken off"
	}
	if note := d.unknownPlan(k); note != "" {
		message += ". " + note
	}
	return planOut{plan, int64(d.opts.Book.Key(k.ID).Credits), message}, nil
}

// knownPlan refuses a plan that no sheet has: the name is a mistake.
func (d *Directory) knownPlan(name string) error {
	if name == "" || d.opts.Coming == nil {
		return nil
	}
	names, err := d.opts.Coming()
	if err != nil || slices.Contains(names, name) {
		return err
	}
	if len(names) == 0 {
		return api.BadRequest("There is no plan %q: no price sheet has plans. Keep one that has it first (paygate shadow new), or leave plan out", name)
	}
	return api.BadRequest("There is no plan %q; the price sheets have %s", name, strings.Join(names, ", "))
}

// unknownPlan warns of a plan that the key's price sheet does not have, but a
// candidate: it does nothing until that goes live.
func (d *Directory) unknownPlan(k *Key) string {
	if k.Plan == "" || d.opts.Plan(k.terms()) != nil {
		return ""
	}
	return fmt.Sprintf("The live prices have no plan %q: it gives nothing until a sheet with it goes live.", k.Plan)
}

type groupIn struct {
	keyIn
	Group string `json:"group"`
}

type groupOut struct {
	Group   string `json:"group"`
	Message string `json:"message"`
}

func (d *Directory) setGroup(ctx context.Context, in groupIn) (groupOut, error) {
	k, err := d.live(in.Key)
	if err != nil {
		return groupOut{}, err
	}
	group := cutText(in.Group, mostTag)
	_, err = d.change(ctx, k.ID, func(_ *ledger.Tx, k *Key) (*journal.Event, error) {
		k.Group = group
		return event("key.group_set", api.ActorOf(ctx), map[string]any{"keyMasked": k.masked(), "group": group}), nil
	})
	return groupOut{group, "Group set"}, err
}

func withPlan(data json.RawMessage, plan string) json.RawMessage {
	var fields map[string]any
	if json.Unmarshal(data, &fields) != nil {
		return data
	}
	fields["plan"] = plan
	out, err := json.Marshal(fields)
	if err != nil {
		return data
	}
	return out
}

// Turn gives a key what its plan owes it now.
func (d *Directory) Turn(ctx context.Context, id string) error {
	if !d.owes(d.Terms(id), d.Get(id)) {
		return nil
	}
	return d.turn(ctx, []string{id})
}

// owes says whether a grant may be due to a key.
func (d *Directory) owes(t *Terms, k *Key) bool {
	if t == nil || k == nil || t.Plan == "" || k.Revoked || k.expired(d.opts.Now()) {
		return false
	}
	plan := d.opts.Plan(t)
	return plan != nil && plan.Grant > 0 && (k.Granted == nil || k.Granted.Period < plan.GrantPeriod(d.opts.Now()))
}

// turn gives several keys what their plans owe them, in one transaction.
func (d *Directory) turn(ctx context.Context, ids []string) error {
	err := d.opts.Book.Apply(ctx, func(tx *ledger.Tx) error {
		for _, id := range ids {
			k, err := d.table.Get(tx, id)
			if err != nil {
				return err
			}
			if plan := d.opts.Plan(k.terms()); plan != nil && !k.Revoked {
				if err := d.grant(tx, k, plan); err != nil {
					return fmt.Errorf("plan %s of key %s: %w", plan.Name, id, err)
				}
			}
		}
		return nil
	})
	for _, id := range ids {
		if err == nil {
			err = d.refresh(id)
		}
	}
	return err
}

// grant goes through every period that has begun since the newest grant.
func (d *Directory) grant(tx *ledger.Tx, k *Key, plan *pricing.Plan) error {
	g := pricing.Granted{}
	if k.Granted != nil {
		g = *k.Granted
	}
	for _, at := range plan.Begins(g, tx.Now()) {
		next, expired, granted := plan.Turn(g, at, tx.Spent(k.account()), tx.Available(k.account()))
		if next == g {
			continue
		}
		g = next
		id := fmt.Sprintf("%s:%s:%d", k.ID, plan.Name, next.Period)
		e := event(journal.TypeGranted, api.Actor{ID: "system"}, map[string]any{"keyMasked": k.masked(), "plan": plan.Name, "period": next.Period, "granted": granted, "expired": expired})
		e.Subject = k.ID
		if expired > 0 && !tx.Replayed("expiry:"+id) {
			e.Posts = append(e.Posts, journal.Entry{ID: "expiry:" + id, From: k.account(), To: journal.Expired, Amount: expired, Kind: journal.KindExpiry, Ref: plan.Name})
		}
		if granted > 0 && !tx.Replayed("grant:"+id) {
			e.Posts = append(e.Posts, journal.Entry{ID: "grant:" + id, From: journal.Bank, To: k.account(), Amount: granted, Kind: "grant", Ref: plan.Name})
		}
		if len(e.Posts) == 0 { // it was on this plan before, in this period
			continue
		}
		if err := tx.Append(*e); err != nil {
			return err
		}
	}
	k.Granted = &g
	return d.table.Put(tx, k)
}

// TopUp adds what the plan of a key adds to a low balance, if it is low. It
// tells how much that was.
func (d *Directory) TopUp(ctx context.Context, id string) (pricing.Credits, error) {
	k := d.Get(id)
	if k == nil || k.Revoked {
		return 0, nil
	}
	plan := d.opts.Plan(k.terms())
	if plan == nil || plan.TopUp.Due(d.opts.Book.Key(id).Available, k.toppedUp(d.opts.Now())) == 0 {
		return 0, nil
	}
	added := pricing.Credits(0)
	err := d.opts.Book.Apply(ctx, func(tx *ledger.Tx) error {
		k, err := d.table.Get(tx, id)
		if err != nil {
			return err
		}
		if k.Revoked {
			return nil
		}
		times := k.toppedUp(tx.Now())
		if added = plan.TopUp.Due(tx.Available(k.account()), times); added == 0 {
			return nil
		}
		k.ToppedUp = &toppedUp{Day: tx.Now().Format(time.DateOnly), Times: times + 1}
		e := event(journal.TypeToppedUp, api.Actor{ID: "system"}, map[string]any{"keyMasked": k.masked(), "plan": plan.Name, "creditsAdded": added, "today": times + 1})
		e.Subject = k.ID
		e.Posts = []journal.Entry{{ID: fmt.Sprintf("autotopup:%s:%s:%d", k.ID, k.ToppedUp.Day, times+1), From: journal.Bank, To: k.account(), Amount: added, Kind: "topup", Ref: "plan " + plan.Name}}
		return errors.Join(tx.Append(*e), d.table.Put(tx, k))
	})
	if err != nil || added == 0 {
		return 0, err
	}
	return added, d.refresh(id)
}

// WouldTopUp is TopUp in shadow mode: it is recorded, and only the books of
// shadow mode have it. When calls are charged again it has never been.
func (d *Directory) WouldTopUp(ctx context.Context, id string) error {
	k := d.Get(id)
	if k == nil || k.Revoked {
		return nil
	}
	plan := d.opts.Plan(k.terms())
	if would, on := d.opts.Book.WouldKey(id); !on || plan == nil || plan.TopUp.Due(would.Available, k.wouldTopUps(d.opts.Now())) == 0 {
		return nil
	}
	err := d.opts.Book.Apply(ctx, func(tx *ledger.Tx) error {
		k, err := d.table.Get(tx, id)
		if err != nil {
			return err
		}
		would, on := tx.Would(k.account())
		times := k.wouldTopUps(tx.Now())
		added := plan.TopUp.Due(would, times)
		if !on || k.Revoked || added == 0 {
			return nil
		}
		k.WouldTopUp = &toppedUp{Day: tx.Now().Format(time.DateOnly), Times: times + 1}
		e := event(journal.TypeWouldAdd, api.Actor{ID: "system"}, map[string]any{"keyMasked": k.masked(), "plan": plan.Name, "creditsAdded": added, "today": times + 1})
		e.Subject = k.ID
		return errors.Join(tx.Append(*e), d.table.Put(tx, k))
	})
	if err != nil {
		return err
	}
	return d.refresh(id)
}

// wouldTopUps is how often the key was or would have been topped up on a day.
func (k *Key) wouldTopUps(at time.Time) int64 {
	if k.WouldTopUp == nil || k.WouldTopUp.Day != at.UTC().Format(time.DateOnly) {
		return k.toppedUp(at)
	}
	return k.WouldTopUp.Times
}

// toppedUp is how often the key was topped up on the UTC day of a time.
func (k *Key) toppedUp(at time.Time) int64 {
	if k.ToppedUp == nil || k.ToppedUp.Day != at.UTC().Format(time.DateOnly) {
		return 0
	}
	return k.ToppedUp.Times
}
