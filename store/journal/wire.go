package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// errDamaged is wrapped by every decoding error.
var errDamaged = errors.New("damaged")

// writer appends compact fields; strings go through the block's dictionary.
type writer struct {
	b     []byte
	dict  map[string]uint64
	words []string
}

func (w *writer) uint(n uint64)  { w.b = binary.AppendUvarint(w.b, n) }
func (w *writer) int(n int64)    { w.b = binary.AppendVarint(w.b, n) }
func (w *writer) bytes(p []byte) { w.uint(uint64(len(p))); w.b = append(w.b, p...) }
func (w *writer) text(s string)  { w.uint(uint64(len(s))); w.b = append(w.b, s...) }

// word writes a string that is likely to come again in the same block.
func (w *writer) word(s string) {
	if s == "" {
		w.uint(0)
		return
	}
	n, ok := w.dict[s]
	if !ok {
		w.words = append(w.words, s)
		n = uint64(len(w.words))
		w.dict[s] = n
	}
	w.uint(n)
}

// later writes what older programs do not know; they step over it.
func (w *writer) later(c *Call) {
	if c.RepeatedAfter != 0 {
		w.uint(uint64(c.RepeatedAfter / time.Millisecond))
	}
}

func (r *reader) later(c *Call) {
	if len(r.b) > 0 && c.Repeated {
		c.RepeatedAfter = time.Duration(r.uint()) * time.Millisecond
	}
}

func (w *writer) pairs(m map[string]string) {
	w.uint(uint64(len(m)))
	for _, k := range sortedKeys(m) {
		w.word(k)
		w.word(m[k])
	}
}

// reader takes fields back. Its first error sticks and every later field is
// zero, so that callers look once.
type reader struct {
	b     []byte
	words []string
	err   error
	slabs *slabs   // of the block
	known *Decoder // of many blocks; nil: each is alone
}

// ownPayer reads a key's word and gives it with its own account.
func (r *reader) ownPayer() (key, payer string) {
	n := r.uint()
	if n == 0 || n > uint64(len(r.words)) {
		if n > 0 {
			r.fail("word")
		}
		return "", string(KeyAccount(""))
	}
	payer = r.slabs.payers[n-1]
	if key = r.words[n-1]; payer == "" {
		payer = string(KeyAccount(key))
		r.slabs.payers[n-1] = payer
	}
	return key, payer
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", errDamaged, what)
	}
	r.b = nil
}

func (r *reader) uint() uint64 {
	n, used := binary.Uvarint(r.b)
	if used <= 0 {
		r.fail("number")
		return 0
	}
	r.b = r.b[used:]
	return n
}

func (r *reader) int() int64 {
	n, used := binary.Varint(r.b)
	if used <= 0 {
		r.fail("number")
		return 0
	}
	r.b = r.b[used:]
	return n
}

// dictionary reads the words of the block.
func (r *reader) dictionary() {
	r.words = r.slabs.dictionary(r.count())
	for i := range r.words {
		if r.known == nil {
			r.words[i] = r.text()
			continue
		}
		w := r.known.word(r.bytes())
		r.words[i], r.slabs.payers[i] = w.text, w.payer
	}
}

// count reads how many items follow; each takes at least a byte, so a number
// that cannot be true is caught before anything is allocated.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail("count")
		return 0
	}
	return int(n)
}

func (r *reader) bytes() []byte {
	n := r.count()
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) text() string { return string(r.bytes()) }

func (r *reader) word() string {
	n := r.uint()
	if n == 0 {
		return ""
	}
	if n > uint64(len(r.words)) {
		r.fail("word")
		return ""
	}
	return r.words[n-1]
}

func (r *reader) pairs() map[string]string {
	n := r.count()
	if n == 0 {
		return nil
	}
	m := make(map[string]string, n)
	for range n {
		k := r.word()
		m[k] = r.word()
	}
	return m
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return math.MinInt64
	}
	return t.UnixMilli()
}

// TimeOf is a time in Unix milliseconds, as the journal keeps them.
func TimeOf(ms int64) time.Time {
	if ms == math.MinInt64 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
