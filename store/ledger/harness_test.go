package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/testdata/clock"
)

// tester is what a *testing.T, B and *rapid.T have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// rig is a book in a folder that can be opened again and again.
type rig struct {
	*ledger.Book
	dir    string
	clock  *clock.Hands
	sheet  *pricing.Sheet
	fault  hook // asked before every commit
	doubt  hook // asked after every commit
	sweep  time.Duration
	tables []store.Proved
}

var noon = time.Date(2026, 3, 30, 12, 0, 0, 0, time.UTC)

// flat is a sheet where everything costs 2, "dear" 5, and "out" 1 and 1 per KB
// of its answer; failures cost nothing.
func flat() *pricing.Sheet {
	return pricing.FromTools(pricing.ToolPrice{PerCall: 2}, map[string]pricing.ToolPrice{
		"dear": {PerCall: 5}, "free": {}, "out": {PerCall: 1, PerKBOut: 1}}, true)
}

// hook is a function that a test sets while the writer asks it.
type hook struct {
	mu sync.Mutex
	fn func() error
}

func (h *hook) set(fn func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fn = fn
}

func (h *hook) ask() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fn == nil {
		return nil
	}
	return h.fn()
}

func newRig(t tester, dir string) *rig {
	t.Helper()
	r := &rig{dir: dir, clock: clock.At(noon), sheet: flat()}
	r.open(t)
	return r
}

func (r *rig) open(t tester) {
	t.Helper()
	db, err := store.Open(r.dir, store.Options{Now: time.Now, Fault: r.fault.ask, Doubt: r.doubt.ask})
	if err != nil {
		t.Fatal(err)
	}
	sweep := r.sweep
	if sweep == 0 { // a sweep at a moment of its own would surprise a model
		sweep = time.Hour
	}
	r.Book, err = ledger.Open(db, ledger.Options{Now: r.clock.Now, Log: slog.New(slog.DiscardHandler), RetryDisk: time.Millisecond, SweepEvery: sweep, Tables: r.tables,
		Sheet: func(hash string) (*pricing.Sheet, error) {
			if hash != r.sheet.Hash() {
				return nil, errors.New("unknown sheet")
			}
			return r.sheet, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rig) close(t tester) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// prove folds everything anew and wants no difference.
func (r *rig) prove(t tester) ledger.Proof {
	t.Helper()
	p, err := r.Verify(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !p.OK() {
		t.Fatalf("the books differ from the journal: %q", p.Faults)
	}
	return p
}

// topup gives a key credits under an entry id.
func (r *rig) topup(t tester, id, key string, n pricing.Credits) {
	t.Helper()
	if err := r.post(id, journal.Bank, journal.KeyAccount(key), n); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) post(id string, from, to journal.Account, n pricing.Credits) error {
	return r.Apply(context.Background(), func(tx *ledger.Tx) error {
		return tx.Append(journal.Event{Type: "key.topup", Actor: "test", Subject: to.Key(),
			Posts: []journal.Entry{{ID: id, From: from, To: to, Amount: n, Kind: "topup"}}})
	})
}

// call makes a call of a key as the gate would.
func (r *rig) call(id, key, tool string, limits ...journal.Limit) *ledger.Call {
	c := &ledger.Call{Price: r.sheet}
	c.ID, c.Key, c.Payer, c.Tool, c.Sheet = id, key, string(journal.KeyAccount(key)), tool, r.sheet.Hash()
	c.Limits = limits
	return c
}

// finish settles a call as answered and waits for the disk.
func (r *rig) finish(t tester, c *ledger.Call) ledger.Settlement {
	t.Helper()
	c.Outcome, c.Class = pricing.OK, "ok"
	s := r.Settle(c)
	if err := r.Wait(context.Background(), s.Seq); err != nil {
		t.Fatal(err)
	}
	return s
}

// pay makes a whole call and says whether it was admitted.
func (r *rig) pay(t tester, id, key, tool string, limits ...journal.Limit) bool {
	t.Helper()
	c := r.call(id, key, tool, limits...)
	if err := r.Reserve(c); err != nil {
		var refused *ledger.Refused
		if !errors.As(err, &refused) {
			t.Fatal(err)
		}
		return false
	}
	r.finish(t, c)
	return true
}

func rate(key string, n int64) journal.Limit {
	return journal.Limit{Owner: journal.KeyAccount(key), Kind: journal.KeyRate, Max: n, Window: time.Minute}
}

func reasons(err error) []string {
	var refused *ledger.Refused
	var out []string
	if errors.As(err, &refused) {
		for _, call := range refused.Calls {
			for _, r := range call {
				out = append(out, r.Reason)
			}
		}
	}
	return out
}

func wantCredits(t tester, r *rig, key string, want pricing.Credits) {
	t.Helper()
	if got := r.Key(key); got.Credits != want {
		t.Fatal(fmt.Sprintf("%s has %d (%+v), want %d", key, got.Credits, got, want))
	}
}

func testRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, t.TempDir())
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func size(t tester, dir string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, store.FileName))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
