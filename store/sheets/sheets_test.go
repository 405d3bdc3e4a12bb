package sheets_test

import (
	"errors"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/sheets"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func flat(n pricing.Credits) *pricing.Sheet {
	return pricing.FromTools(pricing.ToolPrice{PerCall: n}, nil, false)
}

func change(t *testing.T, db *store.DB, fn func(tx *store.Tx) error) error {
	t.Helper()
	return db.Update(fn)
}

func live(t *testing.T, db *store.DB) (hash string) {
	t.Helper()
	err := db.View(func(s *store.Snapshot) error {
		sheet, _, err := sheets.Live(s)
		if err == nil {
			hash = sheet.Hash()
		}
		return err
	})
	if err != nil && !errors.Is(err, sheets.ErrNone) {
		t.Fatal(err)
	}
	return hash
}

func TestAPromotedSheetOutlivesARereadOfTheSameFile(t *testing.T) {
	t.Parallel()
	db, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if live(t, db) != "" {
		t.Fatal("a sheet is live before any was")
	}
	read := func(n pricing.Credits) (changed bool) {
		if err := change(t, db, func(tx *store.Tx) error {
			var err error
			changed, err = sheets.Import(tx, flat(n), noon)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return changed
	}
	if !read(1) || live(t, db) != flat(1).Hash() {
		t.Fatal("the configuration's sheet is not live")
	}
	promote := func(from, to *pricing.Sheet) error {
		return change(t, db, func(tx *store.Tx) error {
			return errors.Join(sheets.Put(tx, to, "shadow", noon), sheets.Promote(tx, from.Hash(), to.Hash(), noon))
		})
	}
	if err := promote(flat(1), flat(7)); err != nil {
		t.Fatal(err)
	}
	if read(1) || live(t, db) != flat(7).Hash() {
		t.Fatal("reading the same file undid a promotion")
	}
	if err := promote(flat(1), flat(8)); !errors.Is(err, sheets.ErrMoved) || live(t, db) != flat(7).Hash() {
		t.Fatalf("a sheet was promoted over another: %v", err)
	}
	if !read(2) || live(t, db) != flat(2).Hash() {
		t.Fatal("a changed file is not taken")
	}
	if err := db.View(func(s *store.Snapshot) error {
		all, err := sheets.All(s)
		if len(all) != 3 {
			t.Errorf("%d versions are kept, want 3: a failed promotion keeps none", len(all))
		}
		old, err2 := sheets.Get(s, flat(1).Hash())
		if err2 == nil && old.Tool("x").PerCall != 1 {
			t.Error("an old version changed")
		}
		return errors.Join(err, err2)
	}); err != nil {
		t.Fatal(err)
	}
}
