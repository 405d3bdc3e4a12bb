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
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/store/sheets"
)

// Blocked is the error of a promotion that guardrails stand against.
type Blocked struct {
	Failing []Guardrail
	Report  *Report
}

func (b *Blocked) Error() string {
	var names []string
	for _, g := range b.Failing {
		names = append(names, fmt.Sprintf("%s is %v (limit %v)", g.Name, g.Value, g.Limit))
	}
	return "guardrails stand against it: " + strings.Join(names, ", ")
}

func (l *Lab) liveHash() (hash string, err error) {
	err = l.o.Book.DB().View(func(s *store.Snapshot) error {
		sheet, _, err := sheets.Live(s)
		if err == nil {
			hash = sheet.Hash()
		}
		return err
	})
	return hash, err
}

// Promote makes a candidate's prices live, if no guardrail of promotion stands
// against it that is not in override ("all" waives every one), and the live
// sheet is still the one it was measured against. Calls under way end by the
// sheet they were admitted under.
func (l *Lab) Promote(ctx context.Context, name string, override []string, actor string) (*Report, error) {
	r, err := l.Report(ctx, name, Window{})
	if err != nil {
		return nil, err
	}
	if err := waives(r, override); err != nil {
		return nil, err
	}
	blocked := &Blocked{Report: r}
	for _, g := range r.Failing() {
		if g.Blocks == BlocksAll && !slices.Contains(override, "all") && !slices.Contains(override, g.Name) {
			blocked.Failing = append(blocked.Failing, g)
		}
	}
	if blocked.Failing != nil {
		return r, blocked
	}
	sheet, err := l.sheet(r.Candidate)
	if err != nil {
		return nil, err
	}
	if len(sheet.Spec().Plans) > 0 {
		return r, badInput("the sheet has plans, which the gateway does not enforce yet: take them out to go live")
	}
	_, err = l.change(ctx, name, func(tx *ledger.Tx, e *Experiment) error {
		if e.State != Shadowing {
			return fmt.Errorf("experiment %s is %s: %w; only one that is %s can go live", name, e.State, ErrState, Shadowing)
		}
		if err := sheets.Promote(tx, e.Live, e.Candidate, tx.Now()); err != nil {
			return fmt.Errorf("experiment %s: %w", name, err)
		}
		if err := supersede(tx); err != nil {
			return err
		}
		now := tx.Now()
		e.State, e.Promoted = IsLive, &now
		return errors.Join(priceEvent(tx, actor, e.Live, e.Candidate, "shadow:"+name),
			tx.Append(event(eventPromoted, actor, mark{Name: name, Candidate: e.Candidate, Live: e.Live, Report: r.LogDigest, Override: override})))
	})
	if err != nil {
		return r, err
	}
	return r, l.changed(ctx)
}

