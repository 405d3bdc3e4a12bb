package trial

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
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
	Prices     []Level         `json:"prices"` // lowest first
	Keys       int             `json:"keys"`
	Share      float64         `json:"share"` // of the keys that called, drawn by a hash: 1 for all
	Days       int             `json:"days"`  // whole ones, UTC, on which no price changed
	Elasticity *stats.Interval `json:"elasticity"`
	Dispersion float64         `json:"dispersion,omitempty"` // of attempts: variance over mean
	Freedom    float64         `json:"freedom,omitempty"`    // about how many keys carry it
	Refused    string          `json:"refused,omitempty"`
}

// Level is one sheet that keys have paid by.
type Level struct {
	Sheet    string  `json:"sheet"` // hash
	Price    float64 `json:"price"` // credits an attempt, of all attempts alike
	Keys     int     `json:"keys"`  // that have paid it on a day that counts
	KeyDays  int     `json:"keyDays"`
	Attempts int     `json:"attempts"`
	LeftOut  bool    `json:"leftOut,omitempty"` // too few keys have paid it
}

const (
	fewestDays    = 4
	fewestAtPrice = 5    // keys
	mostFitted    = 3000 // keys: more would take seconds and hardly make it surer
	mostDays      = 92   // the newest
	mostDaysAfter = 28   // it ended: then all pay one price
)

// levelling collects what each key did each day, and at which price.
type levelling struct {
	t      *Subject
	from   time.Time
	to     time.Time
	first  int64 // day
	days   int
	mixed  []bool // days on which prices changed, or that are not whole
	drawn  uint64 // keys with a hash below it are in; halved when they are too many
	keys   map[string]*levelled
	sheets map[string]*pricing.Sheet  // that keys have paid by
	due    map[string]pricing.Credits // what calls would cost by them
	priced map[string]int             // and how many calls that is
}

// levelled is what a key did, by day.
type levelled struct {
	counts []int32
	sheet  []string // that it paid by, where it called
}

const day = 24 * time.Hour

func dayOf(at time.Time) int64 { return at.Unix() / int64(day/time.Second) }

// levels reads the attempts since the shadow's start, up to an act and a time.
func (src Source) levels(ctx context.Context, t *Subject, last uint64, to time.Time) (*Levels, error) {
	from := t.From
	if t.Ended != nil && to.After(t.Ended.Add(mostDaysAfter*day)) {
		to = t.Ended.Add(mostDaysAfter * day)
	}
	if oldest := to.Add(-mostDays * day).Truncate(day); from.Before(oldest) {
		from = oldest
	}
	v := &levelling{t: t, from: from, to: to, first: dayOf(from), drawn: math.MaxUint64, keys: map[string]*levelled{},
		sheets: map[string]*pricing.Sheet{}, due: map[string]pricing.Credits{}, priced: map[string]int{}}
	v.days = int(dayOf(to)-v.first) + 1
	v.mixed = make([]bool, v.days)
	v.mix(from)
	v.mix(to)
	for _, s := range t.Stages {
		v.mix(s.From)
	}
	if t.Ended != nil {
		v.mix(*t.Ended)
	}
	known := []string{t.Live, t.Candidate}
	for _, s := range t.Stages {
		known = append(known, s.Charged)
	}
	for _, hash := range known {
		if err := src.level(v, hash); err != nil {
			return nil, err
		}
	}
	seq, err := src.Journal.SeqAt(from)
	if err != nil {
		return nil, fmt.Errorf("experiment %s: %w", t.Name, err)
	}
	for seq -= min(seq, 1); seq < last; {
		events, err := src.Journal.Page(seq, 4096)
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
			if err := src.level(v, v.see(e.Call)); err != nil {
				return nil, err
			}
		}
	}
	return v.fit(), nil
}

// level finds a sheet that has been paid by.
func (src Source) level(v *levelling, hash string) error {
	if hash == "" || v.sheets[hash] != nil {
		return nil
	}
	sheet, err := src.Sheet(hash)
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
	if c == nil || c.Key == "" || c.At.Before(v.from) || !c.At.Before(v.to) {
		return ""
	}
	if k, d := v.of(c.Key), int(dayOf(c.At)-v.first); k != nil && d >= 0 && d < v.days {
		k.counts[d]++
		k.sheet[d] = c.Sheet
	}
	if c.Outcome != pricing.Denied && !c.Repeated {
		for hash, sheet := range v.sheets {
			charge, _ := pricing.Rate(&c.Call, sheet, &pricing.Usage{})
			v.due[hash] += charge.Due
			v.priced[hash]++
		}
	}
	return c.Sheet
}

