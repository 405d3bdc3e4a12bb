package shadow

import (
	"cmp"
	"maps"
	"slices"

	"paygate/pricing"
	"paygate/store/journal"
)

// SheetTally is the calls that were judged by one sheet: while keys keep an
// older one, or a share of them pays a canary's, there are several.
type SheetTally struct {
	Attempts int
	Keys     map[string]bool
	Paid     [2]pricing.Credits
}

// SheetRow is SheetTally as a report shows it: it tells keys that go on at old
// prices from those that pay new ones.
type SheetRow struct {
	Sheet     string          `json:"sheet"` // hash
	Keys      int             `json:"keys"`
	Attempts  int             `json:"attempts"`
	Live      pricing.Credits `json:"live"`
	Candidate pricing.Credits `json:"candidate"`
	Change    pricing.Credits `json:"change"`
}

// bySheet counts a call for the sheet that it was judged by.
func (t *Tally) bySheet(k *KeyTally, c *journal.Call, got [2]pricing.Credits) {
	s := t.newest
	if s == nil || t.newestHash != c.Sheet {
		if s = t.Sheets[c.Sheet]; s == nil {
			s = &SheetTally{Keys: map[string]bool{}}
			t.Sheets[c.Sheet] = s
		}
		t.newest, t.newestHash = s, c.Sheet
	}
	s.Attempts++
	s.Paid[0], s.Paid[1] = s.Paid[0]+got[0], s.Paid[1]+got[1]
	if k.sheet != s {
		k.sheet = s
		s.Keys[k.Key] = true
	}
}

func (t *Tally) sheetRows() []SheetRow {
	out := []SheetRow{}
	for _, hash := range slices.Sorted(maps.Keys(t.Sheets)) {
		s := t.Sheets[hash]
		out = append(out, SheetRow{hash, len(s.Keys), s.Attempts, s.Paid[0], s.Paid[1], s.Paid[1] - s.Paid[0]})
	}
	slices.SortStableFunc(out, func(a, b SheetRow) int { return cmp.Compare(b.Attempts, a.Attempts) })
	return out
}
