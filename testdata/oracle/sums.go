package oracle

// Sums is what all recorded calls come to under a sheet if no wallet or limit
// stands in the way: as they ended, or what would have been held for those that
// credits or limits stopped. Counters of tiers begin with the first call.
func Sums(f *Facts, s *Sheet) (calls, credits int64) {
	used := map[string]*counters{}
	for _, l := range f.Lines {
		c := l.Call
		if c == nil || c.Key == "" || l.Type == "admit" {
			continue
		}
		calls++
		switch {
		case c.AdmitSeq > 0:
			due, next := s.rate(c, used[c.Payer], false)
			if credits += due; next != nil {
				used[c.Payer] = next
			}
		case c.Together || len(c.Findings) <= len(c.Reasons):
			credits += s.quote(c, used[c.Payer])
		}
	}
	return calls, credits
}
