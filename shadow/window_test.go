package shadow_test

import (
	"context"
	"testing"
	"time"

	"paygate/pricing/sheetfile"
	"paygate/shadow"
	"paygate/shadow/report"
)

// A window is of the calls that began in it, whenever they end, and its wallets
// are those of its end; a report and a replay of it say the same.
func TestAWindowHasItsCallsAndItsWallets(t *testing.T) {
	t.Parallel()
	for _, observed := range []bool{false, true} {
		r := newRig(t, flat(2))
		if err := r.SetMode(context.Background(), observed, "test"); err != nil {
			t.Fatal(err)
		}
		r.topup(t, "key_1", 100)
		r.start(t, "five", "defaults: {per_call: 5}")
		r.later(time.Second)
		from := r.now()
		r.pay(t, "key_1", "echo")
		late := r.begin(t, "key_1", "echo")
		r.later(time.Second)
		to := r.now()
		for range 3 { // blocks of their own, after the window
			r.later(time.Minute)
			r.pay(t, "key_1", "echo")
			if err := r.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		r.end(late, 100)
		r.later(time.Minute)
		r.pay(t, "key_1", "echo")
		if err := r.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}

		window := shadow.Window{From: from, To: to}
		told := must[*report.Report](t)(r.lab.Report(context.Background(), "five", window))
		f := must[*sheetfile.File](t)(sheetfile.Parse([]byte("defaults: {per_call: 5}")))
		replayed := must[[]*report.Report](t)(r.lab.Replay(context.Background(), shadow.ReplayRequest{Window: window,
			Candidates: []shadow.Candidate{{Name: "five", Sheet: f.Sheet}}}))[0]
		for name, rep := range map[string]*report.Report{"report": told, "replay": replayed} {
			w := rep.Exact.Wallets
			if rep.Attempts != 2 || rep.Coverage != 1 || rep.Exact.Candidate.Collectable != 10 || w.Liability != 95 || w.LiabilityLive != 98 {
				t.Errorf("observed %v, %s: %d calls, coverage %v, %d collected, wallets %+v", observed, name, rep.Attempts, rep.Coverage, rep.Exact.Candidate.Collectable, w)
			}
		}
	}
}
