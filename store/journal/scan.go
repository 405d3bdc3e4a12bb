package journal

import (
	"bytes"
	"fmt"
	"time"

	"paygate/store"
)

const pageBytes = 256 << 10 // of blocks copied in one View

// blocksFrom copies the blocks from the one that has seq on, about a page of
// them.
func blocksFrom(src Source, seq uint64) (raws [][]byte, err error) {
	err = src.View(func(s *store.Snapshot) error {
		start, size := Key(seq), 0
		s.Descend(Bucket, start, func(k, _ []byte) bool {
			start = bytes.Clone(k)
			return false
		})
		s.Ascend(Bucket, start, func(_, v []byte) bool {
			raws = append(raws, bytes.Clone(v))
			size += len(v)
			return size < pageBytes
		})
		return nil
	})
	return raws, err
}

// blocksTo copies about a page of the blocks up to the one that has seq,
// newest first.
func blocksTo(src Source, seq uint64) (raws [][]byte, err error) {
	err = src.View(func(s *store.Snapshot) error {
		size := 0
		s.Descend(Bucket, Key(seq), func(_, v []byte) bool {
			raws = append(raws, bytes.Clone(v))
			size += len(v)
			return size < pageBytes
		})
		return nil
	})
	return raws, err
}

// Blocks calls fn for the raw form of every block that has acts above after,
// oldest first, until it returns an error or false, or done is closed. No View
// is open while fn runs.
func Blocks(done <-chan struct{}, src Source, after uint64, fn func(raw []byte) (bool, error)) error {
	for {
		raws, err := blocksFrom(src, after+1)
		if err != nil {
			return err
		}
		progress := false
		for _, raw := range raws {
			_, last, _, err := Link(raw)
			if err != nil {
				return err
			}
			if last <= after {
				continue
			}
			after, progress = last, true
			if more, err := fn(raw); err != nil || !more {
				return err
			}
		}
		if !progress {
			return nil
		}
		select {
		case <-done:
			return nil
		default:
		}
	}
}

// forward goes through the file's events above after, oldest first.
func (j *Journal) forward(done <-chan struct{}, after uint64, fn func(*Event) bool) error {
	p := NewPace(j.Last)
	return Blocks(done, j.source, after, func(raw []byte) (bool, error) {
		b, err := Decode(raw)
		if err != nil {
			return false, err
		}
		for _, a := range b.Acts {
			if a.Event != nil && a.Event.Seq > after && !fn(a.Event) {
				return false, nil
			}
		}
		p.Count(done, len(b.Acts))
		return true, nil
	})
}

// Acts goes through all acts above after, oldest first, admissions among them,
// with their numbers, until fn returns an error or done is closed.
func (j *Journal) Acts(done <-chan struct{}, after uint64, fn func(seq uint64, a Act) error) error {
	p := NewPace(j.Last)
	return Blocks(done, j.source, after, func(raw []byte) (bool, error) {
		b, err := Decode(raw)
		if err != nil {
			return false, err
		}
		for i, a := range b.Acts {
			if seq := b.First + uint64(i); seq > after {
				if err := fn(seq, a); err != nil {
					return false, err
				}
			}
		}
		p.Count(done, len(b.Acts))
		return true, nil
	})
}

// Scan goes through the events below before (0: all), newest first, until fn
// returns false or done is closed.
func (j *Journal) Scan(done <-chan struct{}, before uint64, fn func(*Event) bool) error {
	p := NewPace(j.Last)
	if before == 0 {
		before = j.Last() + 1
	}
	for before > 0 {
		raws, err := blocksTo(j.source, before-1)
		if err != nil || len(raws) == 0 {
			return err
		}
		for _, raw := range raws {
			b, err := Decode(raw)
			if err != nil {
				return err
			}
			if !backwards(b, before, fn) {
				return nil
			}
			before = min(before, b.First)
			p.Count(done, len(b.Acts))
		}
		select {
		case <-done:
			return nil
		default:
		}
	}
	return nil
}

func backwards(b *Block, before uint64, fn func(*Event) bool) bool {
	for i := len(b.Acts) - 1; i >= 0; i-- {
		if e := b.Acts[i].Event; e != nil && e.Seq < before && !fn(e) {
			return false
		}
	}
	return true
}

// Before is up to limit events below before (0: the newest) that keep wants
// (nil: all), newest first. It may read the whole file: Scan can be stopped.
func (j *Journal) Before(before uint64, limit int, keep func(*Event) bool) ([]*Event, error) {
	var out []*Event
	if limit <= 0 {
		return nil, nil
	}
	err := j.Scan(nil, before, func(e *Event) bool {
		if keep == nil || keep(e) {
			out = append(out, e)
		}
		return len(out) < limit
	})
	return out, err
}

// Names says whether an event is about a key: its subject, its call's, or on
// either side of a posting.
func (e *Event) Names(key string) bool {
	if e.Subject == key || e.Call != nil && e.Call.Key == key {
		return true
	}
	for _, p := range e.Posts {
		if p.From.Key() == key || p.To.Key() == key {
			return true
		}
	}
	return false
}

// OfKey is up to limit events below before (0: the newest) about a key, newest
// first. It reads only the blocks that name the key.
func (j *Journal) OfKey(key string, before uint64, limit int) ([]*Event, error) {
	const blocks = 64 // to ask the index for at a time
	var out []*Event
	if before == 0 {
		before = j.Last() + 1
	}
	for from := before; from > 0 && len(out) < limit; {
		firsts, err := j.index(key, from-1, blocks)
		if err != nil || len(firsts) == 0 {
			return out, err
		}
		for _, first := range firsts {
			b, err := j.block(first)
			if err != nil {
				return out, fmt.Errorf("key %s: %w", key, err)
			}
			if b == nil { // trimmed, or not on disk yet
				continue
			}
			more := backwards(b, before, func(e *Event) bool {
				if e.Names(key) {
					out = append(out, e)
				}
				return len(out) < limit
			})
			if !more {
				return out, nil
			}
		}
		from = firsts[len(firsts)-1]
	}
	return out, nil
}

// block is the one that begins at first, or nil.
func (j *Journal) block(first uint64) (*Block, error) {
	var raw []byte
	err := j.source.View(func(s *store.Snapshot) error {
		raw = bytes.Clone(s.Get(Bucket, Key(first)))
		return nil
	})
	if err != nil || raw == nil {
		return nil, err
	}
	return Decode(raw)
}

// SeqAt is the number of the first event at or after a time; one above Last if
// there is none.
func (j *Journal) SeqAt(t time.Time) (uint64, error) {
	low, high := uint64(0), j.Last()
	for high-low > 256 { // every block that begins at or below low is too old
		mid := low + (high-low)/2
		raws, err := blocksTo(j.source, mid)
		if err != nil {
			return 0, err
		}
		if len(raws) == 0 {
			low = mid
			continue
		}
		var b Block
		base, err := b.header(&reader{}, raws[0])
		if err != nil {
			return 0, err
		}
		switch {
		case TimeOf(base).Before(t):
			low = mid
		case b.First <= low:
			high = low
		default:
			high = b.First
		}
	}
	found := j.Last() + 1
	err := j.forward(nil, low-min(low, 1024), func(e *Event) bool {
		if !e.At.Before(t) {
			found = e.Seq
			return false
		}
		return true
	})
	return found, err
}
