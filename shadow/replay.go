package shadow

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"paygate/pricing"
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
	Candidates []Candidate // at most MostRunning
	Window     Window
	WhatIf     *WhatIf
}

// Replay lives through the journal and gives a report for each candidate, in
// their order.
func (l *Lab) Replay(ctx context.Context, in ReplayRequest) ([]*Report, error) {
	if n := len(in.Candidates); n == 0 || n > MostRunning {
		return nil, badInput("a replay tries 1 to %d candidates, not %d", MostRunning, n)
	}
	if err := in.WhatIf.validate(); err != nil {
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
	w, err := newWalker(l.o.Book.DB(), l.sheet)
	if err != nil {
		return nil, err
	}
	to := in.Window.To
	if to.IsZero() {
		to = l.o.Now().UTC().Truncate(time.Millisecond).Add(time.Millisecond)
	}
	from := in.Window.From
	w.before = func(at time.Time) bool { return !at.Before(from) }
	w.onset = func() error {
		if from.IsZero() {
			from = w.at
		}
		for _, c := range in.Candidates {
			p := w.begin(c.Sheet, NewTally(in.Window.From, to))
			if in.WhatIf != nil {
				p.policy = newPolicy(*in.WhatIf, p.cand)
			}
		}
		return nil
	}
	last := l.o.Book.Journal().Last()
	told := func(seq uint64) {
		progress(float64(seq) / float64(max(1, last)))
		if w.at.After(to) {
			w.err = errors.Join(w.err, errEnd)
		}
	}
	if err := w.walk(ctx, math.MaxUint64, told); err != nil {
		return nil, err
	}
	if len(w.pairs) == 0 {
		return nil, badInput("nothing was recorded at or after %s", from.Format(time.RFC3339))
	}
	return l.replayed(w, in, from, to)
}

// replayed makes the reports of a walk that has ended.
func (l *Lab) replayed(w *walker, in ReplayRequest, from, to time.Time) ([]*Report, error) {
	live, err := l.liveHash()
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	var out []*Report
	points := []Point{w.pairs[0].tally.livePoint()}
	for i, c := range in.Candidates {
		p := w.pairs[i]
		r := &Report{Name: c.Name, Live: live, Candidate: c.Sheet.Hash(), From: from, To: to}
		if in.Window.From.IsZero() {
			r.From = p.tally.First
		}
		l.fill(r, w, p, c.Sheet)
		points = append(points, p.tally.point(mark{Name: c.Name, Candidate: c.Sheet.Hash()}, dollar(c.Sheet)))
		out = append(out, r)
	}
	points = frontier(points)
	for _, r := range out {
		r.Frontier = points
	}
	return out, nil
}
