package shadow

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/shadow/report"
	"paygate/shadow/stats"
	"paygate/shadow/tally"
	"paygate/shadow/trial"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// Run keeps up with the journal, so that nobody waits for a report, and writes
// checkpoints, until ctx ends. Also while no experiment runs: the shadow of the
// live prices is a check on the books.
func (l *Lab) Run(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.Close()
		case <-tick.C:
		}
		l.sums.Rest()
		l.mu.Lock()
		err := l.advance(ctx)
		l.mu.Unlock()
		if err == nil {
			l.checkpoint()
			err = l.tell(ctx)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, ledger.ErrUnavailable) {
			return errors.Join(err, l.Close())
		}
	}
}

// tell raises an alarm when the shadow of the live prices is not what live did:
// then the books or this program are wrong.
func (l *Lab) tell(ctx context.Context) error {
	l.mu.Lock()
	n, told := 0, l.alarm
	if l.w != nil {
		n = l.w.differs
	}
	l.alarm = n
	l.mu.Unlock()
	if n <= told {
		return nil
	}
	l.o.Log.Error("the shadow of the live prices differs from what was charged; run paygate doctor", "differences", n)
	return l.o.Book.Apply(ctx, func(tx *ledger.Tx) error {
		return tx.Append(event(eventDiffers, byItself, mark{Differences: n}))
	})
}

// advance lives through what has come. Behind mu.
func (l *Lab) advance(ctx context.Context) error {
	if err := l.o.Book.Flush(ctx); err != nil {
		return err
	}
	if l.w == nil {
		l.w, l.pairs = l.restore()
	}
	if l.w == nil {
		pairs := map[string]*tracked{}
		w, err := l.walker(pairs, Window{})
		if err != nil {
			return err
		}
		l.w, l.pairs = w, pairs
	}
	if err := l.w.walk(ctx, math.MaxUint64, l.passing(l.w, l.pairs)); err != nil {
		if ctx.Err() == nil { // it may be half way through a block: begin anew
			l.w, l.pairs = nil, nil
		}
		return err
	}
	l.differs.Store(int64(l.w.differs))
	return nil
}

// Differences is in how many decisions and charges the shadow of the live prices
// has differed from what happened: anything but 0 is an alarm.
func (l *Lab) Differences() int { return int(l.differs.Load()) }

func (l *Lab) newWalker() (*walker, error) {
	w, err := newWalker(l.o.Book.DB(), l.sheet)
	if err != nil {
		return nil, err
	}
	w.newest = l.o.Book.Journal().Last
	return w, nil
}

// walker begins a walk that follows the lab's events: candidates come and go
// as they did. Calls outside a window do not count.
func (l *Lab) walker(pairs map[string]*tracked, window Window) (*walker, error) {
	w, err := l.newWalker()
	if err != nil {
		return nil, err
	}
	l.follow(w, pairs, window)
	if w.last > 0 {
		l.late(w, pairs, window)
	}
	return w, nil
}

// late begins the candidates whose start is not in the journal any more where
// the journal begins now: what they cover begins there, too.
func (l *Lab) late(w *walker, pairs map[string]*tracked, window Window) {
	first := time.Time{}
	w.before = func(at time.Time) bool {
		first = at
		return true
	}
	w.onset = func() error {
		all, err := l.Experiments()
		if err != nil {
			return err
		}
		for _, e := range all {
			if !e.running() || e.Started == nil || !e.Started.Before(first) {
				continue
			}
			if err := l.enter(w, pairs, window, mark{Name: e.Name, Candidate: e.Candidate, Live: e.Live}, first); err != nil {
				return err
			}
		}
		return nil
	}
}

// enter begins a candidate in a walk.
func (l *Lab) enter(w *walker, pairs map[string]*tracked, window Window, m mark, at time.Time) error {
	sheet, err := l.sheet(m.Candidate)
	if err != nil {
		return fmt.Errorf("experiment %s: %w", m.Name, err)
	}
	if window.From.After(at) {
		at = window.From
	}
	pairs[m.Name] = &tracked{mark: m, from: at, pair: w.begin(sheet, tally.New(tally.Window{From: at, To: window.To}))}
	return nil
}

// follow lets candidates come and go in a walk.
func (l *Lab) follow(w *walker, pairs map[string]*tracked, window Window) {
	w.event = func(e *journal.Event) error {
		var m mark
		if err := json.Unmarshal(e.Data, &m); err != nil {
			return fmt.Errorf("event %d: %w", e.Seq, err)
		}
		t := pairs[m.Name]
		switch {
		case e.Type == eventStarted:
			if err := l.enter(w, pairs, window, m, e.At); err != nil {
				return err
			}
		case e.Type == eventStopped:
			w.drop(t)
		case e.Type == eventCanary || e.Type == eventPromoted:
			if err := l.charging(w, pairs, m, e, window.To); err != nil {
				return err
			}
		case e.Type == eventRestored:
			delete(pairs, m.Name+beforeMark) // it has not lived through what was charged between
			if err := l.charging(w, pairs, m, e, window.To); err != nil {
				return err
			}
		case e.Type == eventSuperse || e.Type == eventRolled:
			w.drop(pairs[m.Name+beforeMark])
		}
		if t != nil {
			t.stage(e, m)
		}
		return nil
	}
}

