package retention_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/server/feature/retention"
	"paygate/server/report"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/testdata/books"
	"paygate/testdata/clock"
)

// rig is books in which calls were made for months, by a time that only the
// test moves.
type rig struct {
	t      *testing.T
	dir    string
	clock  *clock.Hands
	sheet  *pricing.Sheet
	book   *ledger.Book
	rollup *report.Rollup
	made   int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), clock: clock.At(time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)), sheet: pricing.FromTools(pricing.ToolPrice{PerCall: 2}, nil, true)}
	r.open()
	t.Cleanup(func() { _ = r.book.Close() })
	err := r.book.Apply(t.Context(), func(tx *ledger.Tx) error {
		return tx.Append(journal.Event{Type: "key.created", Subject: "key_1", Posts: []journal.Entry{{ID: "initial", From: journal.Bank, To: "key:key_1", Amount: 1_000_000, Kind: "initial"}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) open() {
	r.t.Helper()
	r.book = books.Open(r.t, r.dir, ledger.Options{Now: r.clock.Now, Sheet: func(string) (*pricing.Sheet, error) { return r.sheet, nil }})
	var err error
	if r.rollup, err = report.NewRollup(r.book.DB(), r.book.Journal(), slog.New(slog.DiscardHandler), 0); err != nil {
		r.t.Fatal(err)
	}
}

// days lets days pass, with calls on each, and restarts, which writes what the
// books need to start without the past.
func (r *rig) days(n, calls int) {
	r.t.Helper()
	for range n {
		for range calls {
			r.made++
			r.clock.Add(time.Second)
			c := &ledger.Call{Price: r.sheet}
			c.ID, c.Key, c.Payer, c.Tool, c.Sheet, c.Outcome = fmt.Sprint("req_", r.made), "key_1", "key:key_1", "echo", r.sheet.Hash(), pricing.OK
			if err := r.book.Reserve(c); err != nil {
				r.t.Fatal(err)
			}
			r.book.Settle(c)
		}
		if err := r.book.Flush(r.t.Context()); err != nil { // each day has blocks of its own
			r.t.Fatal(err)
		}
		r.clock.Add(24 * time.Hour)
	}
	if err := r.book.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.open()
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	last := r.book.Journal().Last()
	for e := range r.book.Journal().Tail(ctx, r.rollup.After()) {
		if r.rollup.Add(e); e.Seq >= last {
			return
		}
	}
}

// pass runs one pass and proves the books after it.
func (r *rig) pass(days int, bytes int64, needed time.Time) (first uint64) {
	r.t.Helper()
	first, err := retention.New(retention.Options{Book: r.book, Rollup: r.rollup, Now: r.clock.Now, Log: slog.New(slog.DiscardHandler),
		Settings: func() (int, int64) { return days, bytes },
		Needed:   func() (time.Time, string, error) { return needed, "experiment x", nil }}).Pass(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	p, err := r.book.Verify(r.t.Context(), nil)
	if err != nil || !p.OK() {
		r.t.Fatalf("after the pass: %v %v", err, p.Faults)
	}
	return first
}

func (r *rig) oldest() time.Time {
	r.t.Helper()
	events, err := r.book.Journal().Page(0, 1)
	if err != nil || len(events) == 0 {
		r.t.Fatalf("nothing is left: %v", err)
	}
	return events[0].At
}

func TestWhatIsTooOldIsForgottenAndNothingThatIsOwed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if _, err := r.book.Hold(t.Context(), ledger.HoldRequest{ID: "rsv", Key: "key_1", Credits: 9, TTL: 10_000 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	r.days(60, 3)
	if first := r.pass(90, 0, time.Time{}); first != 0 {
		t.Errorf("of 60 days something before %d was forgotten, though 90 are kept", first)
	}
	r.days(60, 3)
	was, totals := r.book.Key("key_1"), r.book.Totals()
	if first := r.pass(90, 0, time.Time{}); first == 0 {
		t.Fatal("of 120 days nothing was forgotten, though 90 are kept")
	}
	if age := r.clock.Now().Sub(r.oldest()); age > 92*24*time.Hour || age < 88*24*time.Hour {
		t.Errorf("the oldest event is %s old, want about 90 days", age)
	}
	r.days(0, 0) // a restart
	got := r.book.Totals()
	if r.book.Key("key_1") != was || got.Revenue != totals.Revenue || got.Held != totals.Held || got.Spendable != totals.Spendable {
		t.Errorf("%+v became %+v, %+v became %+v", was, r.book.Key("key_1"), totals, got)
	}
	if _, err := r.book.CommitHold(t.Context(), "rsv", "test", nil); err != nil {
		t.Errorf("a reservation of before the cut: %v", err)
	}
	var a *retention.Anchor
	err := r.book.DB().View(func(s *store.Snapshot) (err error) {
		a, err = retention.Anchors().Get(s, r.clock.Now().Format("2006-01"))
		return err
	})
	if err != nil || a.First == 0 || a.Keys != 1 || a.Issued != 1_000_000 {
		t.Errorf("the month's anchor is %+v, %v", a, err)
	}
}

func TestWhatAnExperimentLivesThroughIsKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.days(20, 3)
	began := r.clock.Now()
	r.days(100, 2)
	r.pass(30, 0, began)
	if oldest := r.oldest(); oldest.After(began) || began.Sub(oldest) > 48*time.Hour {
		t.Errorf("the oldest event is of %s; the experiment began %s", oldest, began)
	}
}

func TestWhatIsTooMuchIsForgottenOldestFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.days(40, 200)
	total, free, err := r.book.DB().Size()
	if err != nil {
		t.Fatal(err)
	}
	if first := r.pass(0, total-free, time.Time{}); first != 0 {
		t.Errorf("what fits was cut at %d", first)
	}
	first := r.pass(0, (total-free)*3/4, time.Time{})
	if last := r.book.Journal().Last(); first == 0 || first > last*6/10 {
		t.Errorf("with room for three quarters, %d of %d numbers were forgotten", first, last)
	}
}

func TestOtherThingsAreForgottenInTheSamePass(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	broken := errors.New("no")
	_, err := retention.New(retention.Options{Book: r.book, Rollup: r.rollup, Now: r.clock.Now,
		Others: []func(context.Context) error{func(context.Context) error { return broken }}}).Pass(t.Context())
	if !errors.Is(err, broken) {
		t.Errorf("the pass says %v", err)
	}
}
