package field_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"paygate/store/field"
)

// Whatever was written comes back, and whatever is cut off is found.
func TestFieldsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n, i := rapid.Uint64().Draw(t, "n"), rapid.Int64().Draw(t, "i")
		text, raw := rapid.String().Draw(t, "text"), rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "raw")
		b := binary.AppendVarint(binary.AppendUvarint(nil, n), i)
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
		b = append(append(b, raw...), 7)
		r := field.Read(b)
		if r.Uint() != n || r.Int() != i || r.Text() != text || !bytes.Equal(r.Take(4, "raw"), raw) || r.Byte() != 7 || r.Left() != 0 || r.Err() != nil {
			t.Fatal(r.Err())
		}
		r = field.Read(b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")])
		_, _, _, _, _ = r.Uint(), r.Int(), r.Text(), r.Take(4, "raw"), r.Byte()
		if !errors.Is(r.Err(), field.ErrDamaged) || r.Left() != 0 {
			t.Fatalf("%d left, %v", r.Left(), r.Err())
		}
	})
}

func TestACountThatCannotBeTrueIsDamage(t *testing.T) {
	t.Parallel()
	r := field.Read(append(binary.AppendUvarint(nil, 1<<40), 1, 2, 3))
	if n := r.Count(); n != 0 || r.Err() == nil || r.Uint() != 0 {
		t.Errorf("%d of 3 bytes, %v", n, r.Err())
	}
}