// stage keeps when a share of the keys began to pay, and when that ended.
func (t *tracked) stage(e *journal.Event, m mark) {
	switch {
	case e.Type == eventCanary:
		t.stages = append(t.stages, trial.Stage{From: e.At, Percent: m.Percent, Salt: m.Salt, Seq: e.Seq, Charged: m.Charged})
		t.ended = nil
	case len(t.stages) > 0 && t.ended == nil && (e.Type == eventPromoted || e.Type == eventRolled || e.Type == eventStopped):
		at := e.At
		t.ended = &at
	}
}

// Window is the stretch of time that a report is of.
type Window = tally.Window

// Report is what an experiment's candidate would have meant so far. It waits
// until everything that has been answered is in.
func (l *Lab) Report(ctx context.Context, name string, window Window) (*report.Report, error) {
	e, err := l.Experiment(experimentOf(name))
	if err != nil {
		return nil, err
	}
	if e.unstarted() {
		return nil, e.no("reported")
	}
	if window == (Window{}) {
		return l.reportNow(ctx, name)
	}
	if err := l.o.Book.Flush(ctx); err != nil {
		return nil, err
	}
	return l.again(ctx, name, window, math.MaxUint64)
}

// reportNow is of all that has been lived through.
func (l *Lab) reportNow(ctx context.Context, name string) (*report.Report, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.advance(ctx); err != nil {
		return nil, err
	}
	return l.make(ctx, l.w, l.pairs, name, time.Time{})
}

// again walks anew up to an act.
func (l *Lab) again(ctx context.Context, name string, window Window, last uint64) (*report.Report, error) {
	w, pairs, err := l.nearest(window.From, window)
	if err != nil {
		return nil, err
	}
	if err := w.walk(ctx, last, nil); err != nil {
		return nil, err
	}
	return l.make(ctx, w, pairs, name, window.To)
}

func (l *Lab) make(ctx context.Context, w *walker, pairs map[string]*tracked, name string, to time.Time) (*report.Report, error) {
	t := pairs[name]
	if t == nil {
		return nil, wrongState("experiment %s has not started; start it with \"paygate shadow start %s\"", name, name)
	}
	if to.IsZero() {
		to = l.o.Now().UTC().Truncate(time.Millisecond).Add(time.Millisecond)
	}
	r := &report.Report{Name: name, Live: t.Live, Candidate: t.Candidate, From: t.from, To: to}
	sheet, err := l.sheet(t.Candidate)
	if err != nil {
		return nil, err
	}
	l.fill(r, w, t.pair, sheet)
	var beside []report.Beside
	for _, other := range slices.Sorted(maps.Keys(pairs)) {
		if p := pairs[other]; other == name || experimentOf(other) == other {
			beside = append(beside, report.Beside{Name: p.Name, Candidate: p.Candidate, Tally: p.pair.tally, Dollar: report.Dollar(sheet)})
		}
	}
	r.Frontier = report.Frontier(t.pair.tally, beside)
	if len(t.stages) > 0 {
		r.Trial, err = l.trials().Of(ctx, t.subject(), w.last, to)
	}
	return r, err
}

// fill makes all figures of a report.
func (l *Lab) fill(r *report.Report, w *walker, p *pair, sheet *pricing.Sheet) {
	r.Demo = l.o.Demo
	r.Seed, r.Version, r.LogDigest, r.LastSeq, r.SelfDifference = stats.Seed, l.o.Version, w.digest, w.last, w.differs
	if last := l.o.Book.Journal().Last(); last > w.last {
		r.Lag = last - w.last
	}
	from := report.Source{Tally: p.tally, Name: l.o.Name, Dollar: report.Dollar(sheet), Balances: [2]map[string]pricing.Credits{balances(cmp.Or(p.live, w.real)), balances(p.cand)},
		Clipped: p.cand.Clipped, Given: p.plans.Added, Expired: p.plans.Expired}
	if p.policy != nil {
		made := p.policy.Guess
		from.WhatIf = &made
	}
	r.Fill(from)
}

// balances are what keys have.
func balances(s *ledger.Scenario) map[string]pricing.Credits {
	all := map[string]pricing.Credits{}
	s.Wallets(func(key string, posted, _ pricing.Credits) { all[key] = posted })
	return all
}

// Verified is the answer to a report that is checked.
type Verified struct {
	OK          bool     `json:"ok"`
	Differences []string `json:"differences"`
}

// Verify makes a report again from the journal and compares it field by field.
func (l *Lab) Verify(ctx context.Context, raw []byte) (*Verified, error) {
	var was report.Report
	if err := json.Unmarshal(raw, &was); err != nil {
		return nil, badInput("this is not a report: %s", err)
	}
	if was.WhatIf != nil {
		return nil, badInput("a replay's report is verified by replaying it")
	}
	now, err := l.again(ctx, was.Name, Window{From: was.From, To: was.To}, was.LastSeq)
	if err != nil {
		return nil, err
	}
	now.From, now.Lag, now.Version = was.From, was.Lag, was.Version
	v := &Verified{Differences: []string{}}
	again, err := json.Marshal(now)
	if err != nil {
		return nil, fmt.Errorf("report of %s: %w", was.Name, err)
	}
	var a, b map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(raw, &a), json.Unmarshal(again, &b)); err != nil {
		return nil, badInput("this is not a report: %s", err)
	}
	for field, value := range b {
		var compact bytes.Buffer
		if json.Compact(&compact, a[field]) != nil || !bytes.Equal(compact.Bytes(), value) {
			v.Differences = append(v.Differences, field)
		}
	}
	slices.Sort(v.Differences)
	v.OK = len(v.Differences) == 0
	return v, nil
}
