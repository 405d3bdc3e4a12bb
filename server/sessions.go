package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"paygate/store"
	"paygate/store/ledger"
)

// sessionRecord is what an MCP session needs to be revived after a restart.
type sessionRecord struct {
	ID     string    `json:"id"`
	Caller string    `json:"caller"`
	Init   []byte    `json:"init"`
	At     time.Time `json:"at"`
}

func sessionTable() store.Table[sessionRecord] {
	return store.Table[sessionRecord]{Name: "sessions", ID: func(s *sessionRecord) string { return s.ID }}
}

// sessionStore keeps sessions beside the books. It is the mcp.SessionStore.
type sessionStore struct{ book *ledger.Book }

// SaveSession remembers a session.
func (s *sessionStore) SaveSession(id, caller string, init []byte) error {
	return s.book.Apply(context.Background(), func(tx *ledger.Tx) error {
		return sessionTable().Put(tx, &sessionRecord{ID: id, Caller: caller, Init: init, At: tx.Now()})
	})
}

// LoadSession finds one again.
func (s *sessionStore) LoadSession(id string) (caller string, init []byte, ok bool) {
	err := s.book.DB().View(func(snap *store.Snapshot) error {
		r, err := sessionTable().Get(snap, id)
		if err == nil {
			caller, init = r.Caller, append([]byte(nil), r.Init...)
		}
		return err
	})
	return caller, init, err == nil
}

// mostSessionAge is how long a session is remembered whose client never came
// back after a restart.
const mostSessionAge = 7 * 24 * time.Hour

// Purge forgets sessions that are too old.
func (s *sessionStore) Purge(ctx context.Context) error {
	return s.book.Apply(ctx, func(tx *ledger.Tx) error {
		var old []string
		for r, err := range sessionTable().All(tx, "") {
			if err != nil {
				return err
			}
			if tx.Now().Sub(r.At) > mostSessionAge {
				old = append(old, r.ID)
			}
		}
		for _, id := range old {
			if err := sessionTable().Delete(tx, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteSession forgets one.
func (s *sessionStore) DeleteSession(id string) error {
	return s.book.Apply(context.Background(), func(tx *ledger.Tx) error { return sessionTable().Delete(tx, id) })
}

// sealSecret is the secret that seals request states: made once, and kept in
// the state folder, readable by its owner only.
func sealSecret(dir string, rand io.Reader) ([]byte, error) {
	path := filepath.Join(dir, "seal.key")
	secret, err := os.ReadFile(path)
	if err == nil && len(secret) >= 32 {
		return secret, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	secret = make([]byte, 32)
	if _, err := io.ReadFull(rand, secret); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return secret, os.WriteFile(path, secret, 0o600)
}
