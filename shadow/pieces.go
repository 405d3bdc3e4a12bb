package shadow

import (
	"bytes"
	"encoding/binary"
	"io"

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
