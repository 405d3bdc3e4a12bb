package shadow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/shadow/report"
	"paygate/store"
	"paygate/store/ledger"
	"paygate/store/sheets"
)

// A canary is a share of the keys that pays the candidate's prices first, while
// everybody else goes on as before and is what it is compared with.

// beginCanary lets a share of the keys pay by the candidate.
func beginCanary(tx *ledger.Tx, e *Experiment, m mark, actor string) error {
	r, err := e.free(tx)
	if err != nil {
		return err
	}
	now, g := tx.Now(), e.Going
	if err := keep(tx, e, r); err != nil {
		return err
	}
	r.Next, g.Since = nil, &now
	if g.For != "" {
		d, err := time.ParseDuration(g.For)
		if err != nil {
			return fmt.Errorf("experiment %s: %w", e.Name, err)
		}
		until := now.Add(d)
		g.Until = &until
	}
	r.Canary = &sheets.Canary{Name: e.Name, Sheet: g.Charged, Then: e.Candidate, Live: e.Live, Percent: g.Percent, Salt: e.Salt(), Since: now, Until: g.Until, PerDay: g.PerDay}
	e.State = InCanary
	m = e.begins(m)
	m.Salt = e.Salt()
	return errors.Join(sheets.PutRollout(tx, r, now), priceEvent(tx, actor, e.Live, g.Charged, "canary:"+e.Name), tx.Append(event(eventCanary, actor, m)))
}

// widen goes on with a canary: with another share of the keys, or with all of
// them. It is judged by the report up to now; what was overridden stays so.
func (l *Lab) widen(ctx context.Context, e *Experiment, p Promotion, actor string) (*Promoted, error) {
	if !p.At.IsZero() {
		return nil, e.no("scheduled")
	}
	if err := p.check(l.o.Now()); err != nil {
		return nil, err
	}
	if p.Keep != "" || p.PerCall > 0 || p.PerDay > 0 || p.Quiet != "" {
		return nil, badInput("experiment %s is in its canary: its terms stay as they were decided; give canary another share of the keys, or nothing to go live for all", p.Name)
	}
	out, err := l.judge(ctx, &p, l.o.Now().UTC())
	if err != nil {
		return out, err
	}
	out.Experiment, err = l.change(ctx, p.Name, func(tx *ledger.Tx, e *Experiment) error {
		if e.State != InCanary {
			return e.no("made wider")
		}
		e.Refused, e.Going.Override = nil, p.Override
		m := mark{Report: out.Report.LogDigest, Override: p.Override}
		if p.Percent == 0 {
			return goLive(tx, e, m, actor)
		}
		r, err := sheets.CurrentRollout(tx)
		if err != nil {
			return err
		}
		if p.For > 0 {
			until := tx.Now().Add(p.For)
			e.Going.For, e.Going.Until = p.For.String(), &until
		}
		e.Going.Percent, r.Canary.Percent, r.Canary.Until = p.Percent, p.Percent, e.Going.Until
		m = e.begins(m)
		m.Salt = e.Salt()
		return errors.Join(sheets.PutRollout(tx, r, tx.Now()), tx.Append(event(eventCanary, actor, m)))
	})
	if err != nil {
		return nil, err
	}
	return out, l.changed(ctx)
}

// watch says what is to happen to a canary now: nil, nothing.
func (l *Lab) watch(ctx context.Context, c *sheets.Canary) (func(*ledger.Tx, *Experiment) error, error) {
	guards, err := l.canaryGuards(ctx, c)
	if err != nil {
		return nil, err
	}
	e, err := l.Experiment(c.Name)
	if err != nil {
		return nil, err
	}
	if e.Going == nil || e.State != InCanary {
		return nil, nil
	}
	back := func(why string) func(*ledger.Tx, *Experiment) error {
		return func(tx *ledger.Tx, e *Experiment) error { return takeBack(tx, e, why, byItself) }
	}
	if live, err := l.liveHash(); err != nil || live != c.Live {
		return back("other prices went live since the canary began"), err
	}
	var failed []string
	for _, g := range guards {
		if !g.Pass && !waived(e.Going.Override, g.Name) {
			failed = append(failed, fmt.Sprintf("%s is %v (limit %v)", g.Name, g.Value, g.Limit))
		}
	}
	if failed != nil {
		return back(strings.Join(failed, ", ")), nil
	}
	now := l.o.Now()
	if c.Until == nil || now.Before(*c.Until) || e.Going.quiet(now) {
		return nil, nil
	}
	return l.atItsEnd(ctx, e, now)
}

