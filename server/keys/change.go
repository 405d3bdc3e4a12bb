package keys

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/journal"
	"paygate/store/ledger"
)

type revokeOut struct {
	Message string `json:"message"`
	Revoked bool   `json:"revoked"`
}

// revoke ends a key for good; what it had is written off.
func (d *Directory) revoke(ctx context.Context, in keyIn) (revokeOut, error) {
	k, err := d.named(in.Key)
	if err != nil {
		return revokeOut{}, err
	}
	_, err = d.change(ctx, k.ID, func(tx *ledger.Tx, k *Key) (*journal.Event, error) {
		if k.Revoked {
			return nil, nil
		}
		k.Revoked = true
		e := event("key.revoked", api.ActorOf(ctx), map[string]any{"keyMasked": k.masked()})
		e.Posts, err = split(journal.Entry{ID: "writeoff:" + k.ID, From: k.account(), To: journal.Expired, Kind: "writeoff"}, min(tx.Available(k.account()), mostEntries*pricing.MaxCredits))
		return e, err
	})
	return revokeOut{"Key revoked", true}, err
}

type suspendIn struct {
	keyIn
	Reason string `json:"reason"`
}

type suspendOut struct {
	Message   string `json:"message"`
	Suspended bool   `json:"suspended"`
}

func (d *Directory) suspend(ctx context.Context, in suspendIn) (suspendOut, error) {
	return d.setSuspended(ctx, in.Key, true, cutText(in.Reason, mostText))
}

func (d *Directory) resume(ctx context.Context, in keyIn) (suspendOut, error) {
	return d.setSuspended(ctx, in.Key, false, "")
}

func (d *Directory) setSuspended(ctx context.Context, key string, on bool, reason string) (suspendOut, error) {
	k, err := d.named(key)
	if err != nil {
		return suspendOut{}, err
	}
	_, err = d.change(ctx, k.ID, func(tx *ledger.Tx, k *Key) (*journal.Event, error) {
		switch {
		case k.Revoked:
			return nil, api.BadRequest("Key is revoked")
		case on && k.Suspended:
			return nil, api.BadRequest("Key is already suspended")
		case !on && !k.Suspended:
			return nil, api.BadRequest("Key is not suspended")
		}
		k.Suspended = on
		if !on {
			return event("key.resumed", api.ActorOf(ctx), map[string]any{"keyMasked": k.masked()}), nil
		}
		var why any
		if reason != "" {
			why = reason
		}
		return event("key.suspended", api.ActorOf(ctx), map[string]any{"keyMasked": k.masked(), "reason": why}), nil
	})
	if on {
		return suspendOut{"Key suspended", true}, err
	}
	return suspendOut{"Key resumed", false}, err
}

type rotateIn struct {
	keyIn
	Grace api.Number `json:"graceSeconds"` // how long the old secret works on; at most 30 days
}

type rotateOut struct {
	ID      string `json:"id"`
	NewKey  string `json:"newKey"`
	Name    string `json:"name"`
	Credits int64  `json:"credits"`
	Message string `json:"message"`
}

// rotate gives a key another secret. Everything else stays with its id.
func (d *Directory) rotate(ctx context.Context, in rotateIn) (rotateOut, error) {
	k, err := d.named(in.Key)
	if err != nil {
		return rotateOut{}, err
	}
	if k.Revoked {
		return rotateOut{}, api.NotFound("Key not found or inactive")
	}
	secret, err := d.random(24)
	if err != nil {
		return rotateOut{}, err
	}
	secret = "pg_" + secret
	const most = 30 * 24 * 3600
	grace := time.Duration(in.Grace.Or(0, 0, most)) * time.Second
	k, err = d.change(ctx, k.ID, func(tx *ledger.Tx, k *Key) (*journal.Event, error) {
		was := k.masked()
		if grace > 0 {
			k.Old = append(k.Old, Retired{Hash: k.Hash, Until: tx.Now().Add(grace)})
		}
		k.setSecret(secret)
		return event("key.rotated", api.ActorOf(ctx), map[string]any{"oldKeyMasked": was, "newKeyMasked": k.masked()}), nil
	})
	if err != nil {
		return rotateOut{}, err
	}
	message := "Key rotated. Save the new key now; it is shown only once. The old one no longer works."
	if grace > 0 {
		message = fmt.Sprintf("Key rotated. Save the new key now; it is shown only once. The old one works for another %s.", grace)
	}
	return rotateOut{ID: k.ID, NewKey: secret, Name: k.Name, Credits: int64(d.opts.Book.Key(k.ID).Credits), Message: message}, nil
}

type aclIn struct {
	keyIn
	Allowed *[]string `json:"allowedTools"`
	Denied  *[]string `json:"deniedTools"`
}

type aclOut struct {
	Allowed []string `json:"allowedTools"`
	Denied  []string `json:"deniedTools"`
	Message string   `json:"message"`
}

func (d *Directory) setACL(ctx context.Context, in aclIn) (aclOut, error) {
	k, err := d.live(in.Key)
	if err != nil {
		return aclOut{}, err
	}
	k, err = d.change(ctx, k.ID, func(tx *ledger.Tx, k *Key) (*journal.Event, error) {
		if in.Allowed != nil {
			k.Allowed = texts(*in.Allowed, mostTools)
		}
		if in.Denied != nil {
			k.Denied = texts(*in.Denied, mostTools)
		}
		return event("key.acl_updated", api.ActorOf(ctx), map[string]any{"keyMasked": k.masked(), "allowedTools": list(k.Allowed), "deniedTools": list(k.Denied)}), nil
	})
	if err != nil {
		return aclOut{}, err
	}
	return aclOut{list(k.Allowed), list(k.Denied), "ACL updated"}, nil
}

