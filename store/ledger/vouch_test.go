package ledger_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
)

type pet struct{ ID, Name string }

func pets() store.Table[pet] {
	return store.Table[pet]{Name: "pets", Proved: true, ID: func(p *pet) string { return p.ID },
		Unique: map[string]func(*pet) []string{"name": func(p *pet) []string { return []string{p.Name} }}}
}

func (r *rig) write(t *testing.T, fn func(tx *ledger.Tx) error) {
	t.Helper()
	if err := r.Apply(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) pet(t *testing.T, id, name string) {
	t.Helper()
	r.write(t, func(tx *ledger.Tx) error { return pets().Put(tx, &pet{id, name}) })
}

// faults is what a proof says after somebody has written beside the books.
func (r *rig) faults(t *testing.T, write func(tx *store.Tx) error) string {
	t.Helper()
	r.close(t)
	db, err := store.Open(r.dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(write); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	r.open(t)
	p, err := r.Verify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(p.Faults, "\n")
}

func TestTheJournalVouchesForRecordsThatWereThereBefore(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	for i := range 1200 { // more than a lot
		r.write(t, func(tx *ledger.Tx) error {
			return tx.Put("t/pets", fmt.Appendf(nil, "old%04d", i), fmt.Appendf(nil, `{"ID":"old%04d"}`, i))
		})
	}
	r.tables = []store.Proved{pets()}
	for range 2 { // once, whatever follows
		r.close(t)
		r.open(t)
		if p := r.prove(t); p.Records != 1200 {
			t.Fatalf("%d records are proved, want 1200", p.Records)
		}
	}
	r.pet(t, "old0007", "Bello")
	r.write(t, func(tx *ledger.Tx) error { return pets().Delete(tx, "old0008") })
	r.prove(t)
	got := r.faults(t, func(tx *store.Tx) error {
		return tx.Put("t/pets", []byte("old0500"), []byte(`{"ID":"old0500","Name":""}`))
	})
	if !strings.Contains(got, "pets old0500: it is not what event ") {
		t.Errorf("a changed one: %q", got)
	}
	got = r.faults(t, func(tx *store.Tx) error { return tx.Delete("books", []byte("vouched")) })
	if !strings.Contains(got, "took the records of all tables as they were") {
		t.Errorf("made to vouch again: %q", got)
	}
}

func TestRecordsAreProvedFromTheAnchorOn(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.tables = []store.Proved{pets()}
	r.close(t)
	r.open(t)
	for i := range 600 {
		r.pet(t, fmt.Sprint("old", i), fmt.Sprint("name", i))
	}
	r.busy(t, 0, 60)
	for round := 1; round < 3; round++ { // an anchor made from an anchor
		r.pet(t, fmt.Sprint("new", round), "")
		r.write(t, func(tx *ledger.Tx) error { return pets().Delete(tx, fmt.Sprint("old", round)) })
		r.busy(t, round, 60)
		if first, err := r.Trim(t.Context(), r.Journal().Last()-20, "test"); err != nil || first < 500 {
			t.Fatalf("trimmed to %d: %v", first, err)
		}
		r.prove(t)
	}
	for what, write := range map[string]func(tx *store.Tx) error{
		"pets old9: it is not what event":   func(tx *store.Tx) error { return tx.Put("t/pets", []byte("old9"), []byte(`{"ID":"old9","Name":"x"}`)) },
		"pets old8: it is gone":             func(tx *store.Tx) error { return tx.Delete("t/pets", []byte("old8")) },
		"pets old1: the journal does not k": func(tx *store.Tx) error { return tx.Put("t/pets", []byte("old1"), []byte(`{"ID":"old1"}`)) },
		"the name name7 leads to old6":      func(tx *store.Tx) error { return tx.Put("u/pets/name", []byte("name7"), []byte("old6")) },
	} {
		if got := r.faults(t, write); !strings.Contains(got, what) {
			t.Errorf("want %q, got %q", what, got)
		}
	}
}

// A mutation that fails leaves nothing to vouch for.
func TestWhatAFailedMutationWroteIsNotVouchedFor(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.tables = []store.Proved{pets()}
	r.close(t)
	r.open(t)
	err := r.Apply(t.Context(), func(tx *ledger.Tx) error {
		if err := pets().Put(tx, &pet{"one", "Bello"}); err != nil {
			return err
		}
		return store.ErrNotFound
	})
	if err == nil {
		t.Fatal("it did not fail")
	}
	r.pet(t, "two", "Bello")
	if p := r.prove(t); p.Records != 1 {
		t.Errorf("%d records, want 1", p.Records)
	}
}

func TestARefundThatIsTakenOffTheRecordIsFound(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.topup(t, "grant", "key_a", 100)
	r.pay(t, "req_1", "key_a", "dear")
	var paid *journal.Event
	events, err := r.Journal().Page(0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Call != nil {
			paid = e
		}
	}
	r.write(t, func(tx *ledger.Tx) error { return tx.Refund(paid, 3, "test", "") })
	r.prove(t)
	got := r.faults(t, func(tx *store.Tx) error {
		return tx.Put("refunds", journal.Key(paid.Seq), binary.AppendUvarint(nil, 1))
	})
	if !strings.Contains(got, "3 of its charge was given back, on record are 1") {
		t.Errorf("it says %q", got)
	}
}