// atItsEnd judges a canary's candidate again when its time is over, by all
// guardrails of a promotion that nobody attends. If one stands against it the
// share of the keys goes on paying and somebody has to decide.
func (l *Lab) atItsEnd(ctx context.Context, e *Experiment, now time.Time) (func(*ledger.Tx, *Experiment) error, error) {
	p := e.promotion()
	p.At = time.Time{} // it has begun
	out, err := l.judge(ctx, &p, now)
	var blocked *Blocked
	switch {
	case errors.As(err, &blocked), errors.Is(err, ErrState): // the latter: its shadow is not in the journal any more
		return stay(err.Error()), nil
	case err != nil:
		return nil, err
	}
	return func(tx *ledger.Tx, e *Experiment) error {
		return goLive(tx, e, mark{By: e.Going.By, Override: e.Going.Override, Report: out.Report.LogDigest, Why: "the canary's time is over"}, byItself)
	}, nil
}

// stay lets a canary go on past its time, and says why.
func stay(why string) func(*ledger.Tx, *Experiment) error {
	return func(tx *ledger.Tx, e *Experiment) error {
		r, err := sheets.CurrentRollout(tx)
		if err != nil {
			return err
		}
		m := e.begins(mark{By: e.Going.By, Override: e.Going.Override, At: e.Going.Until, Why: why})
		e.Refused = &Refused{At: tx.Now(), Why: why}
		if e.Going.Until != nil {
			e.Refused.Asked = *e.Going.Until
		}
		e.Going.For, e.Going.Until = "", nil
		if r.Canary != nil {
			r.Canary.Until = nil
		}
		return errors.Join(sheets.PutRollout(tx, r, tx.Now()), tx.Append(event(eventRefused, byItself, m)))
	}
}

// both are guardrails that were overridden when an experiment began to go live,
// and others.
func both(e *Experiment, more []string) []string {
	if e.Going == nil {
		return more
	}
	out := slices.Concat(e.Going.Override, more)
	slices.Sort(out)
	return slices.Compact(out)
}

// waived says whether a guard of canaries was overridden. "all" is about what
// stands against a promotion: a canary that nobody watches is asked for by name.
func waived(override []string, name string) bool {
	return slices.Contains(override, name)
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

// Rollout is who pays by which sheet, with what is watched of a canary.
type Rollout struct {
	Live   string             `json:"live"`
	Kept   []sheets.Kept      `json:"kept"`
	Canary *sheets.Canary     `json:"canary"`
	Guards []report.Guardrail `json:"guards"` // of the canary; one that fails takes it back
	Arms   [2]Arm             `json:"arms"`   // live, canary
	Next   *sheets.Next       `json:"next"`
}

// Arm is what one side of a canary has done since it began.
type Arm struct {
	Calls   int             `json:"calls"`
	Keys    int             `json:"keys"`
	Errors  int             `json:"errors"`
	Charged pricing.Credits `json:"charged"`
	P99     float64         `json:"p99Ms"`
}

// Rollout tells who pays by which sheet now.
func (l *Lab) Rollout(ctx context.Context) (*Rollout, error) {
	r, err := l.rollout()
	if err != nil {
		return nil, err
	}
	out := &Rollout{Kept: append([]sheets.Kept{}, r.Kept...), Canary: r.Canary, Next: r.Next, Guards: []report.Guardrail{}}
	if out.Live, err = l.liveHash(); err != nil || r.Canary == nil {
		return out, err
	}
	if out.Guards, err = l.canaryGuards(ctx, r.Canary); err != nil {
		return nil, err
	}
	l.watching.Lock()
	defer l.watching.Unlock()
	out.Arms = l.arms.tell()
	return out, nil
}
