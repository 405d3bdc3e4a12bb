// Package shadow says what other prices would have meant: it lives through the
// journal again under a price sheet that is not live, with the ledger's own
// code, holds and limits included, and compares.
//
// It reads what happened and changes nothing. What it cannot know is how
// callers would have behaved: a verdict is about the same calls at other
// prices.
package shadow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// Effect is what a change of prices would have meant for recorded calls.
type Effect struct {
	From, To time.Time
	Calls    int
	Now      pricing.Credits // collected under the sheets of then, or collectable in shadow mode
	Staged   pricing.Credits // collectable under the other sheet
	Denied   int             // calls that only the other sheet refuses
	Keys     []KeyEffect     // every key that called, by id
}

// KeyEffect is one key in an Effect.
type KeyEffect struct {
	Key         string // stable id
	Now, Staged pricing.Credits
	Stopped     *time.Time // when only the other sheet first refused it
}

var errEnough = errors.New("enough")

// EffectOf lives through the journal up to from under the sheets of then, and
// from there on under both them and the staged sheet.
func EffectOf(ctx context.Context, src journal.Source, sheetOf func(hash string) (*pricing.Sheet, error), staged *pricing.Sheet, from, to time.Time) (*Effect, error) {
	r := &reenact{sheets: map[string]*pricing.Sheet{}, sheetOf: sheetOf, effect: Effect{From: from, To: to}, keys: map[string]*KeyEffect{}, refused: map[string]bool{}, staged: staged}
	r.now = ledger.NewScenario(nil, r.then)
	err := journal.Blocks(ctx.Done(), src, 0, func(raw []byte) (bool, error) {
		block, err := journal.Decode(raw)
		if err != nil {
			return false, err
		}
		for _, act := range block.Acts {
			if err := r.act(act); err != nil {
				return false, err
			}
		}
		return true, nil
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("effect of prices: %w", err)
	}
	for _, k := range r.keys {
		r.effect.Keys = append(r.effect.Keys, *k)
	}
	slices.SortFunc(r.effect.Keys, func(a, b KeyEffect) int { return cmp.Compare(a.Key, b.Key) })
	return &r.effect, nil
}

// reenact is the way through the journal.
type reenact struct {
	sheets  map[string]*pricing.Sheet
	sheetOf func(string) (*pricing.Sheet, error)
	staged  *pricing.Sheet
	now     *ledger.Scenario
	other   *ledger.Scenario // nil before from
	effect  Effect
	keys    map[string]*KeyEffect
	refused map[string]bool // calls that the sheets of then refuse
	err     error
}

// then is the sheet that a call was judged by.
func (r *reenact) then(c *journal.Call) *pricing.Sheet {
	if s := r.sheets[c.Sheet]; s != nil {
		return s
	}
	s, err := r.sheetOf(c.Sheet)
	if err != nil {
		r.err = err
		s = r.staged // never nil; the error ends the way
	}
	r.sheets[c.Sheet] = s
	return s
}

func timeOf(a journal.Act) time.Time {
	if a.Admit != nil {
		return a.Admit.At
	}
	return a.Event.At
}

func (r *reenact) act(a journal.Act) error {
	at := timeOf(a)
	if at.After(r.effect.To) {
		return errEnough
	}
	if r.other == nil && !at.Before(r.effect.From) {
		r.other = ledger.NewScenario(r.now, func(*journal.Call) *pricing.Sheet { return r.staged })
	}
	for _, v := range r.now.Act(a) {
		r.see(v, false)
	}
	if r.other != nil {
		for _, v := range r.other.Act(a) {
			r.see(v, true)
		}
	}
	return r.err
}

// see counts one verdict.
func (r *reenact) see(v ledger.Verdict, staged bool) {
	c := v.Call
	if r.other == nil || c.Key == "" || c.At.Before(r.effect.From) {
		return
	}
	k := r.keys[c.Key]
	if k == nil {
		k = &KeyEffect{Key: c.Key}
		r.keys[c.Key] = k
	}
	if v.Ended && v.Admitted {
		if staged {
			k.Staged += v.Paid
			r.effect.Staged += v.Paid
		} else {
			k.Now += v.Paid
			r.effect.Now += v.Paid
		}
	}
	if !staged && v.Ended {
		r.effect.Calls++
	}
	switch {
	case v.Admitted || len(v.Reasons) == 0:
	case !staged:
		r.refused[c.ID] = true
	case !r.refused[c.ID]:
		r.refused[c.ID] = true // once: a refused call has two verdicts
		r.effect.Denied++
		if k.Stopped == nil {
			at := c.At
			k.Stopped = &at
		}
	}
}
