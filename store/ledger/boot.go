package ledger

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"paygate/store"
	"paygate/store/journal"
)

// image is the books as the file has them.
type image struct {
	head
	real, would *State
	holds       []*hold
	last        uint64 // number of the newest act
	prev        journal.Hash
	clock       int64
	after       uint64           // what is above this nobody knew to be on disk
	unknown     []*journal.Event // those
}

// boot reads the books from disk: cells, then the journal from the first act
// that some cell may lack. Calls that were open when the process before ended
// are over; the boot event says so. Durable holds come back.
//
// After a failed commit the same happens, and what that commit may have put on
// disk nevertheless is found: its callers were told that nothing happened, so
// what they were charged is given back.
func (b *Book) boot() error {
	b.mu.Lock()
	i := &image{real: NewState(false), after: b.disk}
	b.mu.Unlock()
	if err := i.read(b.db); err != nil {
		return err
	}
	if b.journal == nil {
		b.journal = journal.New(b.db, i.last, b.blocksOf)
	} else {
		b.journal.Publish(i.unknown, i.last)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.restart(i); err != nil {
		return err
	}
	b.add(&journal.Event{Type: journal.TypeBoot, Actor: "system"})
	if b.epoch > 1 {
		b.giveBack(i.unknown)
	}
	return nil
}

// restart makes an image the live books. Behind mu.
func (b *Book) restart(i *image) error {
	b.real, b.would, b.prev = i.real, i.would, i.prev
	b.clock = max(b.clock, i.clock)
	b.ends = append(b.ends, b.disk)
	b.epoch++
	b.seq, b.disk = i.last, i.last
	b.down, b.queue, b.flight, b.writes = nil, nil, nil, nil
	b.opens, b.holding = map[uint64]*journal.Call{}, map[uint64]*Call{}
	b.next = newBatch()
	b.cells = round{start: i.last + 1, from: i.From}
	for _, h := range i.holds {
		if err := b.putBack(h); err != nil {
			return err
		}
	}
	return nil
}

func (i *image) read(db *store.DB) error {
	if err := db.View(i.cells); err != nil {
		return err
	}
	if err := i.tail(db); err != nil {
		return err
	}
	for _, s := range []*State{i.real, i.would} {
		if s != nil {
			s.folding = 0
			s.dropHolds() // what the fold has seen may have begun before it
		}
	}
	if err := db.View(i.readHolds); err != nil {
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return nil
}

// cells reads the owners as they were written, and where the journal ends.
func (i *image) cells(s *store.Snapshot) error {
	if raw := s.Get(bucketBooks, []byte("head")); raw != nil {
		if err := json.Unmarshal(raw, &i.head); err != nil {
			return fmt.Errorf("books: %w: %w", store.ErrCorrupt, err)
		}
	}
	var err error
	s.Descend(journal.Bucket, nil, func(_, raw []byte) bool {
		i.prev = journal.HashOf(raw)
		err = i.newest(raw)
		return false
	})
	if err != nil {
		return fmt.Errorf("books: %w: %w", store.ErrCorrupt, err)
	}
	if want := s.Get(bucketBooks, []byte(tip)); want != nil && !bytes.Equal(want, i.prev[:]) {
		return fmt.Errorf("books: %w: the newest block of the journal is not the one that was written last", store.ErrCorrupt)
	}
	if i.Would {
		i.would = NewState(true)
		if err := i.would.loadAll(s, bucketWould); err != nil {
			return err
		}
	}
	return i.real.loadAll(s, bucketCells)
}

// newest reads where the journal ends and when that was, which no cell says.
func (i *image) newest(raw []byte) error {
	block, err := journal.Decode(raw)
	if err != nil {
		return err
	}
	i.last = block.Last
	for _, act := range block.Acts {
		i.clock = max(i.clock, when(act))
	}
	return nil
}

// when is the time of an act, Unix ms.
func when(act journal.Act) int64 {
	if act.Event == nil {
		return act.Admit.At.UnixMilli()
	}
	return act.Event.At.UnixMilli()
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

// tail folds what the cells may lack.
func (i *image) tail(db *store.DB) error {
	after := uint64(0)
	if i.From > 0 {
		after = i.From - 1
	}
	if i.after > 0 { // what nobody knew is looked for, though cells may have it
		after = min(after, i.after)
	}
	return journal.Blocks(nil, db, after, func(raw []byte) (bool, error) {
		block, err := journal.Decode(raw)
		if err != nil {
			return false, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
		}
		for n, act := range block.Acts {
			i.fold(block.First, block.First+uint64(n), act)
		}
		return true, nil
	})
}

// fold counts one act in. The would-be books need no beginning here: their
// cells were all written with the event that began shadow mode.
func (i *image) fold(block, seq uint64, act journal.Act) {
	i.real.folding = seq
	i.real.Fold(act)
	if i.would != nil {
		i.would.folding = seq
		i.would.Fold(act)
	}
	i.clock = max(i.clock, when(act))
	e := act.Event
	if e == nil {
		return
	}
	i.real.name(e, block) // the part of the index that no cell has written
	if i.after > 0 && seq > i.after {
		i.unknown = append(i.unknown, e)
	}
}

// readHolds reads the durable holds in the order in which they were made: put
// back in another order they would count in the wrong period of a meter.
func (i *image) readHolds(s *store.Snapshot) error {
	var err error
	s.Ascend(bucketHolds, nil, func(_, v []byte) bool {
		var h *hold
		if h, err = decodeHold(bytes.Clone(v)); err == nil {
			i.holds = append(i.holds, h)
		}
		return err == nil
	})
	sortHolds(i.holds)
	return err
}
