package keys

import (
	"context"
	"slices"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// Revoking a key writes off what it can spend. What is promised at that moment
// stays promised: a reservation can still be committed, a call under way still
// pays. What of it comes free later, or is given back, is written off then,
// because nobody can ever spend it.

// WriteOff writes off what revoked keys have to spend.
func (d *Directory) WriteOff(ctx context.Context) error {
	var some []string
	for _, e := range d.all() {
		if e.key.Revoked && d.opts.Book.Key(e.key.ID).Available > 0 {
			some = append(some, e.key.ID)
		}
	}
	for ids := range slices.Chunk(some, keysATime) {
		if err := d.writeOff(ctx, ids...); err != nil {
			return err
		}
	}
	return nil
}

// writeOff does so for those of some keys that are revoked.
func (d *Directory) writeOff(ctx context.Context, ids ...string) error {
	return d.opts.Book.Apply(ctx, func(tx *ledger.Tx) error {
		for _, id := range ids {
			k, err := d.table.Get(tx, id)
			if err != nil {
				return err
			}
			if free := tx.Available(k.account()); k.Revoked && free > 0 {
				if err := d.off(tx, k, free); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (d *Directory) off(tx *ledger.Tx, k *Key, free pricing.Credits) error {
	free = min(free, mostEntries*pricing.MaxCredits)
	random, err := d.random(8)
	if err != nil {
		return err
	}
	e := event("key.written_off", api.Actor{ID: "system"}, map[string]any{"keyMasked": k.masked(), "credits": free})
	e.Subject = k.ID
	if e.Posts, err = split(journal.Entry{ID: "writeoff:" + k.ID + ":" + random, From: k.account(), To: journal.Expired, Kind: "writeoff"}, free); err != nil {
		return err
	}
	return tx.Append(*e)
}
