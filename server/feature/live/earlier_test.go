package live

import (
	"fmt"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/testdata/books"
	"paygate/testdata/clock"
)

// After a start the follower has seen the last day; the days before come by
// Earlier, and nothing is counted twice or left out between the two.
func TestAStartKnowsTheLastFortnight(t *testing.T) {
	t.Parallel()
	hands := clock.At(time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC))
	sheet := pricing.FromTools(pricing.ToolPrice{PerCall: 2}, nil, true)
	book := books.Open(t, t.TempDir(), ledger.Options{Now: hands.Now, Sheet: func(string) (*pricing.Sheet, error) { return sheet, nil }})
	t.Cleanup(func() { _ = book.Close() })
	err := book.Apply(t.Context(), func(tx *ledger.Tx) error {
		return tx.Append(journal.Event{Type: "key.created", Subject: "key_1", Posts: []journal.Entry{{ID: "initial", From: journal.Bank, To: "key:key_1", Amount: 1000, Kind: "initial"}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	call := func(n int) {
		for range n {
			made++
			c := &ledger.Call{Price: sheet}
			c.ID, c.Key, c.Payer, c.Tool, c.Sheet, c.Outcome = fmt.Sprint("req_", made), "key_1", "key:key_1", "list", sheet.Hash(), pricing.OK
			if err := book.Reserve(c); err != nil {
				t.Fatal(err)
			}
			book.Settle(c)
			if err := book.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 20 { // noon of each day; the first five are too old
		call(4)
		hands.Add(24 * time.Hour)
	}
	call(5)
	hands.Add(time.Minute)

	f := New(hands.Now)
	after := f.After(book.Journal())
	if err := f.Earlier(t.Context(), book.Journal(), after+1); err != nil {
		t.Fatal(err)
	}
	for e := range book.Journal().Tail(t.Context(), after) {
		f.See(e)
		if e.Seq == book.Journal().Last() {
			break
		}
	}
	hands.Add(time.Hour) // the unfinished steps end
	f.mu.Lock()
	defer f.mu.Unlock()
	var days []int64
	for i, b := range f.wide.window(hands.Now()) {
		if i%24 == 0 {
			days = append(days, 0)
		}
		days[len(days)-1] += b.calls
	}
	if want := []int64{4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5}; fmt.Sprint(days) != fmt.Sprint(want) {
		t.Errorf("calls a day: %v, want %v", days, want)
	}
	hands.Add(-time.Hour + 2*time.Minute)
	for window, want := range map[time.Duration]string{5 * time.Minute: "25", time.Hour: "25"} {
		if got := f.change(window); got == nil || fmt.Sprint(*got) != want {
			t.Errorf("on yesterday, of %s: %v, want %s %%", window, got, want)
		}
	}
}

func TestAWindowThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"1h", "60", "-1", "x"} {
		if _, err := windowOf(text); err == nil {
			t.Errorf("window=%s is taken", text)
		}
	}
	for _, text := range []string{"0", "99", "x", "60001"} {
		if _, err := everyOf(text); err == nil {
			t.Errorf("every=%s is taken", text)
		}
	}
}
