package shadow

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/shadow/stats"
	"paygate/store/journal"
	"paygate/store/sheets"
)

// Levels is how attempts go with the price over all prices that keys have paid
// since the candidate's shadow began: those of before, of each stage of a
// canary, of keys that kept older ones. A key is compared with itself and with
// the others on the same day.
type Levels struct {
	Prices     []Level   `json:"prices"` // lowest first
	Keys       int       `json:"keys"`
	Days       int       `json:"days"` // whole ones, UTC, on which no price changed
	Elasticity *Interval `json:"elasticity"`
	Dispersion float64   `json:"dispersion,omitempty"` // of attempts: variance over mean
	Refused    string    `json:"refused,omitempty"`
}

// Level is one sheet that keys have paid by.
type Level struct {
	Sheet    string  `json:"sheet"` // hash
	Price    float64 `json:"price"` // credits an attempt, of all attempts alike
	KeyDays  int     `json:"keyDays"`
	Attempts int     `json:"attempts"`
}

const fewestDays = 4

// levelling collects what each key did each day, and at which price.
type levelling struct {
	t      *tracked
	to     time.Time
	first  int64 // day
	days   int
	mixed  []bool                     // days on which prices changed, or that are not whole
	counts map[string][]int           // by key and day
	by     map[string]map[int]string  // sheet, by key and day, where it called
	sheets map[string]*pricing.Sheet  // that keys have paid by
	due    map[string]pricing.Credits // what calls would cost by them
	priced map[string]int             // and how many calls that is
}

const day = 24 * time.Hour

func dayOf(at time.Time) int64 { return at.Unix() / int64(day/time.Second) }

// levels reads the attempts since the shadow's start, up to an act and a time.
func (l *Lab) levels(ctx context.Context, t *tracked, last uint64, to time.Time) (*Levels, error) {
	v := &levelling{t: t, to: to, first: dayOf(t.from), counts: map[string][]int{}, by: map[string]map[int]string{},
		sheets: map[string]*pricing.Sheet{}, due: map[string]pricing.Credits{}, priced: map[string]int{}}
	v.days = int(dayOf(to)-v.first) + 1
	v.mixed = make([]bool, v.days)
	v.mix(t.from)
	v.mix(to)
	for _, s := range t.stages {
		v.mix(s.From)
	}
	if t.ended != nil {
		v.mix(*t.ended)
	}
	known := []string{t.Live, t.Candidate}
	for _, s := range t.stages {
		known = append(known, s.Charged)
	}
	for _, hash := range known {
		if err := l.level(v, hash); err != nil {
			return nil, err
		}
	}
	from, err := l.o.Book.Journal().SeqAt(t.from)
	if err != nil {
		return nil, fmt.Errorf("experiment %s: %w", t.Name, err)
	}
	for seq := from - min(from, 1); seq < last; {
		events, err := l.o.Book.Journal().Page(seq, 4096)
		if err != nil || ctx.Err() != nil {
			return nil, fmt.Errorf("experiment %s: %w", t.Name, cmp.Or(err, ctx.Err()))
		}
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			if seq = e.Seq; seq > last {
				break
			}
			if err := l.level(v, v.see(e.Call)); err != nil {
				return nil, err
			}
		}
	}
	return v.fit(), nil
}

// level finds a sheet that has been paid by.
func (l *Lab) level(v *levelling, hash string) error {
	if hash == "" || v.sheets[hash] != nil {
		return nil
	}
	sheet, err := l.sheet(hash)
	if err != nil {
		return fmt.Errorf("experiment %s: %w", v.t.Name, err)
	}
	v.sheets[hash] = sheet
	return nil
}

func (v *levelling) mix(at time.Time) {
	if d := int(dayOf(at) - v.first); d >= 0 && d < v.days {
		v.mixed[d] = true
	}
}

// see counts an attempt, and gives its sheet.
func (v *levelling) see(c *journal.Call) string {
	if c == nil || c.Key == "" || c.At.Before(v.t.from) || !c.At.Before(v.to) {
		return ""
	}
	d := int(dayOf(c.At) - v.first)
	if d < 0 || d >= v.days {
		return ""
	}
	if v.counts[c.Key] == nil {
		v.counts[c.Key], v.by[c.Key] = make([]int, v.days), map[int]string{}
	}
	v.counts[c.Key][d]++
	v.by[c.Key][d] = c.Sheet
	if c.Outcome != pricing.Denied && !c.Repeated {
		for hash, sheet := range v.sheets {
			charge, _ := pricing.Rate(&c.Call, sheet, &pricing.Usage{})
			v.due[hash] += charge.Due
			v.priced[hash]++
		}
	}
	return c.Sheet
}

// paidBy is the sheet of a key on a day: by what it called, else by what was
// meant for it.
func (v *levelling) paidBy(key string, d int) string {
	if hash, ok := v.by[key][d]; ok {
		return hash
	}
	begin := time.Unix((v.first+int64(d))*int64(day/time.Second), 0)
	hash := v.t.Live
	for _, s := range v.t.stages {
		if !begin.Before(s.From) && sheets.Share(s.Salt, key) < s.Percent {
			hash = s.Charged
		}
	}
	if v.t.ended != nil && !begin.Before(*v.t.ended) {
		hash = v.t.Live // whoever called since has told better
	}
	return hash
}

// fit says what can be said.
func (v *levelling) fit() *Levels {
	out := &Levels{Prices: []Level{}}
	numbers := make([]int, v.days) // of the days that count
	for d, mixed := range v.mixed {
		if numbers[d] = -1; !mixed {
			numbers[d] = out.Days
			out.Days++
		}
	}
	var cells []stats.Cell
	levels := map[string]*Level{}
	for _, key := range slices.Sorted(maps.Keys(v.counts)) {
		for d, n := range v.counts[key] {
			if numbers[d] < 0 {
				continue
			}
			hash := v.paidBy(key, d)
			if levels[hash] == nil {
				levels[hash] = &Level{Sheet: hash, Price: float64(v.due[hash]) / float64(max(1, v.priced[hash]))}
			}
			levels[hash].KeyDays++
			levels[hash].Attempts += n
			cells = append(cells, stats.Cell{Unit: out.Keys, Day: numbers[d], Count: float64(n), Price: levels[hash].Price})
		}
		out.Keys++
	}
	for _, level := range levels {
		out.Prices = append(out.Prices, *level)
	}
	slices.SortFunc(out.Prices, func(a, b Level) int { return cmp.Or(cmp.Compare(a.Price, b.Price), cmp.Compare(a.Sheet, b.Sheet)) })
	switch {
	case out.Days < fewestDays:
		out.Refused = fmt.Sprintf("%d whole days without a change of prices; %d are needed", out.Days, fewestDays)
	case len(out.Prices) > 0 && out.Prices[0].Price <= 0:
		out.Refused = "one of the prices is nothing, and demand has no elasticity from there"
	default:
		fit, err := stats.FitDemand(cells, out.Keys, out.Days)
		if err != nil {
			out.Refused = err.Error()
			break
		}
		out.Elasticity, out.Dispersion = &fit.Elasticity, fit.Dispersion
	}
	return out
}
