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
	Limit     api.Number `json:"spendingLimit"`
	RateLimit api.Number `json:"rateLimit"` // calls a minute; alone it leaves the spending limit as it is
}

type limitOut struct {
	Limit     int64  `json:"spendingLimit"`
	RateLimit int64  `json:"rateLimit,omitempty"`
	Message   string `json:"message"`
}

func (d *Directory) setLimit(ctx context.Context, in limitIn) (limitOut, error) {
	k, err := d.live(in.Key)
	if err != nil {
		return limitOut{}, err
	}
	switch {
	case in.Limit.Given && !in.Limit.Valid:
		return limitOut{}, api.BadRequest("spendingLimit must be a number; 0 removes the limit")
	case in.RateLimit.Given && !in.RateLimit.Valid:
		return limitOut{}, api.BadRequest("rateLimit must be a number of calls a minute; 0 is as many as the global limit says")
	}
	k, err = d.change(ctx, k.ID, func(tx *ledger.Tx, k *Key) (*journal.Event, error) {
		if in.Limit.Given || !in.RateLimit.Given {
			k.SpendingLimit = in.Limit.Or(0, 0, mostCredits)
		}
		if in.RateLimit.Given {
			k.RateLimit = in.RateLimit.Or(0, 0, mostRate)
		}
		return event("key.limit_updated", api.ActorOf(ctx), map[string]any{"keyMasked": k.masked(), "spendingLimit": k.SpendingLimit, "rateLimit": k.RateLimit}), nil
	})
	if err != nil {
		return limitOut{}, err
	}
	out := limitOut{k.SpendingLimit, k.RateLimit, "Spending limit set"}
	switch {
	case !in.Limit.Given && in.RateLimit.Given && k.RateLimit > 0:
		out.Message = "Rate limit set"
	case !in.Limit.Given && in.RateLimit.Given:
		out.Message = "Rate limit removed: the global one applies"
	case k.SpendingLimit == 0:
		out.Message = "Spending limit removed"
	}
	return out, nil
}
