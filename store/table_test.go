package store_test

import (
	"errors"
	"fmt"
	"testing"

	"paygate/store"
)

type pet struct {
	ID    string
	Name  string
	Chips []string
}

func pets() store.Table[pet] {
	return store.Table[pet]{Name: "pets", ID: func(p *pet) string { return p.ID }, Unique: map[string]func(*pet) []string{
		"name": func(p *pet) []string { return []string{p.Name} },
		"chip": func(p *pet) []string { return p.Chips },
	}}
}

func open(t *testing.T, dir string) *store.DB {
	t.Helper()
	db, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func update(t *testing.T, db *store.DB, fn func(*store.Tx) error) {
	t.Helper()
	if err := db.Update(fn); err != nil {
		t.Fatal(err)
	}
}

func TestTableFindsRecordsByIDAndByUniqueValues(t *testing.T) {
	t.Parallel()
	db, table := open(t, t.TempDir()), pets()
	update(t, db, func(tx *store.Tx) error {
		return errors.Join(table.Put(tx, &pet{ID: "1", Name: "rex", Chips: []string{"a", "b"}}), table.Put(tx, &pet{ID: "2"}), table.Put(tx, &pet{ID: "3"}))
	})
	update(t, db, func(tx *store.Tx) error { // b is given up, c is new
		return table.Put(tx, &pet{ID: "1", Name: "max", Chips: []string{"a", "c"}})
	})
	err := db.View(func(s *store.Snapshot) error {
		for _, chip := range []string{"a", "c"} {
			if p, err := table.By(s, "chip", chip); err != nil || p.Name != "max" {
				t.Errorf("chip %s: %v, %v", chip, p, err)
			}
		}
		for _, gone := range [][2]string{{"chip", "b"}, {"name", "rex"}} {
			if _, err := table.By(s, gone[0], gone[1]); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%v should be gone: %v", gone, err)
			}
		}
		if _, err := table.Get(s, "9"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("unknown id: %v", err)
		}
		page, err := table.Page(s, "1", 5)
		if err != nil || len(page) != 2 || page[0].ID != "2" {
			t.Errorf("page after 1: %v, %v", page, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTableRefusesATakenValueAndFreesADeletedOne(t *testing.T) {
	t.Parallel()
	db, table := open(t, t.TempDir()), pets()
	update(t, db, func(tx *store.Tx) error { return table.Put(tx, &pet{ID: "1", Name: "rex"}) })
	err := db.Update(func(tx *store.Tx) error { return table.Put(tx, &pet{ID: "2", Name: "rex"}) })
	var taken *store.TakenError
	if !errors.As(err, &taken) || taken.By != "1" || taken.Index != "name" {
		t.Fatalf("two records share a name: %v", err)
	}
	update(t, db, func(tx *store.Tx) error { return table.Delete(tx, "1") })
	update(t, db, func(tx *store.Tx) error { return table.Put(tx, &pet{ID: "2", Name: "rex"}) })
}

func TestAFailedUpdateLeavesNothing(t *testing.T) {
	t.Parallel()
	dir, full := t.TempDir(), errors.New("no space left")
	var fault error
	db, err := store.Open(dir, store.Options{Fault: func() error { return fault }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	table := pets()
	fault = full
	if err := db.Update(func(tx *store.Tx) error { return table.Put(tx, &pet{ID: "1"}) }); !errors.Is(err, full) {
		t.Fatalf("the fault does not show: %v", err)
	}
	fault = nil
	if err := db.View(func(s *store.Snapshot) error { _, err := table.Get(s, "1"); return err }); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("a failed update left a record: %v", err)
	}
}

func TestLoadSeesEveryRecord(t *testing.T) {
	t.Parallel()
	db, table := open(t, t.TempDir()), pets()
	const n = 2500 // more than one View
	update(t, db, func(tx *store.Tx) error {
		for i := range n {
			if err := table.Put(tx, &pet{ID: fmt.Sprintf("%05d", i)}); err != nil {
				return err
			}
		}
		return nil
	})
	seen := 0
	if err := table.Load(db, func(*pet) error { seen++; return nil }); err != nil || seen != n {
		t.Fatalf("loaded %d of %d: %v", seen, n, err)
	}
}

func TestTheFileIsForOneProcessAndNotForOlderPrograms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := open(t, dir)
	if _, err := store.Open(dir, store.Options{}); !errors.Is(err, store.ErrLocked) {
		t.Fatalf("opened twice: %v", err)
	}
	update(t, db, func(tx *store.Tx) error { return tx.Put("meta", []byte("format"), []byte{99}) })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(dir, store.Options{}); !errors.Is(err, store.ErrTooNew) {
		t.Fatalf("opened a newer file: %v", err)
	}
}
