package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"paygate/pricing"
	"paygate/server/config"
	"paygate/server/gate"
	"paygate/server/keys"
	"paygate/shadow"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/store/sheets"
)

// choice says which price sheet a key pays by. It is the one place where that
// is decided: calls, dry runs, tool lists and plans ask it. Like its world it
// never changes.
type choice struct {
	live    *pricing.Sheet
	rollout *sheets.Rollout
	named   map[string]*pricing.Sheet // every sheet that the rollout names, by hash
	dims    dims                      // what these sheets and the candidates price by
}

// chosen imports the configured prices if they are others than at the last
// import, and reads who pays by which sheet then.
func (s *Server) chosen(ctx context.Context, cfg *config.Config) (*choice, error) {
	c := &choice{named: map[string]*pricing.Sheet{}}
	err := s.book.Apply(ctx, func(tx *ledger.Tx) error {
		changed, err := false, error(nil)
		if !s.opts.AsLeft {
			changed, err = sheets.Import(tx, cfg.Sheet(), tx.Now())
		}
		if err != nil {
			return err
		}
		if err := c.read(tx); err != nil || !changed {
			return err
		}
		return tx.Append(journal.Event{Type: "prices.changed", Actor: "config", Data: data(map[string]any{"sheet": c.live.Hash(), "source": "file"})})
	})
	if err != nil {
		return nil, fmt.Errorf("prices: %w", err)
	}
	return c, nil
}

func (c *choice) read(r store.Reader) (err error) {
	if c.live, _, err = sheets.Live(r); err != nil {
		return err
	}
	if c.rollout, err = sheets.CurrentRollout(r); err != nil {
		return err
	}
	for _, hash := range c.rollout.Hashes() {
		sheet, err := sheets.Get(r, hash)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("sheet %.12s, which keys pay by, is not kept: %w", hash, store.ErrCorrupt)
		}
		if err != nil {
			return err
		}
		c.named[hash] = sheet
	}
	c.dims.add(c.live)
	for _, hash := range c.rollout.Hashes() {
		c.dims.add(c.named[hash])
	}
	candidates, err := shadow.Candidates(r)
	for _, sheet := range candidates {
		c.dims.add(sheet)
	}
	return err
}

// sheetTexts are the canonical texts of every sheet that is kept, by hash.
func (s *Server) sheetTexts() (map[string]string, error) {
	out := map[string]string{}
	err := s.book.DB().View(func(snap *store.Snapshot) error {
		list, err := sheets.All(snap)
		for _, v := range list {
			out[v.Hash] = v.Text
		}
		return err
	})
	return out, err
}

// one says whether all keys pay by the live sheet.
func (c *choice) one() bool { return len(c.rollout.Kept) == 0 && c.rollout.Canary == nil }

// of is the sheet that a key pays by; nobody in particular pays by the live one.
func (c *choice) of(t *keys.Terms, now time.Time) *pricing.Sheet {
	if t == nil || c.one() {
		return c.live
	}
	if sheet := c.named[c.rollout.For(payer(t), now)]; sheet != nil {
		return sheet
	}
	return c.live
}

func payer(t *keys.Terms) sheets.Payer { return sheets.Payer{ID: t.ID, Made: t.Made} }

// next is the sheet that a key will pay by from a time on; nil when nothing is
// announced to it. Nobody in particular is told what keys in general will pay.
func (c *choice) next(t *keys.Terms) (*pricing.Sheet, *sheets.Next) {
	n := c.rollout.Coming()
	if n == nil || t != nil && !c.rollout.Concerns(payer(t)) {
		return nil, nil
	}
	return c.named[n.Sheet], n
}

// canary bounds what a key of the canary is charged a day.
func (c *choice) canary() gate.Check {
	return gate.Check{Name: "canary", Do: func(call *gate.Call) *gate.Denial {
		if k := c.rollout.Canary; k != nil && k.PerDay > 0 && call.Sheet == k.Sheet {
			call.Limits = append(call.Limits, journal.Limit{Owner: journal.KeyAccount(call.Key), Kind: journal.DailyCredits, Max: int64(k.PerDay)})
		}
		return nil
	}}
}
