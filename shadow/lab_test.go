package shadow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/shadow"
	"paygate/shadow/report"
	"paygate/shadow/whatif"
	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/store/sheets"
)

var ctx = context.Background()

// fives makes the example of the surface: five keys with 20 credits make 8
// calls each under a live sheet of 2 in shadow mode; the candidate asks 5.
func fives(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, flat(2))
	if err := r.SetMode(ctx, true, "test"); err != nil {
		t.Fatal(err)
	}
	for k := range 5 {
		r.topup(t, fmt.Sprintf("key_%d", k), 20)
	}
	r.start(t, "five", "defaults: {per_call: 5}")
	for range 8 {
		for k := range 5 {
			r.later(time.Second)
			r.pay(t, fmt.Sprintf("key_%d", k), "echo")
		}
	}
	return r
}

func TestTheExampleOfTheSurface(t *testing.T) {
	t.Parallel()
	r := fives(t)
	raw := must[[]byte](t)(json.Marshal(r.report(t, "five")))
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	at := func(path ...string) any {
		var v any = got
		for _, p := range path {
			v = v.(map[string]any)[p]
		}
		return v
	}
	for _, want := range []struct {
		value any
		path  []string
	}{
		{"five", []string{"name"}}, {"A", []string{"grade"}}, {1.0, []string{"coverage"}}, {40.0, []string{"attempts"}}, {0.0, []string{"selfDifference"}},
		{80.0, []string{"exact", "live", "potential"}}, {80.0, []string{"exact", "live", "collectable"}}, {40.0, []string{"exact", "live", "admitted"}}, {0.0, []string{"exact", "live", "denied"}},
		{200.0, []string{"exact", "candidate", "potential"}}, {100.0, []string{"exact", "candidate", "collectable"}}, {20.0, []string{"exact", "candidate", "admitted"}}, {20.0, []string{"exact", "candidate", "denied"}},
		{20.0, []string{"exact", "change", "total"}}, {60.0, []string{"exact", "change", "rate"}}, {0.0, []string{"exact", "change", "accessWon"}}, {-40.0, []string{"exact", "change", "accessLost"}}, {0.0, []string{"exact", "change", "refunds"}},
		{20.0, []string{"exact", "newlyDenied", "attempts"}}, {5.0, []string{"exact", "newlyDenied", "keys"}}, {20.0, []string{"exact", "newlyDenied", "byReason", "insufficient_credits"}},
		{nil, []string{"projected", "lift"}},
	} {
		if v := at(want.path...); v != want.value {
			t.Errorf("%v is %v, want %v", want.path, v, want.value)
		}
	}
	keys := at("exact", "keys").([]any)
	first := keys[0].(map[string]any)
	if len(keys) != 5 || first["live"] != 16.0 || first["candidate"] != 20.0 || first["admitted"] != 4.0 || first["denied"] != 4.0 || first["firstDeniedAt"] == nil || first["name"] != "name of key_0" {
		t.Errorf("keys: %v", keys)
	}
	if at("projected", "refused") == "" || len(at("logDigest").(string)) != 64 || len(at("guardrails").([]any)) < 9 {
		t.Errorf("%s", raw)
	}
	if v := must[*shadow.Verified](t)(r.lab.Verify(ctx, raw)); !v.OK {
		t.Errorf("the report cannot be made again: %q", v.Differences)
	}
}

// Whatever happens, the books are the same with candidates, reports and replays
// beside them and without.
func TestRealBalancesAreUntouched(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		var books [2][]ledger.Key
		for i := range books {
			x := &traffic{rig: newRig(t, sheet(t, live)), t: t, random: rand.New(rand.NewPCG(seed, 3))}
			for step := range 150 {
				if i == 1 && step%50 == 10 {
					x.start(t, fmt.Sprint("c", step), []string{planned, live, "defaults: {per_call: 9}"}[step/50])
				}
				if x.step(); i == 1 && step%50 == 40 {
					x.report(t, "c10")
					in := shadow.ReplayRequest{Candidates: []shadow.Candidate{{Name: "x", Sheet: flat(4)}}, WhatIf: &whatif.Guess{Policy: whatif.TopUp, Grant: 7}}
					must[[]*report.Report](t)(x.lab.Replay(ctx, in))
				}
			}
			for k := range 6 {
				books[i] = append(books[i], x.Key(fmt.Sprint("key_", k)))
			}
			if p := must[ledger.Proof](t)(x.Verify(ctx, nil)); !p.OK() {
				t.Errorf("%q", p.Faults)
			}
		}
		if got, want := fmt.Sprintf("%+v", books[1]), fmt.Sprintf("%+v", books[0]); got != want {
			t.Errorf("seed %d, beside candidates:\n%s\nwithout:\n%s", seed, got, want)
		}
	}
}

