package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"paygate/store/journal"
	"paygate/store/ledger"
)

// busy makes n calls and what else there is, and writes all cells by restarting.
func (r *rig) busy(t *testing.T, round, n int) {
	t.Helper()
	for i := range n {
		key := fmt.Sprint("key_", i%7)
		if round == 0 && i < 7 {
			r.topup(t, "grant "+key, key, 10_000)
		}
		r.pay(t, fmt.Sprintf("req_%08x%08x", round, i), key, "dear", rate(key, 1000))
		r.clock.Add(time.Second)
	}
	r.close(t)
	r.open(t)
	r.pay(t, fmt.Sprint("after", round), "key_0", "dear") // a round of cells begins, and the next one ends it
	r.close(t)
	r.open(t)
}

func TestTrimmingForgetsEventsAndNoCredit(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	ctx := context.Background()
	if err := r.SetMode(ctx, true, "test"); err != nil { // the would-be books have an anchor too
		t.Fatal(err)
	}
	r.busy(t, 0, 60)
	if _, err := r.Hold(ctx, ledger.HoldRequest{ID: "rsv", Key: "key_1", Credits: 9, TTL: 1000 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	for round := 1; round < 4; round++ {
		r.busy(t, round, 60)
		before := r.Totals()
		was := r.Key("key_1")
		first, err := r.Trim(ctx, r.Journal().Last()-40, "test")
		if err != nil {
			t.Fatal(err)
		}
		events, err := r.Journal().Page(0, 1)
		if err != nil || first < 100 || len(events) == 0 || events[0].Seq < first {
			t.Fatalf("round %d: first kept %d, first read %v, %v", round, first, seqsOf(events), err)
		}
		for range 2 { // also after a restart
			if got := r.Totals(); got.Spendable != before.Spendable || got.Revenue != before.Revenue || r.Key("key_1") != was {
				t.Fatalf("totals %+v became %+v; key_1 %+v became %+v", before, got, was, r.Key("key_1"))
			}
			r.prove(t)
			replays(t, r)
			r.close(t)
			r.open(t)
		}
		old, err := r.Journal().OfKey("key_1", first, 10)
		if err != nil || len(old) != 0 {
			t.Fatalf("the key's past is still read: %v, %v", seqsOf(old), err)
		}
		young, err := r.Journal().OfKey("key_1", 0, 3)
		if err != nil || len(young) == 0 {
			t.Fatalf("the key's recent events are gone too: %v", err)
		}
	}
	if _, err := r.CommitHold(ctx, "rsv", "test", nil); err != nil {
		t.Fatalf("a reservation of before the cut: %v", err)
	}
	r.prove(t)
}

// A trim that is interrupted anywhere leaves books that start and prove, and
// the next one goes on.
func TestATrimMayBeInterrupted(t *testing.T) {
	t.Parallel()
	for n := range 6 {
		t.Run(fmt.Sprint("at transaction ", n), func(t *testing.T) {
			t.Parallel()
			r := testRig(t)
			r.busy(t, 0, 40)
			r.busy(t, 1, 40)
			if err := r.Flush(context.Background()); err != nil { // the writer rests
				t.Fatal(err)
			}
			left := n
			r.fault.set(func() error {
				if left--; left == -1 {
					return errors.New("interrupted")
				}
				return nil
			})
			want := r.Key("key_1")
			_, err := r.Trim(context.Background(), r.Journal().Last(), "test")
			_ = err // after the last transaction nothing is interrupted
			r.fault.set(nil)
			r.close(t)
			r.open(t)
			if got := r.Key("key_1"); got != want {
				t.Fatalf("%+v became %+v", want, got)
			}
			r.prove(t)
			if _, err := r.Trim(context.Background(), r.Journal().Last(), "test"); err != nil {
				t.Fatal(err)
			}
			r.prove(t)
		})
	}
}

func seqsOf(events []*journal.Event) (out []uint64) {
	for _, e := range events {
		out = append(out, e.Seq)
	}
	return out
}
