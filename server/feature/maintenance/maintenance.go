// Package maintenance is the switch that makes /mcp answer 503. It is kept over
// a restart.
package maintenance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"paygate/server/api"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// Maintenance is the switch.
type Maintenance struct {
	book *ledger.Book
	// changed makes the switch as it is now the one that calls are judged by.
	changed func(context.Context) error
}

// New is the switch of a state.
func New(book *ledger.Book, changed func(context.Context) error) *Maintenance {
	return &Maintenance{book, changed}
}

// Tables are those that the journal vouches for.
func Tables() []store.Proved { return []store.Proved{table()} }

// Routes are the feature's operations.
func (m *Maintenance) Routes() []api.Route {
	return []api.Route{
		api.Handle("GET", "/maintenance", api.Viewer, "Read the maintenance switch", m.get),
		api.Handle("POST", "/maintenance", api.Admin, "Switch maintenance on or off: agents get 503 while it is on", m.set),
	}
}

// setting is how the switch stands.
type setting struct {
	ID      string    `json:"id"`
	Enabled bool      `json:"enabled"`
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
}

func table() store.Table[setting] {
	return store.Table[setting]{Name: "maintenance", Proved: true, ID: func(s *setting) string { return s.ID }}
}

func (m *Maintenance) read() (*setting, error) {
	now := &setting{ID: "one"}
	err := m.book.DB().View(func(snap *store.Snapshot) error {
		found, err := table().Get(snap, "one")
		if err == nil {
			now = found
		}
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("maintenance: %w", err)
	}
	return now, nil
}

// Message is what agents are told; empty: no maintenance.
func (m *Maintenance) Message() (string, error) {
	now, err := m.read()
	if err != nil || !now.Enabled {
		return "", err
	}
	return now.Message, nil
}

type setIn struct {
	Enabled any    `json:"enabled"`
	Message string `json:"message"`
}

type out struct {
	Enabled bool       `json:"enabled"`
	Message *string    `json:"message"`
	Since   *time.Time `json:"since"`
}

func (s *setting) out() out {
	if !s.Enabled {
		return out{}
	}
	return out{true, &s.Message, &s.Since}
}

func (m *Maintenance) get(context.Context, api.None) (out, error) {
	now, err := m.read()
	if err != nil {
		return out{}, err
	}
	return now.out(), nil
}

func (m *Maintenance) set(ctx context.Context, in setIn) (out, error) {
	on, ok := in.Enabled.(bool)
	if !ok {
		return out{}, api.BadRequest("enabled must be true or false")
	}
	message := strings.TrimSpace(in.Message)
	if message == "" {
		message = "Server is under maintenance"
	}
	if runes := []rune(message); len(runes) > 500 {
		message = string(runes[:500])
	}
	was, err := m.read()
	if err != nil {
		return out{}, err
	}
	now := &setting{ID: "one", Enabled: on, Message: message}
	err = m.book.Apply(ctx, func(tx *ledger.Tx) error {
		now.Since = tx.Now()
		if err := table().Put(tx, now); err != nil {
			return err
		}
		switch {
		case on:
			return tx.Append(event(ctx, "maintenance.enabled", map[string]any{"message": message}))
		case was.Enabled:
			return tx.Append(event(ctx, "maintenance.disabled", map[string]any{"since": was.Since}))
		}
		return nil
	})
	if err != nil {
		return out{}, err
	}
	return now.out(), m.changed(ctx)
}

func event(ctx context.Context, kind string, metadata map[string]any) journal.Event {
	data, err := json.Marshal(metadata)
	if err != nil {
		data = nil // of texts and times: it cannot fail
	}
	return journal.Event{Type: kind, Actor: api.ActorOf(ctx).ID, Data: data}
}
