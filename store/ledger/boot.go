package ledger

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"paygate/store"
	"paygate/store/journal"
)

// boot reads the books from disk: cells, then the journal from the first act
// that some cell may lack. Calls that were open when the process before ended
// are over; the boot event says so. Durable holds come back.
func (b *Book) boot() error {
	h, err := b.loadCells()
	if err != nil {
		return err
	}
	last, err := b.foldTail(h)
	if err != nil {
		return err
	}
	if b.journal == nil {
		b.journal = journal.New(b.db, last, b.blocksOf)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq, b.disk = last, last
	b.epoch++
	b.down, b.queue, b.flight = nil, nil, nil
	b.opens, b.holding = map[uint64]*journal.Call{}, map[uint64]*Call{}
	b.next = newBatch()
	b.cells = round{start: last + 1, from: h.From}
	if err := b.loadHolds(); err != nil {
		return err
	}
	b.seq++
	b.append(&journal.Event{Seq: b.seq, At: b.now(), Type: journal.TypeBoot, Actor: "system"})
	return nil
}

// loadCells reads the owners as they were written.
func (b *Book) loadCells() (head, error) {
	var h head
	real, would := NewState(false), NewState(true)
	err := b.db.View(func(s *store.Snapshot) error {
		if raw := s.Get(bucketBooks, []byte("head")); raw != nil {
			if err := json.Unmarshal(raw, &h); err != nil {
				return fmt.Errorf("books: %w: %w", store.ErrCorrupt, err)
			}
		}
		if err := real.loadAll(s, bucketCells); err != nil {
			return err
		}
		return would.loadAll(s, bucketWould)
	})
	if err != nil {
		return h, err
	}
	b.real, b.would = real, nil
	if h.Would {
		b.would = would
	}
	return h, nil
}

func (s *State) loadAll(snap *store.Snapshot, bucket string) error {
	var err error
	snap.Ascend(bucket, nil, func(k, v []byte) bool {
		if len(k) == 4 {
			err = s.load(int(binary.BigEndian.Uint32(k)), v)
		}
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	s.findGaps()
	return nil
}

// foldTail folds what the cells may lack and gives the last number on disk.
func (b *Book) foldTail(h head) (uint64, error) {
	last := uint64(0)
	err := b.db.View(func(s *store.Snapshot) error {
		s.Descend(journal.Bucket, nil, func(_, raw []byte) bool {
			_, last, _, _ = journal.Link(raw)
			b.prev = journal.HashOf(raw)
			return false
		})
		return nil
	})
	if err != nil || last == 0 {
		return last, err
	}
	after := uint64(0)
	if h.From > 0 {
		after = h.From - 1
	}
	err = journal.Blocks(nil, b.db, after, func(raw []byte) (bool, error) {
		block, err := journal.Decode(raw)
		if err != nil {
			return false, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
		}
		b.foldBlock(block)
		return true, nil
	})
	b.real.folding = 0
	if b.would != nil {
		b.would.folding = 0
	}
	return last, err
}

func (b *Book) foldBlock(block *journal.Block) {
	for i, act := range block.Acts {
		seq := block.First + uint64(i)
		b.real.folding = seq
		b.real.Fold(seq, act)
		if b.would != nil { // its cells were all written with the event that began shadow mode
			b.would.folding = seq
			b.would.Fold(seq, act)
		}
		at := act.Admit
		if act.Event != nil {
			b.clock = max(b.clock, act.Event.At.UnixMilli())
			b.nameAgain(act.Event, block.First)
		} else if at != nil {
			b.clock = max(b.clock, at.At.UnixMilli())
		}
	}
}

// nameAgain rebuilds the part of the index that no cell has written.
func (b *Book) nameAgain(e *journal.Event, block uint64) {
	b.name(e, block, func(o *owner) bool { return o.seq < e.Seq })
}

// loadHolds puts durable holds back, in the order they were made. Behind mu.
func (b *Book) loadHolds() error {
	b.real.holds, b.lifts = map[string]*hold{}, nil
	for _, o := range b.real.list {
		if o != nil {
			o.held = 0 // what the fold has seen may have begun before it
		}
	}
	var holds []*hold
	err := b.db.View(func(s *store.Snapshot) error {
		var err error
		s.Ascend(bucketHolds, nil, func(_, v []byte) bool {
			var h *hold
			if h, err = decodeHold(bytes.Clone(v)); err == nil {
				holds = append(holds, h)
			}
			return err == nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	sortHolds(holds)
	for _, h := range holds {
		if err := b.putBack(h); err != nil {
			return err
		}
	}
	return nil
}
