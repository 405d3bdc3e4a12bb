package ledger

import (
	"cmp"
	"encoding/binary"
	"slices"

	"paygate/store"
	"paygate/store/field"
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
	blocks := slices.Concat(o.flushed, o.index)
	b.mu.Unlock()
	at := &indexScan{cell: cellKey(number / perCell), owner: number % perCell, from: from}
	for _, block := range blocks {
		at.add(block)
	}
	if err := b.db.View(at.above); err != nil {
		return nil, err
	}
	for !at.end && len(at.blocks) < limit {
		if err := b.db.View(at.below); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(at.blocks, func(a, b uint64) int { return cmp.Compare(b, a) })
	out := slices.Compact(at.blocks)
	return out[:min(limit, len(out))], nil
}

// indexScan goes backwards through the index of one cell for one owner. A
// record's key is the last act that was on disk when it was written, so it only
// names blocks that begin below that, or right after it.
type indexScan struct {
	cell   []byte
	owner  int
	from   uint64 // only blocks up to here
	pos    []byte // below looks from here on
	end    bool
	blocks []uint64
}

func (x *indexScan) key(disk uint64) []byte {
	return binary.BigEndian.AppendUint64(slices.Clone(x.cell), disk)
}

func (x *indexScan) add(block uint64) {
	if block <= x.from {
		x.blocks = append(x.blocks, block)
	}
}

// take reads a record, if it is one of the cell.
func (x *indexScan) take(k, v []byte) bool {
	if len(k) != 12 || string(k[:4]) != string(x.cell) {
		return false
	}
	for _, block := range indexed(v, x.owner) {
		x.add(block)
	}
	return true
}

// above reads the first record written after from: it may still name blocks
// below it.
func (x *indexScan) above(s *store.Snapshot) error {
	start := x.key(max(x.from, 1) - 1)
	s.Ascend(bucketIndex, start, func(k, v []byte) bool {
		x.take(k, v)
		return false
	})
	x.pos = start
	return nil
}

// below reads some of the records before from.
func (x *indexScan) below(s *store.Snapshot) error {
	const most = 256
	n := 0
	x.end = true
	s.Descend(bucketIndex, x.pos, func(k, v []byte) bool {
		if string(k) == string(x.pos) {
			return true // was read already
		}
		if !x.take(k, v) {
			return false
		}
		n++
		if x.pos = append(x.pos[:0], k...); n == most {
			x.end = false
		}
		return n < most
	})
	return nil
}

// indexed is what one index record says of one owner.
func indexed(raw []byte, owner int) []uint64 {
	r := field.Read(raw)
	var blocks []uint64
	for r.Left() > 0 && r.Err() == nil {
		who, n, at := r.Uint(), r.Uint(), uint64(0)
		for ; n > 0 && r.Err() == nil; n-- {
			if at += r.Uint(); who == uint64(owner) {
				blocks = append(blocks, at)
			}
		}
	}
	return blocks
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
