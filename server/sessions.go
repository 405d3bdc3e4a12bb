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
	"paygate/store/journal"
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

// sessionStore keeps sessions beside the books, and their beginnings and ends in
// the audit trail. It is the mcp.SessionStore.
type sessionStore struct {
	book   *ledger.Book
	masked func(key string) string // how the trail names a caller
}

// SaveSession remembers a session.
func (s *sessionStore) SaveSession(id, caller string, init []byte) error {
	return s.book.Apply(context.Background(), func(tx *ledger.Tx) error {
		_, err := sessionTable().Get(tx, id)
		fresh := errors.Is(err, store.ErrNotFound)
		if err != nil && !fresh {
			return err
		}
		if err := sessionTable().Put(tx, &sessionRecord{ID: id, Caller: caller, Init: init, At: tx.Now()}); err != nil || !fresh {
			return err
		}
		return tx.Append(s.event("session.created", id, caller))
	})
}

// event names a session by its beginning: the whole id would let others end it.
func (s *sessionStore) event(kind, id, caller string) journal.Event {
	const shown = 16
	return journal.Event{Type: kind, Actor: s.masked(caller), Subject: caller, Data: data(map[string]any{"sessionId": id[:min(shown, len(id))] + "..."})}
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
	return s.book.Apply(context.Background(), func(tx *ledger.Tx) error {
		r, err := sessionTable().Get(tx, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := sessionTable().Delete(tx, id); err != nil {
			return err
		}
		return tx.Append(s.event("session.destroyed", id, r.Caller))
	})
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