func waives(r *Report, override []string) error {
	for _, name := range override {
		if name != "all" && !slices.ContainsFunc(r.Guardrails, func(g Guardrail) bool { return g.Name == name }) {
			var known []string
			for _, g := range r.Guardrails {
				known = append(known, g.Name)
			}
			return badInput("override %q is not a guardrail; they are %s, or all", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// supersede ends what was live by an experiment before.
func supersede(tx *ledger.Tx) error {
	for e, err := range table().All(tx, "") {
		if err != nil {
			return err
		}
		if e.State == IsLive {
			now := tx.Now()
			e.State, e.Ended = Superseded, &now
			return table().Put(tx, e)
		}
	}
	return nil
}

func priceEvent(tx *ledger.Tx, actor, from, to, source string) error {
	data, err := json.Marshal(map[string]string{"from": from, "sheet": to, "source": source})
	if err != nil {
		return fmt.Errorf("prices: %w", err)
	}
	return tx.Append(journal.Event{Type: "prices.changed", Actor: actor, Data: data})
}

func (l *Lab) changed(ctx context.Context) error {
	if l.o.Changed == nil {
		return nil
	}
	return l.o.Changed(ctx)
}

// RolledBackTo says what a rollback did.
type RolledBackTo struct {
	Name   string          `json:"name"`
	Sheet  string          `json:"sheet"` // that is live again
	Total  pricing.Credits `json:"total"` // given back
	Keys   []MadeGood      `json:"keys"`
	Actual time.Time       `json:"at"`
}

// MadeGood is what one key got back.
type MadeGood struct {
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Credits pricing.Credits `json:"credits"`
	Calls   int             `json:"calls"`
}

// Rollback makes the prices live again that were before the experiment that is
// live now. With makeGood every key gets back what its calls cost more than
// they would have at the old prices, by entries that name the calls. Asked
// again with makeGood it goes on where it was interrupted.
func (l *Lab) Rollback(ctx context.Context, makeGood bool, actor string) (*RolledBackTo, error) {
	e, err := l.toRollBack(makeGood)
	if err != nil {
		return nil, err
	}
	if e.State == IsLive {
		e, err = l.change(ctx, e.Name, func(tx *ledger.Tx, e *Experiment) error {
			if e.State != IsLive {
				return fmt.Errorf("experiment %s is %s: %w", e.Name, e.State, ErrState)
			}
			if err := sheets.Promote(tx, e.Candidate, e.Live, tx.Now()); err != nil {
				return fmt.Errorf("experiment %s: %w", e.Name, err)
			}
			now := tx.Now()
			e.State, e.Ended = RolledBack, &now
			return errors.Join(priceEvent(tx, actor, e.Candidate, e.Live, "rollback:"+e.Name),
				tx.Append(event(eventRolled, actor, mark{Name: e.Name, Candidate: e.Candidate, Live: e.Live})))
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

// toRollBack is the experiment that is live, or whose make-good is wanted: the
// one that was rolled back last.
func (l *Lab) toRollBack(makeGood bool) (*Experiment, error) {
	all, err := l.Experiments()
	if err != nil {
		return nil, err
	}
	var last *Experiment
	for _, e := range all {
		switch {
		case e.State == IsLive:
			return e, nil
		case e.State == RolledBack && makeGood && (last == nil || e.Ended.After(*last.Ended)):
			last = e
		}
	}
	if last == nil {
		return nil, fmt.Errorf("no experiment's prices are live: %w; there is nothing to roll back", ErrState)
	}
	return last, nil
}

// owed is a call that cost more than it would have.
type owed struct {
	event  *journal.Event
	amount pricing.Credits
}

const refundsAtATime = 200

func (l *Lab) makeGood(ctx context.Context, e *Experiment, out *RolledBackTo, actor string) error {
	list, err := l.owed(ctx, e)
	if err != nil {
		return err
	}
	by := map[string]*MadeGood{}
	for part := range slices.Chunk(list, refundsAtATime) {
		_, err := l.change(ctx, e.Name, func(tx *ledger.Tx, e *Experiment) error {
			for _, o := range part {
				if o.event.Seq <= e.MadeTo {
					return fmt.Errorf("experiment %s: %w: another make-good is under way", e.Name, ErrState)
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
		for _, o := range part {
			id := o.event.Call.Key
			if by[id] == nil {
				by[id] = &MadeGood{ID: id, Name: l.o.Name(id)}
			}
			by[id].Credits += o.amount
			by[id].Calls++
			out.Total += o.amount
		}
	}
	for _, k := range by {
		out.Keys = append(out.Keys, *k)
	}
	slices.SortFunc(out.Keys, func(a, b MadeGood) int { return strings.Compare(a.ID, b.ID) })
	return l.o.Book.Apply(ctx, func(tx *ledger.Tx) error {
		return tx.Append(event(eventMadeGood, actor, mark{Name: e.Name, Candidate: e.Candidate, Live: e.Live, Credits: out.Total}))
	})
}

// owed lives through the time that an experiment's prices were live under the
// old ones: what each call cost more, and was not given back already.
func (l *Lab) owed(ctx context.Context, e *Experiment) ([]owed, error) {
	if err := l.o.Book.Flush(ctx); err != nil {
		return nil, err
	}
	w, err := newWalker(l.o.Book.DB(), l.sheet)
	if err != nil {
		return nil, err
	}
	old, err := l.sheet(e.Live)
	if err != nil {
		return nil, err
	}
	var list []owed
	back := map[uint64]pricing.Credits{}
	tally := NewTally(time.Time{}, time.Time{})
	tally.each = func(ev *journal.Event, price pricing.Credits) {
		c := ev.Call
		if more := c.Charged - price; c.Sheet == e.Candidate && more > 0 && ev.Seq > e.MadeTo {
			list = append(list, owed{ev, more})
		}
	}
	w.event = func(ev *journal.Event) error {
		var m mark
		if err := json.Unmarshal(ev.Data, &m); err != nil {
			return fmt.Errorf("event %d: %w", ev.Seq, err)
		}
		if ev.Type == eventPromoted && m.Name == e.Name {
			w.begin(old, tally)
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
