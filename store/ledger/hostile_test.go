package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"paygate/store/journal"
	"paygate/store/ledger"
)

// A key without credits pays nothing for being refused; the disk must not pay
// for it either. What is not recorded one by one is counted.
func TestRefusalsOfOneKeyDoNotFillTheDisk(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.sweep = 10 * time.Millisecond
	r.close(t)
	r.open(t)
	const asked = 10_000
	var refused *ledger.Refused
	for i := range asked {
		c := r.call(fmt.Sprint(i), "key_poor", "dear")
		if err := r.Reserve(c); !errors.As(err, &refused) {
			t.Fatalf("call %d: %v", i, err)
		}
		c.Findings = []string{"insufficient_credits"}
		r.Refuse(c) // as the gate does; it is on record or counted already
	}
	dropped := r.Totals().Dropped
	if dropped < asked-2100 || dropped > asked-1900 {
		t.Errorf("%d of %d were only counted", dropped, asked)
	}
	r.topup(t, "1", "key_poor", 100)
	r.clock.Add(time.Second)
	if r.pay(t, "paid", "key_poor", "dear") != true {
		t.Error("a call that can be paid was not admitted")
	}
	said := false
	for range 100 {
		events, err := r.Journal().Page(0, 50_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			said = said || e.Type == journal.TypeDropped
		}
		if said {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	if !said {
		t.Error("nothing in the journal tells how many were counted")
	}
	r.prove(t)
}

func TestAKeyHasOnlySoManyCallsWaiting(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	park := func(id string) (*ledger.Call, error) {
		c := r.call(id, "key_a", "free")
		if err := r.Reserve(c); err != nil {
			t.Fatal(err)
		}
		return c, r.Park(t.Context(), c, noon.Add(time.Hour))
	}
	var first *ledger.Call
	done := make(chan error)
	for i := range ledger.MostParked {
		c := r.call(fmt.Sprint(i), "key_a", "free")
		if err := r.Reserve(c); err != nil {
			t.Fatal(err)
		}
		go func() { done <- r.Park(t.Context(), c, noon.Add(time.Hour)) }()
		if i == 0 {
			first = c
		}
	}
	for range ledger.MostParked {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	over, err := park("over")
	if !errors.Is(err, ledger.ErrTooManyParked) {
		t.Fatalf("one more: %v", err)
	}
	r.finish(t, over)
	if err := r.Park(t.Context(), first, noon.Add(2*time.Hour)); err != nil {
		t.Errorf("one that waits already, anew: %v", err)
	}
	r.close(t)
	r.open(t)
	over, err = park("over again")
	if !errors.Is(err, ledger.ErrTooManyParked) {
		t.Fatalf("one more after a restart: %v", err)
	}
	r.finish(t, over)
	c, ok := r.Parked("0")
	if !ok {
		t.Fatal("the first is gone")
	}
	r.finish(t, c)
	if _, err := park("room"); err != nil {
		t.Errorf("when one has ended: %v", err)
	}
}

// A machine whose clock was wrong by a day, and is put right, must not refuse
// for a day what is limited by the minute.
func TestTimeGoesOnWhenTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.topup(t, "1", "key_a", 100)
	r.clock.Add(24 * time.Hour) // the clock is wrong
	limit := rate("key_a", 2)
	if !r.pay(t, "a", "key_a", "dear", limit) || !r.pay(t, "b", "key_a", "dear", limit) {
		t.Fatal("the first two are within the limit")
	}
	for _, restarted := range []bool{false, true} {
		r.clock.Add(-24 * time.Hour) // and is put right
		if restarted {
			r.close(t)
			r.open(t)
		}
		if r.pay(t, fmt.Sprint("c", restarted), "key_a", "dear", limit) {
			t.Error("the third is within the limit")
		}
		r.clock.Add(61 * time.Second)
		if !r.pay(t, fmt.Sprint("d", restarted), "key_a", "dear", limit) || !r.pay(t, fmt.Sprint("e", restarted), "key_a", "dear", limit) {
			t.Errorf("after a minute nothing is within the limit (restarted: %t)", restarted)
		}
	}
	r.prove(t)
}

// A call that was told that nothing is charged may be admitted after shadow
// mode has ended: then it is in nobody's books, live or on disk.
func TestAnObservedCallAfterShadowModeIsInNobodysBooks(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.topup(t, "1", "key_a", 100)
	for _, again := range []bool{false, true} { // is shadow mode on again when it ends?
		c := r.call(fmt.Sprint(again), "key_a", "dear", rate("key_a", 1))
		c.Observed = true
		if err := r.Reserve(c); err != nil {
			t.Fatal(err)
		}
		if again {
			if err := r.SetMode(t.Context(), true, "test"); err != nil {
				t.Fatal(err)
			}
		}
		r.finish(t, c)
		wantCredits(t, r, "key_a", 100)
	}
	r.prove(t)
	r.close(t)
	r.open(t)
	wantCredits(t, r, "key_a", 100)
	r.prove(t)
}
