package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// tamper changes the file while no book is open.
func (r *rig) tamper(t *testing.T, fn func(tx *store.Tx) error) {
	t.Helper()
	r.close(t)
	db, err := store.Open(r.dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
	r.open(t)
}

// someBooks have a few blocks of calls and acts.
func someBooks(t *testing.T) *rig {
	t.Helper()
	r := testRig(t)
	r.topup(t, "1", "key_a", 100)
	for i := range 5 {
		r.pay(t, fmt.Sprint(i), "key_a", "dear", rate("key_a", 50))
	}
	return r
}

func faults(t *testing.T, r *rig) string {
	t.Helper()
	p, err := r.Verify(context.Background(), nil)
	if err != nil {
		return err.Error()
	}
	return strings.Join(p.Faults, "\n")
}

func TestAProofFindsWhatWasTamperedWith(t *testing.T) {
	t.Parallel()
	block := func(tx *store.Tx, n int) (key, raw []byte) {
		tx.Ascend(journal.Bucket, nil, func(k, v []byte) bool {
			key, raw = append([]byte(nil), k...), append([]byte(nil), v...)
			n--
			return n >= 0
		})
		return key, raw
	}
	t.Run("a block that reads well and is another one", func(t *testing.T) {
		t.Parallel()
		r := someBooks(t)
		r.tamper(t, func(tx *store.Tx) error {
			key, raw := block(tx, 3)
			b, err := journal.Decode(raw)
			if err != nil {
				return err
			}
			var events []*journal.Event
			var opens []*journal.Call
			for _, a := range b.Acts {
				if a.Event != nil {
					if a.Event.Call != nil {
						a.Event.Call.Gate++ // worth nothing, and still found
						a.Event.Call.Gate += 1000
					}
					events = append(events, a.Event)
				} else if !a.Ended {
					opens = append(opens, a.Admit)
				}
			}
			return tx.Put(journal.Bucket, key, journal.Encode(b.Prev, b.First, b.Last, events, opens))
		})
		if got := faults(t, r); !strings.Contains(got, "hash differs") {
			t.Fatalf("found %q", got)
		}
	})
	t.Run("a block that is gone", func(t *testing.T) {
		t.Parallel()
		r := someBooks(t)
		r.tamper(t, func(tx *store.Tx) error {
			key, _ := block(tx, 2)
			return tx.Delete(journal.Bucket, key)
		})
		if got := faults(t, r); !strings.Contains(got, "missing") {
			t.Fatalf("found %q", got)
		}
	})
	t.Run("a balance", func(t *testing.T) {
		t.Parallel()
		r := someBooks(t)
		var copied []byte
		r.tamper(t, func(tx *store.Tx) error { // the richer state of before
			copied = append(copied, tx.Get("cells", []byte{0, 0, 0, 0})...)
			return nil
		})
		r.pay(t, "more", "key_a", "dear")
		r.tamper(t, func(tx *store.Tx) error {
			// claims to have every act up to now
			var seq uint64
			for n := range 9 {
				if copied[n] < 0x80 {
					copied = copied[n+1:]
					break
				}
			}
			_, raw := block(tx, 1<<20)
			_, seq, _, err := journal.Link(raw)
			if err != nil {
				return err
			}
			return tx.Put("cells", []byte{0, 0, 0, 0}, append(uvarint(seq), copied...))
		})
		if got := faults(t, r); !strings.Contains(got, "key:key_a: the balance is") {
			t.Fatalf("found %q", got)
		}
	})
}

func uvarint(n uint64) (b []byte) {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// A damaged cell or block ends the start with a sentence, and never a panic.
func TestDamageIsSaidAtTheStart(t *testing.T) {
	t.Parallel()
	r := someBooks(t)
	r.close(t)
	db, err := store.Open(r.dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(func(tx *store.Tx) error {
		return tx.Put("cells", []byte{0, 0, 0, 0}, []byte{1, 2, 3})
	}), db.Close()); err != nil {
		t.Fatal(err)
	}
	db, err = store.Open(r.dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := ledger.Open(db, ledger.Options{Now: r.clock.Now}); !errors.Is(err, store.ErrCorrupt) {
		t.Fatalf("opened: %v", err)
	}
}

// A scenario with dearer prices refuses what reality let through, and books of
// its own never go below zero.
func TestAScenarioHasItsOwnWallets(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.topup(t, "1", "key_a", 20)
	for i := range 10 { // 2 each
		r.pay(t, fmt.Sprint(i), "key_a", "plain")
	}
	if err := r.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	dear := pricing.FromTools(pricing.ToolPrice{PerCall: 6}, nil, false)
	s := ledger.NewScenario(nil, func(*journal.Call) *pricing.Sheet { return dear })
	paid, refused := pricing.Credits(0), 0
	err := journal.Blocks(nil, r.DB(), 0, func(raw []byte) (bool, error) {
		b, err := journal.Decode(raw)
		if err != nil {
			return false, err
		}
		for _, a := range b.Acts {
			for _, v := range s.Act(a) {
				paid += v.Paid
				if !v.Ended && !v.Admitted {
					refused++
				}
			}
		}
		return true, nil
	})
	if err != nil || paid != 18 || refused != 7 {
		t.Fatalf("paid %d, refused %d, %v", paid, refused, err)
	}
	wantCredits(t, r, "key_a", 0)
}
