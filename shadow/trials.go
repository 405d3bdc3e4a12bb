package shadow

import (
	"context"

	"paygate/shadow/trial"
)

// Trial is how the experiment of a name goes, or went.
func (l *Lab) Trial(ctx context.Context, name string) (*trial.Trial, error) {
	if _, err := l.Experiment(name); err != nil {
		return nil, err
	}
	l.mu.Lock()
	err := l.advance(ctx)
	var t *tracked
	if err == nil {
		t = l.j.pairs[name]
	}
	last := uint64(0)
	if l.j != nil {
		last = l.j.Place().Last
	}
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if t == nil || len(t.stages) == 0 {
		return nil, wrongState("experiment %s was never charged to a share of the keys; promote it with a canary", name)
	}
	return l.trials().Of(ctx, t.subject(), last, l.o.Now().UTC())
}

// trials are made of the journal and the kept sheets.
func (l *Lab) trials() trial.Source { return trial.Source{Journal: l.o.Book.Journal(), Sheet: l.sheet} }

// subject is what a trial is of.
func (t *tracked) subject() *trial.Subject {
	return &trial.Subject{Name: t.Name, Live: t.Live, Candidate: t.Candidate, From: t.from, Stages: t.stages, Ended: t.ended, Past: t.pair.Tally}
}
