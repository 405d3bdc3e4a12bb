// Package books opens books for tests that are about something else.
package books

import (
	"log/slog"
	"time"

	"paygate/store"
	"paygate/store/ledger"
)

type tester interface {
	Helper()
	Fatal(args ...any)
}

// Open opens the books in a folder. They say nothing, and sweep when they are
// asked to: a sweep at a moment of its own would surprise a test.
func Open(t tester, dir string, o ledger.Options) *ledger.Book {
	t.Helper()
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o.Log, o.SweepEvery = slog.New(slog.DiscardHandler), time.Hour
	book, err := ledger.Open(db, o)
	if err != nil {
		t.Fatal(err)
	}
	return book
}
