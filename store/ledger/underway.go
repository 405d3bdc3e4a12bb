package ledger

import (
	"cmp"
	"iter"
	"slices"

	"paygate/pricing"
	"paygate/store/journal"
)

// promise is a call that is under way in reality.
type promise struct {
	call     *journal.Call
	quote    pricing.Credits
	admitted bool // in this scenario
	parked   bool
	reasons  []Refusal      // why it is not admitted
	instead  string         // the tool that is called instead
	sheet    *pricing.Sheet // set for a call that was under way when the scenario began
}

// underWay are a scenario's calls that were admitted in reality and have not
// ended, by AdmitSeq. Nearly all end soon, so that a few places are enough for
// most of them; the rest lie in a map.
type underWay struct {
	near [64]promise // by the last digits of their number; no call: free
	far  map[uint64]*promise
}

func newUnderWay() underWay { return underWay{far: map[uint64]*promise{}} }

func (u *underWay) put(p promise) {
	seq := p.call.AdmitSeq
	if at := &u.near[seq%uint64(len(u.near))]; at.call == nil {
		*at = p
		return
	}
	far := p // p itself stays off the heap
	u.far[seq] = &far
}

// take gives a call and forgets it.
func (u *underWay) take(seq uint64) (p promise, ok bool) {
	if at := &u.near[seq%uint64(len(u.near))]; at.call != nil && at.call.AdmitSeq == seq {
		p, *at = *at, promise{}
		return p, true
	}
	far := u.far[seq]
	if far == nil {
		return promise{}, false
	}
	delete(u.far, seq)
	return *far, true
}

func (u *underWay) has(seq uint64) bool {
	at := &u.near[seq%uint64(len(u.near))]
	return at.call != nil && at.call.AdmitSeq == seq || u.far[seq] != nil
}

// all goes through them in no order; they may be taken meanwhile.
func (u *underWay) all() iter.Seq[*promise] {
	return func(yield func(*promise) bool) {
		for i := range u.near {
			if p := &u.near[i]; p.call != nil && !yield(p) {
				return
			}
		}
		for _, p := range u.far {
			if !yield(p) {
				return
			}
		}
	}
}

// inOrder are they as they were admitted.
func (u *underWay) inOrder() []promise {
	var out []promise
	for p := range u.all() {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b promise) int { return cmp.Compare(a.call.AdmitSeq, b.call.AdmitSeq) })
	return out
}
