package keys

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// Bounds of a key's fields.
const (
	mostName    = 200
	mostText    = 500
	mostTools   = 1000
	mostIPs     = 200
	mostTags    = 50
	mostTag     = 100
	mostRate    = 100_000
	mostCredits = int64(pricing.MaxCredits)
	noCredits   = "Credits must be a positive integer"
	noDate      = "expiresAt must be a valid ISO 8601 date"
)

type createIn struct {
	Name      string          `json:"name"`
	Credits   api.Number      `json:"credits"`
	ExpiresIn api.Number      `json:"expiresIn"`
	ExpiresAt *string         `json:"expiresAt"`
	Allowed   []string        `json:"allowedTools"`
	Denied    []string        `json:"deniedTools"`
	IPs       []string        `json:"ipAllowlist"`
	Tags      map[string]any  `json:"tags"`
	Quota     *quotaIn        `json:"quota"`
	Namespace string          `json:"namespace"`
	Group     string          `json:"group"`
	Plan      string          `json:"plan"` // of the price sheet
	Limit     api.Number      `json:"spendingLimit"`
	Template  json.RawMessage `json:"template"`
	RateLimit api.Number      `json:"rateLimit"` // calls a minute, in the place of the global limit
}

type createOut struct {
	ID        string            `json:"id"`
	Key       string            `json:"key"`
	Name      string            `json:"name"`
	Credits   int64             `json:"credits"`
	Allowed   []string          `json:"allowedTools"`
	Denied    []string          `json:"deniedTools"`
	IPs       []string          `json:"ipAllowlist"`
	ExpiresAt *time.Time        `json:"expiresAt"`
	Tags      map[string]string `json:"tags"`
	Namespace string            `json:"namespace"`
	Group     string            `json:"group,omitempty"`
	Plan      string            `json:"plan,omitempty"`
	Message   string            `json:"message"`
}

func (d *Directory) create(ctx context.Context, in createIn) (createOut, error) {
	if len(in.Template) > 0 && string(in.Template) != "null" {
		return createOut{}, api.BadRequest("This version has no key templates yet; leave template out")
	}
	credits := in.Credits.Or(100, 0, mostCredits)
	if in.Credits.Given && (!in.Credits.Valid || credits <= 0) {
		return createOut{}, api.BadRequest(noCredits)
	}
	secret, err := d.random(24)
	if err != nil {
		return createOut{}, err
	}
	secret = "pg_" + secret
	k, err := d.newKey(in)
	if err != nil {
		return createOut{}, err
	}
	k.setSecret(secret)
	out, err := once(ctx, d, func(tx *ledger.Tx, a api.Actor) (createOut, error) {
		k.CreatedAt = tx.Now()
		if err := d.record(tx, k, pricing.Credits(credits), a); err != nil {
			return createOut{}, err
		}
		return createOut{ID: k.ID, Key: k.shown(), Name: k.Name, Credits: credits, Allowed: list(k.Allowed), Denied: list(k.Denied), IPs: list(k.IPs),
			ExpiresAt: k.ExpiresAt, Tags: tags(k.Tags), Namespace: k.Namespace, Group: k.Group, Plan: k.Plan, Message: "This key was created by an earlier request with the same Idempotency-Key; its secret was shown then."}, nil
	})
	if err != nil {
		return createOut{}, err
	}
	if out.ID == k.ID { // not a replay: the secret is shown, and nowhere stored
		out.Key, out.Message = secret, "Save this key now. It is shown only once."
		if note := d.unknownPlan(k); note != "" {
			out.Message += " " + note
		}
	}
	if err := d.refresh(out.ID); err != nil || k.Plan == "" {
		return out, err
	}
	if err := d.Turn(ctx, out.ID); err != nil {
		return out, err
	}
	out.Credits = int64(d.opts.Book.Key(out.ID).Credits)
	return out, nil
}

// newKey makes a record of what was asked, with an id.
func (d *Directory) newKey(in createIn) (*Key, error) {
	expires, err := d.expiry(in.ExpiresIn, in.ExpiresAt)
	if err != nil {
		return nil, err
	}
	id, err := d.random(8)
	if err != nil {
		return nil, err
	}
	k := &Key{ID: "key_" + id, Name: cutText(in.Name, mostName), Namespace: namespaceOf(in.Namespace), ExpiresAt: expires,
		Group: cutText(in.Group, mostTag), Plan: cutText(in.Plan, mostTag),
		Allowed: texts(in.Allowed, mostTools), Denied: texts(in.Denied, mostTools), IPs: texts(in.IPs, mostIPs), Tags: tagsOf(nil, in.Tags),
		Quota: in.Quota.quota(), SpendingLimit: in.Limit.Or(0, 0, mostCredits), RateLimit: in.RateLimit.Or(0, 0, mostRate)}
	if k.Name == "" {
		k.Name = "unnamed"
	}
	if err := errors.Join(addresses(k.IPs), d.knownPlan(k.Plan)); err != nil {
		return nil, err
	}
	return k, nil
}

// record writes a new key and the credits it begins with.
func (d *Directory) record(tx *ledger.Tx, k *Key, credits pricing.Credits, a api.Actor) error {
	if err := d.table.Put(tx, k); err != nil {
		return err
	}
	e := event("key.created", a, map[string]any{"keyMasked": k.masked(), "name": k.Name, "credits": credits,
		"allowedTools": list(k.Allowed), "deniedTools": list(k.Denied), "expiresAt": k.ExpiresAt})
	if k.Plan != "" {
		e.Data = withPlan(e.Data, k.Plan)
	}
	e.Subject = k.ID
	if credits > 0 {
		e.Posts = []journal.Entry{{ID: "initial:" + k.ID, From: journal.Bank, To: k.account(), Amount: credits, Kind: "initial"}}
	}
	return tx.Append(*e)
}

// Import makes keys of the configuration's importKeys that are not there yet.
func (d *Directory) Import(ctx context.Context, keys map[string]pricing.Credits) error {
	for secret, credits := range keys {
		if k, _ := d.find(secret); k != nil {
			continue
		}
		id, err := d.random(8)
		if err != nil {
			return err
		}
		k := &Key{ID: "key_" + id, Name: "imported", Namespace: "default"}
		k.setSecret(secret)
		err = d.opts.Book.Apply(ctx, func(tx *ledger.Tx) error {
			k.CreatedAt = tx.Now()
			return d.record(tx, k, credits, api.Actor{ID: "config"})
		})
		if err != nil {
			return err
		}
		if err := d.refresh(k.ID); err != nil {
			return err
		}
	}
	return nil
}

// expiry reads expiresIn (seconds, wins) or expiresAt.
func (d *Directory) expiry(in api.Number, at *string) (*time.Time, error) {
	const century = 100 * 365 * 24 * 3600
	if in.Positive() {
		t := d.opts.Now().UTC().Add(time.Duration(in.Floor(1, century)) * time.Second).Truncate(time.Millisecond)
		return &t, nil
	}
	if at == nil || *at == "" {
		return nil, nil
	}
	t, err := api.ParseDate(*at)
	if err != nil {
		return nil, api.BadRequest(noDate)
	}
	return &t, nil
}
