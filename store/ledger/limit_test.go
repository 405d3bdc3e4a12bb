package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/store/journal"
	"paygate/store/ledger"
)

func quota(key string, k journal.Kind, n int64) journal.Limit {
	return journal.Limit{Owner: journal.KeyAccount(key), Kind: k, Max: n}
}

// Every limit lets exactly Max through, however many race for it.
func TestEveryLimitIsExactWhenManyRace(t *testing.T) {
	t.Parallel()
	for k := range journal.Kinds {
		t.Run(k.Reason(), func(t *testing.T) {
			t.Parallel()
			r := testRig(t)
			r.topup(t, "1", "key_a", 10_000)
			const most, callers = 10, 32
			limit := quota("key_a", k, most)
			if k.Window() {
				limit.Window = time.Minute
			}
			want := int64(most)
			if k.InCredits() {
				want = most / 2 // each costs 2
			}
			var admitted atomic.Int64
			var wg sync.WaitGroup
			for i := range callers {
				wg.Add(1)
				go func() {
					defer wg.Done()
					c := r.call(fmt.Sprint(i), "key_a", "plain", limit)
					err := r.Reserve(c)
					if err == nil {
						admitted.Add(1)
						r.finish(t, c)
					} else if got := reasons(err); !slices.Equal(got, []string{k.Reason()}) {
						t.Errorf("refused for %q", got)
					}
				}()
			}
			wg.Wait()
			if admitted.Load() != want {
				t.Fatalf("%d passed, want %d", admitted.Load(), want)
			}
			r.prove(t)
			replays(t, r)
		})
	}
}

func TestAWindowSlidesToTheMillisecondAndOverARestart(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.topup(t, "1", "key_a", 100)
	for i := range 3 { // at 0, 1 and 2 s
		if !r.pay(t, fmt.Sprint("early", i), "key_a", "plain", rate("key_a", 3)) {
			t.Fatal("refused below the limit")
		}
		r.clock.Add(time.Second)
	}
	r.clock.Add(57*time.Second - time.Millisecond) // 59.999 s
	c := r.call("late", "key_a", "plain", rate("key_a", 3))
	var refused *ledger.Refused
	if err := r.Reserve(c); !errors.As(err, &refused) || refused.Calls[0][0].RetryAfter != time.Millisecond {
		t.Fatalf("a ms too early: %v", err)
	}
	r.close(t)
	r.open(t)
	if r.pay(t, "late2", "key_a", "plain", rate("key_a", 3)) {
		t.Fatal("the restart forgot the window")
	}
	if used, frees := r.Window("key_a", ""); used != 3 || frees != time.Millisecond {
		t.Fatalf("the window shows %d, %v", used, frees)
	}
	r.clock.Add(time.Millisecond)
	if !r.pay(t, "now", "key_a", "plain", rate("key_a", 3)) || r.pay(t, "again", "key_a", "plain", rate("key_a", 3)) {
		t.Fatal("exactly one slot is free after 60 s")
	}
	r.prove(t)
	replays(t, r)
}

func TestAQuotaBeginsAnewWithTheUTCDayAndMonth(t *testing.T) {
	t.Parallel()
	r := testRig(t) // 30 March, noon
	r.topup(t, "1", "key_a", 1000)
	day, month := quota("key_a", journal.DailyCalls, 2), quota("key_a", journal.MonthlyCredits, 8)
	pay := func(want bool) {
		t.Helper()
		if got := r.pay(t, fmt.Sprint(r.Key("key_a").Calls, want), "key_a", "plain", day, month); got != want {
			t.Fatalf("at %v: admitted %t, want %t", r.clock.Now(), got, want)
		}
	}
	pay(true)
	pay(true)
	pay(false) // the day is full
	r.clock.Add(12 * time.Hour)
	pay(true)
	pay(true)
	pay(false) // 31 March, and the month is full too
	r.clock.Add(24 * time.Hour)
	pay(true) // 1 April
	if u := r.Key("key_a").Used; u.DailyCalls != 1 || u.MonthlyCredits != 2 {
		t.Fatalf("%+v", u)
	}
	r.prove(t)
	replays(t, r)
}

