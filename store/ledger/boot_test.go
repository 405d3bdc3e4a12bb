package ledger_test

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"time"

	"paygate/pricing"
)

var (
	bootKeys  = flag.Int("boot.keys", 2000, "keys of the boot test")
	bootCalls = flag.Int("boot.calls", 20_000, "calls of the boot test")
)

// Boot reads cells and the tail of the journal, so it takes the same time
// however long the journal is. By hand: -boot.keys 100000 -boot.calls 10000000.
func TestBootDoesNotFoldTheWholeJournal(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	ids := r.fill(t, *bootKeys)
	const together = 2000
	for at := 0; at < *bootCalls; at += together {
		for i := at; i < at+together; i++ {
			key := ids[i*7919%len(ids)]
			c := r.call(fmt.Sprintf("req_%016x", i), key, "search", rate(key, 1000))
			if err := r.Reserve(c); err != nil {
				t.Fatal(err)
			}
			c.Outcome, c.Class, c.In, c.Out = pricing.OK, "ok", 120, 900
			r.Settle(c)
		}
		if err := r.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		r.clock.Add(10 * time.Millisecond)
	}
	want := r.Key(ids[len(ids)/2])
	dir := t.TempDir()
	copyState(t, r.dir, dir)
	r.close(t)
	began := time.Now()
	killed := newRig(t, dir)
	took := time.Since(began)
	if got := killed.Key(ids[len(ids)/2]); got != want {
		t.Fatalf("after the kill %+v, before %+v", got, want)
	}
	t.Logf("%d keys, %d calls, %d MB: up in %v", *bootKeys, *bootCalls, size(t, dir)>>20, took)
	if took > 2*time.Second {
		t.Errorf("boot took %v", took)
	}
	began = time.Now()
	p := killed.prove(t)
	t.Logf("proof of %d acts in %v", p.Events, time.Since(began))
	killed.close(t)
}
