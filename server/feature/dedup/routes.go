package dedup

import (
	"container/list"
	"context"
	"encoding/json"
	"time"

	"paygate/server/api"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// settings are what an owner may change while the gateway runs.
type settings struct {
	ID           string `json:"id"`
	Enabled      bool   `json:"enabled"`
	TTLMs        int64  `json:"ttlMs"`        // how long an answer is given again
	MaxEntries   int    `json:"maxEntries"`   // answers that are kept at once
	AutoGenerate bool   `json:"autoGenerate"` // equal calls of one caller are one, also without a key
}

func (s settings) ttl() time.Duration { return time.Duration(s.TTLMs) * time.Millisecond }

const configID = "one"

func configs() store.Table[settings] {
	return store.Table[settings]{Name: "dedup.config", Proved: true, ID: func(s *settings) string { return s.ID }}
}

// Tables are those that the journal vouches for: settings, and not answers,
// which are forgotten within the hour.
func Tables() []store.Proved { return []store.Proved{configs()} }

// Open reads what was kept and what was set.
func Open(book *ledger.Book, now func() time.Time) (*Dedup, error) {
	d := &Dedup{book: book, now: now, entries: map[name]*entry{}, ended: list.New(), owners: map[string]*list.List{},
		config: settings{ID: configID, Enabled: true, TTLMs: 60_000, MaxEntries: 10_000}}
	return d, d.load()
}

// Routes are the feature's operations.
func (d *Dedup) Routes() []api.Route {
	return []api.Route{
		api.Handle("GET", "/admin/dedup", api.Viewer, "How often calls were repeated, and what was saved", d.get),
		api.Handle("POST", "/admin/dedup", api.Admin, "Set how long and how many answers are given again", d.set),
		api.Handle("DELETE", "/admin/dedup", api.Admin, "Forget all answers", d.clear),
	}
}

// status is the contract's answer about the feature.
type status struct {
	Enabled         bool         `json:"enabled"`
	Config          statusConfig `json:"config"`
	CachedEntries   int          `json:"cachedEntries"`
	InFlightEntries int          `json:"inFlightEntries"`
	TotalChecks     int64        `json:"totalChecks"`
	TotalDeduped    int64        `json:"totalDeduped"`
	TotalCoalesced  int64        `json:"totalCoalesced"`
	CreditsSaved    int64        `json:"creditsSaved"`
	HitRate         int64        `json:"hitRate"`
}

type statusConfig struct {
	Enabled      bool  `json:"enabled"`
	TTLMs        int64 `json:"ttlMs"`
	MaxEntries   int   `json:"maxEntries"`
	AutoGenerate bool  `json:"autoGenerate"`
}

func (d *Dedup) get(context.Context, api.None) (status, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire(d.now())
	f, c := d.figures, d.config
	s := status{Enabled: c.Enabled, Config: statusConfig{c.Enabled, c.TTLMs, c.MaxEntries, c.AutoGenerate},
		CachedEntries: d.ended.Len(), InFlightEntries: len(d.entries) - d.ended.Len(),
		TotalChecks: f.checks, TotalDeduped: f.answered, TotalCoalesced: f.joined, CreditsSaved: int64(f.saved)}
	if f.checks > 0 {
		s.HitRate = 100 * (f.answered + f.joined) / f.checks
	}
	return s, nil
}

type setIn struct {
	Enabled      *bool       `json:"enabled"`
	TTLMs        *api.Number `json:"ttlMs"`
	MaxEntries   *api.Number `json:"maxEntries"`
	AutoGenerate *bool       `json:"autoGenerate"`
}

// set touches only what is named, and keeps numbers within bounds.
func (d *Dedup) set(ctx context.Context, in setIn) (status, error) {
	d.mu.Lock()
	c := d.config
	d.mu.Unlock()
	if in.Enabled != nil {
		c.Enabled = *in.Enabled
	}
	if in.AutoGenerate != nil {
		c.AutoGenerate = *in.AutoGenerate
	}
	if in.TTLMs != nil {
		c.TTLMs = in.TTLMs.Or(c.TTLMs, 1000, int64(7*24*time.Hour/time.Millisecond))
	}
	if in.MaxEntries != nil {
		c.MaxEntries = int(in.MaxEntries.Or(int64(c.MaxEntries), 100, 100_000))
	}
	err := d.book.Apply(ctx, func(tx *ledger.Tx) error {
		if err := configs().Put(tx, &c); err != nil {
			return err
		}
		return tx.Append(event(ctx, map[string]any{"section": "dedup", "enabled": c.Enabled, "ttlMs": c.TTLMs, "maxEntries": c.MaxEntries, "autoGenerate": c.AutoGenerate}))
	})
	if err != nil {
		return status{}, err
	}
	d.mu.Lock()
	d.config = c
	d.mu.Unlock()
	return d.get(ctx, api.None{})
}

type cleared struct {
	Cleared bool `json:"cleared"`
}

func (d *Dedup) clear(ctx context.Context, _ api.None) (cleared, error) {
	err := d.book.Apply(ctx, func(tx *ledger.Tx) error {
		if err := d.purge(tx); err != nil {
			return err
		}
		return tx.Append(event(ctx, map[string]any{"section": "dedup", "cleared": true}))
	})
	return cleared{err == nil}, err
}

func event(ctx context.Context, what map[string]any) journal.Event {
	text, err := json.Marshal(what)
	if err != nil {
		text = nil
	}
	return journal.Event{Type: "config.updated", Actor: api.ActorOf(ctx).ID, Data: text}
}
