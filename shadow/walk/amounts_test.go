package walk

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
	for seq := range uint64(inPage) {
		a.set(seq, 5)
	}
	for len(a.pages) < mostPages { // as if as many calls had come
		a.pages = append(a.pages, a.pages[0])
	}
	a.set(1000, 7)
	if got := a.get(1000); len(a.pages) != mostPages/2+1 || got != 7 {
		t.Errorf("%d pages, the newest amount is %d", len(a.pages), got)
	}
}
