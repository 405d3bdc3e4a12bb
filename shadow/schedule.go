package shadow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"paygate/store/ledger"
	"paygate/store/sheets"
)

// byItself is the actor of what happens at its time, with nobody there; the
// event says who decided it.
const byItself = "system"

// Salt tells a canary's keys from the others. It need not be secret: nobody
// chooses the id of a key.
func (e *Experiment) Salt() string { return e.Name + ":" + e.Candidate }

// free is who pays by which sheet now, for an experiment that is about to change
// it: no other may be on its way. The error wraps sheets.ErrMoved when the live
// prices are not those any more that it was measured against.
func (e *Experiment) free(tx *ledger.Tx) (*sheets.Rollout, error) {
	live, _, err := sheets.Live(tx)
	if err != nil {
		return nil, err
	}
	if live.Hash() != e.Live {
		return nil, fmt.Errorf("experiment %s: %w", e.Name, sheets.ErrMoved)
	}
	r, err := sheets.CurrentRollout(tx)
	switch {
	case err != nil:
		return nil, err
	case r.Next != nil && r.Next.Name != e.Name:
		return nil, wrongState("experiment %s is scheduled and goes live at %s; \"paygate shadow cancel %s\" takes that back first", r.Next.Name, r.Next.At.Format(time.RFC3339), r.Next.Name)
	case r.Canary != nil && r.Canary.Name != e.Name:
		return nil, wrongState("experiment %s is in its canary; \"paygate shadow promote %s\" makes it live for all keys, \"paygate shadow rollback\" takes it back first", r.Canary.Name, r.Canary.Name)
	}
	return r, nil
}

// begins is what the events say by which an experiment goes on its way.
func (e *Experiment) begins(m mark) mark {
	m.Name, m.Candidate, m.Live = e.Name, e.Candidate, e.Live
	m.Charged, m.Percent, m.Keep = e.Going.Charged, e.Going.Percent, e.Going.Keep
	return m
}

// schedule announces a promotion that has a time.
func schedule(tx *ledger.Tx, e *Experiment, m mark, actor string) error {
	r, err := e.free(tx)
	if err != nil {
		return err
	}
	g := e.Going
	p := Promotion{Keep: g.Keep}
	existing, _, err := p.keeps(time.Time{})
	if err != nil {
		return err
	}
	r.Next = &sheets.Next{Name: e.Name, Sheet: g.Charged, Live: e.Live, At: *g.At, Percent: g.Percent, Salt: e.Salt(), Keeps: existing}
	e.State = Scheduled
	m = e.begins(m)
	m.At = g.At
	return errors.Join(sheets.PutRollout(tx, r, tx.Now()), tx.Append(event(eventSchedule, actor, m)))
}

// Unschedule takes a scheduled promotion back; the experiment goes on as before.
func (l *Lab) Unschedule(ctx context.Context, name, actor string) (*Experiment, error) {
	e, err := l.change(ctx, name, func(tx *ledger.Tx, e *Experiment) error {
		if e.State != Scheduled {
			return e.no("cancelled")
		}
		return errors.Join(clearNext(tx, e), tx.Append(event(eventCancel, actor, e.mark())))
	})
	if err != nil {
		return nil, err
	}
	return e, l.changed(ctx)
}

// refuse leaves the prices as they are at the time that others were announced
// for, and says why.
func refuse(why string) func(*ledger.Tx, *Experiment) error {
	return func(tx *ledger.Tx, e *Experiment) error {
		g := e.Going
		m := e.mark()
		m.At, m.By, m.Override, m.Why = g.At, g.By, g.Override, why
		e.Refused = &Refused{At: tx.Now(), Why: why}
		if g.At != nil {
			e.Refused.Asked = *g.At
		}
		return errors.Join(clearNext(tx, e), tx.Append(event(eventRefused, byItself, m)))
	}
}

// clearNext announces nothing any more; the experiment goes on.
func clearNext(tx *ledger.Tx, e *Experiment) error {
	r, err := sheets.CurrentRollout(tx)
	if err != nil {
		return err
	}
	r.Next = nil
	e.State, e.Going = IsReviewed, nil
	return sheets.PutRollout(tx, r, tx.Now())
}

// Due does what has its time now: a scheduled promotion, the end of a canary,
// the rollback of one that does harm, or the rest of a make-good. It tells whether anything happened.
// What was due while the gateway was down happens at the first call.
func (l *Lab) Due(ctx context.Context) (bool, error) {
	r, err := l.rollout()
	if err != nil {
		return false, err
	}
	live, err := l.liveHash()
	if err != nil {
		return false, err
	}
	now := l.o.Now()
	var name string
	var do func(*ledger.Tx, *Experiment) error
	switch {
	case r.Next != nil && r.Next.Live != live:
		name, do = r.Next.Name, refuse(moved)
	case r.Next != nil && !now.Before(r.Next.At):
		name = r.Next.Name
		if do, err = l.atItsTime(ctx, name); err != nil {
			return false, err
		}
	case r.Canary != nil:
		name = r.Canary.Name
		if do, err = l.watch(ctx, r.Canary); err != nil {
			return false, err
		}
	}
	if do == nil {
		return l.rest(ctx)
	}
	did := false
	_, err = l.change(ctx, name, func(tx *ledger.Tx, e *Experiment) error {
		if e.Going == nil || e.State != Scheduled && e.State != InCanary {
			return nil // somebody was faster
		}
		did = true
		return do(tx, e)
	})
	if err != nil || !did {
		return false, err
	}
	return true, l.changed(ctx)
}

const moved = "other prices went live since it was measured"

// atItsTime judges a scheduled promotion again: what was well when it was
// decided may be so no more, and nobody is there to look. What was overridden
// then stays so. Nil: not now.
func (l *Lab) atItsTime(ctx context.Context, name string) (func(*ledger.Tx, *Experiment) error, error) {
	e, err := l.Experiment(name)
	if err != nil || e.State != Scheduled || e.Going == nil || e.Going.At == nil {
		return nil, err
	}
	now := l.o.Now().UTC()
	if now.Before(*e.Going.At) || e.Going.quiet(now) {
		return nil, nil
	}
	p := e.promotion()
	out, err := l.judge(ctx, &p, now)
	var blocked *Blocked
	if errors.As(err, &blocked) {
		return refuse(blocked.Error()), nil
	}
	if err != nil {
		return nil, err
	}
	l.keepThen(ctx)
	return func(tx *ledger.Tx, e *Experiment) error {
		switch _, err := e.free(tx); {
		case errors.Is(err, sheets.ErrMoved):
			return refuse(moved)(tx, e)
		case errors.Is(err, ErrState):
			return refuse(err.Error())(tx, e)
		case err != nil:
			return err
		}
		m := mark{By: e.Going.By, Override: e.Going.Override, Report: out.Report.LogDigest}
		if e.Going.Percent > 0 {
			return beginCanary(tx, e, m, byItself)
		}
		return goLive(tx, e, m, byItself)
	}, nil
}

// Keep does what is due, once a second, until ctx ends. What fails is said and
// tried again after a while: a canary is never left alone for good.
func (l *Lab) Keep(ctx context.Context) {
	const pause = 30 * time.Second
	tick, rests := time.NewTicker(time.Second), time.Time{}
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := l.o.Now()
		if now.Before(rests) {
			continue
		}
		if _, err := l.Due(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ledger.ErrUnavailable) {
			l.o.Log.Error("scheduled prices and canaries could not be looked at; it is tried again in half a minute", "error", err)
			rests = now.Add(pause)
		}
	}
}
