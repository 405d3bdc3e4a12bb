package oracle

import (
	"encoding/json"
	"strings"
	"time"
)

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
