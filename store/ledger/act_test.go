package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"paygate/pricing"
	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/testdata/clock"
)

func TestTheSameEntryHappensOnce(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.topup(t, "stripe:evt_1", "key_a", 10)
	for range 2 { // also after a restart
		if err := r.post("stripe:evt_1", journal.Bank, "key:key_a", 10); !errors.Is(err, ledger.ErrReplayed) {
			t.Fatalf("a second time: %v", err)
		}
		r.close(t)
		r.open(t)
	}
	err := r.Apply(context.Background(), func(tx *ledger.Tx) error {
		e := journal.Entry{ID: "twice", From: journal.Bank, To: "key:key_a", Amount: 1, Kind: "topup"}
		return tx.Append(journal.Event{Type: "key.topup", Posts: []journal.Entry{e, e}})
	})
	if !errors.Is(err, ledger.ErrReplayed) {
		t.Fatalf("twice in one event: %v", err)
	}
	wantCredits(t, r, "key_a", 10)
}

func TestAmountsHaveBounds(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.topup(t, "most", "key_a", pricing.MaxCredits)
	for _, n := range []pricing.Credits{0, -1, pricing.MaxCredits + 1} {
		if err := r.post(fmt.Sprint("bad", n), journal.Bank, "key:key_a", n); err == nil {
			t.Errorf("%d was moved", n)
		}
	}
	if err := r.post("poor", "key:key_b", "key:key_a", 1); !errors.Is(err, ledger.ErrInsufficient) {
		t.Errorf("an empty key gave: %v", err)
	}
	if err := r.post("pool", "tenant:t", "key:key_a", 1); !errors.Is(err, ledger.ErrInsufficient) {
		t.Errorf("an empty pool gave: %v", err)
	}
	if err := r.post("self", "key:key_a", "key:key_a", 5); err != nil {
		t.Error(err)
	}
	wantCredits(t, r, "key_a", pricing.MaxCredits)
	r.prove(t)
}

