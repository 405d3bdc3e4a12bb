package keys

import (
	"context"

	"paygate/server/api"
	"paygate/store/journal"
	"paygate/store/ledger"
)

type nameIn struct {
	keyIn
	Name string `json:"name"`
}

type nameOut struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

func (d *Directory) setName(ctx context.Context, in nameIn) (nameOut, error) {
	k, err := d.named(in.Key)
	if err != nil {
		return nameOut{}, err
	}
	name := cutText(in.Name, mostName)
	if name == "" {
		return nameOut{}, api.BadRequest("Missing name")
	}
	_, err = d.change(ctx, k.ID, func(tx *ledger.Tx, k *Key) (*journal.Event, error) {
		k.Name = name
		return event("key.updated", api.ActorOf(ctx), map[string]any{"keyMasked": k.masked(), "name": name}), nil
	})
	return nameOut{name, "Key renamed"}, err
}

type limitIn struct {
	keyIn
	Limit api.Number `json:"spendingLimit"`
}

type limitOut struct {
	Limit   int64  `json:"spendingLimit"`
	Message string `json:"message"`
}

func (d *Directory) setLimit(ctx context.Context, in limitIn) (limitOut, error) {
	k, err := d.live(in.Key)
	if err != nil {
		return limitOut{}, err
	}
	if in.Limit.Given && !in.Limit.Valid {
		return limitOut{}, api.BadRequest("spendingLimit must be a number; 0 removes the limit")
	}
	limit := in.Limit.Or(0, 0, mostCredits)
	_, err = d.change(ctx, k.ID, func(tx *ledger.Tx, k *Key) (*journal.Event, error) {
		k.SpendingLimit = limit
		return event("key.limit_updated", api.ActorOf(ctx), map[string]any{"keyMasked": k.masked(), "spendingLimit": limit}), nil
	})
	message := "Spending limit set"
	if limit == 0 {
		message = "Spending limit removed"
	}
	return limitOut{limit, message}, err
}
