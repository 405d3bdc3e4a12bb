package shadow_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/shadow"
	"paygate/shadow/report"
	"paygate/shadow/sums"
)

func (r *rig) sums(t tester, list ...*pricing.Sheet) *sums.Sums {
	t.Helper()
	r.later(2 * time.Second)
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	return must[*sums.Sums](t)(r.lab.Sums(ctx, list, shadow.Window{}))
}

// Sums that ignore limits are the potential of a replay, to the credit, for
// sheets whose prices do not depend on what was used before.
func TestSumsAreThePotential(t *testing.T) {
	t.Parallel()
	x := &traffic{rig: newRig(t, sheet(t, live)), t: t, random: rand.New(rand.NewPCG(3, 9))}
	list := []*pricing.Sheet{flat(3), sheet(t, "defaults: {per_call: 2, per_kb_in: 1, per_kb_out: 3, bill_on: success}"),
		sheet(t, "defaults: {per_call: 1.5, per_second: 0.7, max: 9}\nrules: [{match: {tool: out, out: 2KB..}, price: {per_call: 0.3, per_kb_out: 0.9}}, {match: {tool: dear}, price: {per_call: 0.4, bill_on: result_bytes}}]")}
	for round := range 2 { // the second time goes on where the first one ended
		for range 250 {
			x.step()
		}
		got := x.sums(t, list...)
		var in shadow.ReplayRequest
		for _, s := range list {
			in.Candidates = append(in.Candidates, shadow.Candidate{Sheet: s})
		}
		reports := must[[]*report.Report](t)(x.lab.Replay(ctx, in))
		total := 0
		for i, r := range reports {
			if got.Credits[i] != r.Exact.Candidate.Potential || got.Calls != r.Attempts {
				t.Errorf("round %d, sheet %d: %d credits of %d calls, want %d of %d", round, i, got.Credits[i], got.Calls, r.Exact.Candidate.Potential, r.Attempts)
			}
		}
		for _, tool := range got.Tools {
			total += tool.Calls
		}
		if total != got.Calls || got.Exact || got.Tools[0].Calls < got.Tools[1].Calls {
			t.Errorf("%+v", got)
		}
	}
}

func TestSumsOfAWindow(t *testing.T) {
	t.Parallel()
	r := newRig(t, flat(2))
	r.topup(t, "key_a", 100)
	for range 5 {
		r.pay(t, "key_a", "echo")
		r.later(time.Minute)
	}
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	got := must[*sums.Sums](t)(r.lab.Sums(ctx, []*pricing.Sheet{flat(2)}, shadow.Window{From: noon.Add(time.Minute), To: noon.Add(3 * time.Minute)}))
	if got.Calls != 2 || got.Credits[0] != 4 || !got.From.Equal(noon.Add(time.Minute)) || !got.To.Equal(noon.Add(2*time.Minute)) {
		t.Errorf("%+v", got)
	}
	if got := r.sums(t, flat(7)); got.Calls != 5 || got.Credits[0] != 35 {
		t.Errorf("%+v", got)
	}
	if _, err := r.lab.Sums(ctx, nil, shadow.Window{}); err == nil {
		t.Error("sums of no sheet")
	}
}
