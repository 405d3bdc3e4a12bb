package oracle

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Question is what is to be computed: an experiment's report, or a replay.
type Question struct {
	Name     string // of the experiment; empty: a replay of Sheet
	Sheet    *Sheet
	WhatIf   *WhatIf
	From, To time.Time // zero: not bounded
	LastSeq  uint64    // acts after it are not in; 0: all are
}

// WhatIf changes what wallets have, and how callers go on who are denied.
type WhatIf struct {
	Grant, TopUp    int64
	Policy          string
	PerDay, Retries int
	Cheaper         map[string]string
}

// judged is one attempt and what both sides say of it.
type judged struct {
	call *Call // as it ended, or was refused
	seq  uint64
	side [2]verdict // live, candidate
}

// account is everything that figures are made of.
type walked struct {
	q          Question
	started    time.Time
	calls      []judged // attempts of the window, in the order in which they were decided
	refunds    [2]int64
	wallets    [2]map[string]int64
	clipped    int64
	given      int64
	expired    int64
	added      int64 // by a what-if
	load       int
	faults     []string // where the record is not what these books say
	differs    int
	sheet      *Sheet // the candidate's
	candidate  string // its hash, of an experiment
	attempts   int
	beganAgain bool
}

// walker goes through the acts.
type walker struct {
	f      *Facts
	w      *walked
	real   *books
	would  *books // shadow mode's; nil outside of it
	live   *books // the live prices' own, once shadow mode has been; nil: reality's
	cand   *books // nil: not begun
	grants map[string]granted
	plans  *planner
	react  *reaction
	topped topUps // by the live prices, in shadow mode
	paid   [2]map[uint64]int64
	real0  map[uint64]int64 // what calls were charged in reality
	back   map[uint64][3]int64
}

func (x *walker) then(c *Call) *Sheet {
	s := x.f.Sheets[c.Sheet]
	if s == nil {
		panic("no sheet " + c.Sheet)
	}
	return s
}

// walk lives through the acts once.
func walk(f *Facts, q Question) *walked {
	x := &walker{f: f, w: &walked{q: q, sheet: q.Sheet}, grants: map[string]granted{}, topped: topUps{}, real0: map[uint64]int64{}, back: map[uint64][3]int64{}}
	x.paid = [2]map[uint64]int64{{}, {}}
	x.real = newBooks(x.then)
	x.real.takes = func(c *Call) bool { return !c.Observed }
	for i := range f.Lines {
		l := &f.Lines[i]
		if q.LastSeq > 0 && l.Seq > q.LastSeq {
			break
		}
		if q.Name == "" && x.cand == nil && !l.when().Before(q.From) {
			x.begin(l.when())
		}
		if !q.To.IsZero() && l.when().After(q.To) {
			x.w.close(x)
		}
		if x.line(l) {
			break
		}
	}
	x.w.end(x)
	return x.w
}

func (l *Line) when() time.Time {
	if l.Call != nil && l.Type == "admit" {
		return l.Call.At
	}
	return l.At
}

// line takes an act and says whether the experiment has ended with it.
func (x *walker) line(l *Line) (over bool) {
	real := x.real.act(l)
	x.check(l, real)
	if x.would != nil {
		x.check(l, x.would.act(l))
	}
	if x.cand != nil {
		x.pair(l, real)
	}
	switch l.Type {
	case "mode.changed":
		var m struct{ Mode string }
		_ = json.Unmarshal(l.Data, &m)
		if x.would = nil; m.Mode == "shadow" {
			x.would = x.real.fork(x.then, false)
			x.would.takes = func(c *Call) bool { return c.Observed }
			x.would.would = true
			x.own()
		}
	case "key.granted":
		x.granted(l)
	case "shadow.started", "shadow.stopped":
		var m struct{ Name, Candidate string }
		_ = json.Unmarshal(l.Data, &m)
		if m.Name != x.w.q.Name || m.Name == "" {
			return false
		}
		if l.Type == "shadow.stopped" {
			return true
		}
		if x.w.candidate = m.Candidate; x.w.sheet == nil {
			x.w.sheet = x.f.Sheets[m.Candidate]
		}
		x.begin(l.At)
	}
	return false
}

// begin begins the candidate with the wallets of this moment, calls under way
// included.
func (x *walker) begin(at time.Time) {
	x.w.started = at
	s := x.w.sheet
	x.cand = x.real.fork(func(*Call) *Sheet { return s }, true)
	x.cand.clips, x.cand.share = true, func(seq uint64, n int64) int64 { return x.shared(1, seq, n) }
	x.plans = newPlanner(x, s)
	if x.w.q.WhatIf != nil {
		x.react = newReaction(*x.w.q.WhatIf, x.cand)
	}
	if x.would != nil {
		x.own()
	}
}

