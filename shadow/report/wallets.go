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
	EmptyNow   int         `json:"emptyNow"`          // keys that spent and have nothing left
	EmptyBy7   int         `json:"emptyBy7"`          // keys whose balance ends within so many days, or has
	EmptyBy30  int         `json:"emptyBy30"`
	Soonest    []RunwayKey `json:"soonest"` // the ten of those with a balance that end first
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
// added: each key spends as on the days of the window, until it has no more.
type FanDay struct {
	Day int     `json:"day"`
	P10 float64 `json:"p10"`
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
}

// FanDays is how far ahead balances are drawn.
const FanDays = 30

const (
	halfLife   = 7   // days
	fanPaths   = 400 // of the days ahead
	mostDraws  = 6_000_000
	leastPaths = 40
	leastDays  = 7 // of a window, for a burn to mean something
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
	ids := slices.Sorted(maps.Keys(t.Keys))
	f := newFan(len(ids), len(t.daily(t.Keys[ids[0]])))
	for _, id := range ids {
		days := t.daily(t.Keys[id])
		k := RunwayKey{ID: id, Name: name(id), Balance: cand[id], Burn: burn(days)}
		k.EmptyBy7, k.EmptyBy30 = f.add(float64(k.Balance), days)
		if k.Burn > 0 {
			k.Days = float64(k.Balance) / k.Burn
			all = append(all, k)
		}
	}
	slices.SortStableFunc(all, func(a, b RunwayKey) int { return cmp.Compare(a.Days, b.Days) })
	for _, k := range all {
		if k.Balance <= 0 {
			r.EmptyNow++
		}
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
	r.Soonest = append(r.Soonest, all[r.EmptyNow:min(r.EmptyNow+few, len(all))]...)
	r.Fan = f.days()
	return r
}

// fan redraws the days ahead from those of the window. A path has the same day
// of the window for all keys, so that a busy one is busy for everybody.
type fan struct {
	drawn [][FanDays]int         // the days of the window that a path has
	left  [FanDays + 1][]float64 // by day: what all balances come to in each path
}

// newFan draws fewer paths where there are so many keys that their sum hardly
// varies.
func newFan(keys, days int) *fan {
	random := rand.New(rand.NewPCG(stats.Seed, 0))
	f := &fan{drawn: make([][FanDays]int, max(leastPaths, min(fanPaths, mostDraws/(FanDays*max(keys, 1)))))}
	for i := range f.drawn {
		for d := range FanDays {
			f.drawn[i][d] = random.IntN(days)
		}
	}
	for d := range f.left {
		f.left[d] = make([]float64, len(f.drawn))
	}
	return f
}

// add lets a key spend, and says in which share of the paths it is empty within
// a week and within a month.
func (f *fan) add(balance float64, days []float64) (by7, by30 float64) {
	for i := range f.drawn {
		left := max(balance, 0)
		f.left[0][i] += left
		for d, day := range f.drawn[i] {
			left = max(left-days[day], 0)
			f.left[d+1][i] += left
			if left == 0 && d+1 == 7 {
				by7++
			}
		}
		if left == 0 {
			by30++
		}
	}
	n := float64(len(f.drawn))
	return by7 / n, by30 / n
}

func (f *fan) days() []FanDay {
	out := make([]FanDay, 0, FanDays+1)
	for d, left := range f.left {
		slices.Sort(left)
		out = append(out, FanDay{d, stats.Quantile(.1, left), stats.Quantile(.5, left), stats.Quantile(.9, left)})
	}
	return out
}
