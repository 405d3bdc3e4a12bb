package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// Digest tells two versions of a record apart. Zero: there is no record.
type Digest [16]byte

func digestOf(raw []byte) (d Digest) {
	if raw != nil {
		sum := sha256.Sum256(raw)
		copy(d[:], sum[:])
	}
	return d
}

// Version is what a mutation made of a record of a proved table.
type Version struct {
	Table, ID string
	Was, Is   Digest
}

// Versions are what the mutation has written of proved tables so far.
func (t *Tx) Versions() []Version { return t.versions }

// Proved is a table of which the journal says what its records are.
type Proved interface {
	// Title is the table's name.
	Title() string
	// Misplaced says what is wrong with the table's indexes, for up to limit
	// records with ids above after, and the last of these ids; empty: there
	// are no more.
	Misplaced(r Reader, after string, limit int) (faults []string, last string)
	// Stray says which of up to limit indexed values above after lead to no
	// record that has them, and where to go on.
	Stray(r Reader, after []byte, limit int) (faults []string, last []byte)
}

// Title is the table's name.
func (t Table[T]) Title() string { return t.Name }

// Digests are those of up to limit records of a table with ids above after, in
// the order of ids.
func Digests(r Reader, table, after string, limit int) []Version {
	var out []Version
	r.reading().Ascend(Table[struct{}]{Name: table}.bucket(), []byte(after), func(k, raw []byte) bool {
		if string(k) != after {
			out = append(out, Version{Table: table, ID: string(k), Is: digestOf(raw)})
		}
		return len(out) < limit
	})
	return out
}

// DigestOf is that of one record; zero if there is none.
func DigestOf(r Reader, table, id string) Digest {
	return digestOf(r.reading().Get(Table[struct{}]{Name: table}.bucket(), []byte(id)))
}

// Misplaced looks whether every record is found by its unique values.
func (t Table[T]) Misplaced(r Reader, after string, limit int) (faults []string, last string) {
	n := 0
	r.reading().Ascend(t.bucket(), []byte(after), func(k, raw []byte) bool {
		if string(k) == after {
			return true
		}
		n, last = n+1, string(k)
		v, err := t.decode(k, raw)
		if err != nil {
			faults = append(faults, err.Error())
			return n < limit
		}
		for _, name := range t.Indexes() {
			for _, value := range t.Unique[name](v) {
				if by := r.reading().Get(t.index(name), []byte(value)); value != "" && !bytes.Equal(by, k) {
					faults = append(faults, fmt.Sprintf("%s %s: its %s %.12s leads to %q", t.Name, k, name, value, by))
				}
			}
		}
		return n < limit
	})
	if n < limit {
		last = ""
	}
	return faults, last
}

// Stray looks whether every indexed value leads to a record that has it. Where
// to go on is the index and the value; nil: there are no more.
func (t Table[T]) Stray(r Reader, after []byte, limit int) (faults []string, last []byte) {
	index, value, _ := bytes.Cut(after, []byte{0})
	for _, name := range t.Indexes() {
		if name < string(index) {
			continue
		}
		from, n := value, 0
		value = nil
		r.reading().Ascend(t.index(name), from, func(k, id []byte) bool {
			n++
			if !t.has(r, name, k, id) {
				faults = append(faults, fmt.Sprintf("%s: the %s %.12s leads to %s, which has it not", t.Name, name, k, id))
			}
			if n == limit {
				last = slices.Concat([]byte(name), []byte{0}, k, []byte{0})
			}
			return n < limit
		})
		if last != nil {
			return faults, last
		}
	}
	return faults, nil
}

func (t Table[T]) has(r Reader, index string, value, id []byte) bool {
	v, err := t.Get(r, string(id))
	if errors.Is(err, ErrCorrupt) {
		return true // which Misplaced says
	}
	return err == nil && slices.Contains(t.Unique[index](v), string(value))
}
