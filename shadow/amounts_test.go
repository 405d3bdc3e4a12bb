package shadow

import (
	"testing"

	"pgregory.net/rapid"

	"paygate/pricing"
)

// What was kept comes back, for as many calls as there is room for, and a clone
// goes its own way.
func TestAmountsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var a amounts
		want, seq := map[uint64]pricing.Credits{}, uint64(0)
		add := func(to *amounts, label string) {
			for _, n := range rapid.SliceOfN(rapid.Int64Range(-1, 1<<20), 0, 600).Draw(t, label) {
				seq += 1 + uint64(n&3)
				if to.set(seq, pricing.Credits(n)); n > 0 && to == &a {
					want[seq] = pricing.Credits(n)
				}
			}
		}
		add(&a, "first")
		other := a.clone()
		add(&other, "of the clone alone")
		add(&a, "second")
		a = a.saved().amounts()
		for at := range seq + 2 {
			if got := a.get(at); got != want[at] {
				t.Fatalf("at %d: %d, want %d", at, got, want[at])
			}
		}
	})
}

func TestAmountsAreBounded(t *testing.T) {
	t.Parallel()
	var a amounts
	const calls = inPage * (mostPages + 10)
	for seq := range uint64(calls) {
		a.set(2*seq, 5)
	}
	if got := a.get(2 * (calls - 1)); len(a.pages) > mostPages || got != 5 || a.get(0) != 0 {
		t.Errorf("%d pages, newest %d, oldest %d", len(a.pages), got, a.get(0))
	}
}
