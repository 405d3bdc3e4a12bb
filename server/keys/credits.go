package keys

import (
	"context"
	"errors"
	"fmt"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/journal"
	"paygate/store/ledger"
)

type topupIn struct {
	keyIn
	Credits api.Number `json:"credits"`
	Note    string     `json:"note"`
}

type topupOut struct {
	Credits int64  `json:"credits"`
	Message string `json:"message"`
}

// topup issues credits to a key.
func (d *Directory) topup(ctx context.Context, in topupIn) (topupOut, error) {
	if in.Key == "" || !in.Credits.Given {
		return topupOut{}, api.BadRequest("Missing key or credits")
	}
	if !in.Credits.Positive() {
		return topupOut{}, api.BadRequest(noCredits)
	}
	n, note := in.Credits.Floor(1, mostCredits), cutText(in.Note, mostText)
	return once(ctx, d, func(tx *ledger.Tx, a api.Actor) (topupOut, error) {
		k, err := d.liveIn(tx, in.Key)
		if err != nil {
			return topupOut{}, err
		}
		id, err := d.entryID("topup", a)
		if err != nil {
			return topupOut{}, err
		}
		e := event("key.topup", a, map[string]any{"keyMasked": k.masked(), "creditsAdded": n, "newBalance": int64(d.balanceIn(tx, k)) + n, "note": note})
		e.Subject = k.ID
		e.Posts = []journal.Entry{{ID: id, From: journal.Bank, To: k.account(), Amount: pricing.Credits(n), Kind: "topup", Ref: note}}
		if err := tx.Append(*e); err != nil {
			return topupOut{}, err
		}
		return topupOut{int64(d.balanceIn(tx, k)), fmt.Sprintf("Added %d credits", n)}, nil
	})
}

// balanceIn is a key's balance inside a transaction, what is held included.
func (d *Directory) balanceIn(tx *ledger.Tx, k *Key) pricing.Credits { return tx.Balance(k.account()) }

type transferIn struct {
	From    string     `json:"from"`
	To      string     `json:"to"`
	Credits api.Number `json:"credits"`
	Memo    string     `json:"memo"`
}

type side struct {
	Masked  string `json:"keyMasked"`
	Credits int64  `json:"credits"` // the balance afterwards, as clients know it
	Balance int64  `json:"balance"`
}

type transferOut struct {
	Transferred int64  `json:"transferred"`
	From        side   `json:"from"`
	To          side   `json:"to"`
	Memo        string `json:"memo"`
	Message     string `json:"message"`
}

// transfer moves credits between two keys; what is held stays where it is.
func (d *Directory) transfer(ctx context.Context, in transferIn) (transferOut, error) {
	if err := in.check(); err != nil {
		return transferOut{}, err
	}
	n, memo := in.Credits.Floor(1, mostCredits), cutText(in.Memo, mostText)
	return once(ctx, d, func(tx *ledger.Tx, a api.Actor) (transferOut, error) {
		from, to, err := d.transferKeys(tx, in, pricing.Credits(n))
		if err != nil {
			return transferOut{}, err
		}
		id, err := d.entryID("transfer", a)
		if err != nil {
			return transferOut{}, err
		}
		left, gained := int64(tx.Balance(from.account()))-n, int64(tx.Balance(to.account()))+n
		e := event("key.credits_transferred", a, map[string]any{"fromKeyMasked": from.masked(), "toKeyMasked": to.masked(), "credits": n,
			"fromBalance": left, "toBalance": gained, "memo": memo})
		e.Subject = from.ID
		e.Posts = []journal.Entry{{ID: id, From: from.account(), To: to.account(), Amount: pricing.Credits(n), Kind: "transfer", Ref: memo}}
		if err := tx.Append(*e); err != nil {
			return transferOut{}, err
		}
		return transferOut{Transferred: n, From: side{from.masked(), left, left}, To: side{to.masked(), gained, gained}, Memo: memo,
			Message: fmt.Sprintf("Transferred %d credits", n)}, nil
	})
}

func (in *transferIn) check() error {
	switch {
	case in.From == "" || in.To == "":
		return api.BadRequest("Missing from or to")
	case in.From == in.To:
		return sameKey()
	case !in.Credits.Positive():
		return api.BadRequest(noCredits)
	}
	return nil
}

func sameKey() error { return api.BadRequest("Cannot transfer credits to the same key") }

// transferKeys finds both sides of a transfer, and that the one can give it.
func (d *Directory) transferKeys(tx *ledger.Tx, in transferIn, n pricing.Credits) (from, to *Key, err error) {
	if from, err = d.liveIn(tx, in.From); err != nil {
		return nil, nil, renamed(err, "Source key not found")
	}
	to, err = d.liveIn(tx, in.To)
	if err == nil && from.ID == to.ID {
		return nil, nil, sameKey()
	}
	if have := tx.Available(from.account()); have < n {
		return nil, nil, api.BadRequest("Insufficient credits: source has %d available", max(0, have))
	}
	if err != nil {
		return nil, nil, renamed(err, "Destination key not found")
	}
	return from, to, nil
}

// mostEntries bounds how many entries one amount is split into.
const mostEntries = 1000

// split makes entries of an amount that may be more than one can move.
func split(e journal.Entry, amount pricing.Credits) ([]journal.Entry, error) {
	if amount > mostEntries*pricing.MaxCredits {
		return nil, api.BadRequest("%d credits are more than %d", amount, mostEntries*pricing.MaxCredits)
	}
	var out []journal.Entry
	for id := e.ID; amount > 0; amount -= e.Amount {
		e.Amount = min(amount, pricing.MaxCredits)
		if len(out) > 0 {
			e.ID = fmt.Sprintf("%s:%d", id, len(out))
		}
		out = append(out, e)
	}
	return out, nil
}

// renamed says which of several keys was not found.
func renamed(err error, message string) error {
	var e *api.Error
	if errors.As(err, &e) && e.Status == 404 {
		return api.NotFound("%s", message)
	}
	return err
}
