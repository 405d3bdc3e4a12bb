package ledger_test

import (
	"slices"
	"time"

	"paygate/pricing"
	"paygate/store/journal"
)

// model is the books as one would write them in an afternoon: lists of what
// happened, every figure counted from the beginning.
type model struct {
	balance map[string]pricing.Credits
	open    map[string]*deal // calls admitted and not ended, by id
	holds   map[string]*deal // reservations
	ended   []*deal          // calls that were answered, and reservations that were taken
	slots   map[string][]time.Time
	revenue pricing.Credits
}

// deal is one call or reservation.
type deal struct {
	key, tool string
	at        time.Time
	quote     pricing.Credits
	charged   pricing.Credits
	counts    int64 // in call quotas
	until     time.Time
	parked    bool
	limits    []journal.Limit
}

func newModel() *model {
	return &model{balance: map[string]pricing.Credits{}, open: map[string]*deal{}, holds: map[string]*deal{}, slots: map[string][]time.Time{}}
}

// copy is the model of what shadow mode would do: it begins with what is, but
// without the calls under way.
func (m *model) copy() *model {
	c := newModel()
	for k, n := range m.balance {
		c.balance[k] = n
	}
	for k, s := range m.slots {
		c.slots[k] = slices.Clone(s)
	}
	for id, h := range m.holds {
		c.holds[id] = h
	}
	c.ended, c.revenue = slices.Clone(m.ended), m.revenue
	return c
}

func (m *model) held(key string) (n pricing.Credits) {
	for _, d := range m.open {
		if d.key == key {
			n += d.quote
		}
	}
	for _, d := range m.holds {
		if d.key == key {
			n += d.quote
		}
	}
	return n
}

func (m *model) available(key string) pricing.Credits { return m.balance[key] - m.held(key) }

func window(l journal.Limit, tool string) string {
	if l.Kind == journal.KeyRate {
		tool = ""
	}
	return string(l.Owner) + "/" + tool
}

func (m *model) taken(l journal.Limit, tool string, now time.Time) (n int64) {
	for _, at := range m.slots[window(l, tool)] {
		if now.Sub(at) < l.Window {
			n++
		}
	}
	return n
}

// used counts what stands against a limit in the period of now: what has ended
// and what is still under way.
func (m *model) used(l journal.Limit, now time.Time) (n int64) {
	count := func(d *deal, credits pricing.Credits, calls int64) {
		mine := journal.KeyAccount(d.key) == l.Owner || slices.ContainsFunc(d.limits, func(o journal.Limit) bool { return o.Owner == l.Owner && o.Kind == l.Kind })
		if !mine || l.Kind.Period(d.at) != l.Kind.Period(now) {
			return
		}
		if l.Kind.InCredits() {
			n += int64(credits)
		} else {
			n += calls
		}
	}
	for _, d := range m.ended {
		count(d, d.charged, d.counts)
	}
	for _, d := range m.open {
		count(d, d.quote, 1)
	}
	return n
}

// refusals are the reasons against a call.
func (m *model) refusals(d *deal) (out []string) {
	if d.quote > 0 && m.available(d.key) < d.quote {
		out = append(out, "insufficient_credits")
	}
	for _, l := range d.limits {
		if l.Kind.Window() {
			if m.taken(l, d.tool, d.at) >= l.Max {
				out = append(out, l.Kind.Reason())
			}
			continue
		}
		add := int64(1)
		if l.Kind.InCredits() {
			add = int64(d.quote)
		}
		if m.used(l, d.at)+add > l.Max {
			out = append(out, l.Kind.Reason())
		}
	}
	return out
}

func (m *model) admit(id string, d *deal) {
	m.open[id] = d
	for _, l := range d.limits {
		if l.Kind.Window() {
			m.slots[window(l, d.tool)] = append(m.slots[window(l, d.tool)], d.at)
		}
	}
}

// reserve admits all or none and gives every reason.
func (m *model) reserve(ids []string, deals []*deal) (out []string) {
	before := m.copySlots()
	for i, d := range deals {
		if r := m.refusals(d); len(r) > 0 {
			out = append(out, r...)
			continue
		}
		m.admit(ids[i], d)
	}
	if len(out) > 0 {
		for _, id := range ids {
			delete(m.open, id)
		}
		m.slots = before
	}
	return out
}

func (m *model) copySlots() map[string][]time.Time {
	c := map[string][]time.Time{}
	for k, s := range m.slots {
		c[k] = slices.Clone(s)
	}
	return c
}

// settle ends a call that owes due and gives what it pays.
func (m *model) settle(id string, due pricing.Credits, outcome pricing.Outcome) pricing.Credits {
	d := m.open[id]
	delete(m.open, id)
	d.charged = min(due, max(0, m.available(d.key)))
	if outcome == pricing.OK || outcome == pricing.Failed && d.charged > 0 {
		d.counts = 1
	}
	m.balance[d.key] -= d.charged
	m.revenue += d.charged
	m.ended = append(m.ended, d)
	return d.charged
}

// die ends every call that is not parked, as a kill does.
func (m *model) die() {
	for id, d := range m.open {
		if !d.parked {
			delete(m.open, id)
		}
	}
}

// lapse ends what has had its time, at nothing.
func (m *model) lapse(now time.Time) {
	for id, d := range m.holds {
		if !now.Before(d.until) {
			delete(m.holds, id)
		}
	}
	for id, d := range m.open {
		if d.parked && !now.Before(d.until) {
			m.settle(id, 0, pricing.Lost)
		}
	}
}
