package ledger

import (
	"encoding/json"

	"paygate/pricing"
	"paygate/store/journal"
)

// Fold counts one act of the journal in, with the values it was recorded with.
// Acts come in the order of their numbers. It decides nothing anew: that is
// what re-enacting does.
//
// Call holds are not folded: what was promised and has not ended has no effect
// on what is posted, and at boot every such call has ended.
func (s *State) Fold(a journal.Act) {
	switch {
	case a.Admit != nil:
		if s.counts(a.Admit) {
			s.takeSlots(a.Admit)
		}
	case a.Event.Call != nil:
		s.foldCall(a.Event.Call)
	default:
		s.foldEvent(a.Event)
	}
}

// counts says whether a call was admitted in these books: the real ones never
// move for an observed call, the would-be ones only for those that they would
// have let through.
func (s *State) counts(c *journal.Call) bool {
	if s.would {
		return c.Observed && len(c.Reasons) == 0
	}
	return !c.Observed
}

func (s *State) foldCall(c *journal.Call) {
	if c.AdmitSeq == 0 { // refused
		return
	}
	if s.counts(c) {
		charged := c.Charged
		if s.would {
			charged = c.Would
		}
		s.book(c, charged)
	} else if !s.would {
		s.notice(c)
	}
}

// notice counts an observed call in the real books: that it was made, and
// nothing else.
func (s *State) notice(c *journal.Call) {
	o := s.of(journal.Account(c.Payer))
	if !s.misses(o) {
		return
	}
	s.touch(o)
	o.last = max(o.last, c.At.UnixMilli())
	if (c.Outcome == pricing.OK || c.Outcome == pricing.Failed) && !c.Repeated {
		o.calls++
	}
}

func (s *State) foldEvent(e *journal.Event) {
	for _, p := range e.Posts {
		clips := s.clips
		s.clips = clips || s.would && p.Kind == journal.KindExpiry
		s.move(p.From, p.To, p.Amount)
		s.clips = clips
		if p.Kind == kindReserve {
			s.spend(p.From, p.Amount, e)
		}
	}
	switch e.Type {
	case journal.TypeRefund:
		s.foldRefund(e)
	case journal.TypeWouldAdd:
		s.foldWouldAdd(e)
	}
	if e.Hold == nil {
		return
	}
	switch e.Type {
	case journal.TypeReserved:
		s.put(&hold{Hold: *e.Hold, seq: e.Seq})
	case journal.TypeCommit, journal.TypeRelease:
		s.lift(e.Hold.ID)
	}
}

// foldWouldAdd tops up a key in books in which credits only would move.
func (s *State) foldWouldAdd(e *journal.Event) {
	var d struct{ CreditsAdded pricing.Credits }
	if s.would && json.Unmarshal(e.Data, &d) == nil && d.CreditsAdded > 0 {
		s.move(journal.Bank, journal.KeyAccount(e.Subject), d.CreditsAdded)
	}
}

// kindReserve is the entry of a reservation that was taken.
const kindReserve = "reserve"

// spend counts credits that went without a call against the payer's credit
// meters.
func (s *State) spend(from journal.Account, n pricing.Credits, e *journal.Event) {
	o := s.of(from)
	if !s.misses(o) {
		return
	}
	for _, k := range meterKinds {
		if m := &o.meters[k]; k.InCredits() && m.roll(s.period(k, e.At)) {
			m.used += int64(n)
		}
	}
}

// mode is the Data of a mode.changed event.
type mode struct {
	Mode string `json:"mode"` // "shadow" or "live"
}

// shadowBegins says whether an event switches to shadow mode, and whether it
// is a switch at all.
func shadowBegins(e *journal.Event) (on, is bool) {
	if e == nil || e.Type != journal.TypeMode {
		return false, false
	}
	var m mode
	if json.Unmarshal(e.Data, &m) != nil {
		return false, false
	}
	return m.Mode == "shadow", true
}

// seed makes the would-be books of shadow mode: balances, meters, windows and
// reservations as they are in reality at this moment. Calls under way are not
// among them: they end in the real books.
func (s *State) seed() *State {
	w := NewState(true)
	for _, o := range s.list {
		if o == nil {
			continue
		}
		n := w.of(o.account)
		w.add(n, o.posted)
		n.meters, n.usage, n.spent, n.calls, n.last = o.meters, o.usage, o.spent, o.calls, o.last
		n.seq = o.seq
		for k := range n.meters {
			n.meters[k].held = 0
		}
		n.rates = copyWindows(o.rates)
	}
	w.putAll(s.holds)
	return w
}
