package tally

import (
	"paygate/pricing"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// Tool is one tool.
type Tool struct {
	Tool      string
	Calls     int
	Succeeded int
	Paid      [2]pricing.Credits
	Potential [2]pricing.Credits
	Cost      [2]pricing.Credits // upstream's as reported, of admitted calls
	Ran       pricing.Credits    // the same, of all calls
}

func (t *Tool) count(c *journal.Call, live, cand *ledger.Verdict, got [2]pricing.Credits) {
	t.Calls++
	t.Ran += c.Cost
	if c.Outcome == pricing.OK {
		t.Succeeded++
	}
	for i, v := range [2]*ledger.Verdict{live, cand} {
		t.Paid[i] += got[i]
		t.Potential[i] += price(c, v)
		if v.Admitted {
			t.Cost[i] += c.Cost
		}
	}
}
