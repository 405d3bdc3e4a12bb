package oracle

import (
	"slices"
	"strings"
	"time"
)

// The reasons why the books refuse a call.
const (
	insufficient = "insufficient_credits"
	keyRate      = "rate_limited"
	toolRate     = "tool_rate_limited"
	batchNo      = "batch_rejected"
)

// meterKinds are what every payer is metered by, with their periods, by the
// reason that a limit of the kind refuses for.
var meterKinds = map[string]string{"spending_limit_exceeded": "", "daily_call_quota_exceeded": "2006-01-02", "monthly_call_quota_exceeded": "2006-01",
	"daily_credit_quota_exceeded": "2006-01-02", "monthly_credit_quota_exceeded": "2006-01"}

func inCredits(kind string) bool { return !strings.Contains(kind, "call") }

// account is what belongs to one key.
type account struct {
	posted, held, spent int64
	meters              map[string]*meter
	slots               map[string][]time.Time // taken, by tool; "": of all tools
	used                *counters
}

// meter counts in a period; what is held counts in the period of admission.
type meter struct {
	period     string
	used, held int64
}

// promise is a call that was admitted in reality and has not ended.
type promise struct {
	call     *Call
	quote    int64
	admitted bool // here
	reasons  []string
	parked   bool
	sheet    *Sheet // it is judged by this one, whatever the books' is
	instead  string
}

// books decide every call anew, in the order in which it was decided.
type books struct {
	accounts map[string]*account
	open     map[uint64]*promise
	holds    map[string]Hold
	batch    []*Call
	clipped  int64

	sheet   func(*Call) *Sheet
	takes   func(*Call) bool
	clips   bool
	would   bool // shadow mode's
	skips   func(*Line) bool
	before  func(*Call)
	limits  func(*Call) []Limit
	refuse  func(*Call) string
	fund    func(*Call, int64) int64
	cheaper map[string]string
	share   func(seq uint64, amount int64) int64
}

func newBooks(sheet func(*Call) *Sheet) *books {
	return &books{accounts: map[string]*account{}, open: map[uint64]*promise{}, holds: map[string]Hold{}, sheet: sheet}
}

// verdict is what books say of a call.
type verdict struct {
	call                     *Call
	ended, admitted, imputed bool
	reasons                  []string
	quote, due, paid, short  int64
	instead                  string
}

func (b *books) of(name string) *account {
	a := b.accounts[name]
	if a == nil {
		a = &account{meters: map[string]*meter{}, slots: map[string][]time.Time{}}
		for kind := range meterKinds {
			a.meters[kind] = &meter{}
		}
		b.accounts[name] = a
	}
	return a
}

// fork are books that begin as these are. With calls under way they end by the
// sheets that they were admitted under.
func (b *books) fork(sheet func(*Call) *Sheet, underWay bool) *books {
	n := newBooks(sheet)
	for name, a := range b.accounts {
		m := n.of(name)
		m.posted, m.spent, m.used = a.posted, a.spent, a.used
		for kind, was := range a.meters {
			*m.meters[kind] = meter{period: was.period, used: was.used}
		}
		for tool, slots := range a.slots {
			m.slots[tool] = slices.Clone(slots)
		}
	}
	for id, h := range b.holds {
		n.holds[id] = h
		n.of("key:" + h.Key).held += h.Credits
	}
	for seq, p := range b.open {
		if underWay {
			own := *p
			if own.sheet == nil {
				own.sheet = b.sheet(p.call)
			}
			if n.open[seq] = &own; own.admitted {
				n.hold(own.call, own.quote, 1)
			}
		}
	}
	return n
}

// metered are the payer's meters whose period is a call's, or begins with it.
func (b *books) metered(c *Call, fn func(kind string, m *meter)) {
	for kind, m := range b.of(c.Payer).meters {
		period := c.At.UTC().Format(meterKinds[kind])
		if period > m.period {
			*m = meter{period: period}
		}
		if m.period == period {
			fn(kind, m)
		}
	}
}

// hold promises a quote, or with -1 ends the promise.
func (b *books) hold(c *Call, quote, n int64) {
	b.of(c.Payer).held += n * quote
	b.metered(c, func(kind string, m *meter) {
		if inCredits(kind) {
			m.held += n * quote
		} else {
			m.held += n
		}
	})
}

// windows are the windows that a call takes a slot of, each once.
func windows(c *Call) []string {
	var out []string
	for _, l := range c.Limits {
		tool, is := "", l.Reason == keyRate
		if l.Reason == toolRate {
			tool, is = c.Tool, true
		}
		if is && !slices.Contains(out, tool) {
			out = append(out, tool)
		}
	}
	return out
}

// decide gives every reason against a call: rates first, then credits, then the
// rest.
func (b *books) decide(c *Call, quote int64) (out []string, lacks int64) {
	a := b.of(c.Payer)
	for _, l := range c.Limits {
		tool := c.Tool
		switch l.Reason {
		case keyRate:
			tool = ""
		case toolRate:
		default:
			continue
		}
		n := int64(0)
		for _, at := range a.slots[tool] {
			if at.After(c.At.Add(-time.Duration(l.WindowMs) * time.Millisecond)) {
				n++
			}
		}
		if n >= l.Max {
			out = append(out, l.Reason)
		}
	}
	if have := a.posted - a.held; quote > 0 && have < quote {
		out, lacks = append(out, insufficient), quote-max(0, have)
	}
	for _, l := range c.Limits {
		if _, is := meterKinds[l.Reason]; !is {
			continue
		}
		amount := int64(1)
		if inCredits(l.Reason) {
			amount = quote
		}
		m, period := b.of(l.Owner).meters[l.Reason], c.At.UTC().Format(meterKinds[l.Reason])
		used := m.used + m.held
		if period > m.period {
			used = 0
		}
		if used+amount > l.Max {
			out = append(out, l.Reason)
		}
	}
	return out, lacks
}

func (b *books) admit(c *Call, quote int64) {
	b.hold(c, quote, 1)
	for _, w := range windows(c) {
		a := b.of(c.Payer)
		a.slots[w] = append(a.slots[w], c.At)
	}
}

// undo is as if a call had not been admitted.
func (b *books) undo(c *Call, quote int64) {
	b.hold(c, quote, -1)
	for _, w := range windows(c) {
		a := b.of(c.Payer)
		if i := slices.IndexFunc(a.slots[w], c.At.Equal); i >= 0 {
			a.slots[w] = slices.Delete(a.slots[w], i, i+1)
		}
	}
}

// settle takes what is due as far as it is there beside what others are
// promised, and counts the call.
func (b *books) settle(c *Call, due int64, used *counters) (paid int64) {
	a := b.of(c.Payer)
	paid = min(due, max(0, a.posted-a.held))
	a.posted, a.spent = a.posted-paid, a.spent+paid
	if used != nil {
		a.used = used
	}
	calls := int64(0)
	if c.Outcome == "ok" || c.Outcome == "failed" && paid > 0 {
		calls = 1
	}
	b.metered(c, func(kind string, m *meter) {
		if inCredits(kind) {
			m.used += paid
		} else {
			m.used += calls
		}
	})
	return paid
}
