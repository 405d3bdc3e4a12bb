// Package field reads numbers, texts and bytes that were written one after the
// other, as small as they go. What they mean is known to who wrote them. Damage
// is found wherever it is, and never costs memory.
package field

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrDamaged is wrapped by the error of every Reader.
var ErrDamaged = errors.New("damaged")

// Reader takes fields back. Its first error sticks and every later field is
// zero, so that callers look once.
type Reader struct {
	rest []byte
	err  error
}

// Read reads the fields of raw.
func Read(raw []byte) Reader { return Reader{rest: raw} }

// Left is how many bytes there still are.
func (r *Reader) Left() int { return len(r.rest) }

// Err is the first error.
func (r *Reader) Err() error { return r.err }

// Fail says that something cannot be true.
func (r *Reader) Fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrDamaged, what)
	}
	r.rest = nil
}

// Uint is a number of binary.AppendUvarint.
func (r *Reader) Uint() uint64 {
	n, used := binary.Uvarint(r.rest)
	if used <= 0 {
		r.Fail("number")
		return 0
	}
	r.rest = r.rest[used:]
	return n
}

// Int is a number of binary.AppendVarint.
func (r *Reader) Int() int64 {
	n := r.Uint()
	return int64(n>>1) ^ -int64(n&1)
}

// Count is how many items follow; each takes at least a byte, so a number that
// cannot be true is caught before anything is allocated.
func (r *Reader) Count() int {
	n := r.Uint()
	if n > uint64(len(r.rest)) {
		r.Fail("count")
		return 0
	}
	return int(n)
}

// Byte is the next one.
func (r *Reader) Byte() byte {
	if b := r.rest; len(b) > 0 {
		r.rest = b[1:]
		return b[0]
	}
	r.Fail("byte")
	return 0
}

// Take is the next n bytes, which stay where they are; nil when there are not so
// many.
func (r *Reader) Take(n int, what string) []byte {
	if len(r.rest) < n {
		r.Fail(what)
		return nil
	}
	p := r.rest[:n:n]
	r.rest = r.rest[n:]
	return p
}

// Bytes are as many as a Uint before them says. They stay where they are.
func (r *Reader) Bytes() []byte {
	n := r.Count()
	p := r.rest[:n:n]
	r.rest = r.rest[n:]
	return p
}

// Text is Bytes as a string of its own.
func (r *Reader) Text() string { return string(r.Bytes()) }
