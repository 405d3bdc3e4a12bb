package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Compact writes the state of a folder anew without its free pages, which a
// bbolt file otherwise keeps for ever, and says the sizes before and after. No
// other process may have it open. It needs room for a second copy meanwhile.
func Compact(dir string) (before, after int64, err error) {
	path := filepath.Join(dir, FileName)
	if _, err := os.Stat(path); err != nil {
		return 0, 0, fmt.Errorf("compact: %w", err)
	}
	if err := settle(dir); err != nil {
		return 0, 0, err
	}
	src, err := open(path, &bolt.Options{Timeout: 200 * time.Millisecond, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return 0, 0, err
	}
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, 0, errors.Join(fmt.Errorf("compact: %w", err), src.Close())
	}
	dst, err := open(part, &bolt.Options{FreelistType: bolt.FreelistMapType, NoSync: true})
	if err != nil {
		return 0, 0, errors.Join(err, src.Close())
	}
	const txBytes = 4 << 20
	err = bolt.Compact(dst, src, txBytes)
	if err == nil {
		err = dst.Sync()
	}
	if err = errors.Join(err, dst.Close()); err != nil {
		return 0, 0, errors.Join(fmt.Errorf("compact: %w", err), src.Close(), os.Remove(part))
	}
	before, after = size(path), size(part)
	// The old file stays locked until the new one has its name, so nobody can
	// open it in between and write into what is about to vanish.
	return before, after, errors.Join(replace(part, path), src.Close())
}

// settle brings what a gateway that was killed left in the write-ahead log into
// the database.
func settle(dir string) error {
	db, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	return db.Close()
}

// CompactIfMostlyFree is Compact for a file of at least so many bytes of which
// half or more are free; otherwise it does nothing, and after is 0.
func CompactIfMostlyFree(dir string, least int64) (before, after int64, err error) {
	path := filepath.Join(dir, FileName)
	if before = size(path); before == 0 || before < least {
		return before, 0, nil
	}
	db, err := open(path, &bolt.Options{Timeout: 200 * time.Millisecond, ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		return before, 0, err
	}
	used := int64(0)
	err = db.View(func(tx *bolt.Tx) error {
		used = tx.Size() - int64(db.Stats().FreePageN)*int64(db.Info().PageSize)
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return before, 0, fmt.Errorf("%s: %w", path, err)
	}
	if used > before/2 {
		return before, 0, nil
	}
	return Compact(dir)
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// replace gives a finished file its name, for good once it returns.
func replace(part, path string) error {
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	return syncFolder(path)
}

// syncFolder makes a file's name last.
func syncFolder(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("folder: %w", err)
	}
	// Not every system can sync a folder; what was done in it has happened.
	_ = dir.Sync()
	return dir.Close()
}
