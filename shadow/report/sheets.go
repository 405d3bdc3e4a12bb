package report

import (
	"cmp"
	"maps"
	"slices"

	"paygate/pricing"
)

// SheetRow is a tally.Sheet as a report shows it: it tells keys that go on at old
// prices from those that pay new ones.
type SheetRow struct {
	Sheet     string          `json:"sheet"` // hash
	Keys      int             `json:"keys"`
	Attempts  int             `json:"attempts"`
	Live      pricing.Credits `json:"live"`
	Candidate pricing.Credits `json:"candidate"`
	Change    pricing.Credits `json:"change"`
}

func (t counted) sheetRows() []SheetRow {
	out := []SheetRow{}
	for _, hash := range slices.Sorted(maps.Keys(t.Sheets)) {
		s := t.Sheets[hash]
		out = append(out, SheetRow{hash, len(s.Keys), s.Attempts, s.Paid[0], s.Paid[1], s.Paid[1] - s.Paid[0]})
	}
	slices.SortStableFunc(out, func(a, b SheetRow) int { return cmp.Compare(b.Attempts, a.Attempts) })
	return out
}
