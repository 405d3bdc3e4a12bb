package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/testdata/clock"
)

func newClock() *clock.Hands { return clock.At(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) }

var sheet = pricing.FromTools(pricing.ToolPrice{PerCall: 2}, map[string]pricing.ToolPrice{"out": {PerCall: 1, PerKBOut: 3}}, true)

func open(t *testing.T, dir string, c *clock.Hands) *ledger.Book {
	t.Helper()
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := ledger.Open(db, ledger.Options{Now: c.Now, Log: slog.New(slog.DiscardHandler), Sheet: func(string) (*pricing.Sheet, error) { return sheet, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func grant(t *testing.T, b *ledger.Book, key string, n pricing.Credits) {
	t.Helper()
	err := b.Apply(t.Context(), func(tx *ledger.Tx) error {
		return tx.Append(journal.Event{Type: "key.created", Subject: key, Posts: []journal.Entry{
			{ID: fmt.Sprint("grant:", key, n), From: journal.Bank, To: journal.KeyAccount(key), Amount: n, Kind: "initial"}}})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func call(key string, limits ...journal.Limit) *ledger.Call {
	c := &ledger.Call{Price: sheet}
	c.ID, c.Key, c.Payer, c.Tool, c.Sheet = "req_0123456789abcdef", key, string(journal.KeyAccount(key)), "echo", sheet.Hash()
	c.Limits = limits
	return c
}

func prove(t *testing.T, b *ledger.Book) {
	t.Helper()
	p, err := b.Verify(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range p.Faults {
		t.Error(f)
	}
}

func TestACallIsChargedOnceAndSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	b := open(t, dir, c)
	grant(t, b, "key_a", 5)
	one := call("key_a")
	if err := b.Reserve(one); err != nil {
		t.Fatal(err)
	}
	one.Outcome = pricing.OK
	set := b.Settle(one)
	if err := b.Wait(t.Context(), set.Seq); err != nil || set.Charged != 2 || set.Left != 3 {
		t.Fatalf("%+v %v", set, err)
	}
	lost := call("key_a")
	if err := b.Reserve(lost); err != nil {
		t.Fatal(err)
	}
	lost.Outcome = pricing.Lost
	if set := b.Settle(lost); set.Charged != 0 || set.Left != 3 {
		t.Fatalf("a lost call was charged: %+v", set)
	}
	prove(t, b)
	open2 := call("key_a")
	if err := b.Reserve(open2); err != nil { // open when the process ends
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, dir, c)
	defer func() { _ = b.Close() }()
	if k := b.Key("key_a"); k.Credits != 3 || k.Held != 0 || k.Spent != 2 || k.Calls != 1 {
		t.Fatalf("after the restart: %+v", k)
	}
	prove(t, b)
	events, err := b.Journal().OfKey("key_a", 0, 10)
	if err != nil || len(events) != 3 {
		t.Fatalf("%d events of the key, %v", len(events), err)
	}
}

func TestConcurrentCallsNeverOverdrawNorPassALimit(t *testing.T) {
	t.Parallel()
	c := newClock()
	b := open(t, t.TempDir(), c)
	defer func() { _ = b.Close() }()
	grant(t, b, "key_a", 101)
	limit := journal.Limit{Owner: journal.KeyAccount("key_a"), Kind: journal.KeyRate, Max: 30, Window: time.Minute}
	var wg sync.WaitGroup
	var mu sync.Mutex
	admitted, reasons := 0, map[string]int{}
	for range 100 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			one := call("key_a", limit)
			err := b.Reserve(one)
			var refused *ledger.Refused
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				admitted++
				one.Outcome = pricing.OK
				b.Settle(one)
			case errors.As(err, &refused):
				reasons[refused.Calls[0][0].Reason]++
			default:
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	if admitted != 30 || reasons["rate_limited"] != 70 {
		t.Errorf("%d admitted, %v", admitted, reasons)
	}
	c.Add(time.Minute)
	for range 21 { // 60 spent, 41 left: 20 more calls
		one := call("key_a")
		if err := b.Reserve(one); err == nil {
			admitted++
		}
	}
	if admitted != 50 {
		t.Errorf("%d admitted with 101 credits at 2 each", admitted)
	}
	prove(t, b)
}
