package shadow

import (
	"bytes"
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
	"paygate/shadow/walk"
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
	if l.j != nil {
		n = l.j.Place().Differences
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
	if l.j == nil {
		l.j = l.restore()
	}
	if l.j == nil {
		j, err := l.journey(Window{})
		if err != nil {
			return err
		}
		l.j = j
	}
	if err := l.j.Go(ctx, math.MaxUint64, l.passing(l.j)); err != nil {
		if ctx.Err() == nil { // it may be half way through a block: begin anew
			l.j = nil
		}
		return err
	}
	l.differs.Store(int64(l.j.Place().Differences))
	return nil
}

// Differences is in how many decisions and charges the shadow of the live prices
// has differed from what happened: anything but 0 is an alarm.
func (l *Lab) Differences() int { return int(l.differs.Load()) }

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
	r, of, err := func() (*report.Report, *trial.Subject, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if err := l.advance(ctx); err != nil {
			return nil, nil, err
		}
		return l.make(l.j, name, time.Time{})
	}()
	return l.tried(ctx, r, of, err)
}

// tried adds what a real experiment shows, if there is or was one. It reads the
// journal for that and takes its time, so nobody waits for it behind mu.
func (l *Lab) tried(ctx context.Context, r *report.Report, of *trial.Subject, err error) (*report.Report, error) {
	if err == nil && of != nil {
		r.Trial, err = l.trials().Of(ctx, of, r.LastSeq, r.To)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// again walks anew up to an act.
func (l *Lab) again(ctx context.Context, name string, window Window, last uint64) (*report.Report, error) {
	j, err := l.nearest(window.From, window)
	if err != nil {
		return nil, err
	}
	j.CloseAt(window.To)
	if err := j.Go(ctx, last, nil); err != nil {
		return nil, err
	}
	r, of, err := l.make(j, name, window.To)
	return l.tried(ctx, r, of, err)
}

// make is a report without what a real experiment shows, and the subject of
// that; nil: there was none.
func (l *Lab) make(j *journey, name string, to time.Time) (*report.Report, *trial.Subject, error) {
	t := j.pairs[name]
	if t == nil {
		return nil, nil, wrongState("experiment %s has not started; start it with \"paygate shadow start %s\"", name, name)
	}
	if to.IsZero() {
		to = l.o.Now().UTC().Truncate(time.Millisecond).Add(time.Millisecond)
	}
	r := &report.Report{Name: name, Live: t.Live, Candidate: t.Candidate, From: t.from, To: to}
	sheet, err := l.sheet(t.Candidate)
	if err != nil {
		return nil, nil, err
	}
	l.fill(r, j.Walk, t.pair, sheet)
	var beside []report.Beside
	for _, other := range slices.Sorted(maps.Keys(j.pairs)) {
		if p := j.pairs[other]; other == name || experimentOf(other) == other {
			beside = append(beside, report.Beside{Name: p.Name, Candidate: p.Candidate, Tally: p.pair.Tally, Dollar: report.Dollar(sheet)})
		}
	}
	r.Frontier = report.Frontier(t.pair.Tally, beside)
	if len(t.stages) == 0 {
		return r, nil, nil
	}
	return r, t.subject(), nil
}

// fill makes all figures of a report.
func (l *Lab) fill(r *report.Report, w *walk.Walk, p *walk.Pair, sheet *pricing.Sheet) {
	at, books := w.Place(), w.Books(p)
	r.Demo = l.o.Demo
	r.Seed, r.Version, r.LogDigest, r.LastSeq, r.SelfDifference = stats.Seed, l.o.Version, at.Digest, at.Last, at.Differences
	if last := l.o.Book.Journal().Last(); last > at.Last {
		r.Lag = last - at.Last
	}
	r.Fill(report.Source{Tally: p.Tally, Name: l.o.Name, Dollar: report.Dollar(sheet), Balances: books.Balances,
		Clipped: books.Clipped, Given: books.Given, Expired: books.Expired, WhatIf: books.Guess})
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
