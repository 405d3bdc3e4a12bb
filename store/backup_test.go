package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"paygate/store"
)

func number(raw []byte) int {
	if raw == nil {
		return 0
	}
	return int(binary.BigEndian.Uint64(raw[len(raw)-8:]))
}

func put(tx *store.Tx, bucket string, key, n int) error {
	return tx.Put(bucket, fmt.Appendf(nil, "%06d", key), binary.BigEndian.AppendUint64(make([]byte, 400), uint64(n)))
}

// contents is every key of every bucket.
func contents(t *testing.T, db *store.DB) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := db.View(func(s *store.Snapshot) error {
		for _, b := range s.Buckets() {
			s.Ascend(b, nil, func(k, v []byte) bool { out[b+"/"+string(k)] = string(v); return true })
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func restored(t *testing.T, backup []byte) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "new")
	if err := store.Restore(context.Background(), dir, bytes.NewReader(backup)); err != nil {
		t.Fatal(err)
	}
	return contents(t, open(t, dir))
}

func TestABackupComesBackWhole(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir())
	update(t, db, func(tx *store.Tx) error {
		return errors.Join(put(tx, "a", 1, 7), put(tx, "b", 1, 8), put(tx, "b", 2, 9))
	})
	var out bytes.Buffer
	if err := db.Backup(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	want, got := contents(t, db), restored(t, out.Bytes())
	if len(want) != len(got) {
		t.Fatalf("%d keys became %d", len(want), len(got))
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s: %q became %q", k, v, got[k])
		}
	}
}

// slow calls between whenever a part of the backup is written.
type slow struct {
	bytes.Buffer
	between func()
}

func (s *slow) Write(p []byte) (int, error) {
	s.between()
	return s.Buffer.Write(p)
}

// Values move between keys of two buckets, keys come and go, all while the
// backup is written: what it holds is one moment.
func TestABackupIsOfOneMoment(t *testing.T) {
	t.Parallel()
	const keys, each = 3000, 100
	db := open(t, t.TempDir())
	update(t, db, func(tx *store.Tx) error {
		for i := range keys {
			if err := errors.Join(put(tx, "a", i, each), put(tx, "z", i, each)); err != nil {
				return err
			}
		}
		return nil
	})
	before := contents(t, db)
	round := 0
	out := &slow{between: func() {
		round++
		update(t, db, func(tx *store.Tx) error {
			for i := range 50 {
				from, to := (i*7919+round*104729)%keys, (i*31+round*1299709)%keys
				a, z := number(tx.Get("a", fmt.Appendf(nil, "%06d", from))), number(tx.Get("z", fmt.Appendf(nil, "%06d", to)))
				err := errors.Join(put(tx, "z", to, z+a), tx.Delete("a", fmt.Appendf(nil, "%06d", from)), put(tx, "new", round*50+i, 1), put(tx, "a", keys+i+50*round, 1))
				if err != nil {
					return err
				}
			}
			return nil
		})
	}}
	if err := db.Backup(context.Background(), out); err != nil {
		t.Fatal(err)
	}
	if round < 3 {
		t.Fatalf("only %d changes while the backup ran", round)
	}
	got := restored(t, out.Bytes())
	if len(got) != len(before) {
		t.Fatalf("%d keys became %d", len(before), len(got))
	}
	for k, v := range before {
		if got[k] != v {
			t.Fatalf("%s: %q became %q", k, v, got[k])
		}
	}
}

func TestADamagedBackupRestoresNothing(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir())
	update(t, db, func(tx *store.Tx) error { return put(tx, "a", 1, 7) })
	var out bytes.Buffer
	if err := db.Backup(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	whole := out.Bytes()
	for _, n := range []int{0, 5, len(whole) / 2, len(whole) - 9} {
		dir := t.TempDir()
		if err := store.Restore(context.Background(), dir, bytes.NewReader(whole[:n])); err == nil {
			t.Errorf("%d of %d bytes were taken", n, len(whole))
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("a failed restore left %v, %v", left, err)
		}
	}
}

func TestRestoreOverwritesNoState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	if err := store.Restore(context.Background(), dir, bytes.NewReader(nil)); !errors.Is(err, store.ErrExists) {
		t.Fatal(err)
	}
}

func TestCompactShrinksAndKeepsEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := open(t, dir)
	update(t, db, func(tx *store.Tx) error {
		for i := range 20_000 {
			if err := tx.Append("big", fmt.Appendf(nil, "%06d", i), make([]byte, 200)); err != nil {
				return err
			}
		}
		return put(tx, "a", 1, 7)
	})
	update(t, db, func(tx *store.Tx) error {
		for i := range 19_000 {
			if err := tx.Delete("big", fmt.Appendf(nil, "%06d", i)); err != nil {
				return err
			}
		}
		return nil
	})
	want := contents(t, db)
	if _, _, err := store.Compact(dir); !errors.Is(err, store.ErrLocked) {
		t.Fatalf("compacted an open state: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, after, err := store.CompactIfMostlyFree(dir, 1<<40); after != 0 || err != nil {
		t.Fatalf("a small file was written anew: %d, %v", after, err)
	}
	before, after, err := store.CompactIfMostlyFree(dir, 1<<20)
	if err != nil || after == 0 || after*2 > before {
		t.Fatalf("from %d to %d: %v", before, after, err)
	}
	if _, again, err := store.CompactIfMostlyFree(dir, 1); again != 0 || err != nil {
		t.Fatalf("a full file was written anew: %d, %v", again, err)
	}
	if _, same, err := store.Compact(dir); err != nil || same > after {
		t.Fatalf("from %d to %d: %v", after, same, err)
	}
	got := contents(t, open(t, dir))
	if len(got) != len(want) {
		t.Fatalf("%d keys became %d", len(want), len(got))
	}
}
