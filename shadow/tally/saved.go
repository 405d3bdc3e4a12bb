package tally

import (
	"encoding/binary"
	"errors"
	"time"

	"paygate/pricing"
	"paygate/store/journal"
)

var errKeys = errors.New("damaged tallies of keys")

// saveKeys writes some keys.
func saveKeys(keys []*Key) []byte {
	w := fields{b: make([]byte, 0, 96*len(keys))}
	w.int(int64(len(keys)))
	for _, k := range keys {
		w.key(k)
	}
	return w.b
}

// fields are written one after the other.
type fields struct{ b []byte }

func (w *fields) int(n int64)               { w.b = binary.AppendVarint(w.b, n) }
func (w *fields) text(s string)             { w.int(int64(len(s))); w.b = append(w.b, s...) }
func (w *fields) pair(p [2]pricing.Credits) { w.int(int64(p[0])); w.int(int64(p[1])) }
func (w *fields) time(t time.Time)          { w.int(t.UnixMilli()) }
func (w *fields) whether(is bool) (same bool) {
	n := int64(0)
	if is {
		n = 1
	}
	w.int(n)
	return is
}

func (w *fields) maybe(t *time.Time) {
	if w.whether(t != nil) {
		w.time(*t)
	}
}

func (w *fields) key(k *Key) {
	for _, s := range [...]string{k.Key, k.Tenant, k.Plan, k.Reason, k.Run} {
		w.text(s)
	}
	w.pair(k.Paid)
	for _, n := range [...]int{k.Admitted, k.Denied, k.Newly, int(k.Imputed)} {
		w.int(int64(n))
	}
	w.time(k.First)
	for _, t := range [...]*time.Time{k.FirstDenied, k.FirstDeniedLive, k.Stopped} {
		w.maybe(t)
	}
	w.int(int64(len(k.Hours)))
	for _, h := range k.Hours {
		w.int(h.Hour)
		w.int(int64(h.Denied))
	}
	w.int(int64(len(k.Days)))
	for _, d := range k.Days {
		w.int(d.Day)
		w.pair(d.Paid)
	}
	w.int(int64(len(k.Tools)))
	for _, t := range k.Tools {
		w.text(t.Tool)
		w.int(int64(t.Credits))
	}
	if r := k.Current; w.whether(r != nil) {
		w.int(int64(r.Calls))
		w.whether(r.Broken[0])
		w.whether(r.Broken[1])
		w.pair(r.Paid)
		w.time(r.Last)
	}
}

// loadKeys reads what saveKeys has written.
func loadKeys(raw []byte, see func(*Key)) error {
	r := fieldReader{b: raw, words: map[string]string{}}
	for range r.count() {
		k := r.key()
		if r.bad {
			break
		}
		see(k)
	}
	if r.bad || len(r.b) > 0 {
		return errKeys
	}
	return nil
}

// fieldReader takes fields back; once bad, always bad.
type fieldReader struct {
	b     []byte
	bad   bool
	words map[string]string // that come again and again
}

func (r *fieldReader) int() int64 {
	n, used := binary.Varint(r.b)
	if used <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[used:]
	return n
}

// count is a number of things, each of which takes at least a byte.
func (r *fieldReader) count() int {
	n := r.int()
	if n < 0 || n > int64(len(r.b)) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

func (r *fieldReader) text() string {
	n := r.count()
	raw := r.b[:n]
	r.b = r.b[n:]
	if s, ok := r.words[string(raw)]; ok {
		return s
	}
	s := string(raw)
	if len(r.words) < 1000 {
		r.words[s] = s
	}
	return s
}

func (r *fieldReader) credits() pricing.Credits { return pricing.Credits(r.int()) }
func (r *fieldReader) pair() [2]pricing.Credits {
	return [2]pricing.Credits{r.credits(), r.credits()}
}
func (r *fieldReader) time() time.Time { return journal.TimeOf(r.int()) }

func (r *fieldReader) maybe() *time.Time {
	if r.int() == 0 {
		return nil
	}
	t := r.time()
	return &t
}

func (r *fieldReader) key() *Key {
	k := &Key{Key: r.text(), Tenant: r.text(), Plan: r.text(), Reason: r.text(), Run: r.text(), Paid: r.pair(),
		Admitted: int(r.int()), Denied: int(r.int()), Newly: int(r.int()), Imputed: r.credits(), First: r.time(),
		FirstDenied: r.maybe(), FirstDeniedLive: r.maybe(), Stopped: r.maybe()}
	for range r.count() {
		k.Hours = append(k.Hours, HourCount{r.int(), int(r.int())})
	}
	for range r.count() {
		k.Days = append(k.Days, DaySpend{r.int(), r.pair()})
	}
	for range r.count() {
		k.Tools = append(k.Tools, ToolChange{r.text(), r.credits()})
	}
	if r.int() != 0 {
		k.Current = &Run{Calls: int(r.int()), Broken: [2]bool{r.int() != 0, r.int() != 0}, Paid: r.pair(), Last: r.time()}
	}
	return k
}
