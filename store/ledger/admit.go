package ledger

import (
	"fmt"
	"time"

	"paygate/pricing"
	"paygate/store/journal"
)

// Refusal is one reason why a call is not admitted.
type Refusal struct {
	Reason     string // the contract's word
	Need, Have int64  // credits or calls
	RetryAfter time.Duration
}

// Refused is the error of a Reserve or Ask that found reasons: for every call,
// in the order asked, all reasons that stand against it. Nothing was taken.
type Refused struct{ Calls [][]Refusal }

func (r *Refused) Error() string {
	for i, reasons := range r.Calls {
		if len(reasons) > 0 {
			return fmt.Sprintf("call %d of %d: %s", i+1, len(r.Calls), reasons[0].Reason)
		}
	}
	return "refused"
}

// batchRejected is the reason of a call that could be admitted and is in a
// batch with one that cannot.
const batchRejected = "batch_rejected"

// insufficient is the reason that credits are missing.
const insufficient = "insufficient_credits"

// decide says what stands against a call that would hold quote, in the
// contract's order: rates, credits, the rest as the call lists them.
func (s *State) decide(c *journal.Call, quote pricing.Credits) []Refusal {
	out := s.limits(nil, c, quote, true)
	payer := s.of(journal.Account(c.Payer))
	if have := payer.available(); quote > 0 && have < quote {
		out = append(out, Refusal{Reason: insufficient, Need: int64(quote), Have: int64(max(0, have))})
	}
	return s.limits(out, c, quote, false)
}

// limits checks the rates, or all but the rates.
func (s *State) limits(out []Refusal, c *journal.Call, quote pricing.Credits, rates bool) []Refusal {
	for _, l := range c.Limits {
		if l.Kind.Window() != rates {
			continue
		}
		if r, ok := s.limit(l, c, quote); !ok {
			out = append(out, r)
		}
	}
	return out
}

// limit checks one limit.
func (s *State) limit(l journal.Limit, c *journal.Call, quote pricing.Credits) (Refusal, bool) {
	now := c.At.UnixMilli()
	if l.Kind.Window() {
		w := s.slot(l, c.Tool)
		n := w.count(now)
		if int64(n) < l.Max {
			return Refusal{}, true
		}
		r := Refusal{Reason: l.Kind.Reason(), Need: int64(n) + 1, Have: l.Max}
		if l.Max > 0 {
			frees := w.slots[len(w.slots)-int(l.Max)] + l.Window.Milliseconds()
			r.RetryAfter = time.Duration(frees-now) * time.Millisecond
		}
		return r, false
	}
	o, period := s.of(l.Owner), s.period(l.Kind, c.At)
	m := o.meters[l.Kind]
	m.roll(period)
	need := m.used + m.held + amount(l.Kind, quote, 1)
	if need <= l.Max {
		return Refusal{}, true
	}
	return Refusal{Reason: l.Kind.Reason(), Need: need, Have: l.Max, RetryAfter: l.Kind.Until(c.At)}, false
}

// quote is what a call must be able to pay. One operation moves at most
// pricing.MaxCredits, whatever a sheet says.
func (s *State) quote(c *journal.Call, sheet *pricing.Sheet) pricing.Credits {
	due := pricing.Quote(&c.Call, sheet, &s.of(journal.Account(c.Payer)).usage).Due
	return max(0, min(due, pricing.MaxCredits))
}

// rate is what a call that has ended costs.
func (s *State) rate(c *journal.Call, sheet *pricing.Sheet) (pricing.Charge, pricing.Deltas) {
	charge, deltas := pricing.Rate(&c.Call, sheet, &s.of(journal.Account(c.Payer)).usage)
	charge.Due = max(0, min(charge.Due, pricing.MaxCredits))
	return charge, deltas
}

// admit promises a call its quote and takes its slots.
func (s *State) admit(c *journal.Call, quote pricing.Credits) {
	s.promise(c, quote)
	s.takeSlots(c)
}

