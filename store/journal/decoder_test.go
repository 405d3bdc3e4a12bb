package journal_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"paygate/pricing"
	"paygate/store/journal"
)

// Memory that is used again shows nothing of the block before, also when that
// one was damaged; calls that are open outlive their block.
func TestADecoderReadsEveryBlockAsIfItWereTheFirst(t *testing.T) {
	t.Parallel()
	same := cmp.AllowUnexported(pricing.Deltas{})
	rapid.Check(t, func(t *rapid.T) {
		var decoder journal.Decoder
		var block journal.Block
		open, first := map[*journal.Call]*journal.Call{}, uint64(1) // by the decoder, alone
		for range rapid.IntRange(1, 4).Draw(t, "blocks") {
			events, opens, last := drawBlock(t, first)
			raw := journal.Encode(journal.Hash{}, first, last, events, opens)
			if rapid.Bool().Draw(t, "damaged before") {
				if err := decoder.Decode(raw[:len(raw)-1], &block); err == nil {
					t.Fatal("a short block was read")
				}
			}
			alone, err := journal.Decode(raw)
			if err != nil {
				t.Fatal(err)
			}
			if err := decoder.Decode(raw, &block); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(alone.Acts, block.Acts, same); diff != "" {
				t.Fatal(diff)
			}
			for i, a := range block.Acts {
				if a.Admit != nil && !a.Ended {
					open[a.Admit] = alone.Acts[i].Admit
				}
			}
			first = last + 1
		}
		for got, want := range open {
			if diff := cmp.Diff(want, got, same); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}
