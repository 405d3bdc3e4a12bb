package shadow_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/store/sheets"
)

// The shadow of the live prices watches the books by itself, also while no
// experiment runs, and a difference is said once.
func TestTheAlarmNeedsNoExperiment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, flat(2))
		if err := r.Apply(ctx, func(tx *ledger.Tx) error { return sheets.Put(tx, flat(3), "test", tx.Now()) }); err != nil {
			t.Fatal(err)
		}
		r.topup(t, "key_a", 100)
		r.pay(t, "key_a", "echo")
		running, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- r.lab.Run(running) }()
		look := func() int {
			time.Sleep(11 * time.Second)
			synctest.Wait()
			return r.lab.Differences()
		}
		if n := look(); n != 0 {
			t.Errorf("%d differences of honest books", n)
		}
		wrong := r.begin(t, "key_a", "echo") // charged 2, and said to be judged by a sheet that asks 3
		wrong.Sheet = flat(3).Hash()
		r.end(wrong, 1)
		first := look()
		if again := look(); first == 0 || again != first {
			t.Errorf("%d differences, then %d", first, again)
		}
		events := must[[]*journal.Event](t)(r.Journal().Before(0, 10, func(e *journal.Event) bool { return e.Type == "shadow.self_difference" }))
		if len(events) != 1 {
			t.Errorf("%d alarms", len(events))
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
