package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"paygate/store"
)

// Backup writes a backup of a state that no gateway uses into a new file, which
// has its name when it is whole: half a backup is none.
func Backup(ctx context.Context, dir, to string) error {
	if _, err := os.Stat(to); err == nil {
		return fmt.Errorf("%s is there already; give the backup another name with --to", to)
	}
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		return err
	}
	return errors.Join(db.BackupFile(ctx, to), db.Close())
}

// Restore makes a state of a backup, in a folder that has none.
func Restore(ctx context.Context, dir, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	err = errors.Join(store.Restore(ctx, dir, f), f.Close())
	if errors.Is(err, store.ErrExists) {
		return fmt.Errorf("%w in %s; restore into another folder with --state-dir", err, dir)
	}
	return err
}

// Compact gives free space of a state that no gateway uses back to the disk.
func Compact(dir string, out io.Writer) error {
	before, after, err := store.Compact(dir)
	if err != nil {
		return err
	}
	const mega = 1e6
	_, err = fmt.Fprintf(out, "%s: %.1f MB before, %.1f MB now\n", dir, float64(before)/mega, float64(after)/mega)
	return err
}
