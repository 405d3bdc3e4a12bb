package ledger

import (
	"encoding/binary"
	"slices"

	"paygate/store"
)

// A commit carries a changed cell for so many events, within bounds: the more
// cells, the shorter the tail that boot folds, and the longer calls wait.
const (
	eventsPerCell = 16
	fewestCells   = 4
	mostCells     = 32
)

// round is one pass over the changed cells.
type round struct {
	next  int    // the cell to look at next
	start uint64 // every cell that was written in this round, or had no need to be, has what is before
	from  uint64 // every cell has what is before
	bytes int    // written in this round
	due   uint64 // the next round begins at this act
}

// bytesPerAct is what cells may cost on average: a cell with long rate windows,
// which changes with every call, is not written with every call.
const bytesPerAct = 64

// fewestActs are between two rounds: a small state is not written with every
// commit, and boot folds so many acts in a few milliseconds.
const fewestActs = 2048

// turn copies the changed cells that have their turn and moves the round on.
// Behind mu.
func (b *Book) turn(c *cut, all bool) []func(*store.Tx) error {
	var writes []func(*store.Tx) error
	now, r := b.now(), &b.cells
	if r.next == 0 {
		if c.last < r.due && !all {
			return nil
		}
		r.start, r.bytes = c.last+1, 0
	}
	write := func(bucket string, i int, s *State) int {
		if s == nil || i >= len(s.dirty) || !s.dirty[i] {
			return 0
		}
		raw := s.cell(i, c.last, now)
		s.dirty[i] = false
		r.bytes += len(raw)
		writes = append(writes, put(bucket, i, raw))
		return 1
	}
	cells := max(len(b.real.dirty), b.wouldCells())
	most := max(fewestCells, min(mostCells, len(c.events)/eventsPerCell))
	for n := 0; n < most && r.next < cells; r.next++ {
		if write(bucketCells, r.next, b.real) > 0 {
			writes = append(writes, b.flushIndex(r.next))
			n++
		}
		n += write(bucketWould, r.next, b.would)
	}
	if r.next >= cells { // the round is over: all cells have what was before it began
		r.from, r.next = r.start, 0
		r.due = c.last + max(fewestActs, uint64(r.bytes/bytesPerAct))
		c.head = &head{From: r.from, Would: b.would != nil}
	}
	return writes
}

func (b *Book) wouldCells() int {
	if b.would == nil {
		return 0
	}
	return len(b.would.dirty)
}

func put(bucket string, n int, value []byte) func(*store.Tx) error {
	return func(tx *store.Tx) error { return tx.Put(bucket, cellKey(n), value) }
}

// flushIndex writes which blocks name the owners of a cell. Behind mu.
func (b *Book) flushIndex(cell int) func(*store.Tx) error {
	var raw []byte
	for i := cell * perCell; i < min(len(b.real.list), (cell+1)*perCell); i++ {
		o := b.real.list[i]
		if o == nil || len(o.index) == 0 {
			continue
		}
		raw = binary.AppendUvarint(raw, uint64(i%perCell))
		raw = binary.AppendUvarint(raw, uint64(len(o.index)))
		before := uint64(0)
		for _, block := range o.index {
			raw = binary.AppendUvarint(raw, block-before)
			before = block
		}
		o.flushed, o.index = o.index, nil
	}
	key := binary.BigEndian.AppendUint64(cellKey(cell), b.disk)
	return func(tx *store.Tx) error {
		if len(raw) == 0 {
			return nil
		}
		// A stop writes what is left under the number that the first block after
		// the next start finds, too.
		return tx.Put(bucketIndex, key, slices.Concat(tx.Get(bucketIndex, key), raw))
	}
}

// indexBlock notes which keys' owners the block names. Behind mu.
func (b *Book) indexBlock(c *cut) {
	for _, e := range c.events {
		b.real.name(e, c.first)
	}
}
