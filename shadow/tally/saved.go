package tally

import (
	"encoding/binary"
	"errors"
	"time"

	"paygate/pricing"
	"paygate/store/field"
	"paygate/store/journal"
)

var errKeys = errors.New("damaged tallies of keys")

// saveKeys writes some keys.
func saveKeys(keys []*Key) []byte {
	w := fields{b: make([]byte, 0, 96*len(keys))}
	w.count(len(keys))
	for _, k := range keys {
		w.key(k)
	}
	return w.b
}

// fields are written one after the other.
type fields struct{ b []byte }

func (w *fields) int(n int64)               { w.b = binary.AppendVarint(w.b, n) }
func (w *fields) count(n int)               { w.b = binary.AppendUvarint(w.b, uint64(n)) }
func (w *fields) text(s string)             { w.count(len(s)); w.b = append(w.b, s...) }
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
	for _, n := range [...]int{k.Admitted, k.Denied, k.Newly, int(k.Imputed), int(k.StopSeq)} {
		w.int(int64(n))
	}
	w.time(k.First)
	for _, t := range [...]*time.Time{k.FirstDenied, k.FirstDeniedLive, k.Stopped} {
		w.maybe(t)
	}
	w.count(len(k.Hours))
	for _, h := range k.Hours {
		w.int(h.Hour)
		w.int(int64(h.Denied))
	}
	w.count(len(k.Days))
	for _, d := range k.Days {
		w.int(d.Day)
		w.pair(d.Paid)
	}
	w.count(len(k.Tools))
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
	r := keyReader{Reader: field.Read(raw), words: map[string]string{}}
	for range r.Count() {
		k := r.key()
		if r.Err() != nil {
			break
		}
		see(k)
	}
	if r.Err() != nil || r.Left() > 0 {
		return errKeys
	}
	return nil
}

// keyReader takes keys back.
type keyReader struct {
	field.Reader
	words map[string]string // that come again and again
}

func (r *keyReader) int() int      { return int(r.Int()) }
func (r *keyReader) whether() bool { return r.Int() != 0 }

func (r *keyReader) text() string {
	raw := r.Bytes()
	if s, ok := r.words[string(raw)]; ok {
		return s
	}
	s := string(raw)
	if len(r.words) < 1000 {
		r.words[s] = s
	}
	return s
}

func (r *keyReader) credits() pricing.Credits { return pricing.Credits(r.Int()) }
func (r *keyReader) pair() [2]pricing.Credits {
	return [2]pricing.Credits{r.credits(), r.credits()}
}
func (r *keyReader) time() time.Time { return journal.TimeOf(r.Int()) }

func (r *keyReader) maybe() *time.Time {
	if !r.whether() {
		return nil
	}
	t := r.time()
	return &t
}

func (r *keyReader) key() *Key {
	k := &Key{Key: r.text(), Tenant: r.text(), Plan: r.text(), Reason: r.text(), Run: r.text(), Paid: r.pair(),
		Admitted: r.int(), Denied: r.int(), Newly: r.int(), Imputed: r.credits(), StopSeq: uint64(r.Int()), First: r.time(),
		FirstDenied: r.maybe(), FirstDeniedLive: r.maybe(), Stopped: r.maybe()}
	for range r.Count() {
		k.Hours = append(k.Hours, HourCount{r.Int(), r.int()})
	}
	for range r.Count() {
		k.Days = append(k.Days, DaySpend{r.Int(), r.pair()})
	}
	for range r.Count() {
		k.Tools = append(k.Tools, ToolChange{r.text(), r.credits()})
	}
	if r.whether() {
		k.Current = &Run{Calls: r.int(), Broken: [2]bool{r.whether(), r.whether()}, Paid: r.pair(), Last: r.time()}
	}
	return k
}
