package shadow

import (
	"context"
	"fmt"
	"slices"

	"paygate/pricing"
	"paygate/store"
)

// Status is how far an experiment is.
type Status struct {
	Experiment
	Attempts       int             `json:"attempts"`
	Coverage       float64         `json:"coverage"`
	Lag            uint64          `json:"lag"` // acts of the journal that are not in yet
	LagSeconds     float64         `json:"lagSeconds"`
	SelfDifference int             `json:"selfDifference"`
	LiveCredits    pricing.Credits `json:"liveCredits"`      // collectable
	Credits        pricing.Credits `json:"candidateCredits"` // collectable
	NewlyDenied    int             `json:"newlyDenied"`
	LeadsInCredits pricing.Credits `json:"change"`
	Since          *Since          `json:"sinceLive,omitempty"` // its prices are charged
}

// Status is how far the experiments are, or the one of a name. It catches up
// first.
func (l *Lab) Status(ctx context.Context, name string) ([]Status, error) {
	all, err := l.Experiments()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.advance(ctx); err != nil {
		return nil, err
	}
	for _, e := range all {
		if name == "" && e.Draft != nil {
			e.Draft.Text = "" // only who asks for the one gets it
		}
	}
	if name != "" {
		all = slices.DeleteFunc(all, func(e *Experiment) bool { return e.Name != name })
	}
	if name != "" && len(all) == 0 {
		return nil, fmt.Errorf("experiment %s: %w", name, store.ErrNotFound)
	}
	return l.status(all), nil
}

// Latest is Status of all experiments as far as they have come: it waits for
// nothing, and says what it said before while the lab is at work.
func (l *Lab) Latest() []Status {
	if l.mu.TryLock() {
		if all, err := l.Experiments(); err == nil && l.j != nil {
			now := l.status(all)
			l.latest.Store(&now)
		}
		l.mu.Unlock()
	}
	if last := l.latest.Load(); last != nil {
		return *last
	}
	return nil
}

// status says how far experiments are. Behind mu.
func (l *Lab) status(all []*Experiment) []Status {
	out, at := []Status{}, l.j.Place()
	for _, e := range all {
		s := Status{Experiment: *e, Coverage: 1, SelfDifference: at.Differences}
		if last := l.o.Book.Journal().Last(); last > at.Last {
			s.Lag, s.LagSeconds = last-at.Last, max(0, l.o.Now().Sub(at.At).Seconds())
		}
		if t := l.j.pairs[e.Name]; t != nil {
			counts := t.pair.Tally
			s.Attempts, s.Coverage, s.NewlyDenied = counts.Attempts, counts.Coverage(), counts.Newly
			s.LiveCredits, s.Credits = counts.Sides[0].Collectable(), counts.Sides[1].Collectable()
			s.LeadsInCredits = s.Credits - s.LiveCredits
		}
		s.Since = since(l.j.pairs[e.Name+beforeMark])
		out = append(out, s)
	}
	return out
}
