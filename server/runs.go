package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"paygate/pricing"
	"paygate/server/gate"
	"paygate/store"
	"paygate/store/sheets"
)

// runs remembers by which sheet each piece of an agent's work began to pay, so
// that no price rises within it. Only work that the agent names is known to be
// one; it is open until it rests.
type runs struct {
	mu   sync.Mutex
	open map[runKey]*openRun
	most int // entries, when those that rest are forgotten
}

type runKey struct{ key, run string }

type openRun struct {
	sheet       *pricing.Sheet
	began, last time.Time
}

const (
	runRests   = 15 * time.Minute // without a call: the next one begins a new run
	longestRun = 24 * time.Hour   // an agent that calls everything one run pays new prices the next day
	mostRuns   = 50_000
	runsBack   = 100_000 // acts of the journal that are looked through after a start
)

func newRuns() *runs { return &runs{open: map[runKey]*openRun{}, most: 1024} }

// sheet is what a call of a run pays by: what its key pays by, or what the run
// began with, whichever asks less.
func (r *runs) sheet(c *gate.Call, now *pricing.Sheet) *pricing.Sheet {
	was := r.see(runKey{c.Key, c.Run}, now, c.At)
	if was == now || was.Hash() == now.Hash() {
		return now
	}
	// what the payer has used so far is left out: it is not known before the lock
	if pricing.Quote(&c.Call.Call.Call, was, &pricing.Usage{}).Due < pricing.Quote(&c.Call.Call.Call, now, &pricing.Usage{}).Due {
		return was
	}
	return now
}

// see is a call of a run at a time: it gives the sheet that the run began with.
func (r *runs) see(k runKey, sheet *pricing.Sheet, at time.Time) *pricing.Sheet {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.open[k]
	if o == nil || at.Sub(o.last) >= runRests || at.Sub(o.began) >= longestRun {
		if o == nil && !r.room(at) {
			return sheet
		}
		o = &openRun{sheet: sheet, began: at}
		r.open[k] = o
	}
	o.last = at
	return o.sheet
}

// room forgets the runs that rest, and says whether another one can be
// remembered. Behind mu.
func (r *runs) room(at time.Time) bool {
	if len(r.open) < r.most {
		return true
	}
	for k, o := range r.open {
		if at.Sub(o.last) >= runRests {
			delete(r.open, k)
		}
	}
	r.most = min(mostRuns, max(1024, 2*len(r.open)))
	return len(r.open) < mostRuns
}

// recall finds the runs that were open when the gateway ended. Only after prices
// have changed lately does it matter which they were.
func (s *Server) recall(ctx context.Context) error {
	var changed time.Time
	err := s.book.DB().View(func(snap *store.Snapshot) error {
		_, since, err := sheets.Live(snap)
		if err != nil {
			return err
		}
		r, err := sheets.CurrentRollout(snap)
		if changed = since; err == nil && r.Canary != nil && r.Canary.Since.After(since) {
			changed = r.Canary.Since
		}
		return err
	})
	now := s.opts.Now()
	if err != nil || now.Sub(changed) >= longestRun {
		return err
	}
	j := s.book.Journal()
	after, err := j.SeqAt(now.Add(-runRests))
	if err != nil || after == 0 {
		return err
	}
	if last := j.Last(); last > runsBack {
		after = max(after, last-runsBack)
	}
	kept := map[string]*pricing.Sheet{}
	for after--; ctx.Err() == nil; {
		events, err := j.Page(after, 1024)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, e := range events {
			after = e.Seq
			if e.Call == nil || e.Call.Run == "" || e.Call.Key == "" {
				continue
			}
			sheet := kept[e.Call.Sheet]
			if sheet == nil {
				sheet, err = sheets.Of(s.book.DB())(e.Call.Sheet)
				if errors.Is(err, store.ErrNotFound) {
					continue
				}
				if err != nil {
					return fmt.Errorf("runs under way: %w", err)
				}
				kept[e.Call.Sheet] = sheet
			}
			s.runs.see(runKey{e.Call.Key, e.Call.Run}, sheet, e.Call.At)
		}
	}
	return ctx.Err()
}