// A mutation that fails leaves nothing, though others shared its commit.
func TestAFailedMutationLeavesNothing(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	no := errors.New("no")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			err := r.Apply(context.Background(), func(tx *ledger.Tx) error {
				err := tx.Append(journal.Event{Type: "key.topup", Posts: []journal.Entry{{ID: fmt.Sprint(i), From: journal.Bank, To: "key:key_a", Amount: 1, Kind: "topup"}}})
				if err = errors.Join(err, tx.Put("test", fmt.Append(nil, i), []byte("x"))); err == nil && i%2 == 1 {
					err = no
				}
				return err
			})
			if (i%2 == 1) != errors.Is(err, no) {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	wantCredits(t, r, "key_a", 10)
	err := r.Apply(context.Background(), func(tx *ledger.Tx) error {
		n := 0
		tx.Ascend("test", nil, func(_, _ []byte) bool { n++; return true })
		if n != 10 || tx.Replayed("1") || !tx.Replayed("2") {
			t.Errorf("%d records stay", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.prove(t)
}

func TestARefundGoesBackOnceAndUncountsTheQuota(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.topup(t, "1", "key_a", 10)
	spend := journal.Limit{Owner: journal.KeyAccount("key_a"), Kind: journal.LifetimeSpend, Max: 5}
	r.pay(t, "c", "key_a", "dear", spend)
	if r.pay(t, "d", "key_a", "plain", spend) {
		t.Fatal("beyond the limit")
	}
	events, err := r.Journal().OfKey("key_a", 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	paid := events[slices.IndexFunc(events, func(e *journal.Event) bool { return e.Call != nil && e.Call.Charged > 0 })]
	refund := func(n pricing.Credits) error {
		return r.Apply(context.Background(), func(tx *ledger.Tx) error { return tx.Refund(paid, n, "test", "sorry") })
	}
	if err := errors.Join(refund(3), refund(2)); err != nil {
		t.Fatal(err)
	}
	if err := refund(1); !errors.Is(err, ledger.ErrRefunded) {
		t.Fatalf("more was given back than was charged: %v", err)
	}
	wantCredits(t, r, "key_a", 10)
	if k := r.Key("key_a"); k.Spent != 0 || k.Used.DailyCredits != 0 {
		t.Fatalf("%+v", k)
	}
	if !r.pay(t, "e", "key_a", "dear", spend) {
		t.Fatal("a refund does not lower the lifetime spend")
	}
	r.prove(t)
	replays(t, r)
}

// Nobody can spend what is reserved, and a reservation whose time is over is
// given back by itself.
func TestReservationsAreKeptAndEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{dir: dir, sheet: flat(), sweep: time.Second}
		r.clock = clock.At(noon)
		r.open(t)
		r.topup(t, "1", "key_a", 10)
		h, err := r.Hold(t.Context(), ledger.HoldRequest{ID: "rsv_1", Key: "key_a", Credits: 7, TTL: time.Minute, Actor: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if r.pay(t, "a", "key_a", "dear") || r.post("b", "key:key_a", "key:key_b", 4) == nil {
			t.Error("what is reserved was spent")
		}
		r.close(t)
		r.open(t)
		if k := r.Key("key_a"); k.Held != 7 || len(r.Holds("key_a")) != 1 {
			t.Errorf("the restart forgot a reservation: %+v", k)
		}
		r.clock.Add(h.Until.Sub(r.clock.Now()))
		<-time.After(2 * time.Second) // the bubble's time: the sweep comes by
		synctest.Wait()
		if _, err := r.CommitHold(t.Context(), "rsv_1", "test", nil); !errors.Is(err, ledger.ErrNoHold) {
			t.Errorf("a reservation outlived its time: %v", err)
		}
		if k := r.Key("key_a"); k.Held != 0 || k.Available != 10 {
			t.Errorf("it is still held: %+v", k)
		}
		r.prove(t)
		r.close(t)
	})
}

func TestAParkedCallOutlivesTheProcessAndLapses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{dir: dir, sheet: flat(), sweep: time.Second, clock: clock.At(noon)}
		r.open(t)
		r.topup(t, "1", "key_a", 20)
		for _, id := range []string{"done", "lapsed"} {
			c := r.call(id, "key_a", "dear")
			c.Ref = "key_a/" + id
			if err := errors.Join(r.Reserve(c), r.Park(t.Context(), c, noon.Add(time.Hour))); err != nil {
				t.Fatal(err)
			}
		}
		r.close(t)
		r.open(t)
		c, ok := r.ParkedRef("key_a/done")
		if !ok || c.ID != "done" || r.Key("key_a").Held != 10 {
			t.Fatalf("found %t, %+v", ok, r.Key("key_a"))
		}
		if _, again := r.Parked("done"); again {
			t.Error("two requests answer one call")
		}
		r.finish(t, c)
		r.clock.Add(time.Hour)
		<-time.After(2 * time.Second)
		synctest.Wait()
		if k := r.Key("key_a"); k.Held != 0 || k.Credits != 15 {
			t.Errorf("%+v", k)
		}
		r.prove(t)
		r.close(t)
	})
}

// Everything at once: calls, batches, transfers and reservations over few keys,
// beside proofs, backups and a reader from the beginning.
func TestNothingIsOverdrawnWhenAllHappensAtOnce(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	keys := r.fillWith(t, 3, 60)
	ctx, stop := context.WithCancel(context.Background())
	var readers, writers sync.WaitGroup
	readers.Go(func() {
		for range r.Journal().Tail(ctx, 0) {
		}
	})
	for w := range 6 {
		writers.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range 60 {
				key, id := keys[random.IntN(len(keys))], fmt.Sprintf("req_%08x%08x", w, i)
				switch random.IntN(5) {
				case 0:
					if err := r.post(id, journal.KeyAccount(key), journal.KeyAccount(keys[random.IntN(len(keys))]), 5); err != nil && !errors.Is(err, ledger.ErrInsufficient) {
						t.Error(err)
					}
				case 1:
					if _, err := r.Hold(ctx, ledger.HoldRequest{ID: id, Key: key, Credits: 3, TTL: time.Hour}); err == nil {
						if _, err := r.CommitHold(ctx, id, "test", nil); err != nil {
							t.Error(err)
						}
					}
				case 2:
					if err := r.post(id, journal.Bank, journal.KeyAccount(key), 5); err != nil {
						t.Error(err)
					}
				default:
					r.pay(t, id, key, []string{"plain", "dear", "out"}[random.IntN(3)], rate(key, 50))
				}
				if k := r.Key(key); k.Credits < 0 || k.Held < 0 {
					t.Errorf("%s: %+v", key, k)
				}
			}
		})
	}
	for range 3 {
		r.prove(t)
	}
	writers.Wait()
	stop()
	readers.Wait()
	p := r.prove(t)
	if p.Entries == 0 {
		t.Fatalf("%+v", p)
	}
	replays(t, r)
}

