package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"unsafe"
)

// The write-ahead log. A commit of bbolt writes several pages and waits for the
// disk twice. What Log commits is one record in a second file, written in place
// and waited for once; it goes into the database later, many records in one
// transaction, and before anybody looks: View and Update see all of it.
//
// The file has two segments. Records follow one another in one of them, while
// what the other holds is brought into the database; then they change places.
// A record has a number, which goes up by one, and the checksum of the record
// before it. The database keeps both of the last record that it has, so that at
// a start exactly the others are brought in, and nothing of a log that belongs
// to another copy of the database.
const (
	segmentSize    = 2 << 20
	segments       = 2
	checkpointSize = 1 << 20 // so much of a segment waits before it goes into the database
	block          = 4096    // records begin at multiples of it, so that they can be written past the system's cache
)

// walMark is the key, in bucket meta, of the last record that the database has.
const walMark = "wal"

// mark says which record is meant: its number and its checksum.
type mark struct {
	number uint64
	sum    uint32
}

func (m mark) bytes() []byte {
	return binary.LittleEndian.AppendUint32(binary.AppendUvarint(nil, m.number), m.sum)
}

func readMark(raw []byte) (m mark) {
	number, n := binary.Uvarint(raw)
	if n > 0 && len(raw) == n+4 {
		m = mark{number, binary.LittleEndian.Uint32(raw[n:])}
	}
	return m
}

type wal struct {
	path string

	mu      sync.Mutex
	file    *os.File         // nil before the first record
	room    []byte           // that a record is written from
	last    mark             // the newest record
	segment int              // that records go to
	offset  int64            // in it
	newest  [segments]uint64 // number of the newest record in each
	applied uint64           // the database has all records up to this one
	waiting waiting          // since the last checkpoint began
	going   waiting          // into the database now
	failed  error            // after it the log must be opened anew
	opening int              // how often that was done
}

// waiting are records that are on disk and not in the database.
type waiting struct {
	records [][]byte          // payloads
	values  map[string][]byte // bucket, 0, key → value; nil: deleted
	size    int64             // of the room that they take
}

func (w *waiting) add(r *record) {
	w.records = append(w.records, r.payload())
	w.size += whole(len(r.raw))
	if w.values == nil {
		w.values = map[string][]byte{}
	}
	for c := range changes(r.payload()) {
		w.values[place(c.bucket, c.key)] = c.value
	}
}

func (w *waiting) take(next *waiting) {
	w.records = append(w.records, next.records...)
	w.size += next.size
	if w.values == nil {
		w.values = next.values
	}
	for at, value := range next.values {
		w.values[at] = value
	}
	*next = waiting{}
}

func place(bucket string, key []byte) string { return bucket + "\x00" + string(key) }

// value is what a key has by a record that is not in the database.
func (w *wal) value(bucket string, key []byte) (value []byte, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := place(bucket, key)
	if value, ok = w.waiting.values[at]; !ok {
		value, ok = w.going.values[at]
	}
	return value, ok
}

// broken is why nothing can be committed before the database is opened anew.
func (w *wal) broken() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// fail makes the next commit fail too, so that its owner opens the database
// anew: what is on disk is not known.
func (w *wal) fail(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = err
	return err
}

// ready says whether something waits that a reader must see.
func (w *wal) ready() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed == nil && len(w.waiting.records)+len(w.going.records) > 0
}

