package shadow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/shadow/tally"
	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/store/sheets"
)

// RolledBackTo says what a rollback did, or would do.
type RolledBackTo struct {
	Name   string          `json:"name"`
	Sheet  string          `json:"sheet"` // that is live again
	Total  pricing.Credits `json:"total"` // given back
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
	e, err := l.toRollBack(makeGood)
	if err != nil {
		return nil, err
	}
	if e.charges() {
		e, err = l.change(ctx, e.Name, func(tx *ledger.Tx, e *Experiment) error {
			if !e.charges() {
				return wrongState("experiment %s is %s meanwhile", e.Name, e.State)
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
	return out, l.makeGood(ctx, e, out, actor)
}

// RollbackPreview is what Rollback would do now, key by key.
func (l *Lab) RollbackPreview(ctx context.Context, makeGood bool) (*RolledBackTo, error) {
	e, err := l.toRollBack(makeGood)
	if err != nil {
		return nil, err
	}
	out := &RolledBackTo{Name: e.Name, Sheet: e.Live, Keys: []MadeGood{}, Actual: l.o.Now().UTC()}
	if !makeGood {
		return out, nil
	}
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

// toRollBack is the experiment whose prices are charged, or whose make-good is
// wanted: the one that was rolled back last. A canary that came back by itself
// is made good before anything else is taken back.
func (l *Lab) toRollBack(makeGood bool) (*Experiment, error) {
	all, err := l.Experiments()
	if err != nil {
		return nil, err
	}
	var last, live *Experiment
	for _, e := range all {
		switch {
		case e.State == InCanary:
			return e, nil
		case e.State == IsLive:
			live = e
		case e.State == RolledBack && makeGood && (last == nil || e.Ended.After(*last.Ended)):
			last = e
		}
	}
	if live != nil && (last == nil || last.MadeWhole || live.Promoted != nil && last.Ended.Before(*live.Promoted)) {
		return live, nil
	}
	if last == nil {
		return nil, wrongState("no experiment's prices are live; there is nothing to roll back")
	}
	return last, nil
}

// owed is a call that cost more than it would have.
type owed struct {
	event  *journal.Event
	amount pricing.Credits
}

// kept is a copy of a call's event, which the walk uses again.
func kept(e *journal.Event) *journal.Event {
	c := *e.Call
	c.Limits = slices.Clone(c.Limits)
	return &journal.Event{Seq: e.Seq, At: e.At, Type: e.Type, Subject: e.Subject, Call: &c}
}

// charged says whether a sheet is one that the experiment made keys pay by.
func (e *Experiment) charged(sheet string) bool {
	return sheet == e.Candidate || e.Going != nil && sheet == e.Going.Charged
}

const refundsAtATime = 200

func (l *Lab) makeGood(ctx context.Context, e *Experiment, out *RolledBackTo, actor string) error {
	list, err := l.owed(ctx, e)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(list, refundsAtATime) {
		_, err := l.change(ctx, e.Name, func(tx *ledger.Tx, e *Experiment) error {
			for _, o := range part {
				if o.event.Seq <= e.MadeTo {
					return wrongState("experiment %s: another make-good is under way", e.Name)
				}
				if err := tx.Refund(o.event, o.amount, actor, "prices of "+e.Name+" were taken back"); err != nil {
					return err
				}
				e.MadeGood += o.amount
			}
			e.MadeTo = part[len(part)-1].event.Seq
			return nil
		})
		if err != nil {
			return err
		}
	}
	l.sum(out, list)
	_, err = l.change(ctx, e.Name, func(tx *ledger.Tx, e *Experiment) error {
		e.MadeWhole = true
		return tx.Append(event(eventMadeGood, actor, mark{Name: e.Name, Candidate: e.Candidate, Live: e.Live, Credits: out.Total}))
	})
	return err
}

// sum adds up by key what is owed.
func (l *Lab) sum(out *RolledBackTo, list []owed) {
	by := map[string]*MadeGood{}
	for _, o := range list {
		id := o.event.Call.Key
		if by[id] == nil {
			by[id] = &MadeGood{ID: id, Name: l.o.Name(id)}
		}
		by[id].Credits += o.amount
		by[id].Calls++
		out.Total += o.amount
	}
	for _, k := range by {
		out.Keys = append(out.Keys, *k)
	}
	slices.SortFunc(out.Keys, func(a, b MadeGood) int { return strings.Compare(a.ID, b.ID) })
}

// owed lives through the time that an experiment's prices were live under the
// old ones: what each call cost more, and was not given back already.
func (l *Lab) owed(ctx context.Context, e *Experiment) ([]owed, error) {
	if err := l.o.Book.Flush(ctx); err != nil {
		return nil, err
	}
	w, err := l.nearestAlone(e.went())
	if err != nil {
		return nil, err
	}
	old, err := l.sheet(e.Live)
	if err != nil {
		return nil, err
	}
	var list []owed
	back := map[uint64]pricing.Credits{}
	each := func(ev *journal.Event, price pricing.Credits) {
		c := ev.Call
		if more := c.Charged - price; e.charged(c.Sheet) && more > 0 && ev.Seq > e.MadeTo {
			list = append(list, owed{kept(ev), more})
		}
	}
	w.event = func(ev *journal.Event) error {
		var m mark
		if err := json.Unmarshal(ev.Data, &m); err != nil {
			return fmt.Errorf("event %d: %w", ev.Seq, err)
		}
		if began := len(w.pairs) > 0; !began && m.Name == e.Name && (ev.Type == eventCanary || ev.Type == eventPromoted) {
			w.begin(old, tally.New(tally.Window{})).each = each
		}
		return nil
	}
	w.refunds = func(seq uint64, n pricing.Credits) { back[seq] += n }
	if err := w.walk(ctx, math.MaxUint64, nil); err != nil {
		return nil, err
	}
	out := list[:0]
	for _, o := range list {
		if o.amount = min(o.amount, o.event.Call.Charged-back[o.event.Seq]); o.amount > 0 {
			out = append(out, o)
		}
	}
	return out, nil
}
