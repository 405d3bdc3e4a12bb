package ledger

import (
	"cmp"
	"encoding/json"
	"iter"
	"slices"

	"paygate/pricing"
	"paygate/store/journal"
)

// Fork begins a scenario with the books of this one as they are, calls under
// way included: they end by the sheets they were admitted under.
func (s *Scenario) Fork(sheet func(*journal.Call) *pricing.Sheet) *Scenario {
	n := NewScenario(s, sheet)
	for _, p := range s.open.inOrder() {
		p.sheet = cmp.Or(p.sheet, s.Sheet(p.call))
		if n.open.put(p); p.admitted {
			n.books.promise(p.call, p.quote)
		}
	}
	return n
}

// UnderWay says whether a call has been admitted in reality, by the number of
// its admission, and has not ended.
func (s *Scenario) UnderWay(seq uint64) bool { return s.open.has(seq) }

// Open are the calls that have been admitted in reality and have not ended, in
// the order of their admissions.
func (s *Scenario) Open() iter.Seq[*journal.Call] {
	return func(yield func(*journal.Call) bool) {
		for _, p := range s.open.inOrder() {
			if !yield(p.call) {
				return
			}
		}
	}
}

// Give adds to the wallet of a key what reality has not given it.
func (s *Scenario) Give(key string, n pricing.Credits) {
	s.books.move(journal.Bank, journal.KeyAccount(key), n)
}

// Expire takes from the wallet of a key what has expired, as far as it is there.
func (s *Scenario) Expire(key string, n pricing.Credits) {
	from := journal.KeyAccount(key)
	if n = min(n, s.books.of(from).available()); n > 0 {
		s.books.move(from, journal.Expired, n)
	}
}

// Wallet is what a key has spent in its life and what it can spend now.
func (s *Scenario) Wallet(key string) (spent, available pricing.Credits) {
	o := s.books.of(journal.KeyAccount(key))
	return o.spent, o.available()
}

// Wallets calls fn for every key's balance and what of it is not promised.
func (s *Scenario) Wallets(fn func(key string, posted, available pricing.Credits)) {
	for _, o := range s.books.list {
		if o == nil {
			continue
		}
		if key := o.account.Key(); key != "" {
			fn(key, o.posted, o.available())
		}
	}
}

// judge says what stands against a call in this scenario.
func (s *Scenario) judge(c *journal.Call, quote pricing.Credits) []Refusal {
	if s.Refuse != nil {
		if reason := s.Refuse(c); reason != "" {
			return []Refusal{{Reason: reason}}
		}
	}
	out := s.books.decide(c, quote)
	if s.Fund == nil {
		return out
	}
	for _, r := range out {
		if r.Reason != insufficient {
			continue
		}
		if n := s.Fund(c, pricing.Credits(r.Need-r.Have)); n > 0 {
			s.books.move(journal.Bank, journal.Account(c.Payer), n)
			return s.books.decide(c, quote)
		}
	}
	return out
}

// first judges a call alone, and gives it as it is admitted: with this
// scenario's limits, and with a cheaper tool if it is refused otherwise and one
// is named.
func (s *Scenario) first(v *Verdict, c *journal.Call) *journal.Call {
	if s.Before != nil {
		s.Before(c)
	}
	if s.Limits != nil {
		c = s.limited(c)
	}
	sheet := s.Sheet(c)
	v.Call, v.Quote = c, s.books.quote(c, sheet)
	if v.Reasons = s.judge(c, v.Quote); len(v.Reasons) == 0 || s.Cheaper == nil {
		return c
	}
	tool := s.Cheaper(c.Tool)
	if tool == "" || v.Reasons[0].Reason != insufficient {
		return c
	}
	n := downgraded(c, tool)
	quote := s.books.quote(n, sheet)
	if len(s.judge(n, quote)) > 0 {
		return c
	}
	v.Quote, v.Reasons, v.Instead = quote, nil, tool
	return n
}

func downgraded(c *journal.Call, tool string) *journal.Call {
	n := *c
	n.Tool = tool
	return &n
}

// asked is the call as it was admitted.
func (s *Scenario) asked(v *Verdict) *journal.Call {
	if v.Instead == "" {
		return v.Call
	}
	return downgraded(v.Call, v.Instead)
}

// limited is the call with the scenario's limits.
func (s *Scenario) limited(c *journal.Call) *journal.Call {
	limits := s.Limits(c)
	if limits == nil {
		return c
	}
	n := *c
	n.Limits = limits
	return &n
}

// sharedRefund is a refund with the amount that counts here, or nil.
func (s *Scenario) sharedRefund(e *journal.Event) *journal.Event {
	var d refunded
	if len(e.Posts) != 1 || json.Unmarshal(e.Data, &d) != nil {
		return e
	}
	n := *e
	n.Posts = slices.Clone(e.Posts)
	if n.Posts[0].Amount = s.Refund(d.Seq, e.Posts[0].Amount); n.Posts[0].Amount <= 0 {
		return nil
	}
	return &n
}

// RefundOf is the number of the call's event that a refund gives back, and how
// much; false for other events.
func RefundOf(e *journal.Event) (seq uint64, amount pricing.Credits, ok bool) {
	if e == nil || e.Type != journal.TypeRefund || len(e.Posts) != 1 {
		return 0, 0, false
	}
	var d refunded
	if json.Unmarshal(e.Data, &d) != nil {
		return 0, 0, false
	}
	return d.Seq, e.Posts[0].Amount, true
}
