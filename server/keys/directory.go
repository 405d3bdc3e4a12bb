package keys

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// Options are what a Directory needs.
type Options struct {
	Book *ledger.Book
	Now  func() time.Time
	Rand io.Reader
	Log  *slog.Logger
	// Limits gives the calls a minute of a key and of a tool, the global quota
	// and the tools that have a limit, as configured now.
	Limits func() Limits
	// Use tells burn and history of keys for lists; nil: they say nothing.
	Use Use
	// Plan gives what a key's price sheet says of its plan now; nil: nothing.
	Plan func(*Terms) *pricing.Plan
	// Plans are those of the live prices.
	Plans func() []pricing.Plan
	// Coming names those of every sheet that keys pay by or that may go live;
	// nil: it is not known, and any name is taken.
	Coming func() ([]string, error)
}

// Limits are what the configuration sets for keys.
type Limits struct {
	PerMinute int
	PerTool   map[string]int
	Quota     Quota
}

// Use tells how keys are used; the feature that follows the journal knows.
type Use interface {
	// BurnPerHour is the credits that a key has spent in the last hour.
	BurnPerHour(id string) float64
	// Spark is the credits an hour of the last 24 hours, oldest first.
	Spark(id string) []float64
}

// Directory is all keys in memory, and their records on disk. It is safe for
// concurrent use.
type Directory struct {
	opts  Options
	table store.Table[Key]

	mu       sync.RWMutex
	byID     map[string]*entry
	bySecret map[string]secret // by hash, hex
	byAlias  map[string]*entry
	order    []*entry      // by time of creation
	turning  chan struct{} // plans, or who is on them, may have changed
	admins   admins
}

// entry is a key's record and its terms; both never change: another record is
// another entry.
type entry struct {
	key   *Key
	terms *Terms
	lower string // its name, to sort and look for
}

// secret is what a hash stands for.
type secret struct {
	*entry
	until time.Time // of a retired secret; zero: no end
}

// Open loads all keys.
func Open(o Options) (*Directory, error) {
	if o.Limits == nil {
		o.Limits = func() Limits { return Limits{} }
	}
	if o.Plan == nil {
		o.Plan = func(*Terms) *pricing.Plan { return nil }
	}
	if o.Plans == nil {
		o.Plans = func() []pricing.Plan { return nil }
	}
	d := &Directory{opts: o, table: table(), turning: make(chan struct{}, 1), byID: map[string]*entry{}, bySecret: map[string]secret{}, byAlias: map[string]*entry{}}
	err := d.table.Load(o.Book.DB(), func(k *Key) error {
		d.put(k)
		return nil
	})
	if err == nil {
		err = d.admins.load(o.Book.DB())
	}
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	d.sort()
	return d, nil
}

// put makes a record the current one. Behind mu.
func (d *Directory) put(k *Key) {
	e := &entry{key: k, terms: k.terms(), lower: strings.ToLower(k.Name)}
	if old := d.byID[k.ID]; old != nil {
		delete(d.bySecret, old.key.Hash)
		for _, r := range old.key.Old {
			delete(d.bySecret, r.Hash)
		}
		delete(d.byAlias, old.key.Alias)
		for i, o := range d.order {
			if o == old {
				d.order[i] = e
			}
		}
	} else {
		d.order = append(d.order, e)
	}
	d.byID[k.ID] = e
	d.bySecret[k.Hash] = secret{entry: e}
	for _, r := range k.Old {
		d.bySecret[r.Hash] = secret{entry: e, until: r.Until}
	}
	if k.Alias != "" {
		d.byAlias[k.Alias] = e
	}
}

// Identify finds who a secret belongs to. Without terms the reason says why:
// invalid_api_key or api_key_expired.
func (d *Directory) Identify(text string) (*Terms, string) {
	hash := hashOf(text)
	d.mu.RLock()
	s, ok := d.bySecret[hash]
	d.mu.RUnlock()
	now := d.opts.Now()
	switch {
	case !ok, s.key.Revoked, !s.until.IsZero() && !now.Before(s.until):
		return nil, "invalid_api_key"
	case s.key.expired(now):
		return nil, "api_key_expired"
	}
	return s.terms, ""
}

