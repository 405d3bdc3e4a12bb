package shadow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/ledger"
	"paygate/store/sheets"
)

// RolledBackTo says what a rollback did, or would do.
type RolledBackTo struct {
	Name   string          `json:"name"`
	Sheet  string          `json:"sheet"`            // that is live again
	Total  pricing.Credits `json:"total"`            // given back
	Before pricing.Credits `json:"before,omitempty"` // given back before, when it was asked for already
	Open   int             `json:"open,omitempty"`   // calls that began at the new prices and have not ended: they are made good then
	Keys   []MadeGood      `json:"keys"`
	Actual time.Time       `json:"at"`
	Why    string          `json:"why,omitempty"` // of one that happened by itself
}

// MadeGood is what one key got back.
type MadeGood struct {
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Credits pricing.Credits `json:"credits"`
	Calls   int             `json:"calls"`
}

// Rollback makes the prices live again that were before the experiment that is
// live or in its canary now. With makeGood every key gets back what its calls
// cost more than they would have at the old prices, by entries that name the
// calls. Asked again with makeGood it goes on where it was interrupted.
func (l *Lab) Rollback(ctx context.Context, makeGood bool, actor string) (*RolledBackTo, error) {
	return l.RollbackOf(ctx, "", makeGood, actor)
}

// RollbackOf is Rollback that takes back this experiment and no other. Who asks
// again, not knowing whether the first time has worked, names it.
func (l *Lab) RollbackOf(ctx context.Context, name string, makeGood bool, actor string) (*RolledBackTo, error) {
	e, err := l.toRollBack(name, makeGood)
	if err != nil {
		return nil, err
	}
	if e.charges() {
		e, err = l.change(ctx, e.Name, func(tx *ledger.Tx, e *Experiment) error {
			if !e.charges() {
				return e.no("rolled back again")
			}
			if makeGood {
				e.Owes = actor
			}
			return takeBack(tx, e, "", actor)
		})
		if err == nil {
			err = l.changed(ctx)
		}
		if err != nil {
			return nil, err
		}
	}
	out := &RolledBackTo{Name: e.Name, Sheet: e.Live, Keys: []MadeGood{}, Actual: *e.Ended}
	if !makeGood {
		return out, nil
	}
	return out, l.makeGood(ctx, e.Name, out, false, actor)
}

// RollbackPreview is what RollbackOf would do now, key by key; an empty name is
// what Rollback would take back.
func (l *Lab) RollbackPreview(ctx context.Context, makeGood bool) (*RolledBackTo, error) {
	return l.PreviewOf(ctx, "", makeGood)
}

// PreviewOf is RollbackPreview of this experiment and no other.
func (l *Lab) PreviewOf(ctx context.Context, name string, makeGood bool) (*RolledBackTo, error) {
	e, err := l.toRollBack(name, makeGood)
	if err != nil {
		return nil, err
	}
	out := &RolledBackTo{Name: e.Name, Sheet: e.Live, Keys: []MadeGood{}, Actual: l.o.Now().UTC()}
	if !makeGood {
		return out, nil
	}
	out.Before, out.Open = e.MadeGood, l.open(e)
	list, err := l.owed(ctx, e)
	if err != nil {
		return nil, err
	}
	l.sum(out, list)
	return out, nil
}

// charges says whether somebody pays the experiment's prices.
func (e *Experiment) charges() bool { return e.State == IsLive || e.State == InCanary }

// takeBack ends an experiment whose prices are charged, in one act.
func takeBack(tx *ledger.Tx, e *Experiment, why, actor string) error {
	from := e.Candidate
	if e.State == IsLive {
		if err := sheets.Promote(tx, e.Candidate, e.Live, tx.Now()); err != nil {
			return fmt.Errorf("experiment %s: %w", e.Name, err)
		}
		if err := restore(tx, e, actor); err != nil {
			return err
		}
	} else if e.Going != nil {
		from = e.Going.Charged
	}
	r, err := sheets.CurrentRollout(tx)
	if err != nil {
		return err
	}
	if e.Going != nil {
		r.Kept = e.Going.Before
	}
	if r.Canary != nil && r.Canary.Name == e.Name {
		r.Canary = nil
	}
	now := tx.Now()
	e.State, e.Ended = RolledBack, &now
	m := e.mark()
	m.Why = why
	return errors.Join(sheets.PutRollout(tx, r, now), priceEvent(tx, actor, from, e.Live, "rollback:"+e.Name), tx.Append(event(eventRolled, actor, m)))
}

// restore makes the experiment live again that one has superseded which is
// taken back now: its prices are charged again, and may be taken back in turn.
func restore(tx *ledger.Tx, by *Experiment, actor string) error {
	for e, err := range table().All(tx, "") {
		if err != nil {
			return err
		}
		if e.State == Superseded && e.Candidate == by.Live && by.Promoted != nil && e.Ended.Equal(*by.Promoted) {
			e.State, e.Ended = IsLive, nil
			return errors.Join(table().Put(tx, e), tx.Append(event(eventRestored, actor, e.mark())))
		}
	}
	return nil
}

// toRollBack is the experiment of a name if it may be taken back. Without a name
// it is the one whose prices are charged, or whose make-good is wanted: the one
// that was rolled back last. A canary that came back by itself is made good
// before anything else is taken back.
func (l *Lab) toRollBack(name string, makeGood bool) (*Experiment, error) {
	all, err := l.Experiments()
	if err != nil {
		return nil, err
	}
	var last, live, canary, named *Experiment
	for _, e := range all {
		if e.Name == name {
			named = e
		}
		switch {
		case e.State == InCanary:
			canary = e
		case e.State == IsLive:
			live = e
		case e.State == RolledBack && makeGood && (last == nil || e.Ended.After(*last.Ended)):
			last = e
		}
	}
	switch {
	case name != "" && named == nil:
		return nil, fmt.Errorf("experiment %s: %w", name, store.ErrNotFound)
	case named != nil && !named.charges() && (named.State != RolledBack || !makeGood):
		return nil, named.no("rolled back")
	case named != nil && canary != nil && named == live:
		return nil, canary.no("passed over")
	case named != nil:
		return named, nil
	case canary != nil:
		return canary, nil
	case live != nil && (last == nil || last.MadeWhole || live.Promoted != nil && last.Ended.Before(*live.Promoted)):
		return live, nil
	case last == nil:
		return nil, wrongState("no experiment's prices are live; there is nothing to roll back")
	}
	return last, nil
}
