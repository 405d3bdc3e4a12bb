package pricing

import (
	"cmp"
	"time"
)

// rate prices a call by rules. before: the call has not run; then nothing is
// counted, and what is only known after it is left out.
func (r *rules) rate(c *Call, u *Usage, before bool) (Charge, Deltas) {
	l := r.find(c, before)
	share := l.share(c, before)
	if share == 0 {
		return Charge{}, Deltas{}
	}
	now := r.own(u)
	if l.free != 0 && now.within(l.price.Free, l.free, c.At) {
		now.n[l.free+1]++
		return Charge{}, u.to(now)
	}
	calls := int64(1)
	if l.billOn == BillUnits {
		calls = int64(c.Units)
		if before {
			calls = 1
		}
	}
	call, input := times(l.price.PerCall, calls, 1), times(l.price.PerKBIn, int64(kilobytes(c.In)), 1)
	known := call.add(input)
	all := known
	if !before {
		all = all.add(times(l.price.PerKBOut, int64(kilobytes(c.Out)), 1)).add(times(l.price.PerSecond, c.Took.Milliseconds(), 1000))
	}
	due, without := l.multiply(&now, c.At, all, known, share)
	due, without = l.price.clamp(due), l.price.clamp(without)
	onlyCall := min(without, call.credits(One, One))
	charge := Charge{Due: due, Call: onlyCall, Input: without - onlyCall, Output: due - without}
	if l.tiers == 0 {
		return charge, Deltas{}
	}
	return charge, u.to(now)
}

// own is what a payer has used of this sheet's counters. Those of a sheet with
// others mean nothing here.
func (r *rules) own(u *Usage) Usage {
	if r.layout == 0 || u.n[0] == r.layout {
		return *u
	}
	return Usage{n: [Slots]int64{r.layout}}
}

// nothing says whether a call that has not run will cost nothing: an answer that
// is given again, or one of the calls that are free.
func (l *line) nothing(c *Call, now Usage) bool {
	return l.share(c, true) == 0 || l.free != 0 && now.within(l.price.Free, l.free, c.At)
}

// quote is what to hold: the hold of the rule, else its maximum, else what is
// known before the call; nothing for a call that is free.
func (r *rules) quote(c *Call, u *Usage) Charge {
	ch, _ := r.rate(c, u, true)
	l := r.find(c, true)
	hold := cmp.Or(l.price.Hold, l.price.Max)
	if hold == 0 || l.nothing(c, r.own(u)) {
		return ch
	}
	return Charge{Due: hold, Call: min(hold, ch.Call), Input: hold - min(hold, ch.Call)}
}

func (r *rules) find(c *Call, before bool) *line {
	for _, i := range r.candidates(c.Tool) {
		if l := &r.lines[i]; l.about(c.Tool) && l.meets(c, before) {
			return l
		}
	}
	return &r.lines[len(r.lines)-1]
}

// share is which part of the price a call pays by how it ended: none, all, or
// that of a cached answer.
func (l *line) share(c *Call, before bool) Decimal {
	switch {
	case c.Repeated && l.freeAgain(c.RepeatedAfter):
		return 0
	case before:
		return One
	case c.Outcome == Lost, c.Outcome == Denied:
		return 0
	case c.Outcome == Failed && l.billOn != BillAccepted && l.billOn != BillBytes, l.billOn == BillBytes && c.Out == 0:
		return 0
	case c.Cached:
		return l.cached
	}
	return One
}

// freeAgain says whether an answer costs nothing that is given again so long
// after it was given first.
func (l *line) freeAgain(after time.Duration) bool {
	return l.retry == RetryFree && (l.within == 0 || after <= l.within)
}

// FreeAgain is how long the answer to a call that has ended may be asked for
// again for nothing; 0: for as long as it is remembered, or not at all.
func (s *Sheet) FreeAgain(c *Call) time.Duration {
	if s.rules == nil {
		return 0
	}
	return s.rules.find(c, false).within
}

func (p *Price) clamp(n Credits) Credits {
	n = max(n, p.Min)
	if p.Max > 0 {
		n = min(n, p.Max)
	}
	return n
}

// within says whether the allowance has a call left. It starts a new period.
func (u *Usage) within(a *Allowance, slot int, at time.Time) bool {
	u.turn(slot, 2, a.Per, at)
	return u.n[slot+1] < a.Calls
}

// turn empties counters when a new period has begun. A call that is late for
// its period counts in the one that has begun since.
func (u *Usage) turn(slot, n int, per string, at time.Time) {
	now := int64(1)
	switch y, m, d := at.UTC().Date(); per {
	case "day":
		now = int64(y*10000 + int(m)*100 + d)
	case "month":
		now = int64(y*100 + int(m))
	}
	if now > u.n[slot] {
		clear(u.n[slot : slot+n])
		u.n[slot] = now
	}
}

// multiply counts the call in its tier and gives its price with all parts, and
// with those known before the call alone.
func (l *line) multiply(u *Usage, at time.Time, all, known nanos, share Decimal) (due, without Credits) {
	t := l.price.Tiers
	if t == nil {
		return all.credits(One, share), known.credits(One, share)
	}
	n := 2
	if t.Mode == Volume {
		n = 4
	}
	u.turn(l.tiers, n, t.Per, at)
	own := u.n[l.tiers : l.tiers+n]
	own[1]++
	x := t.at(own[1])
	if t.Mode != Volume {
		return all.credits(x, share), known.credits(x, share)
	}
	// millionths of all calls of the period, each by its share, and credits charged for them
	all, known = all.part(share), known.part(share)
	const most = int64(1) << 53
	sum := func(n nanos) nanos { return min(limit, nanos(min(own[2], most)).times1000().add(n)) }
	due = max(0, sum(all).credits(x, One)-Credits(own[3]))
	without = min(due, max(0, sum(known).credits(x, One)-Credits(own[3])))
	own[2] = min(most, own[2]+int64((all+999)/1000))
	own[3] += int64(l.price.clamp(due))
	return due, without
}

func (n nanos) times1000() nanos {
	if n > limit/1000 {
		return limit
	}
	return n * 1000
}

// at is the multiplier of the call with a number.
func (t *Tiers) at(number int64) Decimal {
	for _, s := range t.Steps {
		if s.To == 0 || number <= s.To {
			return s.X
		}
	}
	return t.Steps[len(t.Steps)-1].X
}

// to is what makes next of u.
func (u *Usage) to(next Usage) Deltas {
	var d Deltas
	for i := range d.n {
		d.n[i] = next.n[i] - u.n[i]
	}
	return d
}
