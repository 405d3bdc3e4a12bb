package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// record is one of a file, and a way to make it another one.
type record struct {
	bucket     string
	key, value []byte
}

// what a proof cannot know: the index only finds things faster, meta is the
// file's, and of the head only where folding begins.
func provable(r record) bool {
	return !slices.Contains([]string{"index", "meta"}, r.bucket) && string(r.key) != "head"
}

// judged opens a copy of a file in which one record is changed (nil: deleted)
// and gives what is said against it.
func (r *rig) judged(t *testing.T, file []byte, change record) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, store.FileName), file, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *store.Tx) error {
		if change.value == nil {
			return tx.Delete(change.bucket, change.key)
		}
		return tx.Put(change.bucket, change.key, change.value)
	})
	if err != nil {
		t.Fatal(err)
	}
	book, err := ledger.Open(db, ledger.Options{Now: r.clock.Now, Log: slog.New(slog.DiscardHandler), SweepEvery: time.Hour,
		Sheet: func(hash string) (*pricing.Sheet, error) {
			if hash != r.sheet.Hash() {
				return nil, errors.New("unknown sheet")
			}
			return r.sheet, nil
		}})
	if err != nil {
		return errors.Join(err, db.Close()).Error()
	}
	p, err := book.Verify(context.Background(), nil)
	if err := errors.Join(err, book.Close()); err != nil {
		return err.Error()
	}
	return strings.Join(p.Faults, "\n")
}

// Whoever changes any part of the books behind the gateway's back is found,
// also in what was written last, and in what is promised.
func TestAProofFindsAChangeAnywhere(t *testing.T) {
	t.Parallel()
	r := someBooks(t)
	if _, err := r.Hold(t.Context(), ledger.HoldRequest{ID: "rsv_1", Key: "key_a", Credits: 7, TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	c := r.call("parked", "key_a", "dear")
	if err := errors.Join(r.Reserve(c), r.Park(t.Context(), c, r.clock.Now().Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	r.close(t)
	file, err := os.ReadFile(filepath.Join(r.dir, store.FileName))
	if err != nil {
		t.Fatal(err)
	}
	var records []record
	db, err := store.Open(r.dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(func(s *store.Snapshot) error {
		for _, b := range s.Buckets() {
			s.Ascend(b, nil, func(k, v []byte) bool {
				records = append(records, record{b, bytes.Clone(k), bytes.Clone(v)})
				return true
			})
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if got := r.judged(t, file, records[0]); got != "" {
		t.Fatalf("nothing was changed, and it says %s", got)
	}
	for i, was := range records {
		if !provable(was) {
			continue
		}
		if got := r.judged(t, file, record{was.bucket, was.key, nil}); got == "" && string(was.key) != "tip" {
			t.Errorf("%s %q can be deleted", was.bucket, was.key)
		}
		at := 30 + 7*i%20 // deep enough to mean something
		if was.bucket == journal.Bucket {
			at = len(was.value) - 1 - 5*i%40
		}
		if at >= len(was.value) {
			continue
		}
		is := record{was.bucket, was.key, bytes.Clone(was.value)}
		is.value[at] ^= 1
		if got := r.judged(t, file, is); got == "" {
			t.Errorf("byte %d of %s %q can be changed: %q", at, was.bucket, was.key, is.value)
		}
	}
}
