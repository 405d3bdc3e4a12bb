package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/shadow/tally"
)

// Leak is what a side could collect and does not: what its denied calls would
// have cost, by the first reason why they were denied, what cost more than was
// there (shortfall), what was given back (refunded), and what it would have
// admitted of calls that reality refused (imputed). Together they are the
// potential less what is collectable.
type Leak struct {
	Reason    string          `json:"reason"`
	Live      pricing.Credits `json:"live"`
	Candidate pricing.Credits `json:"candidate"`
}

func (t counted) leakage() []Leak {
	out := []Leak{}
	for reason, n := range t.Leaks {
		out = append(out, Leak{reason, n[0], n[1]})
	}
	slices.SortFunc(out, func(a, b Leak) int {
		return cmp.Or(cmp.Compare(b.Candidate, a.Candidate), cmp.Compare(b.Live, a.Live), strings.Compare(a.Reason, b.Reason))
	})
	return out
}

// Timeline is when keys were denied by the candidate, hour by hour.
type Timeline struct {
	From  *time.Time    `json:"from"`  // beginning of the first hour; null: nobody was denied
	Hours int           `json:"hours"` // how many there are
	Total []int         `json:"total"` // of all keys, hour by hour
	Keys  []TimelineKey `json:"keys"`  // those with most denials, at most MostStrips
	More  int           `json:"more"`  // keys that are left out
}

// TimelineKey is one key's strip: its denials hour by hour.
type TimelineKey struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Denied []int  `json:"denied"`
}

// Bounds of a Timeline: of a longer window the last hours are shown.
const (
	MostStrips = 50
	mostHours  = 90 * 24
)

func (t counted) timeline(name func(string) string) Timeline {
	var keys []*tally.Key
	first, last := int64(0), int64(0)
	for _, id := range slices.Sorted(maps.Keys(t.Keys)) {
		k := t.Keys[id]
		for _, h := range k.Hours {
			if len(keys) == 0 && first == 0 || h.Hour < first {
				first = h.Hour
			}
			last = max(last, h.Hour)
		}
		if k.Denied > 0 {
			keys = append(keys, k)
		}
	}
	out := Timeline{Total: []int{}, Keys: []TimelineKey{}}
	if len(keys) == 0 {
		return out
	}
	first = max(first, last-mostHours+1)
	from := time.Unix(first*3600, 0).UTC()
	out.From, out.Hours = &from, int(last-first+1)
	out.Total = make([]int, out.Hours)
	slices.SortStableFunc(keys, func(a, b *tally.Key) int { return cmp.Compare(b.Denied, a.Denied) })
	for i, k := range keys {
		strip := make([]int, out.Hours)
		for _, h := range k.Hours {
			if h.Hour >= first {
				strip[h.Hour-first] += h.Denied
				out.Total[h.Hour-first] += h.Denied
			}
		}
		if i < MostStrips {
			out.Keys = append(out.Keys, TimelineKey{k.Key, name(k.Key), strip})
		}
	}
	out.More = max(0, len(keys)-MostStrips)
	return out
}

// Bar is one bar of the waterfall. A Sum stands on the ground, the others go
// on from where the one before ends.
type Bar struct {
	Name    string          `json:"name"`
	Credits pricing.Credits `json:"credits"`
	Sum     bool            `json:"sum,omitempty"`
}

func (e *Exact) waterfall() []Bar {
	return []Bar{{"live", e.Live.Collectable, true}, {"rate", e.Change.Rate, false}, {"access won", e.Change.AccessWon, false},
		{"access lost", e.Change.AccessLost, false}, {"refunds", e.Change.Refunds, false}, {"candidate", e.Candidate.Collectable, true},
		{"potential", e.Candidate.Potential, true}}
}

// few is how many winners and losers are named.
const few = 10

// extremes are the keys that save most and those that pay most more.
func (e *Exact) extremes() (winners, losers []KeyRow) {
	rows := byChange(e.Keys)
	up, _ := slices.BinarySearchFunc(rows, pricing.Credits(1), func(k KeyRow, n pricing.Credits) int { return cmp.Compare(k.Candidate-k.Live, n) })
	down, _ := slices.BinarySearchFunc(rows, pricing.Credits(0), func(k KeyRow, n pricing.Credits) int { return cmp.Compare(k.Candidate-k.Live, n) })
	losers = slices.Clone(rows[max(up, len(rows)-few):])
	slices.Reverse(losers)
	return append([]KeyRow{}, rows[:min(few, down)]...), append([]KeyRow{}, losers...)
}

// byChange are keys by the change of their bill, lowest first.
func byChange(keys []KeyRow) []KeyRow {
	rows := slices.Clone(keys)
	slices.SortStableFunc(rows, func(a, b KeyRow) int { return cmp.Compare(a.Candidate-a.Live, b.Candidate-b.Live) })
	return rows
}
