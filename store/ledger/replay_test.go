package ledger_test

import (
	"context"
	"encoding/json"
	"slices"

	"paygate/pricing"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// replays decides the whole journal anew by the sheets of then, holds included,
// and wants every decision, quote, charge and shortfall that was recorded.
func replays(t tester, r *rig) {
	t.Helper()
	if err := r.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	sheet := func(*journal.Call) *pricing.Sheet { return r.sheet }
	live, after, err := ledger.FirstScenario(r.DB(), sheet)
	if err != nil {
		t.Fatal(err)
	}
	live.Takes = func(c *journal.Call) bool { return !c.Observed }
	var would *ledger.Scenario
	err = journal.Blocks(nil, r.DB(), after, func(raw []byte) (bool, error) {
		b, err := journal.Decode(raw)
		if err != nil {
			return false, err
		}
		for i, a := range b.Acts {
			agrees(t, b.First+uint64(i), live.Act(a))
			if would != nil {
				agrees(t, b.First+uint64(i), would.Act(a))
			}
			if e := a.Event; e != nil && e.Type == journal.TypeMode {
				var m struct{ Mode string }
				if err := json.Unmarshal(e.Data, &m); err != nil {
					return false, err
				}
				if would = nil; m.Mode == "shadow" {
					would = ledger.NewScenario(live, sheet)
					would.Takes = func(c *journal.Call) bool { return c.Observed }
				}
			}
		}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if live.Clipped != 0 {
		t.Fatalf("%d credits were clipped in a replay", live.Clipped)
	}
}

func agrees(t tester, seq uint64, verdicts []ledger.Verdict) {
	t.Helper()
	for _, v := range verdicts {
		c := v.Call
		var got []string
		for _, r := range v.Reasons {
			got = append(got, r.Reason)
		}
		live := c.AdmitSeq != 0 && (!c.Observed || len(c.Reasons) == 0)
		switch {
		case v.Imputed, v.Admitted != live, !v.Ended && !slices.Equal(got, c.Reasons), v.Quote != c.Quote:
			t.Fatalf("%d: call %s of %s: replay admits %t (%q) at %d, it was %t (%q) at %d", seq, c.ID, c.Key, v.Admitted, got, v.Quote, live, c.Reasons, c.Quote)
		case v.Ended && (v.Paid != c.Charged+c.Would || v.Short != c.Shortfall || !v.Counted):
			t.Fatalf("%d: call %s of %s: replay charges %d short %d, it was %d short %d", seq, c.ID, c.Key, v.Paid, v.Short, c.Charged+c.Would, c.Shortfall)
		}
	}
}