// own gives the live prices wallets of their own: in shadow mode reality's stand
// still.
func (x *walker) own() {
	if x.cand == nil || x.live != nil {
		return
	}
	x.live = x.real.fork(x.then, true)
	x.live.clips, x.live.share = true, func(seq uint64, n int64) int64 { return x.shared(0, seq, n) }
	x.live.skips = func(l *Line) bool { return l.Type == "key.would_topup" }
	x.live.before = func(c *Call) {
		if plan := x.then(c).plan(c.Plan); c.Observed && plan != nil && c.Key != "" {
			a := x.live.of("key:" + c.Key)
			a.posted += x.topped.due(c, plan, a.posted-a.held)
		}
	}
}

// shared is how much of a refund a side's wallet gets: the same part of what the
// call was charged there, and of a call before it began what it was in reality.
func (x *walker) shared(side int, seq uint64, amount int64) int64 {
	charged, known := x.real0[seq]
	if !known {
		return amount
	}
	was := x.back[seq]
	part := func(n int64) int64 { return x.paid[side][seq] * min(n, charged) / charged }
	n := part(was[2]+amount) - part(was[2])
	return n
}

// check compares reality's books, and those of shadow mode, with the record.
func (x *walker) check(l *Line, list []verdict) {
	for _, v := range list {
		c := v.call
		admitted := c.AdmitSeq != 0 && (!c.Observed || len(c.Reasons) == 0)
		same := v.admitted == admitted && v.quote == c.Quote && !v.imputed
		if v.ended && v.admitted {
			same = same && v.paid == c.Charged+c.Would && v.short == c.Shortfall
		}
		if !v.ended {
			same = same && slices.Equal(v.reasons, c.Reasons)
		}
		if !same {
			x.w.faults = append(x.w.faults, fmt.Sprintf("act %d, call %s of %s to %s: admitted %v, quote %d, paid %d, short %d, %v; recorded: quote %d, charged %d, would %d, short %d, reasons %v, findings %v, outcome %s",
				l.Seq, c.ID, c.Key, c.Tool, v.admitted, v.quote, v.paid, v.short, v.reasons, c.Quote, c.Charged, c.Would, c.Shortfall, c.Reasons, c.Findings, c.Outcome))
		}
	}
}

// pair lets both sides take an act.
func (x *walker) pair(l *Line, live []verdict) {
	if x.live != nil {
		live = x.live.act(l)
	}
	cand := x.cand.act(l)
	if l.Type == "credits.refunded" {
		x.refunded(l)
	}
	if x.react != nil {
		x.react.see(cand)
	}
	for i := range cand {
		c := cand[i].call
		if !cand[i].ended && c.AdmitSeq != 0 { // its end will tell
			continue
		}
		if l.Call != nil && l.Call.AdmitSeq != 0 {
			x.real0[l.Seq] = c.Charged
			for side, v := range []verdict{live[i], cand[i]} {
				x.paid[side][l.Seq] = v.paid
			}
			if x.live == nil {
				x.paid[0][l.Seq] = c.Charged
			}
		}
		x.count(c, live[i], cand[i])
	}
}

func (x *walker) count(c *Call, live, cand verdict) {
	if c.Key == "" || !x.within(c.At) {
		return
	}
	x.w.calls = append(x.w.calls, judged{c, c.Seq, [2]verdict{live, cand}})
}

func (x *walker) within(at time.Time) bool {
	from := x.w.started
	if x.w.q.From.After(from) {
		from = x.w.q.From
	}
	return !at.Before(from) && (x.w.q.To.IsZero() || at.Before(x.w.q.To))
}

// refunded counts what was given back of calls that both sides have seen.
func (x *walker) refunded(l *Line) {
	var d refundData
	_ = json.Unmarshal(l.Data, &d)
	n := l.Entries[0].Amount
	if _, known := x.real0[d.Seq]; !known {
		return
	}
	if x.within(l.At) {
		live := n
		if x.live != nil {
			live = x.shared(0, d.Seq, n)
		}
		x.w.refunds[0] += live
		x.w.refunds[1] += x.shared(1, d.Seq, n)
	}
	was := x.back[d.Seq]
	was[2] += n
	x.back[d.Seq] = was
}

// end takes what is left at the end.
func (w *walked) end(x *walker) {
	slices.SortStableFunc(w.calls, func(a, b judged) int {
		if !a.call.At.Equal(b.call.At) {
			return a.call.At.Compare(b.call.At)
		}
		return int(int64(a.seq) - int64(b.seq))
	})
	w.close(x)
	if x.react != nil {
		w.added, w.load = x.react.added, x.react.load
	}
}

// close keeps what wallets come to at the end of the window, or of what there
// is.
func (w *walked) close(x *walker) {
	if x.cand == nil || w.wallets[0] != nil {
		return
	}
	live := x.live
	if live == nil {
		live = x.real
	}
	for side, b := range []*books{live, x.cand} {
		w.wallets[side] = map[string]int64{}
		for name, a := range b.accounts {
			if key, ok := strings.CutPrefix(name, "key:"); ok {
				w.wallets[side][key] = a.posted
			}
		}
	}
	w.clipped, w.given, w.expired = x.cand.clipped, x.plans.added, x.plans.expired
}
