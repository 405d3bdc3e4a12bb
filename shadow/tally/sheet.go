package tally

import (
	"paygate/pricing"
	"paygate/store/journal"
)

// Sheet is the calls that were judged by one sheet: while keys keep an
// older one, or a share of them pays a canary's, there are several.
type Sheet struct {
	Attempts int
	Keys     []string
	Paid     [2]pricing.Credits

	known map[string]bool // those of Keys
}

// bySheet counts a call for the sheet that it was judged by.
func (t *Tally) bySheet(k *Key, c *journal.Call, got [2]pricing.Credits) {
	s := t.newest
	if s == nil || t.newestHash != c.Sheet {
		if s = t.Sheets[c.Sheet]; s == nil {
			s = &Sheet{}
			t.Sheets[c.Sheet] = s
		}
		t.newest, t.newestHash = s, c.Sheet
	}
	s.Attempts++
	s.Paid[0], s.Paid[1] = s.Paid[0]+got[0], s.Paid[1]+got[1]
	if k.sheet != s {
		k.sheet = s
		s.see(k.Key)
	}
}

func (s *Sheet) see(key string) {
	if s.known == nil {
		s.known = make(map[string]bool, len(s.Keys))
		for _, k := range s.Keys {
			s.known[k] = true
		}
	}
	if !s.known[key] {
		s.known[key] = true
		s.Keys = append(s.Keys, key)
	}
}