// find resolves what an admin names a key by: its secret, alias, stable id, or
// a prefix of the secret that only one key has.
func (d *Directory) find(text string) (*Key, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if e := d.byID[text]; e != nil {
		return e.key, nil
	}
	if e := d.byAlias[text]; e != nil {
		return e.key, nil
	}
	if s, ok := d.bySecret[hashOf(text)]; ok {
		return s.key, nil
	}
	const least = 6 // of "pg_" and hex digits
	if len(text) < least || !strings.HasPrefix(text, "pg_") {
		return nil, nil
	}
	var found *Key
	for _, e := range d.order {
		if text = strings.TrimSuffix(text, "..."); len(text) <= 10 && strings.HasPrefix(e.key.Prefix, text) {
			if found != nil {
				return nil, api.Conflict("%q is the beginning of several keys; name one by its id", text)
			}
			found = e.key
		}
	}
	return found, nil
}

// Resolve gives the stable id of a key by secret, alias, id or unique prefix.
func (d *Directory) Resolve(text string) (id string, ok bool) {
	k, err := d.find(text)
	if err != nil || k == nil {
		return "", false
	}
	return k.ID, true
}

// Get gives a key's record by its id, or nil. The record must not be changed.
func (d *Directory) Get(id string) *Key {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if e := d.byID[id]; e != nil {
		return e.key
	}
	return nil
}

// Name is a key's name by its id; an unknown id is its own name.
func (d *Directory) Name(id string) string {
	if k := d.Get(id); k != nil {
		return k.Name
	}
	return id
}

// Terms gives the terms of a key by its id, whatever its state, or nil.
func (d *Directory) Terms(id string) *Terms {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if e := d.byID[id]; e != nil {
		return e.terms
	}
	return nil
}

// Active gives the terms of every key that is not revoked.
func (d *Directory) Active() []*Terms {
	var out []*Terms
	for _, e := range d.all() {
		if !e.key.Revoked {
			out = append(out, e.terms)
		}
	}
	return out
}

// all gives every key in the order of creation.
func (d *Directory) all() []*entry {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return append([]*entry(nil), d.order...)
}

// Count says how many keys there are, and how many are not revoked.
func (d *Directory) Count() (all, active int) {
	entries := d.all()
	for _, e := range entries {
		if !e.key.Revoked {
			active++
		}
	}
	return len(entries), active
}

// Namespaces gives the namespaces in use.
func (d *Directory) Namespaces() []string {
	seen, out := map[string]bool{}, []string{}
	for _, e := range d.all() {
		if !seen[e.key.Namespace] {
			seen[e.key.Namespace] = true
			out = append(out, e.key.Namespace)
		}
	}
	return out
}

// change is one mutation of a key: fn changes a copy of the record and says
// what happened, in one transaction with the record.
func (d *Directory) change(ctx context.Context, id string, fn func(tx *ledger.Tx, k *Key) (*journal.Event, error)) (*Key, error) {
	var changed *Key
	err := d.opts.Book.Apply(ctx, func(tx *ledger.Tx) error {
		k, err := d.table.Get(tx, id)
		if err != nil {
			return err
		}
		k.Old = fresh(k.Old, tx.Now())
		event, err := fn(tx, k)
		if err != nil {
			return err
		}
		changed = k
		if event == nil {
			return nil
		}
		if err := d.table.Put(tx, k); err != nil {
			return taken(err)
		}
		event.Subject = k.ID
		return tx.Append(*event)
	})
	if err != nil {
		return nil, err
	}
	return changed, d.refresh(id)
}

func fresh(old []Retired, now time.Time) []Retired {
	var out []Retired
	for _, r := range old {
		if now.Before(r.Until) {
			out = append(out, r)
		}
	}
	return out
}

func taken(err error) error {
	var t *store.TakenError
	if errors.As(err, &t) && t.Index == "alias" {
		return api.BadRequest("Alias %q is already in use by another key", t.Value)
	}
	return err
}

// refresh reads a record again as it is on disk. It reads under the lock, so
// that of two changes the later one stays.
func (d *Directory) refresh(id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.opts.Book.DB().View(func(s *store.Snapshot) error {
		k, err := d.table.Get(s, id)
		if err != nil {
			return err
		}
		d.put(k)
		return nil
	})
}

// random is n random bytes in hex.
func (d *Directory) random(n int) (string, error) {
	raw := make([]byte, n)
	if _, err := io.ReadFull(d.opts.Rand, raw); err != nil {
		return "", fmt.Errorf("random bytes: %w", err)
	}
	return hex.EncodeToString(raw), nil
}

// event is an event with its audit metadata.
func event(kind string, a api.Actor, data map[string]any) *journal.Event {
	raw, err := json.Marshal(data)
	if err != nil {
		raw = nil
	}
	return &journal.Event{Type: kind, Actor: a.ID, Data: raw}
}
