package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"paygate/store"
)

const walFile = "paygate.wal"

// everything is what a state has in the buckets of these tests.
func everything(t testing.TB, db *store.DB) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := db.View(func(s *store.Snapshot) error {
		for _, bucket := range []string{"a", "b"} {
			s.Ascend(bucket, nil, func(k, v []byte) bool {
				got[bucket+"/"+string(k)] = string(v)
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// killed is a copy of what is on disk, as a kill at this moment would leave it.
func killed(t testing.TB, dir string) string {
	t.Helper()
	to, err := os.MkdirTemp(t.TempDir(), "killed")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{store.FileName, walFile} {
		if err := copySparse(filepath.Join(dir, name), filepath.Join(to, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return to
}

// copySparse leaves out the holes, which are most of a small state, where the
// system can tell them.
func copySparse(from, to string) error {
	const data, hole = 3, 4 // of lseek
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	size, err := src.Seek(0, io.SeekEnd)
	if err != nil {
		return errors.Join(err, dst.Close())
	}
	for at := int64(0); at < size; {
		end := size
		if next, err := src.Seek(at, data); errors.Is(err, syscall.ENXIO) {
			break // only a hole is left
		} else if err == nil {
			at = next
			if next, err := src.Seek(at, hole); err == nil {
				end = next
			}
		}
		if _, err := io.Copy(io.NewOffsetWriter(dst, at), io.NewSectionReader(src, at, end-at)); err != nil {
			return errors.Join(err, dst.Close())
		}
		at = end
	}
	return errors.Join(dst.Truncate(size), dst.Close())
}

func opened(t testing.TB, dir string, o store.Options) *store.DB {
	t.Helper()
	db, err := store.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// Whatever is committed, by which way ever and in whichever order, is there for
// readers, after a kill, after a failed commit and after a stop.
func TestTheLogAndTheDatabaseAreOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "state")
		if err != nil {
			rt.Fatal(err)
		}
		var fails atomic.Bool
		o := store.Options{Fault: func() error {
			if fails.Load() {
				return errors.New("the disk is full")
			}
			return nil
		}}
		db := opened(t, dir, o)
		defer func() { _ = db.Close() }()
		want := map[string]string{}
		write := func(tx *store.Tx, next map[string]string) error {
			for range rapid.IntRange(1, 4).Draw(rt, "changes") {
				bucket, key := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "bucket"), rapid.StringMatching("[a-e]").Draw(rt, "key")
				if got, has := tx.Get(bucket, []byte(key)), next[bucket+"/"+key]; string(got) != has {
					return fmt.Errorf("%s/%s is %.10q in a commit, want %.10q", bucket, key, got, has)
				}
				if rapid.IntRange(0, 3).Draw(rt, "kind") == 0 {
					delete(next, bucket+"/"+key)
					if err := tx.Delete(bucket, []byte(key)); err != nil {
						return err
					}
					continue
				}
				value := rapid.SliceOfN(rapid.Byte(), 1, 3).Draw(rt, "value")
				value = bytes.Repeat(value, rapid.SampledFrom([]int{1, 100, 30_000}).Draw(rt, "times"))
				next[bucket+"/"+key] = string(value)
				if err := tx.Put(bucket, []byte(key), value); err != nil {
					return err
				}
			}
			return nil
		}
		commit := func(by func(func(*store.Tx) error) error) {
			next := maps.Clone(want)
			if err := by(func(tx *store.Tx) error { return write(tx, next) }); err != nil {
				rt.Fatal(err)
			}
			want = next
		}
		steps := map[string]func(){
			"log":    func() { commit(db.Log) },
			"log on": func() { commit(db.Log) },
			"update": func() { commit(db.Update) },
			"fail": func() {
				fails.Store(true)
				if err := db.Log(func(tx *store.Tx) error { return tx.Put("a", []byte("lost"), []byte("lost")) }); err == nil {
					rt.Fatal("a commit that failed was taken for good")
				}
				fails.Store(false)
				if err := db.Reopen(); err != nil {
					rt.Fatal(err)
				}
			},
			"kill": func() {
				left := killed(t, dir)
				_ = db.Close()
				dir, db = left, opened(t, left, o)
			},
			"stop": func() {
				if err := db.Close(); err != nil {
					rt.Fatal(err)
				}
				if _, err := os.Stat(filepath.Join(dir, walFile)); !errors.Is(err, os.ErrNotExist) {
					rt.Fatal("a stop leaves the log behind")
				}
				db = opened(t, dir, o)
			},
			"read": func() {
				if got := everything(t, db); !maps.Equal(got, want) {
					rt.Fatalf("%d keys, want %d", len(got), len(want))
				}
			},
		}
		for range rapid.IntRange(1, 15).Draw(rt, "steps") {
			steps[rapid.SampledFrom(slices.Sorted(maps.Keys(steps))).Draw(rt, "step")]()
		}
		if got := everything(t, db); !maps.Equal(got, want) {
			rt.Fatalf("in the end %d keys, want %d", len(got), len(want))
		}
	})
}

// A power cut leaves the last record half written: it alone is lost.
func TestARecordThatWasNotWrittenWholeIsTheEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := opened(t, dir, store.Options{})
	defer func() { _ = db.Close() }()
	mark := []byte("the value of record ")
	for i := range 5 {
		if err := db.Log(func(tx *store.Tx) error {
			return tx.Put("a", []byte{'0' + byte(i)}, append(bytes.Clone(mark), '0'+byte(i)))
		}); err != nil {
			t.Fatal(err)
		}
	}
	for torn := range 5 {
		left := killed(t, dir)
		raw, err := os.ReadFile(filepath.Join(left, walFile))
		if err != nil {
			t.Fatal(err)
		}
		raw[bytes.Index(raw, append(bytes.Clone(mark), '0'+byte(torn)))] ^= 1
		if err := os.WriteFile(filepath.Join(left, walFile), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		again := opened(t, left, store.Options{})
		if got := everything(t, again); len(got) != torn {
			t.Errorf("with record %d torn %d are left", torn, len(got))
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Somebody puts back an older copy of the database and leaves the log of the
// newer one beside it.
func TestALogOfAnotherHistoryIsNotBroughtIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(db *store.DB, key string) {
		t.Helper()
		if err := db.Log(func(tx *store.Tx) error { return tx.Put("a", []byte(key), []byte(key)) }); err != nil {
			t.Fatal(err)
		}
	}
	db := opened(t, dir, store.Options{})
	put(db, "one")
	other := killed(t, dir) // from here on there are two histories
	put(db, "two")
	put(db, "three")
	log := killed(t, dir)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = opened(t, other, store.Options{})
	put(db, "other")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(log, walFile), filepath.Join(other, walFile)); err != nil {
		t.Fatal(err)
	}
	db = opened(t, other, store.Options{})
	defer func() { _ = db.Close() }()
	if got := everything(t, db); len(got) != 2 || got["a/other"] == "" {
		t.Errorf("it has %v", got)
	}
}

// While the disk takes nothing, what is in the database can be read, and what
// was committed is there when it takes something again.
func TestAFullDiskLosesNothingThatWasCommitted(t *testing.T) {
	t.Parallel()
	dir, full := t.TempDir(), errors.New("no space left")
	var fault error
	db := opened(t, dir, store.Options{Fault: func() error { return fault }})
	defer func() { _ = db.Close() }()
	put := func(key string) error {
		return db.Log(func(tx *store.Tx) error { return tx.Put("a", []byte(key), []byte(key)) })
	}
	if err := put("one"); err != nil {
		t.Fatal(err)
	}
	fault = full
	everything(t, db) // cannot bring it in
	if err := put("two"); !errors.Is(err, full) {
		t.Fatalf("a commit on a full disk: %v", err)
	}
	if err := db.Reopen(); !errors.Is(err, full) {
		t.Fatalf("opened on a full disk: %v", err)
	}
	everything(t, db)
	fault = nil
	if err := errors.Join(db.Reopen(), put("three")); err != nil {
		t.Fatal(err)
	}
	if got := everything(t, db); len(got) != 2 || got["a/one"] == "" || got["a/three"] == "" {
		t.Errorf("it has %v", got)
	}
}

// Readers see every commit that was made before they looked, while the log
// turns over beside them.
func TestReadersSeeWhatWasCommittedBefore(t *testing.T) {
	t.Parallel()
	db := opened(t, t.TempDir(), store.Options{})
	defer func() { _ = db.Close() }()
	var mu sync.Mutex
	last := 0
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				mu.Lock()
				want := last
				mu.Unlock()
				got := 0
				err := db.View(func(s *store.Snapshot) error {
					s.Descend("a", nil, func(k, _ []byte) bool { var err error; got, err = strconv.Atoi(string(k)); return err != nil })
					return nil
				})
				if err != nil || got < want {
					t.Errorf("a reader sees %d of %d: %v", got, want, err)
					return
				}
			}
		})
	}
	value := bytes.Repeat([]byte("x"), 20_000)
	for i := 1; i <= 300; i++ {
		if err := db.Log(func(tx *store.Tx) error { return tx.Append("a", fmt.Appendf(nil, "%06d", i), value) }); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		last = i
		mu.Unlock()
	}
	close(done)
	readers.Wait()
}

// A log that was left behind belongs to a state that is gone: what is restored
// is the backup, and nothing that came after it.
func TestARestoreIsNotCarriedOnByALogThatWasLeftBehind(t *testing.T) {
	t.Parallel()
	dir, again := t.TempDir(), t.TempDir()
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	log := func(value string) {
		t.Helper()
		if err := db.Log(func(tx *store.Tx) error { return tx.Put("b", []byte("k"), []byte(value)) }); err != nil {
			t.Fatal(err)
		}
	}
	log("one")
	var backup bytes.Buffer
	if err := db.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	log("two")
	left, err := os.ReadFile(filepath.Join(dir, walFile))
	if err == nil {
		err = os.WriteFile(filepath.Join(again, walFile), left, 0o600)
	}
	if err == nil {
		err = store.Restore(t.Context(), again, &backup)
	}
	if err != nil {
		t.Fatal(err)
	}
	fresh := t.TempDir()
	if err := os.WriteFile(filepath.Join(fresh, walFile), left, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, open(t, fresh)); got["b/k"] != "" {
		t.Errorf("a new state begins with %q", got)
	}
	restored, err := store.Open(again, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = restored.Close() }()
	err = restored.View(func(s *store.Snapshot) error {
		if got := s.Get("b", []byte("k")); string(got) != "one" {
			t.Errorf("it has %q, the backup has %q", got, "one")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
