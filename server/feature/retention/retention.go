// Package retention forgets what is too old or too much to keep: events of the
// journal, with the sums over them, in slices, while calls run. Balances and
// everything that is still owed stay; an anchor takes the place of what is
// forgotten, so that the books can be proved from it, and what each key did in
// each month is kept for ever.
package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"paygate/server/report"
	"paygate/store"
	"paygate/store/ledger"
)

// Options are what retention needs.
type Options struct {
	Book   *ledger.Book
	Rollup *report.Rollup
	Now    func() time.Time
	Log    *slog.Logger
	// Settings are how many days and bytes of journal to keep; 0 is no limit.
	Settings func() (days int, bytes int64)
	// Needed is when what is still needed begins, and for what; zero: nothing is.
	Needed func() (from time.Time, what string, err error)
	// Others forget what else is too old, in the same pass.
	Others []func(context.Context) error
}

// Retention forgets. Make it with New.
type Retention struct{ opts Options }

// New makes one.
func New(o Options) *Retention { return &Retention{o} }

const (
	firstPass = 10 * time.Minute // after the start: not beside everything else that begins
	everyPass = time.Hour
)

// Run passes from time to time until ctx ends.
func (r *Retention) Run(ctx context.Context) {
	t := time.NewTimer(firstPass)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if _, err := r.Pass(ctx); err != nil && ctx.Err() == nil {
			r.opts.Log.Error("old events could not be forgotten; it is tried again in an hour", "error", err)
		}
		t.Reset(everyPass)
	}
}

// Anchor is what is kept of a month in which something was forgotten: the sums
// of the books then, and the hash that the journal goes on from.
type Anchor struct {
	Month   string    `json:"month"`
	At      time.Time `json:"at"`
	First   uint64    `json:"first"` // the first number that was kept
	Issued  int64     `json:"issued"`
	Revenue int64     `json:"revenue"`
	Expired int64     `json:"expired"`
	Spend   int64     `json:"spendable"`
	Held    int64     `json:"held"`
	Keys    int       `json:"keys"`
}

// Anchors are the kept ones, by month.
func Anchors() store.Table[Anchor] {
	return store.Table[Anchor]{Name: "anchors", Proved: true, ID: func(a *Anchor) string { return a.Month }}
}

// Pass forgets what is due, and says what the first number kept is; 0: nothing
// was due.
func (r *Retention) Pass(ctx context.Context) (first uint64, err error) {
	for _, forget := range r.opts.Others {
		if err := forget(ctx); err != nil {
			return 0, err
		}
	}
	cut, err := r.cut()
	if err != nil || cut == 0 {
		return 0, err
	}
	if first, err = r.opts.Book.Trim(ctx, cut, "retention"); err != nil {
		return 0, err
	}
	if err := r.opts.Rollup.Forget(ctx, first); err != nil {
		return 0, err
	}
	return first, r.keepAnchor(ctx, first)
}

// cut is the number below which everything may go; 0: nothing may.
func (r *Retention) cut() (uint64, error) {
	days, bytes := r.opts.Settings()
	spans := r.opts.Rollup.Spans()
	most := len(spans) // of them may go
	from, what, err := r.opts.Needed()
	if err != nil {
		return 0, fmt.Errorf("retention: %w", err)
	}
	if !from.IsZero() {
		for most > 0 && !spans[most-1].To.Before(from) {
			most--
		}
	}
	n := 0
	if days > 0 {
		for n < most && spans[n].To.Before(r.opts.Now().AddDate(0, 0, -days)) {
			n++
		}
	}
	over, err := r.over(spans, bytes)
	if err != nil {
		return 0, err
	}
	if over > most && what != "" {
		r.opts.Log.Warn("the journal is larger than retentionMaxBytes, but what is oldest is still needed", "by", what, "since", from)
	}
	if n = max(n, min(over, most)); n == 0 {
		return 0, nil
	}
	return spans[n-1].Last + 1, nil
}

// over is how many of the oldest spans must go for the rest to fit.
func (r *Retention) over(spans []report.Span, most int64) (int, error) {
	if most <= 0 || len(spans) == 0 {
		return 0, nil
	}
	total, free, err := r.opts.Book.DB().Size()
	if err != nil {
		return 0, err
	}
	used := total - free
	if used <= most {
		return 0, nil
	}
	first, last := spans[0].First, max(r.opts.Book.Journal().Last(), spans[len(spans)-1].Last)
	perNumber := float64(used) / float64(last-first+1)
	goal := used - most/10*9 // some room, so that not every pass has to
	n := 0
	for n < len(spans) && float64(spans[n].Last-first+1)*perNumber < float64(goal) {
		n++
	}
	return min(n+1, len(spans)), nil
}

func (r *Retention) keepAnchor(ctx context.Context, first uint64) error {
	t, now := r.opts.Book.Totals(), r.opts.Now().UTC()
	a := Anchor{Month: now.Format("2006-01"), At: now, First: first, Issued: int64(t.Issued), Revenue: int64(t.Revenue), Expired: int64(t.Expired),
		Spend: int64(t.Spendable), Held: int64(t.Held), Keys: t.Keys}
	err := r.opts.Book.Apply(ctx, func(tx *ledger.Tx) error {
		was, err := Anchors().Get(tx, a.Month)
		if err == nil && was.First == a.First || err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return Anchors().Put(tx, &a)
	})
	if err == nil {
		text, _ := json.Marshal(a) // numbers and texts
		r.opts.Log.Info("old events were forgotten", "anchor", string(text))
	}
	return err
}
