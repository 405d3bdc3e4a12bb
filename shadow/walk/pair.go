package walk

import (
	"cmp"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/shadow/tally"
	"paygate/shadow/whatif"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// Pair is a candidate beside the live prices, from one moment on.
type Pair struct {
	Tally *tally.Tally
	Watch func(c *journal.Call, live, cand *ledger.Verdict) // sees every call that counts; may be nil
	Each  func(e *journal.Event, price pricing.Credits)     // sees every call that ended, with the candidate's price; may be nil

	sheet  *pricing.Sheet
	live   *ledger.Scenario // nil as long as reality says the same
	cand   *ledger.Scenario
	plans  *planner
	topped topUps     // by the live prices, in shadow mode
	paid   [2]amounts // by number, what calls were charged by the live prices and by the candidate
	real   amounts    // what they were charged in reality
	then   past       // the sheets that calls were judged by
	err    error
	policy *whatif.Enacted
	at     time.Time // of the act that is lived through
	closed *Books    // see CloseAt; nil: not yet
}

// Begin adds a candidate to the walk. Its wallets and those of the live prices
// begin as reality's are at this moment.
func (w *Walk) Begin(sheet *pricing.Sheet, t *tally.Tally) *Pair {
	p := w.pair(sheet, t)
	p.plans = newPlanner(sheet, p.judgedBy, w.grants)
	p.take(w.real.Fork(p.candidate))
	if w.would != nil {
		p.own(w)
	}
	for c := range p.cand.Open() { // those of this very millisecond count
		p.Tally.Begin(c, -1)
	}
	w.pairs = append(w.pairs, p)
	return p
}

// End lets a candidate go; what it has seen stays.
func (w *Walk) End(p *Pair) {
	w.pairs = slices.DeleteFunc(w.pairs, func(other *Pair) bool { return other == p })
}

// Guess lets callers who are denied go on as is guessed.
func (p *Pair) Guess(g whatif.Guess) { p.policy = whatif.Enact(g, p.cand) }

// Books are what a candidate's books come to.
type Books struct {
	Balances [2]map[string]pricing.Credits // of keys: live, candidate
	Clipped  pricing.Credits               // that acts of an owner wanted from poorer wallets
	Given    pricing.Credits               // by the candidate's plans
	Expired  pricing.Credits               // of what they gave
	Guess    *whatif.Guess                 // with what has come of it; nil: none
}

// Books are a candidate's where the walk has come to, or at the time that
// CloseAt was given.
func (w *Walk) Books(p *Pair) Books {
	if p.closed != nil {
		b := *p.closed
		b.Guess = p.guess()
		return b
	}
	return Books{Balances: [2]map[string]pricing.Credits{balances(cmp.Or(p.live, w.real)), balances(p.cand)}, Clipped: p.cand.Clipped, Given: p.plans.Added, Expired: p.plans.Expired, Guess: p.guess()}
}

// guess is a copy of what is guessed, with what has come of it, or nil.
func (p *Pair) guess() *whatif.Guess {
	if p.policy == nil {
		return nil
	}
	made := p.policy.Guess
	return &made
}

func balances(s *ledger.Scenario) map[string]pricing.Credits {
	all := map[string]pricing.Credits{}
	s.Wallets(func(key string, posted, _ pricing.Credits) { all[key] = posted })
	return all
}

func (w *Walk) pair(sheet *pricing.Sheet, t *tally.Tally) *Pair {
	return &Pair{Tally: t, sheet: sheet, then: newPast(w.past.sheetOf), topped: newTopUps(nil)}
}

func (p *Pair) candidate(*journal.Call) *pricing.Sheet { return p.sheet }

func (p *Pair) judgedBy(c *journal.Call) *pricing.Sheet { return p.then.of(c, &p.err) }

// take makes a scenario the candidate's.
func (p *Pair) take(s *ledger.Scenario) {
	p.cand = s
	s.Takes, s.Clips, s.Refund = nil, true, p.share(1)
	p.plans.attach(s)
}

// own gives the live prices wallets of their own.
func (p *Pair) own(w *Walk) {
	if p.live == nil {
		p.owns(w.real.Fork(p.judgedBy))
		p.paid[0] = p.real.clone() // until now the live prices took what was charged
	}
}

func (p *Pair) owns(s *ledger.Scenario) {
	p.live = s
	s.Takes, s.Clips, s.Refund = nil, true, p.share(0)
	p.topped.fill(s, p.judgedBy)
}

// share is how much of a refund counts for one side: the same part of its
// charge as of the real one.
func (p *Pair) share(side int) func(uint64, pricing.Credits) pricing.Credits {
	return func(seq uint64, amount pricing.Credits) pricing.Credits {
		n := part(p.paid[side].get(seq), amount, p.real.get(seq))
		p.Tally.Refund(side, n, p.at)
		return n
	}
}

// part is paid × amount / charged; all three are below 2^32.
func part(paid, amount, charged pricing.Credits) pricing.Credits {
	if charged <= 0 {
		return 0
	}
	return paid * min(amount, charged) / charged
}

// steps lives through a batch.
func (p *Pair) steps(b batch) {
	for i := range b.steps {
		s := &b.steps[i]
		p.act(s, b.verdicts[s.first:s.first+s.count])
	}
}

func (p *Pair) act(s *step, live []ledger.Verdict) {
	a := s.act
	p.at = timeOf(&a)
	if p.live != nil {
		live = p.live.Act(a)
	} else if seq, amount, ok := ledger.RefundOf(a.Event); ok && p.real.get(seq) > 0 {
		p.Tally.Refund(0, amount, p.at)
	}
	other := p.cand.Act(a)
	if e := a.Event; e != nil && e.Type == journal.TypeBoot {
		p.Tally.Ended(p.cand.UnderWay)
	}
	for i := range other {
		v := &other[i]
		if p.policy != nil {
			p.policy.See(v)
		}
		if i >= len(live) { // nothing to compare with: it does not count as covered
			p.Tally.Attempts++
			continue
		}
		if !v.Ended && v.Call.AdmitSeq != 0 { // its end will tell
			p.Tally.Begin(v.Call, s.keyOf(v.Call))
			continue
		}
		key, tool := int32(-1), int32(-1)
		if e := a.Event; e != nil && e.Call == v.Call {
			key, tool = s.key, s.tool
			p.ended(e, &live[i], v)
		}
		if p.Tally.Count(v.Call, &live[i], v, key, tool) && p.Watch != nil {
			p.Watch(v.Call, &live[i], v)
		}
	}
}

// ended keeps what a call was charged, in case it is given back.
func (p *Pair) ended(e *journal.Event, live, cand *ledger.Verdict) {
	if p.live != nil {
		p.paid[0].set(e.Seq, tally.Paid(live))
	}
	p.paid[1].set(e.Seq, tally.Paid(cand))
	p.real.set(e.Seq, e.Call.Charged)
	if p.Each != nil && cand.Ended && !cand.Imputed {
		p.Each(e, cand.Charge.Due)
	}
}