// The totals are kept as sums; they equal what the keys have.
func wantTotals(t tester, r *rig) {
	t.Helper()
	want, n := ledger.Totals{}, 0
	r.Keys(func(_ string, k ledger.Key) {
		want.Spendable += k.Credits - k.Held
		want.Held += k.Held
		n++
	})
	if got := r.Totals(); got.Spendable != want.Spendable || got.Held != want.Held || got.Keys != n || got.Issued-got.Revenue-got.Expired != want.Spendable+want.Held {
		t.Fatalf("totals %+v, the %d keys have %+v", got, n, want)
	}
}

// A flood of refusals without a key costs the disk next to nothing, and none of
// them goes uncounted.
func TestAFloodWithoutKeysIsCounted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{dir: dir, sheet: flat(), sweep: time.Second, clock: clock.At(noon)}
		r.open(t)
		const flood = 1000
		for range flood {
			c := &ledger.Call{Price: r.sheet}
			c.Findings, c.Outcome = []string{"missing_api_key"}, pricing.Denied
			r.Refuse(c)
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		events, err := r.Journal().Page(0, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		one, counted := 0, map[string]int{}
		for _, e := range events {
			if e.Call != nil {
				one++
			}
			if e.Type == journal.TypeDropped {
				some := map[string]int{} // a sweep may come in the middle of the flood
				if err := json.Unmarshal(e.Data, &some); err != nil {
					t.Fatal(err)
				}
				for reason, n := range some {
					counted[reason] += n
				}
			}
		}
		if one+counted["missing_api_key"] != flood || one > 50 {
			t.Errorf("%d on record, %v counted", one, counted)
		}
		r.prove(t)
		r.close(t)
	})
}

// Refusals are on disk soon though nobody waits for them, however many come.
func TestRefusalsAreNotPutOffForEver(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.topup(t, "1", "key_a", 1)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	seen := make(chan struct{})
	go func() {
		defer close(seen)
		for e := range r.Journal().Tail(ctx, 0) {
			if e.Call != nil {
				return
			}
		}
	}()
	for i := 0; ; i++ {
		if r.pay(t, fmt.Sprint(i), "key_a", "dear") {
			t.Fatal("admitted")
		}
		select {
		case <-seen:
			return
		case <-time.After(time.Millisecond):
		}
		if i > 10_000 {
			t.Fatal("a stream of refusals keeps the first from the disk")
		}
	}
}

// A call that another check refuses is recorded with all that stands against
// it, the book's reasons last, and a call that the book refused only once.
func TestARefusalIsRecordedOnceWithEveryReason(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.topup(t, "1", "key_a", 1)
	c := r.call("both", "key_a", "dear", rate("key_a", 0))
	if err := r.Ask(c); err == nil {
		t.Fatal("nothing stands against it")
	}
	c.Outcome, c.Findings = pricing.Denied, []string{"rate_limited", "ip_not_allowed"}
	r.Refuse(c)
	d := r.call("poor", "key_a", "dear")
	if err := r.Reserve(d); err == nil {
		t.Fatal("admitted")
	}
	d.Findings = []string{"insufficient_credits"}
	r.Refuse(d) // as a caller may that does not know
	if err := r.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	events, err := r.Journal().OfKey("key_a", 0, 10)
	if err != nil || len(events) != 3 {
		t.Fatalf("%v, %v", seqsOf(events), err)
	}
	if got := events[1].Call.Findings; !slices.Equal(got, []string{"ip_not_allowed", "rate_limited", "insufficient_credits"}) {
		t.Errorf("findings %q", got)
	}
	if got := events[0].Call.Findings; !slices.Equal(got, []string{"insufficient_credits"}) {
		t.Errorf("findings %q", got)
	}
	replays(t, r)
}

// An admin whose connection breaks must not find done later what looked undone.
func TestAMutationThatBeganIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := r.Apply(ctx, func(tx *ledger.Tx) error {
		cancel()
		return tx.Append(journal.Event{Type: "key.topup", Actor: "admin", Posts: []journal.Entry{{ID: "one", From: journal.Bank, To: journal.KeyAccount("a"), Amount: 7, Kind: "topup"}}})
	})
	if err != nil {
		t.Errorf("it happened, and its caller was told %v", err)
	}
	wantCredits(t, r, "a", 7)
	if err := r.Apply(ctx, func(*ledger.Tx) error { return nil }); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("a mutation of a caller that is gone: %v", err)
	}
}