func TestAReportAfterARestartIsTheSame(t *testing.T) {
	t.Parallel()
	r := fives(t)
	before := r.report(t, "five")
	again := shadow.New(shadow.Options{Book: r.Book, Now: r.now, Name: func(id string) string { return "name of " + id }})
	after := must[*report.Report](t)(again.Report(ctx, "five", shadow.Window{}))
	a, b := must[[]byte](t)(json.Marshal(before)), must[[]byte](t)(json.Marshal(after))
	if string(a) != string(b) {
		t.Errorf("%s\n%s", a, b)
	}
}

func TestGuardrailsStandInTheWay(t *testing.T) {
	t.Parallel()
	r := fives(t)
	_, err := r.lab.Promote(ctx, shadow.Promotion{Name: "five"}, "test")
	var blocked *shadow.Blocked
	if !errors.As(err, &blocked) || len(blocked.Failing) == 0 {
		t.Fatalf("%v", err)
	}
	if _, err := r.lab.Promote(ctx, shadow.Promotion{Name: "five", Override: []string{"nonsense"}}, "test"); err == nil || errors.As(err, &blocked) {
		t.Fatalf("an unknown guardrail was waived: %v", err)
	}
	if _, err := r.lab.Promote(ctx, shadow.Promotion{Name: "five", Override: []string{"all"}}, "test"); err != nil {
		t.Fatal(err)
	}
	if r.sheet.Hash() != flat(5).Hash() {
		t.Error("the candidate is not live")
	}
}

func TestRollingBackMakesGoodToTheCredit(t *testing.T) {
	t.Parallel()
	r := newRig(t, flat(2))
	for _, key := range []string{"key_a", "key_b"} {
		r.topup(t, key, 100)
	}
	r.start(t, "dear", "defaults: {per_call: 5}\nrules:\n- match: {tool: cheap}\n  price: {per_call: 1}\n")
	r.pay(t, "key_a", "echo")
	slow := r.begin(t, "key_a", "echo") // admitted at 2, ends when 5 is live
	if _, err := r.lab.Promote(ctx, shadow.Promotion{Name: "dear", Override: []string{"all"}}, "test"); err != nil {
		t.Fatal(err)
	}
	r.end(slow, 1)
	for range 3 {
		r.pay(t, "key_a", "echo")
	}
	r.pay(t, "key_a", "cheap")
	r.pay(t, "key_b", "cheap")
	back := must[*shadow.RolledBackTo](t)(r.lab.Rollback(ctx, true, "test"))
	if back.Total != 9 || len(back.Keys) != 1 || back.Keys[0].Calls != 3 {
		t.Errorf("%+v", back)
	}
	if a, b := r.Key("key_a"), r.Key("key_b"); a.Credits != 100-2-2-15-1+9 || b.Credits != 99 {
		t.Errorf("%+v %+v", a, b)
	}
	if r.sheet.Hash() != flat(2).Hash() {
		t.Error("the old prices are not live")
	}
	again := must[*shadow.RolledBackTo](t)(r.lab.Rollback(ctx, true, "test"))
	if again.Total != 0 {
		t.Errorf("made good twice: %+v", again)
	}
	if p := must[ledger.Proof](t)(r.Verify(ctx, nil)); !p.OK() {
		t.Errorf("%q", p.Faults)
	}
}

func TestARefundCountsItsShare(t *testing.T) {
	t.Parallel()
	r := newRig(t, flat(2))
	r.topup(t, "key_a", 100)
	r.start(t, "ten", "defaults: {per_call: 10}")
	r.pay(t, "key_a", "echo")
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	events, err := r.Journal().OfKey("key_a", 1<<62, 1)
	if err != nil || len(events) != 1 || events[0].Call == nil {
		t.Fatal(err, events)
	}
	if err := r.Apply(ctx, func(tx *ledger.Tx) error { return tx.Refund(events[0], 1, "test", "half") }); err != nil {
		t.Fatal(err)
	}
	rep := r.report(t, "ten")
	if c := rep.Exact.Change; c.Total != 4 || c.Rate != 8 || c.Refunds != -4 {
		t.Errorf("%+v", c)
	}
}

func TestWhatReplaysSayOfDeniedAgents(t *testing.T) {
	t.Parallel()
	r := newRig(t, flat(1))
	r.topup(t, "key_a", 20)
	for range 8 {
		r.later(time.Second)
		r.pay(t, "key_a", "dear")
		r.pay(t, "key_a", "cheap")
	}
	cand := pricing.FromTools(pricing.ToolPrice{PerCall: 1}, map[string]pricing.ToolPrice{"dear": {PerCall: 7}}, false)
	replay := func(w *whatif.Guess) *report.Report {
		t.Helper()
		return must[[]*report.Report](t)(r.lab.Replay(ctx, shadow.ReplayRequest{Candidates: []shadow.Candidate{{Name: "x", Sheet: cand}}, WhatIf: w}))[0]
	}
	for _, test := range []struct {
		what *whatif.Guess
		want pricing.Credits
	}{
		{nil, 20}, // 7+1+7+1 and four at 1
		{&whatif.Guess{Policy: whatif.StopRun}, 16},
		{&whatif.Guess{Policy: whatif.TopUp, TopUp: 10}, 64},
		{&whatif.Guess{Policy: whatif.Retry, Retries: 3}, 20},
		{&whatif.Guess{Grant: 100}, 64},
	} {
		if got := replay(test.what); got.Exact.Candidate.Collectable != test.want || got.SelfDifference != 0 {
			t.Errorf("%+v: %d, want %d; %d differences", test.what, got.Exact.Candidate.Collectable, test.want, got.SelfDifference)
		}
	}
}

