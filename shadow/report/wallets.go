package report

import (
	"cmp"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"paygate/pricing"
	"paygate/shadow/stats"
	"paygate/shadow/tally"
)

// Wallets is what callers still have at the end, which the house owes them in
// calls.
type Wallets struct {
	LiabilityLive pricing.Credits `json:"liabilityLive"` // sum of open balances
	Liability     pricing.Credits `json:"liability"`
	UnusedLive    pricing.Credits `json:"unusedLive"` // of it, on keys that did not call in the window
	Unused        pricing.Credits `json:"unused"`
	Given         pricing.Credits `json:"given"`   // by the candidate's plans: grants and top-ups
	Expired       pricing.Credits `json:"expired"` // of grants, that ended unused under the candidate
}

// Runway is how long balances last at what the candidate takes.
type Runway struct {
	Refused    string      `json:"refused,omitempty"` // why there is none
	MedianDays *float64    `json:"medianDays"`        // of keys that spend
	EmptyBy7   int         `json:"emptyBy7"`          // keys whose balance ends within so many days
	EmptyBy30  int         `json:"emptyBy30"`
	Soonest    []RunwayKey `json:"soonest"` // the ten that end first
	Fan        []FanDay    `json:"fan"`     // what all balances come to
}

// RunwayKey is one key: Days is balance / burn, and the chances are from
// redrawn days.
type RunwayKey struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Balance   pricing.Credits `json:"balance"`
	Burn      float64         `json:"burn"` // a day, the newest days count most
	Days      float64         `json:"days"`
	EmptyBy7  float64         `json:"chanceEmptyBy7"`
	EmptyBy30 float64         `json:"chanceEmptyBy30"`
}

// FanDay is what all balances come to a number of days on, as if nothing were
// added.
type FanDay struct {
	Day int     `json:"day"`
	P10 float64 `json:"p10"`
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
}

// FanDays is how far ahead balances are drawn.
const FanDays = 30

const (
	halfLife  = 7 // days
	fanPaths  = 400
	leastDays = 7 // of a window, for a burn to mean something
)

func (t counted) wallets(balances [2]map[string]pricing.Credits) Wallets {
	var w Wallets
	side := func(p map[string]pricing.Credits, all, unused *pricing.Credits) {
		for key, n := range p {
			*all += n
			if t.Keys[key] == nil {
				*unused += n
			}
		}
	}
	side(balances[0], &w.LiabilityLive, &w.UnusedLive)
	side(balances[1], &w.Liability, &w.Unused)
	return w
}

// daily is what a key paid the candidate day by day, from the first day of the
// window to its last.
func (t counted) daily(k *tally.Key) []float64 {
	const day = 24 * 3600
	first, last := t.First.Unix()/day, t.Last.Unix()/day
	out := make([]float64, last-first+1)
	for _, d := range k.Days {
		if i := d.Day - first; i >= 0 && i < int64(len(out)) {
			out[i] += float64(d.Paid[1])
		}
	}
	return out
}

// burn is the mean of days with a half-life.
func burn(days []float64) float64 {
	total, weights := 0.0, 0.0
	for i, x := range days {
		w := math.Exp2(float64(i-len(days)+1) / halfLife)
		total, weights = total+w*x, weights+w
	}
	if weights == 0 {
		return 0
	}
	return total / weights
}

func (t counted) runway(name func(string) string, cand map[string]pricing.Credits) Runway {
	r := Runway{Soonest: []RunwayKey{}, Fan: []FanDay{}}
	if t.Attempts == 0 || t.Last.Sub(t.First).Hours() < 24*(leastDays-1) {
		r.Refused = "a week of calls is needed to say how fast credits go"
		return r
	}
	var all []RunwayKey
	var total pricing.Credits
	var sums []float64
	for _, id := range slices.Sorted(maps.Keys(t.Keys)) {
		days := t.daily(t.Keys[id])
		if sums == nil {
			sums = make([]float64, len(days))
		}
		for i, x := range days {
			sums[i] += x
		}
		total += cand[id]
		if b := burn(days); b > 0 {
			all = append(all, RunwayKey{ID: id, Name: name(id), Balance: cand[id], Burn: b, Days: float64(cand[id]) / b})
		}
	}
	slices.SortStableFunc(all, func(a, b RunwayKey) int { return cmp.Compare(a.Days, b.Days) })
	for _, k := range all {
		if k.Days <= 7 {
			r.EmptyBy7++
		}
		if k.Days <= 30 {
			r.EmptyBy30++
		}
	}
	if len(all) > 0 {
		r.MedianDays = &all[(len(all)-1)/2].Days
	}
	for _, k := range all[:min(few, len(all))] {
		paths := redraw(t.daily(t.Keys[k.ID]), uint64(len(r.Soonest)))
		k.EmptyBy7, k.EmptyBy30 = emptyBy(paths, 7, float64(k.Balance)), emptyBy(paths, 30, float64(k.Balance))
		r.Soonest = append(r.Soonest, k)
	}
	r.Fan = fan(redraw(sums, math.MaxUint64), float64(total))
	return r
}

// redraw makes paths of what is spent until each day ahead, of days of the
// window drawn with replacement.
func redraw(days []float64, stream uint64) [][FanDays + 1]float64 {
	random := rand.New(rand.NewPCG(stats.Seed, stream))
	paths := make([][FanDays + 1]float64, fanPaths)
	for i := range paths {
		for d := 1; d <= FanDays; d++ {
			paths[i][d] = paths[i][d-1] + days[random.IntN(len(days))]
		}
	}
	return paths
}

func emptyBy(paths [][FanDays + 1]float64, day int, balance float64) float64 {
	n := 0
	for i := range paths {
		if paths[i][day] >= balance {
			n++
		}
	}
	return float64(n) / float64(len(paths))
}

func fan(paths [][FanDays + 1]float64, total float64) []FanDay {
	out := make([]FanDay, 0, FanDays+1)
	left := make([]float64, len(paths))
	for d := range FanDays + 1 {
		for i := range paths {
			left[i] = max(0, total-paths[i][d])
		}
		slices.Sort(left)
		out = append(out, FanDay{d, stats.Quantile(.1, left), stats.Quantile(.5, left), stats.Quantile(.9, left)})
	}
	return out
}
