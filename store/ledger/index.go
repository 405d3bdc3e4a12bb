package ledger

import (
	"cmp"
	"encoding/binary"
	"slices"

	"paygate/store"
	"paygate/store/journal"
)

// blocksOf finds the blocks that name a key: those noted in memory since its
// cell was written, then the written index, newest first.
func (b *Book) blocksOf(key string, from uint64, limit int) ([]uint64, error) {
	b.mu.Lock()
	o := b.real.owners[journal.KeyAccount(key)]
	if o == nil {
		b.mu.Unlock()
		return nil, nil
	}
	number := o.number
	blocks := slices.Clone(o.index)
	b.mu.Unlock()
	cell := cellKey(number / perCell)
	err := b.db.View(func(s *store.Snapshot) error {
		s.Descend(bucketIndex, binary.BigEndian.AppendUint64(slices.Clone(cell), ^uint64(0)), func(k, v []byte) bool {
			if len(k) != 12 || string(k[:4]) != string(cell) {
				return false
			}
			blocks = append(blocks, indexed(v, number%perCell)...)
			return countBelow(blocks, from) < limit
		})
		return nil
	})
	slices.SortFunc(blocks, func(a, b uint64) int { return cmp.Compare(b, a) })
	blocks = slices.Compact(blocks)
	blocks = slices.DeleteFunc(blocks, func(n uint64) bool { return n > from })
	return blocks[:min(limit, len(blocks))], err
}

// indexed is what one index record says of one owner.
func indexed(raw []byte, owner int) []uint64 {
	r := &cellReader{b: raw}
	for len(r.b) > 0 && !r.bad {
		who, n, at := r.uint(), r.uint(), uint64(0)
		var blocks []uint64
		for ; n > 0 && !r.bad; n-- {
			at += r.uint()
			blocks = append(blocks, at)
		}
		if who == uint64(owner) {
			return blocks
		}
	}
	return nil
}

func countBelow(blocks []uint64, from uint64) int {
	n := 0
	for _, b := range blocks {
		if b <= from {
			n++
		}
	}
	return n
}

// name adds a block to the index of the keys that an event is about. An owner
// whose cell was written later than the event is in the written index.
func (s *State) name(e *journal.Event, block uint64) {
	note := func(a journal.Account) {
		if a.Key() == "" {
			return
		}
		o := s.of(a)
		if n := len(o.index); s.misses(o) && (n == 0 || o.index[n-1] != block) {
			o.index = append(o.index, block)
			s.touch(o)
		}
	}
	if e.Subject != "" {
		note(journal.KeyAccount(e.Subject))
	}
	for _, p := range e.Posts {
		note(p.From)
		note(p.To)
	}
}
