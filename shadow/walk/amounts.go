package walk

import (
	"encoding/binary"
	"math"
	"slices"
	"sort"

	"paygate/pricing"
)

// amounts are credits by the number of an act, for the newest of them: what
// calls were charged, in case it is given back. They take some three bytes a
// call.
type amounts struct {
	pages []amountPage
	last  uint64 // the newest number
}

// amountPage is some amounts, each after its distance from the number before.
type amountPage struct {
	First uint64
	Count int
	Raw   []byte
}

const (
	inPage    = 256
	mostPages = 1 << 15 // 8 million calls; what is given back of an older one counts as it was in reality
)

// set keeps an amount; numbers only grow.
func (a *amounts) set(seq uint64, n pricing.Credits) {
	if n <= 0 || n > math.MaxUint32 {
		return
	}
	last := len(a.pages) - 1
	if last < 0 || a.pages[last].Count == inPage {
		if len(a.pages) >= mostPages {
			a.pages = slices.Clone(a.pages[mostPages/2:])
		}
		a.pages = append(a.pages, amountPage{First: seq, Raw: make([]byte, 0, 3*inPage)})
		last, a.last = len(a.pages)-1, seq
	}
	p := &a.pages[last]
	p.Raw = binary.AppendUvarint(binary.AppendUvarint(p.Raw, seq-a.last), uint64(n))
	p.Count++
	a.last = seq
}

func (a *amounts) get(seq uint64) pricing.Credits {
	i := sort.Search(len(a.pages), func(i int) bool { return a.pages[i].First > seq }) - 1
	if i < 0 {
		return 0
	}
	at, raw := a.pages[i].First, a.pages[i].Raw
	for len(raw) > 0 && at <= seq {
		distance, n := binary.Uvarint(raw)
		amount, m := binary.Uvarint(raw[max(0, n):])
		if n <= 0 || m <= 0 {
			return 0
		}
		if at += distance; at == seq {
			return pricing.Credits(amount)
		}
		raw = raw[n+m:]
	}
	return 0
}

// clone shares the pages that are full, which nobody changes.
func (a *amounts) clone() amounts {
	n := amounts{slices.Clone(a.pages), a.last}
	if last := len(n.pages) - 1; last >= 0 {
		n.pages[last].Raw = slices.Clone(n.pages[last].Raw)
	}
	return n
}

// savedAmounts are amounts in a checkpoint.
type savedAmounts struct {
	Pages []amountPage
	Last  uint64
}

// saved are the amounts as they are now, whatever is set later.
func (a *amounts) saved() savedAmounts {
	last := max(0, len(a.pages)-1)
	out := savedAmounts{a.pages[:last:last], a.last}
	if last < len(a.pages) { // the newest page goes on; full ones do not change
		page := a.pages[last]
		page.Raw = slices.Clone(page.Raw)
		out.Pages = append(out.Pages, page)
	}
	return out
}

func (a savedAmounts) amounts() amounts { return amounts{a.Pages, a.Last} }
