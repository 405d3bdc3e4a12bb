package oracle

import (
	"encoding/json"
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

// act takes an act and gives its verdicts, those of a batch with its last call.
func (b *books) act(l *Line) []verdict {
	c := l.Call
	switch {
	case c == nil:
		b.event(l)
		return nil
	case b.takes != nil && !b.takes(c):
		return nil
	case l.Type == "admit":
		return b.decision(c)
	case c.AdmitSeq == 0:
		return b.refused(c)
	}
	p := b.open[c.AdmitSeq]
	delete(b.open, c.AdmitSeq)
	if p == nil {
		return nil
	}
	return []verdict{b.end(p, c)}
}

func (b *books) end(p *promise, c *Call) verdict {
	v := verdict{call: c, ended: true, admitted: p.admitted, reasons: p.reasons, quote: p.quote, instead: p.instead}
	s := p.sheet
	if s == nil {
		s = b.sheet(c)
	}
	if p.instead != "" {
		c = as(c, p.instead)
	}
	due, used := s.rate(c, b.of(c.Payer).used, false)
	if v.due = due; p.admitted {
		b.hold(p.asked(), p.quote, -1)
		v.paid = b.settle(c, due, used)
		v.short = due - v.paid
	}
	return v
}

// asked is the call as it was promised its quote.
func (p *promise) asked() *Call {
	if p.instead == "" {
		return p.call
	}
	return as(p.call, p.instead)
}

func as(c *Call, tool string) *Call {
	n := *c
	n.Tool = tool
	return &n
}

func (b *books) decision(c *Call) []verdict {
	b.batch = append(b.batch, c)
	if c.BatchI < c.BatchN-1 && (c.AdmitSeq != 0 || c.Together) {
		return nil
	}
	calls, bad := b.batch, false
	b.batch = nil
	out, asked := make([]verdict, len(calls)), make([]*Call, len(calls))
	for i, c := range calls {
		asked[i], out[i] = b.judge(c)
		if bad = bad || !out[i].admitted; out[i].admitted {
			b.admit(asked[i], out[i].quote)
		}
	}
	for i, c := range calls {
		v := &out[i]
		v.call = c
		if bad && v.admitted {
			b.undo(asked[i], v.quote)
			v.admitted, v.reasons = false, []string{batchNo}
		}
		if c.AdmitSeq != 0 {
			own := *asked[i]
			own.Tool = c.Tool
			b.open[c.AdmitSeq] = &promise{call: &own, quote: v.quote, admitted: v.admitted, reasons: v.reasons, instead: v.instead}
		}
	}
	return out
}

// judge judges one call, as callers react to a denial in these books.
func (b *books) judge(c *Call) (*Call, verdict) {
	if b.before != nil {
		b.before(c)
	}
	if b.limits != nil {
		own := *c
		own.Limits = b.limits(c)
		c = &own
	}
	s := b.sheet(c)
	v := verdict{quote: s.quote(c, b.of(c.Payer).used)}
	v.reasons = b.reasons(c, v.quote)
	if v.admitted = len(v.reasons) == 0; v.admitted {
		return c, v
	}
	if tool := b.cheaper[c.Tool]; tool != "" && v.reasons[0] == insufficient {
		n := as(c, tool)
		if quote := s.quote(n, b.of(c.Payer).used); len(b.reasons(n, quote)) == 0 {
			return n, verdict{quote: quote, admitted: true, instead: tool}
		}
	}
	return c, v
}

func (b *books) reasons(c *Call, quote int64) []string {
	if b.refuse != nil {
		if r := b.refuse(c); r != "" {
			return []string{r}
		}
	}
	out, lacks := b.decide(c, quote)
	if lacks > 0 && b.fund != nil {
		if n := b.fund(c, lacks); n > 0 {
			b.of(c.Payer).posted += n
			out, _ = b.decide(c, quote)
		}
	}
	return out
}

// refused takes a call that reality has refused: if it was for more than credits
// and limits, it is refused here too; else it is judged, and if it is admitted
// it ends at once at its quote, which is a guess.
func (b *books) refused(c *Call) []verdict {
	if c.Key == "" {
		return []verdict{{call: c}}
	}
	if !c.Together && len(c.Findings) > len(c.Reasons) {
		quote := b.sheet(c).quote(c, b.of(c.Payer).used)
		reasons, _ := b.decide(c, quote)
		return []verdict{{call: c, quote: quote, reasons: reasons}}
	}
	out := b.decision(c)
	for i := range out {
		if v := &out[i]; v.admitted {
			guess := *v.call
			guess.Outcome = "ok"
			b.hold(&guess, v.quote, -1)
			v.ended, v.imputed, v.due = true, true, v.quote
			v.paid = b.settle(&guess, v.quote, nil)
		}
	}
	return out
}

// event takes what is not a call.
func (b *books) event(l *Line) {
	if b.skips != nil && b.skips(l) {
		return
	}
	switch l.Type {
	case "boot":
		for seq, p := range b.open {
			if !p.parked {
				if delete(b.open, seq); p.admitted {
					b.hold(p.asked(), p.quote, -1)
				}
			}
		}
	case "call.parked":
		for _, p := range b.open {
			p.parked = p.parked || p.call.ID == l.Hold.ID
		}
	case "credits.refunded":
		b.refund(l)
		return
	case "key.would_topup": // only shadow mode's books have it
		var d struct{ CreditsAdded int64 }
		if _ = json.Unmarshal(l.Data, &d); b.would {
			b.of("key:" + l.Subject).posted += d.CreditsAdded
		}
	case "credits.reserved":
		b.holds[l.Hold.ID] = *l.Hold
		b.of("key:" + l.Hold.Key).held += l.Hold.Credits
	case "credits.committed", "credits.released":
		if h, ok := b.holds[l.Hold.ID]; ok {
			delete(b.holds, l.Hold.ID)
			b.of("key:" + h.Key).held -= h.Credits
		}
	}
	for _, e := range l.Entries {
		b.move(e, l.At)
	}
}

// move moves credits for an owner. Wallets that are poorer here than in reality
// do not go below zero.
func (b *books) move(e Entry, at time.Time) {
	n := e.Amount
	if strings.HasPrefix(e.From, "key:") {
		a := b.of(e.From)
		if have := max(0, a.posted); b.clips && n > have {
			b.clipped, n = b.clipped+n-have, have
		}
		a.posted -= n
		if e.To == "house:revenue" {
			a.spent += n
		}
		if e.Kind == "reserve" {
			for kind, layout := range meterKinds {
				if m, period := a.meters[kind], at.UTC().Format(layout); inCredits(kind) && period >= m.period {
					if period > m.period {
						*m = meter{period: period}
					}
					m.used += e.Amount
				}
			}
		}
	}
	if strings.HasPrefix(e.To, "key:") {
		a := b.of(e.To)
		a.posted += n
		if e.From == "house:revenue" {
			a.spent -= n
		}
	}
}

// refundData is which call a refund gives back.
type refundData struct {
	Seq uint64
	At  int64
}

// refund gives back a call's charge, and takes it out of the meters that
// counted it.
func (b *books) refund(l *Line) {
	var d refundData
	_ = json.Unmarshal(l.Data, &d)
	e := l.Entries[0]
	if b.share != nil {
		e.Amount = b.share(d.Seq, e.Amount)
	}
	if e.Amount <= 0 {
		return
	}
	b.move(e, l.At)
	for kind, m := range b.of(e.To).meters {
		if inCredits(kind) && m.period == time.UnixMilli(d.At).UTC().Format(meterKinds[kind]) {
			m.used -= e.Amount
		}
	}
}