// A call that began before midnight counts in the day in which it was
// admitted, however late it ends.
func TestACallCountsInThePeriodOfItsAdmission(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.topup(t, "1", "key_a", 1000)
	c := r.call("long", "key_a", "plain")
	if err := r.Reserve(c); err != nil {
		t.Fatal(err)
	}
	r.clock.Add(24 * time.Hour)
	if !r.pay(t, "next day", "key_a", "plain", quota("key_a", journal.DailyCalls, 1)) {
		t.Fatal("yesterday's call stands in today's quota")
	}
	r.finish(t, c)
	if u := r.Key("key_a").Used; u.DailyCalls != 1 || u.MonthlyCalls != 2 {
		t.Fatalf("%+v", u)
	}
	r.prove(t)
}

func TestABatchIsAdmittedWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.topup(t, "1", "key_a", 9)
	batch := func(name string, tools ...string) []*ledger.Call {
		var calls []*ledger.Call
		for i, tool := range tools {
			c := r.call(fmt.Sprint(name, i), "key_a", tool, rate("key_a", 4))
			c.BatchN, c.BatchI = len(tools), i
			calls = append(calls, c)
		}
		return calls
	}
	err := r.Reserve(batch("too dear", "plain", "dear", "dear")...) // 2 + 5 + 5
	if got := reasons(err); !slices.Equal(got, []string{"insufficient_credits"}) {
		t.Fatalf("12 of 9 credits: %q", got)
	}
	if k := r.Key("key_a"); k.Held != 0 || k.Available != 9 {
		t.Fatalf("a refused batch holds something: %+v", k)
	}
	if used, _ := r.Window("key_a", ""); used != 0 {
		t.Fatalf("a refused batch took %d slots", used)
	}
	good := batch("good", "plain", "plain", "dear") // 9
	if err := r.Reserve(good...); err != nil {
		t.Fatal(err)
	}
	if err := r.Reserve(batch("full", "free", "free")...); !slices.Equal(reasons(err), []string{"rate_limited"}) {
		t.Fatalf("5 slots of 4: %v", err)
	}
	for _, c := range good {
		r.finish(t, c)
	}
	wantCredits(t, r, "key_a", 0)
	r.prove(t)
	replays(t, r)
}

func TestASurchargeTakesWhatIsLeftAndSaysTheShortfall(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.topup(t, "1", "key_a", 10)
	other, c := r.call("other", "key_a", "dear"), r.call("out", "key_a", "out")
	if err := errors.Join(r.Reserve(other), r.Reserve(c)); err != nil {
		t.Fatal(err)
	}
	c.Out = 20 << 10 // 1 + 20, with 10 less 5 for the other
	s := r.finish(t, c)
	if s.Charged != 5 || s.Shortfall != 16 || s.Surcharge != 4 || s.Left != 0 {
		t.Fatalf("%+v", s)
	}
	if s := r.finish(t, other); s.Charged != 5 {
		t.Fatalf("a surcharge took what another call was promised: %+v", s)
	}
	r.prove(t)
	replays(t, r)
}

func TestWhatIsLostOrRefundedCostsNothing(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.topup(t, "1", "key_a", 10)
	for _, o := range []pricing.Outcome{pricing.Lost, pricing.Failed, pricing.Denied} {
		c := r.call(o.String(), "key_a", "dear", quota("key_a", journal.DailyCalls, 1))
		if err := r.Reserve(c); err != nil {
			t.Fatalf("%v counts in the quota: %v", o, err)
		}
		c.Outcome, c.Out = o, 5000
		if s := r.Settle(c); s.Charged != 0 || s.Left != 10 {
			t.Fatalf("%v: %+v", o, s)
		}
	}
	r.prove(t)
	replays(t, r)
}
