package server

import (
	"context"
	"errors"
	"strings"
	"time"

	"paygate/server/api"
	"paygate/store"
	"paygate/store/ledger"
)

// maintenance is the switch that makes /mcp answer 503. It is kept over a
// restart.
type maintenance struct {
	ID      string    `json:"id"`
	Enabled bool      `json:"enabled"`
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
}

func maintenanceTable() store.Table[maintenance] {
	return store.Table[maintenance]{Name: "maintenance", Proved: true, ID: func(m *maintenance) string { return m.ID }}
}

func (s *Server) readMaintenance() (*maintenance, error) {
	m := &maintenance{ID: "one"}
	err := s.book.DB().View(func(snap *store.Snapshot) error {
		found, err := maintenanceTable().Get(snap, "one")
		if err == nil {
			m = found
		}
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	return m, err
}

// maintenanceMessage is what agents are told; empty: no maintenance.
func (s *Server) maintenanceMessage() (string, error) {
	m, err := s.readMaintenance()
	if err != nil || !m.Enabled {
		return "", err
	}
	return m.Message, nil
}

type maintenanceIn struct {
	Enabled any    `json:"enabled"`
	Message string `json:"message"`
}

type maintenanceOut struct {
	Enabled bool       `json:"enabled"`
	Message *string    `json:"message"`
	Since   *time.Time `json:"since"`
}

func (m *maintenance) out() maintenanceOut {
	if !m.Enabled {
		return maintenanceOut{}
	}
	return maintenanceOut{true, &m.Message, &m.Since}
}

func (s *Server) getMaintenance(context.Context, api.None) (maintenanceOut, error) {
	m, err := s.readMaintenance()
	if err != nil {
		return maintenanceOut{}, err
	}
	return m.out(), nil
}

func (s *Server) setMaintenance(ctx context.Context, in maintenanceIn) (maintenanceOut, error) {
	on, ok := in.Enabled.(bool)
	if !ok {
		return maintenanceOut{}, api.BadRequest("enabled must be true or false")
	}
	message := strings.TrimSpace(in.Message)
	if message == "" {
		message = "Server is under maintenance"
	}
	if runes := []rune(message); len(runes) > 500 {
		message = string(runes[:500])
	}
	was, err := s.readMaintenance()
	if err != nil {
		return maintenanceOut{}, err
	}
	now := &maintenance{ID: "one", Enabled: on, Message: message}
	err = s.book.Apply(ctx, func(tx *ledger.Tx) error {
		now.Since = tx.Now()
		if err := maintenanceTable().Put(tx, now); err != nil {
			return err
		}
		switch {
		case on:
			return tx.Append(eventOf(ctx, "maintenance.enabled", map[string]any{"message": message}))
		case was.Enabled:
			return tx.Append(eventOf(ctx, "maintenance.disabled", map[string]any{"since": was.Since}))
		}
		return nil
	})
	if err != nil {
		return maintenanceOut{}, err
	}
	return now.out(), s.Compile(ctx)
}
