// Package sums prices the newest calls under any sheet, as if no wallet, limit or
// plan stood in the way: fast enough to follow a price that somebody is turning.
// What would be collected says a replay.
package sums

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"paygate/pricing"
	"paygate/shadow/tally"
	"paygate/store/journal"
)

// Sums are what calls would cost if no wallet, limit or plan stood in the way.
// They are not what would be collected.
type Sums struct {
	Calls   int               `json:"calls"`
	From    time.Time         `json:"from"` // of the first call
	To      time.Time         `json:"to"`   // of the last call
	Exact   bool              `json:"exact"`
	Tools   []Tool            `json:"tools"`
	Credits []pricing.Credits `json:"credits"` // one for each sheet
	TookMs  float64           `json:"tookMs"`
}

// Tool is one tool's part.
type Tool struct {
	Tool    string            `json:"tool"`
	Calls   int               `json:"calls"`
	Credits []pricing.Credits `json:"credits"`
}

const (
	refillAfter = time.Second      // sums are at most so much behind
	forgetAfter = 10 * time.Minute // without a request the calls' facts are forgotten
	keptSums    = 64
)

// Calls are the newest calls of a journal. Their facts are kept from the first
// request on, and forgotten when nobody asks any more.
type Calls struct {
	db  journal.Source
	j   *journal.Journal
	now func() time.Time

	mu    sync.Mutex
	cols  *columns // nil: nobody has asked
	read  time.Time
	asked time.Time
	kept  map[sumKey][]pricing.Credits // a sheet's sum by group
}

type sumKey struct {
	hash     string
	from, to int64
	last     uint64
}

// New are the newest calls of a journal in a file.
func New(db journal.Source, j *journal.Journal, now func() time.Time) *Calls {
	return &Calls{db: db, j: j, now: now}
}

// Sum prices the newest calls of a window, at most Most of all, under sheets.
// Counters of tiers and free allowances begin with the first of these calls.
func (s *Calls) Sum(ctx context.Context, list []*pricing.Sheet, w tally.Window) (*Sums, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refill(ctx); err != nil {
		return nil, err
	}
	began := s.now()
	out := s.of(list, w)
	out.TookMs = float64(s.now().Sub(began).Microseconds()) / 1000
	return out, nil
}

// refill brings the columns up to date. Behind mu.
func (s *Calls) refill(ctx context.Context) error {
	now := s.now()
	s.asked = now
	if s.cols != nil && now.Sub(s.read) < refillAfter {
		return nil
	}
	if s.cols == nil {
		s.cols, s.kept = newColumns(s.j.Last()), map[sumKey][]pricing.Credits{}
	}
	s.read = now
	return s.cols.fill(ctx, s.db, journal.NewPace(s.j.Last))
}

// Rest forgets the calls when nobody has asked for a while.
func (s *Calls) Rest() {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cols != nil && now.Sub(s.asked) > forgetAfter {
		s.cols, s.kept = nil, nil
	}
}

func (s *Calls) of(list []*pricing.Sheet, w tally.Window) *Sums {
	out, c := &Sums{Tools: []Tool{}, Credits: make([]pricing.Credits, len(list))}, s.cols
	calls := c.count(w, out)
	tools := map[string]int{}
	for g := range c.groups {
		if calls[g] == 0 {
			continue
		}
		name := c.groups[g].call.Tool
		i, ok := tools[name]
		if !ok {
			i = len(out.Tools)
			tools[name] = i
			out.Tools = append(out.Tools, Tool{Tool: name, Credits: make([]pricing.Credits, len(list))})
		}
		out.Tools[i].Calls += calls[g]
	}
	for n, sheet := range list {
		for g, credits := range s.sheet(sheet, w) {
			if calls[g] > 0 {
				out.Tools[tools[c.groups[g].call.Tool]].Credits[n] += credits
				out.Credits[n] += credits
			}
		}
	}
	slices.SortFunc(out.Tools, func(a, b Tool) int { return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Tool, b.Tool)) })
	return out
}

