package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"paygate/store/field"
)

// Hash chains the blocks: each carries the hash of the one before.
type Hash [sha256.Size]byte

// Block is what one commit writes: every act since the block before, in the
// order of their sequence numbers, of which none is missing.
type Block struct {
	First, Last uint64
	Prev        Hash
	Acts        []Act

	memory *slabs // that a Decoder uses again; nil: none does
}

// Act is one sequence number. Exactly one of its fields is set.
type Act struct {
	Event *Event // an event, a call that ended among them
	Admit *Call  // a call was admitted; Ended tells whether its end is in the same block
	Ended bool
}

// version is the form of blocks that this program writes.
const version = 1

// Encode makes a block of events, which are in the order of their Seq, and of
// the calls that were admitted since the block before and have not ended.
func Encode(prev Hash, first, last uint64, events []*Event, opens []*Call) []byte {
	return new(Encoder).Encode(prev, first, last, events, opens)
}

// Encoder makes block after block in the same memory.
type Encoder struct {
	act   writer // the one that is being written, and the words of all
	acts  writer
	block writer
}

// Encode is Encode whose block is good until the next one is made.
func (n *Encoder) Encode(prev Hash, first, last uint64, events []*Event, opens []*Call) []byte {
	if n.act.dict == nil {
		n.act.dict = map[string]uint64{}
	}
	clear(n.act.dict)
	clear(n.act.words)
	n.act.words, n.acts.b, n.block.b = n.act.words[:0], n.acts.b[:0], n.block.b[:0]
	base := baseTime(events, opens)
	n.acts.uint(uint64(len(events) + len(opens)))
	for _, c := range opens {
		n.act.call(c, first, base)
		n.act.later(c)
		n.record(actOpen, c.AdmitSeq-first)
	}
	for _, e := range events {
		if e.Call != nil {
			n.act.call(e.Call, first, base)
			n.act.int(millis(e.At) - base)
			n.act.later(e.Call)
			n.record(actCall, e.Seq-first)
			continue
		}
		n.act.event(e, base)
		n.record(actEvent, e.Seq-first)
	}
	w := &n.block
	w.b = append(w.b, version)
	w.uint(first)
	w.uint(last - first)
	w.int(base)
	w.b = append(w.b, prev[:]...)
	w.uint(uint64(len(n.act.words)))
	for _, s := range n.act.words {
		w.text(s)
	}
	w.b = append(w.b, n.acts.b...)
	return w.b
}

// record adds the act with its length, so that old programs can step over
// fields that newer ones add at its end.
func (n *Encoder) record(kind byte, offset uint64) {
	n.acts.b = append(n.acts.b, kind)
	n.acts.uint(offset)
	n.acts.bytes(n.act.b)
	n.act.b = n.act.b[:0]
}

func baseTime(events []*Event, opens []*Call) int64 {
	if len(events) > 0 {
		return millis(events[0].At)
	}
	if len(opens) > 0 {
		return millis(opens[0].At)
	}
	return 0
}

// HashOf is what the next block will carry as Prev.
func HashOf(block []byte) Hash { return sha256.Sum256(block) }

// Decode reads a block back. Damage is an error that names the place; it never
// panics.
func Decode(raw []byte) (*Block, error) {
	b := &Block{}
	if err := b.decode(&reader{slabs: &slabs{}}, raw); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *Block) decode(r *reader, raw []byte) error {
	base, err := b.header(r, raw)
	if err != nil {
		return err
	}
	r.dictionary()
	if r.Err() != nil {
		return r.Err()
	}
	n := r.Count()
	if uint64(n) > b.Last-b.First+1 {
		return fmt.Errorf("block %d: %w: %d acts for %d numbers", b.First, field.ErrDamaged, n, b.Last-b.First+1)
	}
	clear(b.Acts)
	b.Acts = slices.Grow(b.Acts[:0], int(b.Last-b.First+1))[:b.Last-b.First+1]
	for range n {
		if err := b.act(r, base); err != nil {
			return fmt.Errorf("block %d: %w", b.First, err)
		}
	}
	for i, a := range b.Acts {
		if a.Event == nil && a.Admit == nil {
			return fmt.Errorf("block %d: %w: nothing at %d", b.First, field.ErrDamaged, b.First+uint64(i))
		}
	}
	return nil
}

// Link reads only what chains a block: its numbers and the hash before it.
func Link(raw []byte) (first, last uint64, prev Hash, err error) {
	var b Block
	_, err = b.header(&reader{}, raw)
	return b.First, b.Last, b.Prev, err
}

// header reads what stands before the dictionary, and gives the time that others
// are relative to.
func (b *Block) header(r *reader, raw []byte) (base int64, err error) {
	if len(raw) == 0 || raw[0] != version {
		return 0, fmt.Errorf("%w: not a block of version %d", field.ErrDamaged, version)
	}
	r.Reader = field.Read(raw[1:])
	b.First = r.Uint()
	b.Last = b.First + r.Uint()
	base = r.Int()
	copy(b.Prev[:], r.Take(len(b.Prev), "hash"))
	const most = 1 << 24 // acts in a block; far above any queue
	if r.Err() == nil && (b.Last < b.First || b.Last-b.First >= most || b.Last-b.First > 2*uint64(len(raw))) {
		r.Fail("numbers")
	}
	return base, r.Err()
}

// act reads one record into its place, and the admission of a call that ended
// in the same block into the place of that.
func (b *Block) act(r *reader, base int64) error {
	kind, offset, body := r.Byte(), r.Uint(), r.Bytes()
	if r.Err() != nil {
		return r.Err()
	}
	if offset >= uint64(len(b.Acts)) {
		return fmt.Errorf("%w: act beyond the block", field.ErrDamaged)
	}
	in := &reader{Reader: field.Read(body), words: r.words, slabs: r.slabs}
	var a Act
	switch kind {
	case actOpen:
		a.Admit = in.call(b.First, base, true)
		in.later(a.Admit)
	case actCall:
		c := in.call(b.First, base, false)
		a.Event = &in.slabs.events.some(1)[0]
		*a.Event = Event{At: TimeOf(in.Int() + base), Type: TypeCall, Subject: c.Key, Call: c, Seq: b.First + offset}
		in.later(c)
		b.admission(c)
	case actEvent:
		a.Event = in.event(base)
		a.Event.Seq = b.First + offset
	default:
		return fmt.Errorf("%w: act of kind %d", field.ErrDamaged, kind)
	}
	if in.Err() == nil && taken(b.Acts[offset]) {
		in.Fail("two acts under one number")
	}
	b.Acts[offset] = a
	return in.Err()
}

// admission puts the admission of an ended call where it happened, if that was
// in this block.
func (b *Block) admission(c *Call) {
	if c.AdmitSeq >= b.First && c.AdmitSeq <= b.Last && c.AdmitSeq != 0 {
		if place := &b.Acts[c.AdmitSeq-b.First]; !taken(*place) {
			*place = Act{Admit: c, Ended: true}
		}
	}
}

func taken(a Act) bool { return a.Event != nil || a.Admit != nil }

// Key is a block's key in the file: its first number, big endian, so that the
// file's order is the books' order.
func Key(first uint64) []byte { return binary.BigEndian.AppendUint64(nil, first) }

// FirstOf is the inverse of Key.
func FirstOf(key []byte) uint64 {
	if len(key) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}

// Same says whether a block follows the one whose hash is prev.
func Same(a, b Hash) bool { return bytes.Equal(a[:], b[:]) }
