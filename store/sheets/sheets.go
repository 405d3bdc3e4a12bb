// Package sheets keeps every version of the price sheet that was ever live or
// tried, by its content, and says which one is live. A version never changes
// and is never deleted: calls that were judged by it name it.
//
// It writes records only. The event that belongs to a change is its caller's,
// in the same mutation.
package sheets

import (
	"errors"
	"fmt"
	"time"

	"paygate/pricing"
	"paygate/store"
)

// ErrNone means that no sheet is live yet.
var ErrNone = errors.New("no price sheet is live")

// ErrMoved means that another sheet went live meanwhile.
var ErrMoved = errors.New("another price sheet is live than the one this was measured against; start a new experiment beside it")

// Version is one sheet as it is kept.
type Version struct {
	Hash   string    `json:"hash"`
	Text   string    `json:"text"` // canonical
	Source string    `json:"source"`
	At     time.Time `json:"at"` // when it was first kept
}

// Sheet reads the version.
func (v *Version) Sheet() (*pricing.Sheet, error) {
	s, err := pricing.ReadCanonical(v.Text)
	if err == nil && s.Hash() != v.Hash {
		err = store.ErrCorrupt
	}
	if err != nil {
		return nil, fmt.Errorf("price sheet %.12s: %w", v.Hash, err)
	}
	return s, nil
}

// pointer names a version: the live one, and the one last read from the
// configuration.
type pointer struct {
	Name string    `json:"name"`
	Hash string    `json:"hash"`
	At   time.Time `json:"at"`
}

const (
	live     = "live"
	imported = "imported"
)

func versions() store.Table[Version] {
	return store.Table[Version]{Name: "sheets", Proved: true, ID: func(v *Version) string { return v.Hash }}
}

func pointers() store.Table[pointer] {
	return store.Table[pointer]{Name: "sheet-pointers", Proved: true, ID: func(p *pointer) string { return p.Name }}
}

// Tables are those that the journal vouches for.
func Tables() []store.Proved { return []store.Proved{versions(), pointers(), rollouts()} }

// Put keeps a sheet; one that is kept already stays as it is.
func Put(w store.Writer, s *pricing.Sheet, source string, at time.Time) error {
	_, err := versions().Get(w, s.Hash())
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return versions().Put(w, &Version{Hash: s.Hash(), Text: s.Canonical(), Source: source, At: at})
}

// Get is the sheet with a hash; store.ErrNotFound if it was never kept.
func Get(r store.Reader, hash string) (*pricing.Sheet, error) {
	v, err := versions().Get(r, hash)
	if err != nil {
		return nil, err
	}
	return v.Sheet()
}

// Of finds sheets of a database by their hash.
func Of(db *store.DB) func(hash string) (*pricing.Sheet, error) {
	return func(hash string) (*pricing.Sheet, error) {
		var sheet *pricing.Sheet
		err := db.View(func(s *store.Snapshot) (err error) {
			sheet, err = Get(s, hash)
			return err
		})
		return sheet, err
	}
}

// All is every version.
func All(r store.Reader) ([]*Version, error) {
	var out []*Version
	for v, err := range versions().All(r, "") {
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// Live is the sheet that calls are judged by, and since when; ErrNone before
// the first.
func Live(r store.Reader) (s *pricing.Sheet, since time.Time, err error) {
	p, err := pointers().Get(r, live)
	if errors.Is(err, store.ErrNotFound) {
		return nil, time.Time{}, ErrNone
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	s, err = Get(r, p.Hash)
	return s, p.At, err
}

// Promote makes a kept sheet live if the live one is still from ("" when there
// is none); otherwise ErrMoved.
func Promote(w store.Writer, from, to string, at time.Time) error {
	p, err := pointers().Get(w, live)
	switch {
	case errors.Is(err, store.ErrNotFound):
		p = &pointer{}
	case err != nil:
		return err
	}
	if p.Hash != from {
		return fmt.Errorf("price sheet %.12s: %w (%.12s)", to, ErrMoved, p.Hash)
	}
	if _, err := versions().Get(w, to); err != nil {
		return err
	}
	return pointers().Put(w, &pointer{Name: live, Hash: to, At: at})
}

// Import makes the configuration's sheet live if the configuration says
// another one than when it was last imported, and tells whether it did. So a
// sheet that was promoted since is not undone by reading the same file again.
func Import(w store.Writer, s *pricing.Sheet, at time.Time) (bool, error) {
	p, err := pointers().Get(w, imported)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	if err == nil && p.Hash == s.Hash() {
		return false, nil
	}
	return true, errors.Join(Put(w, s, "config", at),
		pointers().Put(w, &pointer{Name: imported, Hash: s.Hash(), At: at}),
		pointers().Put(w, &pointer{Name: live, Hash: s.Hash(), At: at}))
}
