package state

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"paygate/server/keys"
)

// ResetAdmin replaces the bootstrap admin key of a state that no gateway uses.
func ResetAdmin(ctx context.Context, dir string, now func() time.Time, rand io.Reader) (string, error) {
	book, err := Open(dir, Options{Now: now})
	if err != nil {
		return "", err
	}
	d, err := keys.Open(keys.Options{Book: book, Now: now, Rand: rand, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", errors.Join(err, book.Close())
	}
	key, err := d.ResetAdmin(ctx, "command line")
	return key, errors.Join(err, book.Close())
}
