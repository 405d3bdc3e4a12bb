package keys

import (
	"context"
	"errors"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// reservation is a hold as clients know it.
type reservation struct {
	ID        string    `json:"id"`
	Key       string    `json:"key"`
	KeyID     string    `json:"keyId"`
	Credits   int64     `json:"credits"`
	Memo      string    `json:"memo"`
	CreatedAt time.Time `json:"createdAt"`
	ExpiresAt time.Time `json:"expiresAt"`
}

func (d *Directory) reservation(h journal.Hold) reservation {
	r := reservation{ID: h.ID, KeyID: h.Key, Credits: int64(h.Credits), Memo: h.Memo, CreatedAt: h.Made, ExpiresAt: h.Until}
	if k := d.Get(h.Key); k != nil {
		r.Key = k.shown()
	}
	return r
}

type reservationsOut struct {
	Reservations []reservation `json:"reservations"`
	Count        int           `json:"count"`
	TotalHeld    int64         `json:"totalHeld"`
}

func (d *Directory) reservations(_ context.Context, in keyIn) (reservationsOut, error) {
	id := ""
	if in.Key != "" {
		k, err := d.named(in.Key)
		if err != nil {
			return reservationsOut{}, err
		}
		id = k.ID
	}
	out := reservationsOut{Reservations: []reservation{}}
	for _, h := range d.opts.Book.Holds(id) {
		out.Reservations = append(out.Reservations, d.reservation(h))
		out.TotalHeld += int64(h.Credits)
	}
	out.Count = len(out.Reservations)
	return out, nil
}

type reserveIn struct {
	keyIn
	Credits api.Number `json:"credits"`
	TTL     api.Number `json:"ttlSeconds"`
	Memo    string     `json:"memo"`
}

type reserveOut struct {
	reservation
	Available int64 `json:"available"`
}

// reserve promises credits of a key; nothing else can spend them until they
// are committed, released, or their time is over.
func (d *Directory) reserve(ctx context.Context, in reserveIn) (reserveOut, error) {
	if in.Key == "" {
		return reserveOut{}, api.BadRequest("Missing key")
	}
	if !in.Credits.Positive() || in.Credits.Text {
		return reserveOut{}, api.BadRequest(noCredits)
	}
	n, ttl, memo := in.Credits.Floor(1, mostCredits), in.TTL.Or(300, 10, 3600), cutText(in.Memo, mostText)
	return once(ctx, d, func(tx *ledger.Tx, a api.Actor) (reserveOut, error) {
		k, err := d.namedIn(tx, in.Key)
		switch {
		case err != nil:
			return reserveOut{}, err
		case k.Revoked:
			return reserveOut{}, api.BadRequest("Key is revoked")
		case k.Suspended:
			return reserveOut{}, api.BadRequest("Key is suspended")
		}
		return d.hold(tx, a, k, n, ttl, memo)
	})
}

func (d *Directory) hold(tx *ledger.Tx, a api.Actor, k *Key, n, ttl int64, memo string) (reserveOut, error) {
	id, err := d.random(8)
	if err != nil {
		return reserveOut{}, err
	}
	id = "rsv_" + id
	h, err := tx.Hold(ledger.HoldRequest{ID: id, Key: k.ID, Credits: pricing.Credits(n), TTL: time.Duration(ttl) * time.Second, Actor: a.ID, Memo: memo,
		Data: event("", a, map[string]any{"reservationId": id, "key": k.Prefix, "credits": n, "ttlSeconds": ttl}).Data})
	available := int64(max(0, tx.Available(k.account())))
	switch {
	case errors.Is(err, ledger.ErrInsufficient):
		total, held := int64(tx.Balance(k.account())), int64(tx.Held(k.account()))
		return reserveOut{}, api.BadRequest("Insufficient available credits").With("available", available).With("held", held).With("total", total).With("requested", n)
	case errors.Is(err, ledger.ErrTooManyHolds):
		return reserveOut{}, api.BadRequest("Maximum %d reservations per key", ledger.MostHolds)
	case err != nil:
		return reserveOut{}, err
	}
	return reserveOut{d.reservation(h), available}, nil
}

type reservationIn struct {
	ID string `json:"reservationId"`
}

type commitOut struct {
	Committed reservation `json:"committed"`
	Remaining int64       `json:"remainingCredits"`
}

type releaseOut struct {
	Released reservation `json:"released"`
}

// commit spends what was reserved.
func (d *Directory) commit(ctx context.Context, in reservationIn) (commitOut, error) {
	return once(ctx, d, func(tx *ledger.Tx, a api.Actor) (commitOut, error) {
		h, left, err := d.endHold(tx, in, a, journal.TypeCommit)
		return commitOut{d.reservation(h), left}, err
	})
}

// release gives back what was reserved; a revoked key can do nothing with it.
func (d *Directory) release(ctx context.Context, in reservationIn) (releaseOut, error) {
	out, err := once(ctx, d, func(tx *ledger.Tx, a api.Actor) (releaseOut, error) {
		h, _, err := d.endHold(tx, in, a, journal.TypeRelease)
		return releaseOut{d.reservation(h)}, err
	})
	if k := d.Get(out.Released.KeyID); err != nil || k == nil || !k.Revoked {
		return out, err
	}
	return out, d.writeOff(ctx, out.Released.KeyID)
}

// endHold ends a reservation, and says what balance it leaves.
func (d *Directory) endHold(tx *ledger.Tx, in reservationIn, a api.Actor, kind string) (h journal.Hold, left int64, err error) {
	if in.ID == "" {
		return h, 0, api.BadRequest("Missing reservationId")
	}
	metadata, end := map[string]any{"reservationId": in.ID}, tx.ReleaseHold
	if h, ok := tx.Reservation(in.ID); ok {
		metadata["credits"] = h.Credits
		if kind == journal.TypeCommit {
			metadata["remainingCredits"], end = tx.Balance(journal.KeyAccount(h.Key))-h.Credits, tx.CommitHold
		}
		if k := d.Get(h.Key); k != nil {
			metadata["key"] = k.Prefix
		}
	}
	h, err = end(in.ID, a.ID, event("", a, metadata).Data)
	if errors.Is(err, ledger.ErrNoHold) {
		return h, 0, api.NotFound("Reservation not found (may have expired)")
	}
	return h, int64(tx.Balance(journal.KeyAccount(h.Key))), err
}
