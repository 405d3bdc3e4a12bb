package shadow

import (
	"context"
	"fmt"
	"math"
	"time"

	"paygate/pricing"
	"paygate/shadow/report"
	"paygate/shadow/tally"
	"paygate/shadow/walk"
	"paygate/shadow/whatif"
)

// Candidate is a sheet that a replay tries.
type Candidate struct {
	Name  string
	Sheet *pricing.Sheet
}

// ReplayRequest asks what candidates would have meant for a stretch of the
// past. Wallets begin as they were at its start.
type ReplayRequest struct {
	ID         string      // to ask for its progress and cancel it by; may be empty
	Candidates []Candidate // at most MostRunning; each as often as there are policies, for whatif.All
	Window     Window
	WhatIf     *whatif.Guess
}

// Replay lives through the journal and gives a report for each candidate, in
// their order.
func (l *Lab) Replay(ctx context.Context, in ReplayRequest) ([]*report.Report, error) {
	tries, err := in.tries()
	if err != nil {
		return nil, err
	}
	ctx, progress, end, err := l.runs.begin(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	defer end()
	if err := l.o.Book.Flush(ctx); err != nil {
		return nil, err
	}
	w, err := l.nearestAlone(in.Window.From)
	if err != nil {
		return nil, err
	}
	to := in.Window.To
	if to.IsZero() {
		to = l.o.Now().UTC().Truncate(time.Millisecond).Add(time.Millisecond)
	}
	from := in.Window.From
	var pairs []*walk.Pair
	w.Onset(func(at time.Time) bool { return !at.Before(from) }, func() error {
		if from.IsZero() {
			from = w.Place().At
		}
		for _, t := range tries {
			p := w.Begin(t.Sheet, tally.New(tally.Window{From: in.Window.From, To: to}))
			if t.whatIf != nil {
				p.Guess(*t.whatIf)
			}
			pairs = append(pairs, p)
		}
		return nil
	})
	last := l.o.Book.Journal().Last()
	told := func(p walk.Place) bool {
		progress(float64(p.Last) / float64(max(1, last)))
		return !p.At.After(to) || w.Pending(to)
	}
	w.CloseAt(in.Window.To)
	if err := w.Go(ctx, math.MaxUint64, told); err != nil {
		return nil, err
	}
	if len(pairs) == 0 {
		return nil, badInput("nothing was recorded at or after %s", from.Format(time.RFC3339))
	}
	return l.replayed(w, pairs, in.Window, tries, [2]time.Time{from, to})
}

// try is one candidate with one guess of how callers react.
type try struct {
	Candidate
	whatIf *whatif.Guess
}

// tries are the candidates, each under every policy when whatif.All is asked for.
func (in *ReplayRequest) tries() ([]try, error) {
	if in.WhatIf != nil {
		if err := in.WhatIf.Check(); err != nil {
			return nil, badInput("%v", err)
		}
	}
	var out []try
	for _, c := range in.Candidates {
		if in.WhatIf == nil || in.WhatIf.Policy != whatif.All {
			out = append(out, try{c, in.WhatIf})
			continue
		}
		for _, policy := range whatif.Policies() {
			if policy == whatif.Cheaper && len(in.WhatIf.Cheaper) == 0 {
				continue
			}
			w := *in.WhatIf
			w.Policy = policy
			out = append(out, try{c, &w})
		}
	}
	if n := len(out); n == 0 || n > MostRunning {
		return nil, badInput("a replay lives through 1 to %d candidates at a time, not %d; every policy counts as one", MostRunning, n)
	}
	return out, nil
}

// replayed makes the reports of a walk that has ended.
func (l *Lab) replayed(w *walk.Walk, pairs []*walk.Pair, window Window, tries []try, between [2]time.Time) ([]*report.Report, error) {
	live, err := l.liveHash()
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	var out []*report.Report
	var beside []report.Beside
	for i, c := range tries {
		p := pairs[i]
		r := &report.Report{Name: c.Name, Live: live, Candidate: c.Sheet.Hash(), From: between[0], To: between[1]}
		if window.From.IsZero() {
			r.From = p.Tally.First
		}
		l.fill(r, w, p, c.Sheet)
		name := c.Name
		if c.whatIf != nil && c.whatIf.Policy != "" {
			name += " (" + c.whatIf.Policy + ")"
		}
		beside = append(beside, report.Beside{Name: name, Candidate: c.Sheet.Hash(), Tally: p.Tally, Dollar: report.Dollar(c.Sheet)})
		out = append(out, r)
	}
	points := report.Frontier(pairs[0].Tally, beside)
	for _, r := range out {
		r.Frontier = points
	}
	return out, nil
}
