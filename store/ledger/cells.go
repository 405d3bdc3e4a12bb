package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/store/field"
	"paygate/store/journal"
)

// Cells are the owners' sums on disk, perCell owners in each, so that a commit
// can carry a few of them and boot need not fold the whole journal. A cell is
// written under the book's lock when a block is cut, so it holds exactly the
// acts up to that block.
const perCell = 64

var errCell = errors.New("damaged cell")

func cellKey(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

// cell encodes one cell as it is at seq; now prunes what no decision can see.
func (s *State) cell(n int, seq uint64, now time.Time) []byte {
	for i := n * perCell; i < min(len(s.list), (n+1)*perCell); i++ {
		if o := s.list[i]; o != nil {
			o.prune(now.UnixMilli())
		}
	}
	return s.encode(n, seq, now)
}

// encode is cell without forgetting anything.
func (s *State) encode(n int, seq uint64, now time.Time) []byte {
	b := binary.AppendUvarint(nil, seq)
	for i := n * perCell; i < min(len(s.list), (n+1)*perCell); i++ {
		if o := s.list[i]; o != nil {
			b = o.append(binary.AppendUvarint(b, uint64(i%perCell)+1), now.UnixMilli())
		}
	}
	return binary.AppendUvarint(b, 0)
}

// prune forgets what no decision at now or later can see.
func (o *owner) prune(now int64) {
	live := 0
	for _, w := range o.rates {
		if w.prune(now); len(w.slots) > 0 {
			o.rates[live] = w
			live++
		}
	}
	o.rates = slices.Delete(o.rates, live, len(o.rates))
}

// append writes an owner without what no decision at now or later can see. It
// changes nothing.
func (o *owner) append(b []byte, now int64) []byte {
	b = binary.AppendUvarint(b, uint64(len(o.account)))
	b = append(b, o.account...)
	b = binary.AppendVarint(b, int64(o.posted))
	for _, k := range meterKinds {
		b = binary.AppendVarint(b, int64(o.meters[k].period))
		b = binary.AppendVarint(b, o.meters[k].used)
	}
	b = binary.AppendVarint(b, int64(o.spent))
	b = binary.AppendVarint(b, o.calls)
	b = binary.AppendVarint(b, o.last)
	b = o.appendUsage(b)
	live := 0
	for _, w := range o.rates {
		if w.count(now) > 0 {
			live++
		}
	}
	b = binary.AppendUvarint(b, uint64(live))
	for _, w := range o.rates {
		if n := w.count(now); n > 0 {
			b = w.append(b, w.slots[len(w.slots)-n:])
		}
	}
	return b
}

// appendUsage writes the counters that are in use.
func (o *owner) appendUsage(b []byte) []byte {
	counters := o.usage.Counters()
	used := 0
	for _, n := range counters {
		if n != 0 {
			used++
		}
	}
	b = binary.AppendUvarint(b, uint64(used))
	for i, n := range counters {
		if n != 0 {
			b = binary.AppendVarint(binary.AppendUvarint(b, uint64(i)), n)
		}
	}
	return b
}

func (w *window) append(b []byte, slots []int64) []byte {
	b = binary.AppendUvarint(b, uint64(len(w.tool)))
	b = append(b, w.tool...)
	b = binary.AppendVarint(b, w.span)
	b = binary.AppendUvarint(b, uint64(len(slots)))
	before := int64(0)
	for _, at := range slots {
		b = binary.AppendVarint(b, at-before)
		before = at
	}
	return b
}

// load reads a cell into the state.
func (s *State) load(n int, raw []byte) error {
	r := &cellReader{field.Read(raw)}
	seq := r.Uint()
	for {
		i := r.Uint()
		if r.Err() != nil || i > perCell {
			return fmt.Errorf("%w %d", errCell, n)
		}
		if i == 0 {
			return nil
		}
		o := r.owner()
		o.seq, o.number = seq, n*perCell+int(i)-1
		for len(s.list) <= o.number {
			s.list = append(s.list, nil)
		}
		s.list[o.number] = o
		s.owners[o.account] = o
		s.count(o)
	}
}

// findGaps finds the numbers that no loaded cell has.
func (s *State) findGaps() {
	s.dirty = make([]bool, (len(s.list)+perCell-1)/perCell)
	for i := len(s.list) - 1; i >= 0; i-- {
		if s.list[i] == nil {
			s.gaps = append(s.gaps, i)
		}
	}
}

// cellReader takes owners back.
type cellReader struct{ field.Reader }

func (r *cellReader) owner() *owner {
	o := &owner{account: journal.Account(r.Text())}
	o.posted = pricing.Credits(r.Int())
	for _, k := range meterKinds {
		o.meters[k].period = int32(r.Int())
		o.meters[k].used = r.Int()
	}
	o.spent, o.calls, o.last = pricing.Credits(r.Int()), r.Int(), r.Int()
	var counters [pricing.Slots]int64
	for range min(r.Uint(), pricing.Slots) {
		if i := r.Uint(); i < pricing.Slots {
			counters[i] = r.Int()
		}
	}
	o.usage = pricing.UsageOf(counters)
	for range r.Uint() {
		if r.Err() != nil {
			break
		}
		r.window(o)
	}
	return o
}

func (r *cellReader) window(o *owner) {
	tool := r.Text()
	w := o.rate(tool, time.Duration(r.Int())*time.Millisecond)
	before := int64(0)
	for n := r.Uint(); n > 0 && r.Err() == nil; n-- {
		before += r.Int()
		w.slots = append(w.slots, before)
	}
}
