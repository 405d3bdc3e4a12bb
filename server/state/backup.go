package state

import (
	"context"
	"errors"
	"fmt"
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
