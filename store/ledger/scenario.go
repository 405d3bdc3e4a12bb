package ledger

import (
	"fmt"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/journal"
)

// Scenario is books of its own that live through the journal's acts again and
// decide each anew, holds included, by sheets of its choice. By the sheets of
// then it decides what was decided: that is what proves the books, and a
// Scenario for any other sheet.
//
// It is not safe for concurrent use.
type Scenario struct {
	// Sheet is what a call is judged by; never nil.
	Sheet func(*journal.Call) *pricing.Sheet
	// Takes says which calls take part; nil takes all.
	Takes func(*journal.Call) bool
	// Clips says that no act of an owner takes a wallet below zero, though it
	// may be poorer here than it was in reality.
	Clips bool
	// Refuse says why a call is refused without asking the books; nil, or no
	// reason, asks them.
	Refuse func(*journal.Call) string
	// Limits are a call's limits here, when it gives any; may be nil.
	Limits func(*journal.Call) []journal.Limit
	// Before is told of every call before it is decided, to give its wallet what
	// is due to it; may be nil.
	Before func(*journal.Call)
	// Skips says which events do not happen here; may be nil.
	Skips func(*journal.Event) bool
	// Cheaper names the tool that is called instead of one that is refused for
	// want of credits, or nothing; may be nil.
	Cheaper func(tool string) string
	// Fund is asked how much a payer adds to its wallet who lacks some credits
	// for a call; nil adds nothing.
	Fund func(c *journal.Call, lacks pricing.Credits) pricing.Credits
	// Refund says how much is given back here of a call's charge when reality
	// gave back an amount. seq is that of the call's event. Nil gives back the
	// same.
	Refund func(seq uint64, amount pricing.Credits) pricing.Credits
	// Clipped counts what acts of an owner wanted to take from wallets that
	// have not got it in this scenario.
	Clipped pricing.Credits

	books *State
	open  underWay
	batch []*journal.Call // of one decision, until it is complete
	out   []Verdict       // what the last Act gave; the next one uses it again
	here  journal.Call    // a call with the charge of this scenario
}

// Verdict is what a scenario says of one call. A call gets one when it is
// admitted or refused in reality, and another one when it ends.
type Verdict struct {
	Call     *journal.Call
	Ended    bool      // Charge and what follows are set; Charge is the price, also of a call that is not admitted here
	Admitted bool      // in this scenario
	Imputed  bool      // reality refused it, so that its end is a guess: its quote
	Reasons  []Refusal // why it is not admitted
	Quote    pricing.Credits
	Charge   pricing.Charge
	Paid     pricing.Credits
	Short    pricing.Credits
	Counted  bool   // its payer's counters move as they were recorded to
	Instead  string // the tool that is called instead, if it is another one
}

// NewScenario begins with the books of another one as they are, without calls
// under way; nil begins with empty books.
func NewScenario(from *Scenario, sheet func(*journal.Call) *pricing.Sheet) *Scenario {
	s := &Scenario{Sheet: sheet, books: NewState(true), open: newUnderWay()}
	if from != nil {
		s.books = from.books.seed()
	}
	return s
}

// Scenario begins one with the balances, meters, windows and reservations of
// this moment, and the number of the last act that is in them.
func (b *Book) Scenario(sheet func(*journal.Call) *pricing.Sheet) (*Scenario, uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from := b.real
	if b.would != nil {
		from = b.would
	}
	return &Scenario{Sheet: sheet, books: from.seed(), open: newUnderWay()}, b.seq
}

// FirstScenario begins where the kept journal begins, with the books as they
// were there, and gives the number of the last act that is in them: 0 unless
// the journal was trimmed. Calls that were under way at that moment are not in
// it.
func FirstScenario(db *store.DB, sheet func(*journal.Call) *pricing.Sheet) (*Scenario, uint64, error) {
	f, a, err := newRefold(db, &Proof{})
	if err != nil {
		return nil, 0, fmt.Errorf("scenario: %w", err)
	}
	return &Scenario{Sheet: sheet, books: f.real, open: newUnderWay()}, a.Seq, nil
}

// FirstWould is FirstScenario with shadow mode's books; nil when the kept
// journal does not begin in shadow mode.
func FirstWould(db *store.DB, sheet func(*journal.Call) *pricing.Sheet) (*Scenario, error) {
	f, _, err := newRefold(db, &Proof{})
	if err != nil || f.would == nil {
		return nil, err
	}
	return &Scenario{Sheet: sheet, books: f.would, open: newUnderWay()}, nil
}

// Key is what the scenario's books say of a key.
func (s *Scenario) Key(id string, at *journal.Event) Key { return s.books.key(id, at.At) }

