package store

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"iter"
)

// record is what one Log commits: its head, then the changes.
type record struct{ raw []byte }

// The head of a record: the checksum of all that follows, the payload's length,
// the number, the checksum of the record before.
const recordHead = 4 + 4 + 8 + 4

func newRecord() *record { return &record{raw: make([]byte, recordHead, 4<<10)} }

func (r *record) payload() []byte { return r.raw[recordHead:] }

// seal makes it the record after another.
func (r *record) seal(after mark) mark {
	is := mark{number: after.number + 1}
	binary.LittleEndian.PutUint32(r.raw[4:], uint32(len(r.raw)-recordHead)) // #nosec G115 -- below segmentSize
	binary.LittleEndian.PutUint64(r.raw[8:], is.number)
	binary.LittleEndian.PutUint32(r.raw[16:], after.sum)
	is.sum = checksum(r.raw[4:])
	binary.LittleEndian.PutUint32(r.raw, is.sum)
	return is
}

func checksum(raw []byte) uint32 { return crc32.Checksum(raw, crc32.MakeTable(crc32.Castagnoli)) }

// sealed is a record as it is read.
type sealed struct {
	is      mark
	before  uint32 // checksum of the one before it
	payload []byte
}

// unseal reads the record at the beginning of what is left of a segment; size
// is 0 if there is no whole one.
func unseal(rest []byte) (r sealed, size int) {
	if len(rest) < recordHead {
		return r, 0
	}
	size = recordHead + int(binary.LittleEndian.Uint32(rest[4:]))
	if size > len(rest) {
		return r, 0
	}
	r = sealed{mark{binary.LittleEndian.Uint64(rest[8:]), binary.LittleEndian.Uint32(rest)}, binary.LittleEndian.Uint32(rest[16:]), rest[recordHead:size]}
	if r.is.number == 0 || r.is.sum != checksum(rest[4:size]) {
		return r, 0
	}
	return r, min(int(whole(size)), len(rest))
}

// What a change does with its key.
const (
	changePut byte = iota
	changeAppend
	changeDelete
)

// change is one key of a record.
type change struct {
	kind   byte
	bucket string
	key    []byte
	value  []byte
}

func (r *record) add(kind byte, bucket string, key, value []byte) {
	r.raw = append(r.raw, kind)
	r.raw = append(binary.AppendUvarint(r.raw, uint64(len(bucket))), bucket...)
	r.raw = append(binary.AppendUvarint(r.raw, uint64(len(key))), key...)
	r.raw = append(binary.AppendUvarint(r.raw, uint64(len(value))), value...)
}

// changes goes through a payload, which its checksum vouches for.
func changes(payload []byte) iter.Seq[change] {
	return func(yield func(change) bool) {
		field := func() []byte {
			n, w := binary.Uvarint(payload)
			text := payload[w : w+int(n)] // #nosec G115 -- it was written by add
			payload = payload[w+int(n):]  // #nosec G115
			return text
		}
		for len(payload) > 0 {
			c := change{kind: payload[0]}
			payload = payload[1:]
			c.bucket, c.key, c.value = string(field()), field(), field()
			if c.kind == changeDelete {
				c.value = nil
			}
			if !yield(c) {
				return
			}
		}
	}
}

func (c *change) into(tx *Tx) error {
	switch c.kind {
	case changeAppend:
		return tx.Append(c.bucket, c.key, c.value)
	case changeDelete:
		return tx.Delete(c.bucket, c.key)
	}
	return tx.Put(c.bucket, c.key, c.value)
}

// get is what the record makes of a key.
func (r *record) get(bucket string, key []byte) (value []byte, ok bool) {
	for c := range changes(r.payload()) {
		if c.bucket == bucket && bytes.Equal(c.key, key) {
			value, ok = c.value, true
		}
	}
	return value, ok
}
