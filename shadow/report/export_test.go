package report

import (
	"paygate/pricing"
	"paygate/shadow/tally"
)

// ProjectBills makes the projected part of bills that keys would have.
func ProjectBills(live, cand []pricing.Credits, id func(int) string) Projected {
	t := counted{tally.New(tally.Window{})}
	for i := range live {
		t.Keys[id(i)] = &tally.Key{Paid: [2]pricing.Credits{live[i], cand[i]}}
	}
	return t.project()
}