// of is what a key did; nil: it is not drawn. A key is in or out by its hash
// alone, so that its whole past is in.
func (v *levelling) of(key string) *levelled {
	if k := v.keys[key]; k != nil || lot(key) > v.drawn {
		return k
	}
	k := &levelled{make([]int32, v.days), make([]string, v.days)}
	v.keys[key] = k
	for len(v.keys) > mostFitted {
		v.drawn /= 2
		maps.DeleteFunc(v.keys, func(key string, _ *levelled) bool { return lot(key) > v.drawn })
	}
	return v.keys[key]
}

// lot is where a key stands among all, by chance but always the same. It has
// nothing to do with which keys a canary takes.
func lot(key string) uint64 {
	sum := sha256.Sum256([]byte("levels " + key))
	return binary.BigEndian.Uint64(sum[:])
}

// paidBy is the sheet of a key on a day: by what it called, else by what was
// meant for it.
func (v *levelling) paidBy(key string, d int) string {
	if k := v.keys[key]; k.counts[d] > 0 {
		return k.sheet[d]
	}
	begin := time.Unix((v.first+int64(d))*int64(day/time.Second), 0)
	hash := v.t.Live
	for _, s := range v.t.Stages {
		if !begin.Before(s.From) && sheets.Share(s.Salt, key) < s.Percent {
			hash = s.Charged
		}
	}
	if v.t.Ended != nil && !begin.Before(*v.t.Ended) {
		hash = v.t.Live // whoever called since has told better
	}
	return hash
}

// fit says what can be said.
func (v *levelling) fit() *Levels {
	out := &Levels{Keys: len(v.keys), Share: float64(v.drawn) / math.MaxUint64}
	numbers := make([]int, v.days) // of the days that count
	for d, mixed := range v.mixed {
		if numbers[d] = -1; !mixed {
			numbers[d] = out.Days
			out.Days++
		}
	}
	cells, by := v.cells(numbers)
	out.Prices = []Level{}
	for _, hash := range slices.Sorted(maps.Keys(by)) {
		by[hash].LeftOut = by[hash].Keys < fewestAtPrice
		out.Prices = append(out.Prices, *by[hash])
	}
	slices.SortStableFunc(out.Prices, func(a, b Level) int { return cmp.Compare(a.Price, b.Price) })
	if out.Refused = out.tooLittle(); out.Refused != "" {
		return out
	}
	var kept []stats.Cell
	for i, c := range cells {
		if !by[c.hash].LeftOut {
			kept = append(kept, cells[i].Cell)
		}
	}
	fit, err := stats.FitDemand(kept, out.Keys, out.Days)
	if err != nil {
		out.Refused = err.Error()
		return out
	}
	out.Elasticity, out.Dispersion, out.Freedom = &fit.Elasticity, fit.Dispersion, fit.Freedom
	return out
}

type levelCell struct {
	stats.Cell
	hash string
}

// cells are what each key did on each day that counts, at which price.
func (v *levelling) cells(numbers []int) (cells []levelCell, by map[string]*Level) {
	by = map[string]*Level{}
	for unit, key := range slices.Sorted(maps.Keys(v.keys)) {
		paid := map[string]bool{}
		for d, n := range v.keys[key].counts {
			if numbers[d] < 0 {
				continue
			}
			hash := v.paidBy(key, d)
			if by[hash] == nil {
				by[hash] = &Level{Sheet: hash, Price: float64(v.due[hash]) / float64(max(1, v.priced[hash]))}
			}
			if !paid[hash] {
				by[hash].Keys++
			}
			paid[hash] = true
			by[hash].KeyDays++
			by[hash].Attempts += int(n)
			cells = append(cells, levelCell{stats.Cell{Unit: unit, Day: numbers[d], Count: float64(n), Price: by[hash].Price}, hash})
		}
	}
	return cells, by
}

// tooLittle says what must come first.
func (out *Levels) tooLittle() string {
	prices := map[float64]bool{}
	free := false
	for _, p := range out.Prices {
		if !p.LeftOut {
			prices[p.Price] = true
			free = free || p.Price <= 0
		}
	}
	switch {
	case out.Days < fewestDays:
		return fmt.Sprintf("it takes %d whole days (UTC) without a change of prices and there are %d: wait %s more", fewestDays, out.Days, several(fewestDays-out.Days, "day"))
	case len(prices) == 0:
		return fmt.Sprintf("no price was paid by %d keys or more", fewestAtPrice)
	case len(prices) == 1:
		return fmt.Sprintf("only one price was paid by %d keys or more; it takes two: let a larger share of the keys pay the candidate's", fewestAtPrice)
	case free:
		return "one of the prices is nothing, and there is no elasticity from nothing; see the change of attempts"
	}
	return ""
}

// several is a number of things.
func several(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