// count counts the calls of each group.
func (c *columns) count(w tally.Window, out *Sums) []int {
	calls := make([]int, len(c.groups))
	first, last := int64(0), int64(0)
	c.inside(w, func(_ int, k *chunk, from, to int) {
		if out.Calls == 0 {
			first, last = k.at[from], k.at[from]
		}
		out.Calls += to - from
		for i := from; i < to; i++ {
			calls[k.group[i]]++
			first, last = min(first, k.at[i]), max(last, k.at[i])
		}
	})
	if out.Calls > 0 {
		out.From, out.To = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
	}
	return calls
}

// terms are how the calls of one group are priced.
type terms struct {
	pricing.Affine
	straight bool // by Affine
	none     bool // not at all
}

// sheet is what each group costs under one sheet.
func (s *Calls) sheet(sheet *pricing.Sheet, w tally.Window) []pricing.Credits {
	key := sumKey{sheet.Hash(), w.From.UnixMilli(), w.To.UnixMilli(), s.cols.last}
	if kept, ok := s.kept[key]; ok {
		return kept
	}
	if len(s.kept) >= keptSums {
		clear(s.kept)
	}
	groups, alone := make([]terms, len(s.cols.groups)), false
	for g := range groups {
		t, f := &groups[g], &s.cols.groups[g]
		if t.none = f.none; !t.none {
			t.Affine, t.straight = sheet.Affine(&f.call)
			alone = alone || !t.straight
		}
	}
	out := s.cols.price(sheet, w, groups, alone)
	s.kept[key] = out
	return out
}

// price adds up what calls cost. Each worker has chunks of its own for prices
// that go straight, and payers of its own for the others, so that their
// counters need no lock and come out the same for any number of workers.
func (c *columns) price(sheet *pricing.Sheet, w tally.Window, groups []terms, alone bool) []pricing.Credits {
	workers := max(1, min(runtime.GOMAXPROCS(0), 8))
	sums := make([][]pricing.Credits, workers)
	var busy sync.WaitGroup
	for n := range workers {
		busy.Go(func() {
			sums[n] = make([]pricing.Credits, len(groups))
			c.straight(w, groups, [2]int{n, workers}, sums[n])
			if alone {
				c.alone(sheet, w, groups, [2]uint32{uint32(n), uint32(workers)}, sums[n])
			}
		})
	}
	busy.Wait()
	out := sums[0]
	for _, sum := range sums[1:] {
		for g, credits := range sum {
			out[g] += credits
		}
	}
	return out
}

// straight prices chunk share[0] of every share[1].
func (c *columns) straight(w tally.Window, groups []terms, share [2]int, out []pricing.Credits) {
	c.inside(w, func(n int, k *chunk, from, to int) {
		if n%share[1] != share[0] {
			return
		}
		for i := from; i < to; i++ {
			g := k.group[i]
			if t := &groups[g]; t.straight {
				out[g] += t.Due(int64(k.in[i]), int64(k.out[i]), int64(k.took[i]))
			}
		}
	})
}

// alone prices calls one by one, those of payer share[0] of every share[1].
func (c *columns) alone(sheet *pricing.Sheet, w tally.Window, groups []terms, share [2]uint32, out []pricing.Credits) {
	calls := make([]pricing.Call, len(groups))
	for g := range calls {
		calls[g] = c.groups[g].call
	}
	usage := make([]pricing.Usage, len(c.payers))
	c.inside(w, func(_ int, k *chunk, from, to int) {
		for i := from; i < to; i++ {
			g, payer := k.group[i], k.payer[i]
			if groups[g].straight || groups[g].none || payer%share[1] != share[0] {
				continue
			}
			call, u := &calls[g], &usage[payer]
			k.load(i, call)
			if call.Outcome == pricing.Denied {
				out[g] += min(pricing.Quote(call, sheet, u).Due, pricing.MaxCredits)
				continue
			}
			charge, deltas := pricing.Rate(call, sheet, u)
			out[g] += min(charge.Due, pricing.MaxCredits)
			if !deltas.Zero() {
				u.Add(deltas)
			}
		}
	})
}
