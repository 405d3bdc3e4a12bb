package journal

import (
	"encoding/binary"
	"math"
	"time"

	"paygate/store/field"
)

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
	if r.Left() > 0 && c.Repeated {
		c.RepeatedAfter = time.Duration(r.Uint()) * time.Millisecond
	}
}

func (w *writer) pairs(m map[string]string) {
	w.uint(uint64(len(m)))
	for _, k := range sortedKeys(m) {
		w.word(k)
		w.word(m[k])
	}
}

// reader takes back what a writer has written.
type reader struct {
	field.Reader
	words []string
	slabs *slabs   // of the block
	known *Decoder // of many blocks; nil: each is alone
}

// ownPayer reads a key's word and gives it with its own account.
func (r *reader) ownPayer() (key, payer string) {
	n := r.Uint()
	if n == 0 || n > uint64(len(r.words)) {
		if n > 0 {
			r.Fail("word")
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

// dictionary reads the words of the block.
func (r *reader) dictionary() {
	r.words = r.slabs.dictionary(r.Count())
	for i := range r.words {
		if r.known == nil {
			r.words[i] = r.Text()
			continue
		}
		w := r.known.word(r.Bytes())
		r.words[i], r.slabs.payers[i] = w.text, w.payer
	}
}

func (r *reader) word() string {
	n := r.Uint()
	if n == 0 {
		return ""
	}
	if n > uint64(len(r.words)) {
		r.Fail("word")
		return ""
	}
	return r.words[n-1]
}

func (r *reader) pairs() map[string]string {
	n := r.Count()
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
