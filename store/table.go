package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// ErrNotFound is wrapped when a table has no such record.
var ErrNotFound = errors.New("not found")

// TakenError says that another record already has a value that is unique.
type TakenError struct {
	Table, Index, Value string
	By                  string // id of the record that has it
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("%s: %s %q is taken by %s", e.Table, e.Index, e.Value, e.By)
}

// Reader is a Snapshot or a Tx, or what embeds one.
type Reader interface{ reading() *Snapshot }

// Writer is a Tx, or what embeds one.
type Writer interface {
	Reader
	writing() *Tx
}

func (s *Snapshot) reading() *Snapshot { return s }
func (t *Tx) writing() *Tx             { return t }

// Table keeps records of one type by their id, in the order of ids. Records are
// stored as JSON, so a field that is added later is zero in older ones. Only
// the package that owns the type has its table.
type Table[T any] struct {
	Name string
	ID   func(*T) string
	// Unique gives, by the name of an index, the values under which By finds
	// a record. No two records share one; empty values are not kept.
	Unique map[string]func(*T) []string
	// Proved says that the journal vouches for the records: the event of each
	// mutation has the digests of what it wrote, so that a proof finds a record
	// that anything else has changed. It is for what is changed by owners' acts,
	// not for what comes and goes with calls.
	Proved bool
}

func (t Table[T]) bucket() string           { return "t/" + t.Name }
func (t Table[T]) index(name string) string { return "u/" + t.Name + "/" + name }
func (t Table[T]) wrap(id string, err error) error {
	return fmt.Errorf("%s %s: %w", t.Name, id, err)
}

// Get is the record with the id; ErrNotFound if there is none.
func (t Table[T]) Get(r Reader, id string) (*T, error) {
	raw := r.reading().Get(t.bucket(), []byte(id))
	if raw == nil {
		return nil, t.wrap(id, ErrNotFound)
	}
	return t.decode([]byte(id), raw)
}

// By is the record that has the value in a unique index; ErrNotFound if none.
func (t Table[T]) By(r Reader, index, value string) (*T, error) {
	id := r.reading().Get(t.index(index), []byte(value))
	if id == nil {
		return nil, t.wrap(index+" "+value, ErrNotFound)
	}
	return t.Get(r, string(id))
}

// Put writes a record, new or changed, and its unique values. If another
// record has one of them the error is a *TakenError and nothing is written.
func (t Table[T]) Put(w Writer, v *T) error {
	id := t.ID(v)
	if id == "" {
		return t.wrap(`""`, errors.New("a record needs an id"))
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return t.wrap(id, err)
	}
	tx := w.writing()
	for name, values := range t.Unique {
		for _, value := range values(v) {
			if by := tx.Get(t.index(name), []byte(value)); by != nil && string(by) != id {
				return &TakenError{Table: t.Name, Index: name, Value: value, By: string(by)}
			}
		}
	}
	if err := t.unindex(tx, id, v); err != nil {
		return err
	}
	for name, values := range t.Unique {
		for _, value := range values(v) {
			if value == "" {
				continue
			}
			if err := tx.Put(t.index(name), []byte(value), []byte(id)); err != nil {
				return err
			}
		}
	}
	t.version(tx, id, raw)
	return tx.Put(t.bucket(), []byte(id), raw)
}

// version notes that a record becomes another one; nil: none.
func (t Table[T]) version(tx *Tx, id string, raw []byte) {
	if was := tx.Get(t.bucket(), []byte(id)); t.Proved && (was != nil || raw != nil) {
		tx.versions = append(tx.versions, Version{Table: t.Name, ID: id, Was: digestOf(was), Is: digestOf(raw)})
	}
}

// unindex removes the values that the stored record has and next (nil: none)
// does not keep.
func (t Table[T]) unindex(tx *Tx, id string, next *T) error {
	if len(t.Unique) == 0 {
		return nil
	}
	old, err := t.Get(tx, id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for name, values := range t.Unique {
		var keep []string
		if next != nil {
			keep = values(next)
		}
		for _, value := range values(old) {
			if value == "" || slices.Contains(keep, value) {
				continue
			}
			if err := tx.Delete(t.index(name), []byte(value)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Delete removes a record and its unique values; it is no error if there is
// none.
func (t Table[T]) Delete(w Writer, id string) error {
	if err := t.unindex(w.writing(), id, nil); err != nil {
		return err
	}
	t.version(w.writing(), id, nil)
	return w.writing().Delete(t.bucket(), []byte(id))
}

// All goes through the records with ids above after. It ends after the first
// error.
func (t Table[T]) All(r Reader, after string) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		r.reading().Ascend(t.bucket(), []byte(after), func(k, raw []byte) bool {
			if string(k) == after {
				return true
			}
			v, err := t.decode(k, raw)
			return yield(v, err) && err == nil
		})
	}
}

// Page is up to limit records with ids above after.
func (t Table[T]) Page(r Reader, after string, limit int) ([]*T, error) {
	var out []*T
	if limit <= 0 {
		return nil, nil
	}
	for v, err := range t.All(r, after) {
		if err != nil {
			return nil, err
		}
		if out = append(out, v); len(out) == limit {
			break
		}
	}
	return out, nil
}

// Load calls fn for every record, in Views of a few milliseconds each, so that
// the writer goes on. A record that changes meanwhile is seen as it was or as
// it is.
func (t Table[T]) Load(db *DB, fn func(*T) error) error {
	for after, more := "", true; more; {
		more = false
		err := db.View(func(s *Snapshot) error {
			n := 0
			for v, err := range t.All(s, after) {
				if err != nil {
					return err
				}
				if err := fn(v); err != nil {
					return err
				}
				after = t.ID(v)
				if n++; n == viewRecords {
					more = true
					return nil
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// viewRecords is after how many records a long reader ends its View and begins
// another: a few milliseconds.
const viewRecords = 1000

// Indexes names the unique indexes, sorted.
func (t Table[T]) Indexes() []string { return slices.Sorted(maps.Keys(t.Unique)) }

func (t Table[T]) decode(id, raw []byte) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(raw, v); err != nil {
		return nil, t.wrap(string(id), fmt.Errorf("%w: %w", ErrCorrupt, err))
	}
	return v, nil
}
