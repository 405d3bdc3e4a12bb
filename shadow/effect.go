// Package shadow is the pricing lab. It owns experiments: prices that are not
// live and have a record, a report, guardrails, and a way to going live and back.
// Its rooms do the work: walk lives through the journal again, tally counts what
// that shows, report finds the figures, form gives them their looks, trial says
// what a real experiment shows, sums follows a price that is being turned.
//
// What it says of the past is arithmetic and changes nothing; only Promote and
// Rollback do. What it cannot know is how callers would have behaved: a verdict
// is about the same calls at other prices.
package shadow

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/shadow/tally"
	"paygate/shadow/walk"
	"paygate/store"
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

// EffectOf lives through the journal up to from under the sheets of then, and
// from there on under both them and the staged sheet, whose wallets begin as
// reality's are at from.
func EffectOf(ctx context.Context, db *store.DB, sheetOf walk.SheetOf, staged *pricing.Sheet, from, to time.Time) (*Effect, error) {
	w, err := walk.New(walk.Options{DB: db, SheetOf: sheetOf})
	if err != nil {
		return nil, err
	}
	t := tally.New(tally.Window{From: from, To: to.Add(time.Millisecond)})
	w.Onset(func(at time.Time) bool { return !at.Before(from) }, func() error {
		w.Begin(staged, t)
		return nil
	})
	err = w.Go(ctx, math.MaxUint64, func(p walk.Place) bool { return !p.At.After(to) })
	if err != nil {
		return nil, fmt.Errorf("effect of prices: %w", err)
	}
	e := &Effect{From: from, To: to, Calls: t.Attempts, Now: t.Sides[0].Collected, Staged: t.Sides[1].Collected + t.Imputed, Denied: t.Newly}
	for _, id := range slices.Sorted(maps.Keys(t.Keys)) {
		k := t.Keys[id]
		e.Keys = append(e.Keys, KeyEffect{Key: id, Now: k.Paid[0], Staged: k.Paid[1] + k.Imputed, Stopped: k.Stopped})
	}
	return e, nil
}