// Act takes the next act of the journal and gives what there is to say: nothing
// for acts that are not calls, and all of a batch with its last. The verdicts
// are good until the next Act.
func (s *Scenario) Act(a journal.Act) []Verdict {
	switch {
	case a.Admit != nil:
		if s.takes(a.Admit) {
			return s.decision(a.Admit)
		}
	case a.Event.Call == nil:
		s.event(a.Event)
	case !s.takes(a.Event.Call):
	case a.Event.Call.AdmitSeq == 0:
		return s.refused(a.Event.Call)
	default:
		return s.end(a.Event.Call)
	}
	return nil
}

func (s *Scenario) takes(c *journal.Call) bool { return s.Takes == nil || s.Takes(c) }

// decision decides a call, or with the last of a batch all of it.
func (s *Scenario) decision(c *journal.Call) []Verdict {
	s.batch = append(s.batch, c)
	if c.BatchN > 1 && c.BatchI < c.BatchN-1 && (c.AdmitSeq != 0 || c.Together) {
		return nil
	}
	calls := s.batch
	s.batch = s.batch[:0]
	out, bad := s.verdicts(len(calls)), false
	for i, c := range calls {
		v := &out[i]
		instead := s.first(v, c)
		if len(v.Reasons) > 0 {
			bad = true
			continue
		}
		s.books.admit(instead, v.Quote)
		v.Admitted = true
	}
	for i := range out {
		if v := &out[i]; bad && v.Admitted {
			s.books.undo(s.asked(v), v.Quote)
			v.Admitted, v.Reasons = false, []Refusal{{Reason: batchRejected}}
		}
		if v := &out[i]; v.Call.AdmitSeq != 0 {
			s.open.put(promise{call: v.Call, quote: v.Quote, admitted: v.Admitted, reasons: v.Reasons, instead: v.Instead})
		}
	}
	return out
}

// refused decides a call that reality has refused. If checks other than the
// books' stood against it, it is refused here as well.
func (s *Scenario) refused(c *journal.Call) []Verdict {
	if c.Key == "" { // nobody's: the books were not asked
		return []Verdict{{Call: c}}
	}
	if !c.Together && len(c.Findings) > len(c.Reasons) {
		quote := s.books.quote(c, s.Sheet(c))
		return []Verdict{{Call: c, Quote: quote, Reasons: s.books.decide(c, quote)}}
	}
	out := s.decision(c)
	for i := range out {
		if v := &out[i]; v.Admitted {
			s.books.free(v.Call, v.Quote)
			guess := *v.Call
			guess.Outcome = pricing.OK
			v.Ended, v.Imputed, v.Charge = true, true, pricing.Charge{Due: v.Quote}
			v.Paid = s.books.affordable(&guess, v.Quote)
			s.books.book(&guess, v.Paid)
		}
	}
	return out
}

// end settles a call.
func (s *Scenario) end(c *journal.Call) []Verdict {
	p, ok := s.open.take(c.AdmitSeq)
	if !ok { // it was under way before the scenario began
		return nil
	}
	out := s.verdicts(1)
	v := &out[0]
	*v = Verdict{Call: c, Ended: true, Admitted: p.admitted, Quote: p.quote, Reasons: p.reasons}
	sheet := p.sheet
	if sheet == nil {
		sheet = s.Sheet(c)
	}
	if v.Instead = p.instead; p.instead != "" {
		c = downgraded(c, p.instead)
	}
	var deltas pricing.Deltas
	v.Charge, deltas = s.books.rate(c, sheet)
	v.Counted = deltas == c.Deltas
	if p.admitted {
		s.books.free(c, p.quote)
		v.Paid = s.books.affordable(c, v.Charge.Due)
		v.Short = v.Charge.Due - v.Paid
		here := c
		if !v.Counted {
			s.here = *c
			s.here.Deltas, here = deltas, &s.here
		}
		s.books.book(here, v.Paid)
	}
	return out
}

// verdicts are empty ones, in the place of those given last.
func (s *Scenario) verdicts(n int) []Verdict {
	if cap(s.out) < n {
		s.out = make([]Verdict, n)
	}
	s.out = s.out[:n]
	clear(s.out)
	return s.out
}

// event takes what an owner did, or we.
func (s *Scenario) event(e *journal.Event) {
	if s.Skips != nil && s.Skips(e) {
		return
	}
	switch e.Type {
	case journal.TypeBoot:
		for p := range s.open.all() {
			if !p.parked {
				s.drop(p.call.AdmitSeq)
			}
		}
	case journal.TypeParked:
		for p := range s.open.all() {
			if p.call.ID == e.Hold.ID {
				p.parked = true
			}
		}
	}
	if e.Type == journal.TypeRefund && s.Refund != nil {
		if e = s.sharedRefund(e); e == nil {
			return
		}
	}
	s.books.clips = s.Clips
	before := s.books.clipped
	s.books.foldEvent(e)
	s.Clipped += s.books.clipped - before
}

func (s *Scenario) drop(seq uint64) {
	if p, ok := s.open.take(seq); ok && p.admitted {
		s.books.free(p.call, p.quote)
	}
}
