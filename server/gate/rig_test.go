package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/server/gate"
	"paygate/server/keys"
	"paygate/server/mcp"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// rig is a gate before a server that answers as a test wishes, over real books.
type rig struct {
	*gate.Gate
	t      *testing.T
	way    gate.Way
	answer func(context.Context, *gate.Call) (*mcp.Message, error)
	ran    atomic.Int64 // calls that reached the server
	fault  atomic.Bool  // no commit succeeds
	ids    atomic.Int64

	mu    sync.Mutex
	steps map[string][]string // by call: what the inspector saw
}

// newRig charges 2 for a call, and nothing for one that failed.
func newRig(t *testing.T, checks ...gate.Check) *rig {
	t.Helper()
	r := &rig{t: t, steps: map[string][]string{}}
	db, err := store.Open(t.TempDir(), store.Options{Fault: func() error {
		if r.fault.Load() {
			return errors.New("the disk is full")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	sheet := pricing.FromTools(pricing.ToolPrice{PerCall: 2}, nil, true)
	book, err := ledger.Open(db, ledger.Options{Now: time.Now, Log: log, RetryDisk: time.Millisecond,
		Sheet: func(string) (*pricing.Sheet, error) { return sheet, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.fault.Store(false)
		if err := book.Close(); err != nil {
			t.Error(err)
		}
	})
	r.answer = func(context.Context, *gate.Call) (*mcp.Message, error) { return result(`{"content":[]}`), nil }
	r.Gate = &gate.Gate{Book: book, Now: time.Now, Log: log, Trace: r.see}
	r.way = gate.Way{Checks: checks, Sheet: sheet, Run: func(ctx context.Context, c *gate.Call) (err error) {
		r.ran.Add(1)
		c.Result, err = r.answer(ctx, c)
		return err
	}}
	return r
}

func (r *rig) see(c *gate.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var saw []string
	for _, s := range c.Steps {
		saw = append(saw, s.Name+" "+s.Mark+" "+s.Says())
	}
	r.steps[c.ID] = saw
}

func result(text string) *mcp.Message { return &mcp.Message{Result: json.RawMessage(text)} }

// fund gives a key credits.
func (r *rig) fund(key string, credits pricing.Credits) {
	r.t.Helper()
	err := r.Book.Apply(r.t.Context(), func(tx *ledger.Tx) error {
		return tx.Append(journal.Event{Type: "key.created", Actor: "test", Subject: key,
			Posts: []journal.Entry{{ID: "initial " + key, From: journal.Bank, To: journal.KeyAccount(key), Amount: credits, Kind: "initial"}}})
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// call is a call of a key.
func (r *rig) call(key string) *gate.Call {
	c := &gate.Call{Terms: &keys.Terms{ID: key, Payer: string(journal.KeyAccount(key))}}
	c.ID, c.Tool, c.Key, c.Payer = fmt.Sprintf("req_%016x", r.ids.Add(1)), "echo", key, c.Terms.Payer
	return c
}

func (r *rig) do(c *gate.Call) error { return r.Do(r.t.Context(), &r.way, c) }

// recorded is the newest call in the journal.
func (r *rig) recorded() *journal.Call {
	r.t.Helper()
	if err := r.Book.Flush(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	events, err := r.Book.Journal().Before(0, 1, func(e *journal.Event) bool { return e.Call != nil })
	if err != nil || len(events) != 1 {
		r.t.Fatalf("no call in the journal: %v", err)
	}
	return events[0].Call
}

// owns checks what a key has, and that nothing is held.
func (r *rig) owns(key string, credits pricing.Credits) {
	r.t.Helper()
	if k := r.Book.Key(key); k.Credits != credits || k.Held != 0 {
		r.t.Errorf("%s has %d and holds %d, want %d and 0", key, k.Credits, k.Held, credits)
	}
}

// denies is a check that refuses for a reason.
func denies(name, reason string) gate.Check {
	return gate.Check{Name: name, Do: func(*gate.Call) *gate.Denial { return gate.Deny(reason) }}
}

func allows(name string) gate.Check {
	return gate.Check{Name: name, Do: func(*gate.Call) *gate.Denial { return nil }}
}

func (r *rig) saw(c *gate.Call, want ...string) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.steps[c.ID], want) {
		r.t.Errorf("the inspector saw %q, want %q", r.steps[c.ID], want)
	}
}
