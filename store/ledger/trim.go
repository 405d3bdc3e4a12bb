package ledger

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"paygate/store"
	"paygate/store/journal"
)

// Retention. What is trimmed from the journal's beginning leaves an anchor: the
// books as the fold of all that was there. Proofs begin at it, balances and
// everything else stay as they are.

// bucketAnchor has the cells of anchors: generation, cell → owners. Bit 31 of
// the cell is set for the would-be books.
const bucketAnchor = "anchor"

// anchor is the record of the newest one.
type anchor struct {
	Generation uint32       `json:"generation"`
	Seq        uint64       `json:"seq"`  // the last act that is in it
	Prev       journal.Hash `json:"prev"` // hash of the block that ended with it
	Clock      int64        `json:"clock"`
	Would      bool         `json:"would,omitempty"`
	Holds      []holdRecord `json:"holds,omitempty"` // reservations
}

const wouldCell = 1 << 31

// slices of the work that trimming does in one transaction, so that calls go on.
const (
	anchorCells = 32
	trimBlocks  = 128
	indexKeys   = 1000
)

// Trim forgets the events below a number, as far as whole blocks go and the
// books do not need them to start, and says what the first one kept is. It
// proves what it forgets first: the journal must fold to its end, unbroken.
func (b *Book) Trim(ctx context.Context, before uint64, actor string) (first uint64, err error) {
	b.trimming.Lock()
	defer b.trimming.Unlock()
	b.mu.Lock()
	before = min(before, b.cells.from)
	b.mu.Unlock()
	cut, err := b.blockBelow(before)
	if err != nil {
		return 0, err
	}
	p := Proof{}
	f, a, err := newRefold(b.db, &p)
	if err != nil {
		return 0, fmt.Errorf("trim: %w", err)
	}
	if cut <= f.done+1 {
		return f.done + 1, nil
	}
	if err := f.advance(ctx, cut-1); err != nil {
		return 0, fmt.Errorf("trim: %w", err)
	}
	if !p.OK() {
		return 0, fmt.Errorf("trim: %w: %s", store.ErrCorrupt, p.Faults[0])
	}
	next := anchor{Generation: a.Generation + 1, Seq: cut - 1, Prev: f.prev, Clock: f.clock, Would: f.would != nil}
	if err := b.dropAnchor(ctx, next.Generation); err != nil { // of a trim that was interrupted
		return 0, err
	}
	if err := b.writeAnchor(ctx, f, &next); err != nil {
		return 0, fmt.Errorf("trim: %w", err)
	}
	err = b.Apply(ctx, func(tx *Tx) error {
		return tx.Append(journal.Event{Type: journal.TypeTrimmed, Actor: actor, Data: fmt.Appendf(nil, `{"first":%d}`, cut)})
	})
	if err != nil {
		return 0, fmt.Errorf("trim: %w", err)
	}
	if err := b.dropBlocks(ctx, cut); err != nil {
		return 0, fmt.Errorf("trim: %w", err)
	}
	if err := b.dropIndex(ctx, cut); err != nil {
		return 0, fmt.Errorf("trim: %w", err)
	}
	return cut, b.dropAnchor(ctx, a.Generation)
}

// blockBelow is the first number of the block that has before.
func (b *Book) blockBelow(before uint64) (first uint64, err error) {
	err = b.db.View(func(s *store.Snapshot) error {
		s.Descend(journal.Bucket, journal.Key(before), func(k, _ []byte) bool {
			first = journal.FirstOf(k)
			return false
		})
		return nil
	})
	return first, err
}

func anchorKey(generation uint32, cell int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, generation), uint32(cell))
}