// A call that waits for input or for its task is one call, over a restart too,
// and a clock that is set back makes no difference between live and its shadow.
func TestCallsThatWaitAndClocksThatAreSetBack(t *testing.T) {
	t.Parallel()
	r := openRig(t, t.TempDir(), flat(2))
	r.topup(t, "key_a", 12)
	r.start(t, "five", "defaults: {per_call: 5}")
	waits := r.begin(t, "key_a", "ask")
	if err := r.Park(ctx, waits, r.now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	r.later(-10 * time.Minute)
	r.pay(t, "key_a", "echo")
	r.later(time.Minute)
	if c, ok := r.Parked(waits.ID); ok {
		r.end(c, 10)
	} else {
		t.Fatal("the call is not there any more")
	}
	r.pay(t, "key_a", "echo")
	rep := r.report(t, "five")
	if rep.Attempts != 3 || rep.SelfDifference != 0 || rep.Exact.Live.Collectable != 6 || rep.Exact.Candidate.Collectable != 10 || rep.Exact.Newly.Attempts != 1 {
		t.Errorf("%d attempts, %d differences, %+v %+v", rep.Attempts, rep.SelfDifference, rep.Exact.Live, rep.Exact.Candidate)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// An alarm tells once when the shadow of live is not what live did.
func TestADifferenceFromLiveIsAnAlarm(t *testing.T) {
	t.Parallel()
	r := fives(t)
	if rep := r.report(t, "five"); rep.SelfDifference != 0 {
		t.Fatal(rep.SelfDifference)
	}
	if err := r.Apply(ctx, func(tx *ledger.Tx) error { return sheets.Put(tx, flat(3), "test", tx.Now()) }); err != nil {
		t.Fatal(err)
	}
	r.topup(t, "key_1", 100)
	wrong := r.begin(t, "key_1", "echo") // charged 2, and said to be judged by a sheet that asks 3
	wrong.Sheet = flat(3).Hash()
	r.end(wrong, 1)
	n := r.report(t, "five").SelfDifference
	for range 2 {
		if err := r.lab.Tell(ctx); err != nil {
			t.Fatal(err)
		}
	}
	events := must[[]*journal.Event](t)(r.Journal().Before(0, 10, func(e *journal.Event) bool { return e.Type == "shadow.self_difference" }))
	if n == 0 || len(events) != 1 || !strings.Contains(string(events[0].Data), fmt.Sprintf(`"differences":%d`, n)) {
		t.Errorf("%+v", events)
	}
	rep := r.report(t, "five")
	for _, g := range rep.Guardrails {
		if g.Name == "selfDifference" && g.Pass {
			t.Error("a promotion may go on")
		}
	}
}

// Every policy is lived through when nobody says which is true.
func TestAllPoliciesAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, flat(1))
	r.topup(t, "key_a", 13)
	for range 4 {
		r.later(time.Second)
		r.pay(t, "key_a", "deep")
		r.pay(t, "key_a", "flat")
	}
	cand := pricing.FromTools(pricing.ToolPrice{PerCall: 1}, map[string]pricing.ToolPrice{"deep": {PerCall: 4}}, false)
	reports := must[[]*report.Report](t)(r.lab.Replay(ctx, shadow.ReplayRequest{Candidates: []shadow.Candidate{{Name: "x", Sheet: cand}},
		WhatIf: &whatif.Guess{Policy: whatif.All, TopUp: 5, Cheaper: map[string]string{"deep": "flat"}, Growth: map[string]float64{"*": 2}}}))
	want := map[string]pricing.Credits{whatif.Skip: 12, whatif.StopRun: 10, whatif.Retry: 12, whatif.TopUp: 20, whatif.Cheaper: 13}
	for _, rep := range reports {
		w := rep.WhatIf
		if rep.Exact.Candidate.Collectable != want[w.Policy] || rep.SelfDifference != 0 || rep.Projected.Growth.Keys != 2 || len(rep.Frontier) != 6 {
			t.Errorf("%s: %+v, %+v", w.Policy, rep.Exact.Candidate, rep.Projected.Growth)
		}
		if denied := rep.Exact.Candidate.Denied; w.Policy == whatif.Cheaper && denied >= reports[0].Exact.Candidate.Denied {
			t.Errorf("a cheaper tool is denied as often: %d", denied)
		}
	}
	if len(reports) != 5 {
		t.Errorf("%d reports", len(reports))
	}
}
