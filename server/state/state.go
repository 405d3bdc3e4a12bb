// Package state opens the state folder, for a gateway that serves it and for the
// commands that work on it while none runs: doctor, backup, restore, compact and
// a reset of the admin key.
//
// It knows whose tables the journal vouches for. What they mean is their owners'
// business.
package state

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	"paygate/server/feature/dedup"
	"paygate/server/feature/maintenance"
	"paygate/server/feature/retention"
	"paygate/server/keys"
	"paygate/shadow"
	"paygate/store"
	"paygate/store/ledger"
	"paygate/store/sheets"
)

// Options are what Open needs beside the folder.
type Options struct {
	Now func() time.Time
	Log *slog.Logger // nil: says nothing
	// Fault is asked before every commit and its error fails it: a full disk in
	// tests. Nil never fails.
	Fault func() error
}

// Open opens the books of a state folder. The error wraps store.ErrLocked,
// store.ErrTooNew or store.ErrCorrupt where that is the matter.
func Open(dir string, o Options) (*ledger.Book, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	db, err := store.Open(dir, store.Options{Fault: o.Fault})
	if err != nil {
		return nil, err
	}
	book, err := ledger.Open(db, ledger.Options{Now: o.Now, Log: o.Log, Sheet: sheets.Of(db), Tables: proved()})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return book, nil
}

// proved are the tables whose every record the journal vouches for.
func proved() []store.Proved {
	return slices.Concat(keys.Tables(), sheets.Tables(), shadow.Tables(), dedup.Tables(), maintenance.Tables(), []store.Proved{retention.Anchors(), modes()})
}
