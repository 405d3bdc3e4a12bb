package shadow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/shadow/report"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/store/sheets"
)

// Blocked is the error of a promotion that guardrails stand against.
type Blocked struct {
	Failing []report.Guardrail
	Report  *report.Report
}

func (b *Blocked) Error() string {
	var names []string
	for _, g := range b.Failing {
		names = append(names, fmt.Sprintf("%s is %v (limit %v)", g.Name, g.Value, g.Limit))
	}
	return "guardrails stand against it: " + strings.Join(names, ", ")
}

// Promoted is what a promotion has done, or would do.
type Promoted struct {
	Experiment *Experiment        `json:"experiment"`
	Waived     []string           `json:"waived"`     // guardrails that failed and were overridden
	Failing    []report.Guardrail `json:"failing"`    // of a preview: what stands against it
	Guardrails []report.Guardrail `json:"guardrails"` // all that were looked at
	Report     *report.Report     `json:"report,omitempty"`
}

// Preview is what Promote would look at, without promoting: Failing stands
// against it.
func (l *Lab) Preview(ctx context.Context, p Promotion) (*Promoted, error) {
	e, err := l.Experiment(p.Name)
	if err != nil {
		return nil, err
	}
	if !e.promotable() && e.State != InCanary {
		return nil, e.no("promoted")
	}
	out, err := l.look(ctx, &p)
	var blocked *Blocked
	if errors.As(err, &blocked) {
		return out, nil
	}
	return out, err
}

// look makes the report of a promotion and holds it against the guardrails.
// The error is a *Blocked when one stands against it.
func (l *Lab) look(ctx context.Context, p *Promotion) (*Promoted, error) {
	now := l.o.Now().UTC()
	if err := p.check(now); err != nil {
		return nil, err
	}
	begin := now
	if !p.At.IsZero() {
		begin = p.At
	}
	return l.judge(ctx, p, begin)
}

// Promote makes a candidate's prices live: now or at a time, for all keys or
// first for some of them. No guardrail may stand against it that is not waived,
// and the live sheet must still be the one it was measured against. Calls under
// way end by the sheet they were admitted under. A canary is made wider, or
// ended by going live for all, by promoting again.
func (l *Lab) Promote(ctx context.Context, p Promotion, actor string) (*Promoted, error) {
	e, err := l.Experiment(p.Name)
	if err != nil {
		return nil, err
	}
	if e.State == InCanary {
		return l.widen(ctx, e, p, actor)
	}
	if !e.promotable() {
		return nil, e.no("promoted")
	}
	out, err := l.look(ctx, &p)
	if err != nil {
		return out, err
	}
	hash, err := reviewOf(out.Report)
	if err != nil {
		return nil, err
	}
	charged, err := l.charged(e, p.PerCall)
	if err != nil {
		return nil, err
	}
	l.keepThen(ctx)
	out.Experiment, err = l.change(ctx, p.Name, func(tx *ledger.Tx, e *Experiment) error {
		if !e.promotable() {
			return e.no("promoted")
		}
		if err := review(tx, e, hash, actor); err != nil {
			return err
		}
		if err := decided(tx, e, &p, charged, actor); err != nil {
			return err
		}
		m := mark{Report: out.Report.LogDigest, Override: p.Override}
		switch {
		case !p.At.IsZero():
			return schedule(tx, e, m, actor)
		case p.Percent > 0:
			return beginCanary(tx, e, m, actor)
		}
		return goLive(tx, e, m, actor)
	})
	if err != nil {
		return nil, err
	}
	return out, l.changed(ctx)
}

// decided writes down how an experiment goes live.
func decided(tx *ledger.Tx, e *Experiment, p *Promotion, charged *pricing.Sheet, actor string) error {
	e.Refused = nil
	g := &Going{Percent: p.Percent, Keep: p.Keep, PerCall: p.PerCall, PerDay: p.PerDay, Quiet: p.Quiet, Override: p.Override, By: actor, Charged: charged.Hash()}
	if g.Keep == "" {
		g.Keep = KeepNone
	}
	if !p.At.IsZero() {
		at := p.At.UTC().Truncate(time.Millisecond)
		g.At = &at
	}
	if p.For > 0 {
		g.For = p.For.String()
	}
	e.Going = g
	return sheets.Put(tx, charged, "canary:"+e.Name, tx.Now())
}