type expiryIn struct {
	keyIn
	ExpiresIn api.Number `json:"expiresIn"`
	ExpiresAt *string    `json:"expiresAt"`
}

type expiryOut struct {
	ExpiresAt *time.Time `json:"expiresAt"`
	Message   string     `json:"message"`
}

func (d *Directory) setExpiry(ctx context.Context, in expiryIn) (expiryOut, error) {
	k, err := d.named(in.Key)
	if err != nil {
		return expiryOut{}, err
	}
	at, err := d.expiry(in.ExpiresIn, in.ExpiresAt)
	if err != nil {
		return expiryOut{}, err
	}
	_, err = d.change(ctx, k.ID, func(tx *ledger.Tx, k *Key) (*journal.Event, error) {
		k.ExpiresAt = at
		return event("key.expiry_updated", api.ActorOf(ctx), map[string]any{"keyMasked": k.masked(), "expiresAt": at}), nil
	})
	message := "Expiry removed: the key never expires"
	if at != nil {
		message = "Expiry updated"
	}
	return expiryOut{at, message}, err
}

type setQuotaIn struct {
	keyIn
	quotaIn
	Remove bool `json:"remove"`
}

type setQuotaOut struct {
	Quota   *Quota `json:"quota"`
	Message string `json:"message"`
}

func (d *Directory) setQuota(ctx context.Context, in setQuotaIn) (setQuotaOut, error) {
	k, err := d.live(in.Key)
	if err != nil {
		return setQuotaOut{}, err
	}
	k, err = d.change(ctx, k.ID, func(tx *ledger.Tx, k *Key) (*journal.Event, error) {
		if k.Quota = in.quota(); in.Remove {
			k.Quota = nil
		}
		return event("key.quota_updated", api.ActorOf(ctx), map[string]any{"keyMasked": k.masked(), "quota": k.Quota}), nil
	})
	if err != nil {
		return setQuotaOut{}, err
	}
	if in.Remove {
		return setQuotaOut{nil, "Quota removed: the global one applies"}, nil
	}
	return setQuotaOut{k.Quota, "Quota updated"}, nil
}

type tagsIn struct {
	keyIn
	Tags map[string]any `json:"tags"`
}

type tagsOut struct {
	Tags    map[string]string `json:"tags"`
	Message string            `json:"message"`
}

func (d *Directory) setTags(ctx context.Context, in tagsIn) (tagsOut, error) {
	k, err := d.live(in.Key)
	if err != nil {
		return tagsOut{}, err
	}
	if in.Tags == nil {
		return tagsOut{}, api.BadRequest("Missing or invalid tags object")
	}
	k, err = d.change(ctx, k.ID, func(tx *ledger.Tx, k *Key) (*journal.Event, error) {
		k.Tags = tagsOf(k.Tags, in.Tags)
		return event("key.tags_updated", api.ActorOf(ctx), map[string]any{"keyMasked": k.masked(), "tags": k.Tags}), nil
	})
	if err != nil {
		return tagsOut{}, err
	}
	return tagsOut{tags(k.Tags), "Tags updated"}, nil
}

type ipsIn struct {
	keyIn
	IPs []string `json:"ips"`
}

type ipsOut struct {
	IPs     []string `json:"ipAllowlist"`
	Message string   `json:"message"`
}

func (d *Directory) setIPs(ctx context.Context, in ipsIn) (ipsOut, error) {
	k, err := d.live(in.Key)
	if err != nil {
		return ipsOut{}, err
	}
	if in.IPs == nil {
		return ipsOut{}, api.BadRequest("Missing or invalid ips array")
	}
	ips := texts(in.IPs, mostIPs)
	if err := addresses(ips); err != nil {
		return ipsOut{}, err
	}
	k, err = d.change(ctx, k.ID, func(tx *ledger.Tx, k *Key) (*journal.Event, error) {
		k.IPs = ips
		return event("key.ip_updated", api.ActorOf(ctx), map[string]any{"keyMasked": k.masked(), "ipAllowlist": list(k.IPs)}), nil
	})
	if err != nil {
		return ipsOut{}, err
	}
	return ipsOut{list(k.IPs), "IP allowlist updated"}, nil
}

type aliasIn struct {
	keyIn
	Alias api.Text `json:"alias"` // null or "" takes the alias away
	Clear bool     `json:"clear"` // the same
}

type aliasOut struct {
	Alias   *string `json:"alias"`
	Key     string  `json:"key"`
	Message string  `json:"message"`
}

func (d *Directory) setAlias(ctx context.Context, in aliasIn) (aliasOut, error) {
	k, err := d.named(in.Key)
	if err != nil {
		return aliasOut{}, err
	}
	alias := ""
	switch {
	case in.Alias.Given:
		alias = cutText(in.Alias.Value, 100)
	case !in.Clear:
		return aliasOut{}, api.BadRequest("Missing alias: a name, or null to take it away")
	}
	if alias != "" && !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(alias) {
		return aliasOut{}, api.BadRequest("Alias may hold letters, digits, - and _ only")
	}
	if other, _ := d.find(alias); alias != "" && other != nil && other.ID != k.ID {
		return aliasOut{}, api.BadRequest("Alias %q is already in use by another key", alias)
	}
	k, err = d.change(ctx, k.ID, func(tx *ledger.Tx, k *Key) (*journal.Event, error) {
		k.Alias = alias
		return event("key.alias_set", api.ActorOf(ctx), map[string]any{"key": k.Prefix, "alias": alias}), nil
	})
	if err != nil {
		return aliasOut{}, err
	}
	if alias == "" {
		return aliasOut{nil, k.shown(), "Alias cleared"}, nil
	}
	return aliasOut{&alias, k.shown(), "Alias set"}, nil
}
