// Package keys says who may call, on what terms, and who pays: API keys and
// their records, admin keys and their roles, and the HTTP routes that manage
// both, their credits and their reservations.
//
// It owns the records and finds a caller by its secret at the speed of calls.
// It does not know balances (package ledger does), nor how a call is judged
// (package gate does).
package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/journal"
)

// Key is an API key's record. Its secret is not in it: only a hash.
type Key struct {
	ID            string            `json:"id"`   // "key_" and 16 hex digits; rotation keeps it
	Hash          string            `json:"hash"` // SHA-256 of the secret, hex
	Prefix        string            `json:"prefix"`
	Last4         string            `json:"last4"`
	Old           []Retired         `json:"old,omitempty"` // rotated secrets that still work for a while
	Name          string            `json:"name"`
	Alias         string            `json:"alias,omitempty"`
	Namespace     string            `json:"namespace"`
	Group         string            `json:"group,omitempty"`
	Plan          string            `json:"plan,omitempty"`    // of a price sheet
	Granted       *pricing.Granted  `json:"granted,omitempty"` // by the plan
	ToppedUp      *toppedUp         `json:"toppedUp,omitempty"`
	WouldTopUp    *toppedUp         `json:"wouldTopUp,omitempty"` // in shadow mode
	Revoked       bool              `json:"revoked,omitempty"`
	Suspended     bool              `json:"suspended,omitempty"`
	CreatedAt     time.Time         `json:"createdAt"`
	ExpiresAt     *time.Time        `json:"expiresAt,omitempty"`
	Allowed       []string          `json:"allowed,omitempty"`
	Denied        []string          `json:"denied,omitempty"`
	IPs           []string          `json:"ips,omitempty"`
	Tags          map[string]string `json:"tags,omitempty"`
	SpendingLimit int64             `json:"spendingLimit,omitempty"`
	RateLimit     int64             `json:"rateLimit,omitempty"` // calls a minute, in the place of the global limit
	Quota         *Quota            `json:"quota,omitempty"`
	Notes         []Note            `json:"notes,omitempty"`
}

// Retired is the hash of an earlier secret and until when it works.
type Retired struct {
	Hash  string    `json:"hash"`
	Until time.Time `json:"until"`
}

// Note is what an admin wrote about a key.
type Note struct {
	Author    string    `json:"author"`
	Text      string    `json:"text"`
	Timestamp time.Time `json:"timestamp"`
}

// table holds the keys; no two share a secret or an alias.
func table() store.Table[Key] {
	return store.Table[Key]{Name: "keys", Proved: true, ID: func(k *Key) string { return k.ID }, Unique: map[string]func(*Key) []string{
		"secret": func(k *Key) []string {
			hashes := []string{k.Hash}
			for _, old := range k.Old {
				hashes = append(hashes, old.Hash)
			}
			return hashes
		},
		"alias": func(k *Key) []string { return []string{k.Alias} },
	}}
}

// Tables are those that the journal vouches for.
func Tables() []store.Proved { return []store.Proved{table(), adminTable(), answers()} }

func (k *Key) expired(now time.Time) bool { return k.ExpiresAt != nil && !now.Before(*k.ExpiresAt) }

// masked is how a key is shown: the first seven characters and the last four.
func (k *Key) masked() string { return k.Prefix[:min(7, len(k.Prefix))] + "..." + k.Last4 }

// shown is the other way: the first ten.
func (k *Key) shown() string { return k.Prefix + "..." }

// Masked is a key as logs and reports name it, by its id.
func (d *Directory) Masked(id string) string {
	if k := d.Get(id); k != nil {
		return k.masked()
	}
	return "***"
}

// Label is a key as answers about it name it.
func (k *Key) Label() string { return k.shown() }

func (k *Key) account() journal.Account { return journal.KeyAccount(k.ID) }

// terms are the record as the gate sees it.
func (k *Key) terms() *Terms {
	t := &Terms{ID: k.ID, Name: k.Name, Payer: string(k.account()), Namespace: k.Namespace, Tags: k.Tags, Suspended: k.Suspended, Made: k.CreatedAt, Group: k.Group, Plan: k.Plan,
		Allowed: k.Allowed, Denied: k.Denied, IPs: k.IPs, SpendingLimit: k.SpendingLimit, RateLimit: k.RateLimit, Quota: k.Quota}
	if k.ExpiresAt != nil {
		t.ExpiresAt = *k.ExpiresAt
	}
	return t
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// setSecret takes a new secret in.
func (k *Key) setSecret(secret string) {
	k.Hash = hashOf(secret)
	k.Prefix = secret[:min(10, len(secret))]
	k.Last4 = secret[max(0, len(secret)-4):]
}

// namespaceOf keeps lower-case letters, digits and dashes, at most 50 of them.
func namespaceOf(text string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, strings.ToLower(text))
	if clean == "" {
		return "default"
	}
	return clean[:min(50, len(clean))]
}