// charged is what a canary's keys pay by.
func (l *Lab) charged(e *Experiment, most pricing.Credits) (*pricing.Sheet, error) {
	sheet, err := l.sheet(e.Candidate)
	if err != nil {
		return nil, err
	}
	return capped(sheet, most)
}

// Review writes down that somebody has seen an experiment's report as it is
// now: its hash.
func (l *Lab) Review(ctx context.Context, name, actor string) (*Experiment, error) {
	e, err := l.Experiment(name)
	if err != nil {
		return nil, err
	}
	if !e.promotable() {
		return nil, e.no("reviewed")
	}
	r, err := l.Report(ctx, name, Window{})
	if err != nil {
		return nil, err
	}
	hash, err := reviewOf(r)
	if err != nil {
		return nil, err
	}
	return l.change(ctx, name, func(tx *ledger.Tx, e *Experiment) error {
		if !e.promotable() {
			return e.no("reviewed")
		}
		return review(tx, e, hash, actor)
	})
}

// promotable says whether it may go on its way to live.
func (e *Experiment) promotable() bool { return e.State == Shadowing || e.State == IsReviewed }

func review(tx *ledger.Tx, e *Experiment, hash, actor string) error {
	e.State, e.Reviewed = IsReviewed, &Review{Report: hash, At: tx.Now(), Actor: actor}
	m := e.mark()
	m.Report = hash
	return tx.Append(event(eventReviewed, actor, m))
}

// goLive makes the candidate the live sheet, in one act.
func goLive(tx *ledger.Tx, e *Experiment, m mark, actor string) error {
	if _, err := e.free(tx); err != nil {
		return err
	}
	if err := sheets.Promote(tx, e.Live, e.Candidate, tx.Now()); err != nil {
		return fmt.Errorf("experiment %s: %w", e.Name, err)
	}
	if err := supersede(tx, actor); err != nil {
		return err
	}
	if err := promise(tx, e); err != nil {
		return err
	}
	now := tx.Now()
	e.State, e.Promoted = IsLive, &now
	if e.Going.Since == nil {
		e.Going.Since = &now
	}
	m = e.begins(m)
	m.Percent = 0 // all keys
	return errors.Join(priceEvent(tx, actor, e.Live, e.Candidate, "shadow:"+e.Name), tx.Append(event(eventPromoted, actor, m)))
}

// promise lets keys keep the old sheet as it was decided, and ends the canary
// and the announcement.
func promise(tx *ledger.Tx, e *Experiment) error {
	r, err := sheets.CurrentRollout(tx)
	if err != nil {
		return err
	}
	if e.Going.Since == nil { // a canary has kept its promises from its beginning
		if err := keep(tx, e, r); err != nil {
			return err
		}
	}
	r.Canary, r.Next = nil, nil
	return sheets.PutRollout(tx, r, tx.Now())
}

// keep adds the promise of an experiment to those there are.
func keep(tx *ledger.Tx, e *Experiment, r *sheets.Rollout) error {
	e.Going.Before = slices.Clone(r.Kept)
	p := Promotion{Keep: e.Going.Keep}
	existing, until, err := p.keeps(time.Time{})
	if err != nil {
		return err
	}
	if e.Going.Keep == KeepEnd {
		r.Kept = nil
	}
	if existing {
		r.Kept = append(r.Kept, sheets.Kept{Sheet: e.Live, By: e.Name, Before: tx.Now(), Until: until})
	}
	return nil
}

// supersede ends what was live by an experiment before.
func supersede(tx *ledger.Tx, actor string) error {
	for e, err := range table().All(tx, "") {
		if err != nil {
			return err
		}
		if e.State == IsLive {
			now := tx.Now()
			e.State, e.Ended = Superseded, &now
			return errors.Join(table().Put(tx, e), tx.Append(event(eventSuperse, actor, e.mark())))
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

// rollout is who pays by which sheet now.
func (l *Lab) rollout() (r *sheets.Rollout, err error) {
	err = l.o.Book.DB().View(func(s *store.Snapshot) error {
		r, err = sheets.CurrentRollout(s)
		return err
	})
	return r, err
}