// promise holds a call's quote and counts it against its meters as held.
func (s *State) promise(c *journal.Call, quote pricing.Credits) {
	s.hold(s.of(journal.Account(c.Payer)), quote)
	s.metered(c, func(_ *owner, m *meter, k journal.Kind) { m.held += amount(k, quote, 1) })
}

func (s *State) takeSlots(c *journal.Call) {
	for i, l := range c.Limits {
		if o := s.of(l.Owner); l.Kind.Window() && !again(c.Limits[:i], l) && s.misses(o) {
			s.slot(l, c.Tool).take(c.At.UnixMilli())
			s.touch(o)
		}
	}
}

// free ends what admit promised. The slots stay taken.
func (s *State) free(c *journal.Call, quote pricing.Credits) {
	s.hold(s.of(journal.Account(c.Payer)), -quote)
	s.metered(c, func(_ *owner, m *meter, k journal.Kind) { m.held -= amount(k, quote, 1) })
}

// undo takes back an admission as if it had not been: the rest of its batch
// was refused.
func (s *State) undo(c *journal.Call, quote pricing.Credits) {
	s.free(c, quote)
	for i, l := range c.Limits {
		if l.Kind.Window() && !again(c.Limits[:i], l) {
			s.slot(l, c.Tool).drop(c.At.UnixMilli())
		}
	}
}

// again says whether an earlier limit counts in the same window: a call takes
// one slot of it, however many limits bound it.
func again(before []journal.Limit, l journal.Limit) bool {
	for _, b := range before {
		if b.Kind == l.Kind && b.Owner == l.Owner {
			return true
		}
	}
	return false
}

// affordable is how much of a charge the payer can bear beside what others
// have been promised.
func (s *State) affordable(c *journal.Call, due pricing.Credits) pricing.Credits {
	return min(due, max(0, s.of(journal.Account(c.Payer)).available()))
}

// book counts a call that has ended with its charge: the only way a call
// changes the books.
func (s *State) book(c *journal.Call, charged pricing.Credits) {
	answered := c.Outcome == pricing.OK || c.Outcome == pricing.Failed
	counted := int64(0)
	if c.Outcome == pricing.OK || c.Outcome == pricing.Failed && charged > 0 {
		counted = 1
	}
	if payer := s.of(journal.Account(c.Payer)); s.misses(payer) {
		s.touch(payer)
		payer.last = max(payer.last, c.At.UnixMilli())
		payer.usage.Add(c.Deltas)
		if answered && !c.Repeated {
			payer.calls++
		}
	}
	if charged > 0 {
		s.move(journal.Account(c.Payer), journal.Revenue, charged)
	}
	s.metered(c, func(o *owner, m *meter, k journal.Kind) {
		if s.misses(o) {
			m.used += amount(k, charged, counted)
			s.touch(o)
		}
	})
}

// move posts an amount from one account to another. What goes to revenue was
// spent, what comes back from it was not.
//
// A scenario's wallets can be poorer than the real ones: what an act takes from
// one is clipped to what it has.
func (s *State) move(from, to journal.Account, n pricing.Credits) {
	if a := s.of(from); s.clips && from.Bounded() {
		if have := max(0, a.posted); have < n {
			s.clipped += n - have
			n = have
		}
	}
	if a := s.of(from); s.misses(a) {
		s.add(a, -n)
		if to == journal.Revenue {
			a.spent += n
		}
		s.touch(a)
	}
	if b := s.of(to); s.misses(b) {
		s.add(b, n)
		if from == journal.Revenue {
			b.spent -= n
		}
		s.touch(b)
	}
}

// misses says whether the act being folded is not yet in an owner's sums: at
// boot owners come from cells that were written at different times.
func (s *State) misses(o *owner) bool { return s.folding == 0 || o.seq < s.folding }