// append puts a record on disk. full says that it has no room before a
// checkpoint; due, that one should be made. One goroutine at a time appends;
// readers do not wait for the disk with it.
func (w *wal) append(r *record) (full, due bool, err error) {
	at, full, err := w.reserve(whole(len(r.raw)))
	if full || err != nil {
		return full, full, err
	}
	next := r.seal(w.last)
	if err := w.write(r.raw, at); err != nil {
		return false, false, w.fail(fmt.Errorf("%s: %w", w.path, err))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = next
	w.newest[w.segment] = next.number
	w.offset += whole(len(r.raw))
	w.waiting.add(r)
	return false, w.waiting.size >= checkpointSize, nil
}

// reserve finds room for a record.
func (w *wal) reserve(size int64) (at int64, full bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil && w.file == nil {
		w.failed = w.make()
	}
	if w.failed != nil {
		return 0, false, w.failed
	}
	if w.offset+size > segmentSize {
		other := (w.segment + 1) % segments
		if w.newest[other] > w.applied {
			return 0, true, nil
		}
		w.segment, w.offset = other, 0
	}
	return int64(w.segment)*segmentSize + w.offset, false, nil
}

// write returns when a record is on disk.
func (w *wal) write(raw []byte, at int64) error {
	size := int(whole(len(raw)))
	if len(w.room) < size {
		w.room = aligned(size)
	}
	n := copy(w.room, raw)
	clear(w.room[n:size])
	_, err := w.file.WriteAt(w.room[:size], at)
	return err
}

// whole is how much room a record takes.
func whole(size int) int64 { return int64((size + block - 1) / block * block) }

// aligned is memory that begins at a multiple of block, as writes past the
// system's cache need it.
func aligned(size int) []byte {
	room := make([]byte, size+block)
	past := int(uintptr(unsafe.Pointer(unsafe.SliceData(room))) % block)
	return room[block-past : block-past+size]
}

// make makes the file, with all its blocks: a write in place then waits for
// nothing but its own bytes.
func (w *wal) make() error {
	f, err := os.OpenFile(w.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write-ahead log: %w", err)
	}
	if _, err = f.Write(make([]byte, segments*segmentSize)); err == nil {
		err = errors.Join(f.Sync(), syncFolder(w.path))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", w.path, err), f.Close(), os.Remove(w.path))
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	return w.open()
}

// open opens a file that is made.
func (w *wal) open() (err error) {
	if w.file, err = openSynced(w.path); err != nil {
		return fmt.Errorf("write-ahead log: %w", err)
	}
	return nil
}

// share is what one transaction brings into the database.
type share struct {
	records [][]byte
	upTo    mark
	opening int
}

// take is all that waits. What a transaction took that was not committed is
// part of the next one.
func (w *wal) take() share {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.going.take(&w.waiting)
	return share{w.going.records, w.last, w.opening}
}

// into writes the records and which is the last of them.
func (s share) into(tx *Tx) error {
	if err := s.changes(tx); err != nil || len(s.records) == 0 {
		return err
	}
	return tx.Put("meta", []byte(walMark), s.upTo.bytes())
}

func (s share) changes(tx *Tx) error {
	for _, payload := range s.records {
		for c := range changes(payload) {
			if err := c.into(tx); err != nil {
				return err
			}
		}
	}
	return nil
}

// committed forgets what the database has now.
func (w *wal) committed(s share) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.opening == w.opening {
		w.applied, w.going = s.upTo.number, waiting{}
	}
}

// recover reads what the log has beyond the database's last record, in the
// order in which it was written. A record that was not written whole is the end
// of its segment.
func (w *wal) recover(after mark) (s share, err error) {
	s.upTo = after
	raw, err := os.ReadFile(w.path)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("write-ahead log: %w", err)
	}
	found := map[uint64]sealed{}
	for segment := range slices.Chunk(raw, segmentSize) {
		for before := uint64(0); ; {
			r, size := unseal(segment)
			if size == 0 || before > 0 && r.is.number != before+1 {
				break
			}
			found[r.is.number], before, segment = r, r.is.number, segment[size:]
		}
	}
	for r, ok := found[after.number+1]; ok && r.before == s.upTo.sum; r, ok = found[s.upTo.number+1] {
		s.records, s.upTo = append(s.records, r.payload), r.is
	}
	return s, nil
}

// restart begins behind a record that the database has. What the file holds is
// older, or follows on a record that will not be there.
func (w *wal) restart(last mark) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last, w.applied, w.segment, w.offset, w.newest = last, last.number, 0, 0, [segments]uint64{}
	w.waiting, w.going, w.failed = waiting{}, waiting{}, nil
	w.opening++
	if w.file != nil {
		return nil
	}
	info, err := os.Stat(w.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("write-ahead log: %w", err)
	case info.Size() != segments*segmentSize: // it was being made
		return os.Remove(w.path)
	}
	return w.open()
}

// close closes the file, and removes it when nothing in it is waited for.
func (w *wal) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	if w.failed == nil && w.applied == w.last.number {
		err = errors.Join(err, os.Remove(w.path))
	}
	if err != nil {
		return fmt.Errorf("write-ahead log: %w", err)
	}
	return nil
}

// removed makes sure that there is no such file. A log without its database was
// left behind: it is never to be brought into another one.
func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func walPath(database string) string { return strings.TrimSuffix(database, ".db") + ".wal" }