// writeAnchor writes the fold's cells, and last the record that makes them
// count.
func (b *Book) writeAnchor(ctx context.Context, f *refold, a *anchor) error {
	for _, s := range []*State{f.real, f.would} {
		for from := 0; s != nil && from < len(s.dirty); from += anchorCells {
			err := b.slice(ctx, func(tx *store.Tx) error {
				for n := from; n < min(from+anchorCells, len(s.dirty)); n++ {
					key := n
					if s.would {
						key |= wouldCell
					}
					if err := tx.Put(bucketAnchor, anchorKey(a.Generation, key), s.cell(n, a.Seq, journal.TimeOf(f.clock))); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	if err := b.writeRecords(ctx, f.records, a.Generation); err != nil {
		return err
	}
	for _, h := range f.real.holds {
		a.Holds = append(a.Holds, holdRecord{Hold: h.Hold, Seq: h.seq})
	}
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return b.slice(ctx, func(tx *store.Tx) error { return tx.Put(bucketBooks, []byte("anchor"), text) })
}

// slice is one short transaction of a long work. It touches nothing that the
// live books write, so its failure is its own.
func (b *Book) slice(ctx context.Context, fn func(*store.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.db.Update(fn)
}

func (b *Book) dropBlocks(ctx context.Context, cut uint64) error {
	return b.dropSome(ctx, journal.Bucket, nil, func(k []byte) bool { return journal.FirstOf(k) < cut })
}

func (b *Book) dropAnchor(ctx context.Context, generation uint32) error {
	from := anchorKey(generation, 0)
	return b.dropSome(ctx, bucketAnchor, from, func(k []byte) bool { return len(k) >= 8 && binary.BigEndian.Uint32(k) == generation })
}

// dropSome deletes the keys of a bucket from one on as long as they belong,
// some at a time.
func (b *Book) dropSome(ctx context.Context, bucket string, from []byte, belongs func([]byte) bool) error {
	for more := true; more; {
		err := b.slice(ctx, func(tx *store.Tx) error {
			var keys [][]byte
			tx.Ascend(bucket, from, func(k, _ []byte) bool {
				if belongs(k) {
					keys = append(keys, append([]byte(nil), k...))
				}
				return belongs(k) && len(keys) < trimBlocks
			})
			more = len(keys) == trimBlocks
			for _, k := range keys {
				if err := tx.Delete(bucket, k); err != nil {
					return err
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

// dropIndex deletes the index of blocks that are gone.
func (b *Book) dropIndex(ctx context.Context, cut uint64) error {
	for from, more := []byte(nil), true; more; {
		old, next, err := b.oldIndex(from, cut)
		if err != nil {
			return err
		}
		from, more = next, next != nil
		if len(old) == 0 {
			continue
		}
		err = b.slice(ctx, func(tx *store.Tx) error {
			for _, k := range old {
				if err := tx.Delete(bucketIndex, k); err != nil {
					return err
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

// oldIndex looks at some keys of the index for those that only name blocks
// below cut, and says where to go on; nil at the end.
func (b *Book) oldIndex(from []byte, cut uint64) (old [][]byte, next []byte, err error) {
	n := 0
	err = b.db.View(func(s *store.Snapshot) error {
		s.Ascend(bucketIndex, from, func(k, _ []byte) bool {
			if n++; n > indexKeys {
				next = append([]byte(nil), k...)
				return false
			}
			if len(k) == 12 && binary.BigEndian.Uint64(k[4:])+1 < cut {
				old = append(old, append([]byte(nil), k...))
			}
			return true
		})
		return nil
	})
	return old, next, err
}

// newRefold begins a fold at the newest anchor, or at the beginning.
func newRefold(db *store.DB, p *Proof) (*refold, anchor, error) {
	f := &refold{db: db, real: NewState(false), proof: p, seen: map[journal.Account]bool{}, progress: func(float64) {},
		open: map[string]*journal.Call{}, parked: map[string]*hold{}, records: records{}, given: map[uint64]uint64{}}
	var a anchor
	err := db.View(func(s *store.Snapshot) error {
		raw := s.Get(bucketBooks, []byte("anchor"))
		if raw == nil {
			return nil
		}
		if err := json.Unmarshal(raw, &a); err != nil {
			return fmt.Errorf("anchor: %w: %w", store.ErrCorrupt, err)
		}
		if a.Would {
			f.would = NewState(true)
		}
		return f.loadAnchor(s, a)
	})
	return f, a, err
}

func (f *refold) loadAnchor(s *store.Snapshot, a anchor) error {
	var err error
	s.Ascend(bucketAnchor, anchorKey(a.Generation, 0), func(k, v []byte) bool {
		if len(k) < 8 || binary.BigEndian.Uint32(k) != a.Generation {
			return false
		}
		if len(k) > 8 {
			f.records.read(k[8:], v)
			return true
		}
		state, cell := f.real, int(binary.BigEndian.Uint32(k[4:]))
		if cell&wouldCell != 0 {
			state, cell = f.would, cell&^wouldCell
		}
		if state == nil {
			err = errCell
		} else {
			err = state.load(cell, v)
		}
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("anchor: %w: %w", store.ErrCorrupt, err)
	}
	for _, state := range []*State{f.real, f.would} {
		if state == nil {
			continue
		}
		state.findGaps()
		for _, r := range a.Holds {
			state.put(&hold{Hold: r.Hold, seq: r.Seq})
		}
	}
	f.begin, f.done, f.prev, f.clock = a.Seq, a.Seq, a.Prev, a.Clock
	return nil
}
