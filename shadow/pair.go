package shadow

import (
	"time"

	"paygate/pricing"
	"paygate/shadow/tally"
	"paygate/shadow/whatif"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// pair is a candidate beside the live prices, from one moment on.
type pair struct {
	sheet  *pricing.Sheet
	live   *ledger.Scenario // nil as long as reality says the same
	cand   *ledger.Scenario
	plans  *planner
	topped topUps // by the live prices, in shadow mode
	tally  *tally.Tally
	paid   [2]amounts // by number, what calls were charged by the live prices and by the candidate
	real   amounts    // what they were charged in reality
	then   past       // the sheets that calls were judged by
	err    error
	policy *whatif.Enacted
	at     time.Time // of the act that is lived through

	watch func(c *journal.Call, live, cand *ledger.Verdict) // sees every call that counts; may be nil
	each  func(e *journal.Event, price pricing.Credits)     // sees every call that ended, with the candidate's price; may be nil
}

// begin adds a candidate to the walk. Its wallets and those of the live prices
// begin as reality's are at this moment.
func (w *walker) begin(sheet *pricing.Sheet, t *tally.Tally) *pair {
	p := w.pair(sheet, t)
	p.plans = newPlanner(sheet, p.judgedBy, w.grants)
	p.take(w.real.Fork(p.candidate))
	if w.would != nil {
		p.own(w)
	}
	w.pairs = append(w.pairs, p)
	return p
}

func (w *walker) pair(sheet *pricing.Sheet, t *tally.Tally) *pair {
	return &pair{sheet: sheet, tally: t, then: newPast(w.past.sheetOf), topped: newTopUps(nil)}
}

func (p *pair) candidate(*journal.Call) *pricing.Sheet { return p.sheet }

func (p *pair) judgedBy(c *journal.Call) *pricing.Sheet { return p.then.of(c, &p.err) }

// take makes a scenario the candidate's.
func (p *pair) take(s *ledger.Scenario) {
	p.cand = s
	s.Takes, s.Clips, s.Refund = nil, true, p.share(1)
	p.plans.attach(s)
}

// own gives the live prices wallets of their own.
func (p *pair) own(w *walker) {
	if p.live == nil {
		p.owns(w.real.Fork(p.judgedBy))
		p.paid[0] = p.real.clone() // until now the live prices took what was charged
	}
}

func (p *pair) owns(s *ledger.Scenario) {
	p.live = s
	s.Takes, s.Clips, s.Refund = nil, true, p.share(0)
	p.topped.fill(s, p.judgedBy)
}

// share is how much of a refund counts for one side: the same part of its
// charge as of the real one.
func (p *pair) share(side int) func(uint64, pricing.Credits) pricing.Credits {
	return func(seq uint64, amount pricing.Credits) pricing.Credits {
		n := part(p.paid[side].get(seq), amount, p.real.get(seq))
		p.tally.Refund(side, n, p.at)
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
func (p *pair) steps(b batch) {
	for i := range b.steps {
		s := &b.steps[i]
		p.act(s, b.verdicts[s.first:s.first+s.count])
	}
}

func (p *pair) act(s *step, live []ledger.Verdict) {
	a := s.act
	p.at = timeOf(&a)
	if p.live != nil {
		live = p.live.Act(a)
	} else if seq, amount, ok := ledger.RefundOf(a.Event); ok && p.real.get(seq) > 0 {
		p.tally.Refund(0, amount, p.at)
	}
	other := p.cand.Act(a)
	if e := a.Event; e != nil && e.Type == journal.TypeBoot {
		p.tally.Ended(p.cand.UnderWay)
	}
	for i := range other {
		v := &other[i]
		if p.policy != nil {
			p.policy.See(v)
		}
		if i >= len(live) { // nothing to compare with: it does not count as covered
			p.tally.Attempts++
			continue
		}
		if !v.Ended && v.Call.AdmitSeq != 0 { // its end will tell
			p.tally.Begin(v.Call, s.keyOf(v.Call))
			continue
		}
		key, tool := int32(-1), int32(-1)
		if e := a.Event; e != nil && e.Call == v.Call {
			key, tool = s.key, s.tool
			p.ended(e, &live[i], v)
		}
		if p.tally.Count(v.Call, &live[i], v, key, tool) && p.watch != nil {
			p.watch(v.Call, &live[i], v)
		}
	}
}

// ended keeps what a call was charged, in case it is given back.
func (p *pair) ended(e *journal.Event, live, cand *ledger.Verdict) {
	if p.live != nil {
		p.paid[0].set(e.Seq, tally.Paid(live))
	}
	p.paid[1].set(e.Seq, tally.Paid(cand))
	p.real.set(e.Seq, e.Call.Charged)
	if p.each != nil && cand.Ended && !cand.Imputed {
		p.each(e, cand.Charge.Due)
	}
}
