package shadow

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"

	"paygate/store"
)

// pieces are something long in parts that a record can have: it is never in
// memory twice.
type pieces [][]byte

const pieceBytes = 1 << 20

// Write is io.Writer's.
func (p *pieces) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		last := len(*p) - 1
		if last < 0 || len((*p)[last]) == pieceBytes {
			*p = append(*p, make([]byte, 0, pieceBytes))
			last++
		}
		some := min(len(b), pieceBytes-len((*p)[last]))
		(*p)[last] = append((*p)[last], b[:some]...)
		b = b[some:]
	}
	return n, nil
}

func (p pieces) reader() io.Reader {
	all := make([]io.Reader, len(p))
	for i, piece := range p {
		all[i] = bytes.NewReader(piece)
	}
	return io.MultiReader(all...)
}

func (p pieces) size() (n int) {
	for _, piece := range p {
		n += len(piece)
	}
	return n
}

// put writes the pieces under keys that begin alike.
func (p pieces) put(tx *store.Tx, bucket string, prefix []byte) error {
	for i, piece := range p {
		if err := tx.Put(bucket, binary.BigEndian.AppendUint32(bytes.Clone(prefix), uint32(i)), piece); err != nil {
			return err
		}
	}
	return nil
}

// parts reads what put has written.
func parts(s *store.Snapshot, bucket string, prefix []byte) (p pieces) {
	s.Ascend(bucket, prefix, func(key, piece []byte) bool {
		if !bytes.HasPrefix(key, prefix) {
			return false
		}
		p = append(p, bytes.Clone(piece))
		return true
	})
	return p
}

// pieceWriter writes something long into a bucket, a few pieces at a time, so
// that it is never in memory as a whole.
type pieceWriter struct {
	db      *store.DB
	bucket  string
	some    pieces
	written int
	during  func() // is called before all that is written; may be nil
}

const piecesAtATime = 4

// Write is io.Writer's.
func (w *pieceWriter) Write(b []byte) (int, error) {
	if w.during != nil {
		w.during()
	}
	if len(w.some) > piecesAtATime {
		if err := w.commit(piecesAtATime, nil); err != nil {
			return 0, err
		}
	}
	return w.some.Write(b)
}

// flush writes what is left, with something more in the same commit.
func (w *pieceWriter) flush(also func(*store.Tx) error) error { return w.commit(len(w.some), also) }

func (w *pieceWriter) commit(n int, also func(*store.Tx) error) error {
	err := w.db.Update(func(tx *store.Tx) error {
		for i, piece := range w.some[:n] {
			if err := tx.Put(w.bucket, binary.BigEndian.AppendUint32(nil, uint32(w.written+i)), piece); err != nil {
				return err
			}
		}
		if also != nil {
			return also(tx)
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.some, w.written = slices.Clone(w.some[n:]), w.written+n
	return nil
}
