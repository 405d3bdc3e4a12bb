package keys

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// A snapshot carries keys from one gateway to another: records and balances,
// with the hashes of secrets, never the secrets. It is not the whole state;
// that is what a backup is.

// Snapshot is what GET /admin/backup gives and POST /admin/restore takes.
type Snapshot struct {
	Version       string          `json:"version"`
	ServerVersion string          `json:"serverVersion"`
	Timestamp     time.Time       `json:"timestamp"`
	Checksum      string          `json:"checksum"` // SHA-256 of data as it stands here
	Data          json.RawMessage `json:"data"`
}

type snapshotData struct {
	Keys           []snapshotKey  `json:"keys"`
	Groups         []struct{}     `json:"groups"`
	Teams          []struct{}     `json:"teams"`
	WebhookFilters []struct{}     `json:"webhookFilters"`
	Stats          map[string]int `json:"stats"`
}

// snapshotKey is a row as lists show it, and what it takes to make the key
// again.
type snapshotKey struct {
	row
	Hash  string `json:"hash"`
	Last4 string `json:"last4"`
	Key   string `json:"key,omitempty"` // a secret, where a client has one to import
}

const (
	snapshotVersion  = "1.0"
	mostSnapshotKeys = 50_000
)

// TakeSnapshot makes a snapshot of all keys. Stats count what a snapshot does
// not carry.
func (d *Directory) TakeSnapshot(ctx context.Context, serverVersion string, stats map[string]int) (Snapshot, error) {
	now, books := d.opts.Now().UTC(), d.books()
	data := snapshotData{Keys: []snapshotKey{}, Groups: []struct{}{}, Teams: []struct{}{}, WebhookFilters: []struct{}{}}
	for _, e := range d.all() {
		data.Keys = append(data.Keys, snapshotKey{row: d.row(e, books[e.key.ID], now, false), Hash: e.key.Hash, Last4: e.key.Last4})
	}
	data.Stats = map[string]int{"totalKeys": len(data.Keys), "totalGroups": 0, "totalTeams": 0}
	maps.Copy(data.Stats, stats)
	text, err := json.Marshal(data)
	if err != nil {
		return Snapshot{}, fmt.Errorf("snapshot: %w", err)
	}
	s := Snapshot{Version: snapshotVersion, ServerVersion: serverVersion, Timestamp: now, Checksum: Checksum(text), Data: text}
	return s, d.opts.Book.Apply(ctx, func(tx *ledger.Tx) error {
		return tx.Append(*event("admin.backup_created", api.ActorOf(ctx), map[string]any{"checksum": s.Checksum}))
	})
}

