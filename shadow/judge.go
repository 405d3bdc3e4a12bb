package shadow

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"paygate/shadow/report"
	"paygate/store/journal"
)

// judge is look at terms that were checked: at a promotion, and again when a
// scheduled one begins or a canary ends.
func (l *Lab) judge(ctx context.Context, p *Promotion, begin time.Time) (*Promoted, error) {
	e, err := l.Experiment(p.Name)
	if err != nil {
		return nil, err
	}
	r, err := l.decisive(ctx, e)
	if err != nil {
		return nil, err
	}
	out := &Promoted{Experiment: e, Waived: []string{}, Failing: []report.Guardrail{}, Guardrails: slices.Clone(r.Guardrails), Report: r}
	if p.Quiet != "" {
		s, _ := quietSpan(p.Quiet) // checked above
		out.Guardrails = append(out.Guardrails, report.Guardrail{Name: "quietHours", Value: begin.UTC().Format("15:04"), Limit: p.Quiet, Pass: !s.has(begin), Blocks: report.BlocksAll})
	}
	if err := known(out.Guardrails, p, e); err != nil {
		return nil, err
	}
	if e.State == InCanary { // what was overridden at its beginning stays so
		p.Override = both(e, p.Override)
	}
	for _, g := range out.Guardrails {
		switch {
		case g.Pass, g.Blocks == report.BlocksNothing, g.Blocks == report.BlocksUnattended && !p.unattended():
		case slices.Contains(p.Override, "all"), slices.Contains(p.Override, g.Name):
			out.Waived = append(out.Waived, g.Name)
		default:
			out.Failing = append(out.Failing, g)
		}
	}
	if len(out.Failing) > 0 {
		return out, &Blocked{Failing: out.Failing, Report: r}
	}
	return out, nil
}

// decisive is the report that an experiment is judged by. While its canary runs
// the candidate lives on beside it, up to now.
func (l *Lab) decisive(ctx context.Context, e *Experiment) (*report.Report, error) {
	if e.State != InCanary || e.Started == nil {
		return l.Report(ctx, e.Name, Window{})
	}
	if err := l.o.Book.Flush(ctx); err != nil {
		return nil, err
	}
	j, err := l.nearest(*e.Started, Window{})
	if err != nil {
		return nil, err
	}
	for name, t := range j.pairs {
		if name != e.Name {
			j.drop(t)
		}
	}
	j.Events(eventPrefix, func(ev *journal.Event) error {
		var m mark
		if err := json.Unmarshal(ev.Data, &m); err != nil {
			return fmt.Errorf("event %d: %w", ev.Seq, err)
		}
		if ev.Type != eventStarted || m.Name != e.Name {
			return nil
		}
		return j.enter(m, ev.At)
	})
	if err := j.Go(ctx, math.MaxUint64, nil); err != nil {
		return nil, err
	}
	r, _, err := l.make(j, e.Name, time.Time{})
	return r, err
}

// known refuses to waive what is no guardrail.
func known(all []report.Guardrail, p *Promotion, e *Experiment) error {
	var names []string
	for _, g := range all {
		names = append(names, g.Name)
	}
	if p.Percent > 0 || e.State == InCanary {
		names = append(names, canaryGuardNames[:]...)
	}
	for _, name := range p.Override {
		if name != "all" && !slices.Contains(names, name) {
			return badInput("override %q is not a guardrail; they are %s, or all", name, strings.Join(names, ", "))
		}
	}
	return nil
}
