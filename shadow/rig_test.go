package shadow_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/shadow"
	"paygate/shadow/report"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/store/sheets"
	"paygate/testdata/books"
	"paygate/testdata/clock"
)

// rig is a book with a lab over it, and a time that only the test moves.
type rig struct {
	*ledger.Book
	lab   *shadow.Lab
	sheet *pricing.Sheet // live
	dir   string

	hands *clock.Hands
	calls int
}

type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

var noon = time.Date(2026, 3, 30, 12, 0, 0, 0, time.UTC)

func (r *rig) now() time.Time        { return r.hands.Now() }
func (r *rig) later(d time.Duration) { r.hands.Add(d) }

func must[T any](t tester) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newRig(t *testing.T, live *pricing.Sheet) *rig {
	t.Helper()
	r := openRig(t, t.TempDir(), live)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func openRig(t tester, dir string, live *pricing.Sheet) *rig {
	t.Helper()
	r := &rig{hands: clock.At(noon), sheet: live, dir: dir}
	r.Book = books.Open(t, dir, ledger.Options{Now: r.now, Sheet: func(string) (*pricing.Sheet, error) { return nil, errors.New("no parked calls here") }})
	err := r.Apply(context.Background(), func(tx *ledger.Tx) error {
		_, err := sheets.Import(tx, live, tx.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r.lab = shadow.New(shadow.Options{Book: r.Book, Now: r.now, Name: func(id string) string { return "name of " + id }, Changed: func(context.Context) error {
		return r.DB().View(func(s *store.Snapshot) (err error) {
			r.sheet, _, err = sheets.Live(s)
			return err
		})
	}})
	return r
}

func (r *rig) topup(t tester, key string, n pricing.Credits) {
	t.Helper()
	r.calls++
	err := r.Apply(context.Background(), func(tx *ledger.Tx) error {
		return tx.Append(journal.Event{Type: "key.topup", Actor: "test", Subject: key,
			Posts: []journal.Entry{{ID: fmt.Sprintf("t%d", r.calls), From: journal.Bank, To: journal.KeyAccount(key), Amount: n, Kind: "topup"}}})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// begin reserves a call as the gate would; nil when it is refused.
func (r *rig) begin(t tester, key, tool string, limits ...journal.Limit) *ledger.Call {
	t.Helper()
	r.calls++
	c := &ledger.Call{Price: r.sheet}
	c.ID, c.Key, c.Payer, c.Tool, c.Sheet = fmt.Sprintf("c%d", r.calls), key, string(journal.KeyAccount(key)), tool, r.sheet.Hash()
	c.Limits, c.Observed = limits, r.Shadow()
	if err := r.Reserve(c); err != nil {
		var refused *ledger.Refused
		if !errors.As(err, &refused) {
			t.Fatal(err)
		}
		return nil
	}
	return c
}

func (r *rig) end(c *ledger.Call, out int64) ledger.Settlement {
	c.Outcome, c.Class, c.Out = pricing.OK, "ok", out
	return r.Settle(c)
}

// pay makes a whole call and says whether it was admitted.
func (r *rig) pay(t tester, key, tool string) bool {
	t.Helper()
	c := r.begin(t, key, tool)
	if c == nil {
		return false
	}
	r.end(c, 100)
	return true
}

func flat(n pricing.Credits) *pricing.Sheet {
	return pricing.FromTools(pricing.ToolPrice{PerCall: n}, nil, false)
}

// start begins an experiment with a sheet's file.
func (r *rig) start(t tester, name, file string) {
	t.Helper()
	if _, _, err := r.lab.New(context.Background(), name, []byte(file), "test"); err != nil {
		t.Fatal(err)
	}
	must[*shadow.Experiment](t)(r.lab.Start(context.Background(), name, "test"))
}

func (r *rig) report(t tester, name string) *report.Report {
	t.Helper()
	return must[*report.Report](t)(r.lab.Report(context.Background(), name, shadow.Window{}))
}