// Checksum is the one of a snapshot's data. It does not mind the order of members: clients may write them anew.
func Checksum(text []byte) string {
	var value any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&value) == nil {
		if sorted, err := json.Marshal(value); err == nil {
			text = sorted
		}
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// RestoreIn is the body of POST /admin/restore.
type RestoreIn struct {
	Snapshot *Snapshot `json:"snapshot"`
	Mode     string    `json:"mode"` // merge (the default) leaves keys that are there, overwrite replaces them
}

// Restored counts what a restore has done.
type Restored struct {
	Imported    int `json:"imported"`
	Overwritten int `json:"overwritten"`
	Skipped     int `json:"skipped"`
	Errors      int `json:"errors"`
}

// RestoreOut answers POST /admin/restore.
type RestoreOut struct {
	Success  bool                `json:"success"`
	Mode     string              `json:"mode"`
	Restored time.Time           `json:"restoredAt"`
	Results  map[string]Restored `json:"results"`
	Warnings []string            `json:"warnings"`
}

// HTTPStatus tells a restore that failed in part.
func (o RestoreOut) HTTPStatus() int {
	if o.Success {
		return http.StatusOK
	}
	return http.StatusMultiStatus
}

// Restore makes the keys of a snapshot. Credits come from the bank as entries
// of their own, so that the books go on adding up.
func (d *Directory) Restore(ctx context.Context, in RestoreIn) (RestoreOut, error) {
	data, err := in.check()
	if err != nil {
		return RestoreOut{}, err
	}
	out := RestoreOut{Success: true, Mode: "merge", Restored: d.opts.Now().UTC(), Warnings: []string{}}
	if in.Mode == "overwrite" || in.Mode == "full" {
		out.Mode = "overwrite"
	}
	var n Restored
	for _, k := range data.Keys {
		done, err := d.restoreKey(ctx, k, out.Mode == "overwrite")
		switch {
		case err != nil:
			n.Errors++
			out.Success = false
			out.Warnings = append(out.Warnings, fmt.Sprintf("key %q: %v", k.Name, err))
		case done == "imported":
			n.Imported++
		case done == "overwritten":
			n.Overwritten++
		default:
			n.Skipped++
		}
	}
	out.Results = map[string]Restored{"keys": n}
	return out, d.opts.Book.Apply(ctx, func(tx *ledger.Tx) error {
		return tx.Append(*event("admin.backup_restored", api.ActorOf(ctx), map[string]any{"mode": out.Mode, "results": out.Results, "warnings": out.Warnings}))
	})
}

func (in *RestoreIn) check() (*snapshotData, error) {
	if in.Snapshot == nil {
		return nil, api.BadRequest(`Missing "snapshot" object`)
	}
	refuse := func(why string) error {
		return api.BadRequest("Invalid snapshot").With("errors", []string{why})
	}
	var data snapshotData
	switch {
	case in.Snapshot.Version != snapshotVersion:
		return nil, refuse("version must be " + snapshotVersion)
	case Checksum(in.Snapshot.Data) != in.Snapshot.Checksum:
		return nil, refuse("checksum is not that of data: the snapshot was changed or cut")
	case json.Unmarshal(in.Snapshot.Data, &data) != nil:
		return nil, refuse("data cannot be read")
	case len(data.Keys) > mostSnapshotKeys:
		return nil, refuse(fmt.Sprintf("more than %d keys", mostSnapshotKeys))
	}
	return &data, nil
}

// restoreKey makes one key, or gives one that is there the record and balance
// of the snapshot.
func (d *Directory) restoreKey(ctx context.Context, k snapshotKey, overwrite bool) (done string, err error) {
	made := k.record()
	if made.Hash == "" {
		return "", api.BadRequest("it has neither a secret nor a hash")
	}
	id := made.ID
	err = d.opts.Book.Apply(ctx, func(tx *ledger.Tx) error {
		old, err := d.table.By(tx, "secret", made.Hash)
		if err != nil {
			old, err = d.table.Get(tx, made.ID)
		}
		if done = "imported"; err == nil {
			if done = "skipped"; !overwrite {
				return nil
			}
			done, id = "overwritten", old.ID
			made.ID, made.Notes, made.CreatedAt, made.Granted, made.ToppedUp, made.WouldTopUp = old.ID, old.Notes, old.CreatedAt, old.Granted, old.ToppedUp, old.WouldTopUp
		}
		if err := d.table.Put(tx, made); err != nil {
			return taken(err)
		}
		e := event("keys.imported", api.ActorOf(ctx), map[string]any{"keyMasked": made.masked(), "mode": done})
		e.Subject = made.ID
		if e.Posts, err = restored(tx, made, pricing.Credits(k.Credits)); err != nil {
			return err
		}
		return tx.Append(*e)
	})
	if err != nil || done == "skipped" {
		return done, err
	}
	return done, d.refresh(id)
}

// restored are the entries that make a key's balance, what is held included,
// that of a snapshot.
func restored(tx *ledger.Tx, k *Key, balance pricing.Credits) ([]journal.Entry, error) {
	if balance < 0 {
		return nil, api.BadRequest("its credits are below 0")
	}
	e := journal.Entry{ID: fmt.Sprintf("restore:%s:%d", k.ID, tx.Now().UnixNano()), Kind: "restore", From: journal.Bank, To: k.account()}
	change := balance - tx.Balance(k.account())
	if change < 0 {
		e.From, e.To, change = k.account(), journal.Bank, -change
	}
	return split(e, change)
}

// record is the key of a snapshot's row.
func (k *snapshotKey) record() *Key {
	made := &Key{ID: k.ID, Hash: k.Hash, Prefix: k.KeyPrefix[:min(10, len(k.KeyPrefix))], Last4: k.Last4, Name: k.Name, Alias: k.Alias, Namespace: namespaceOf(k.Namespace), Group: cutText(k.Group, mostTag), Plan: cutText(k.Plan, mostTag),
		Revoked: !k.Active, Suspended: k.Suspended, CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt, Allowed: texts(k.AllowedTools, mostTools),
		Denied: texts(k.DeniedTools, mostTools), IPs: texts(k.IPAllowlist, mostIPs), Tags: k.Tags, SpendingLimit: k.SpendingLimit, RateLimit: min(max(0, k.RateLimit), mostRate)}
	if k.Key != "" {
		made.setSecret(k.Key)
	}
	if made.ID == "" {
		made.ID = "key_" + made.Hash[:min(16, len(made.Hash))]
	}
	if q := k.Quota; q != nil {
		made.Quota = &Quota{DailyCalls: q.DailyCallLimit, MonthlyCalls: q.MonthlyCallLimit, DailyCredits: q.DailyCreditLimit, MonthlyCredits: q.MonthlyCreditLimit}
	}
	return made
}
