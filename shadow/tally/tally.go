// Package tally counts, call by call, what a candidate's prices would have meant
// beside the live ones: in all, by key, by tool, by sheet and by piece of work.
// Two sides are always counted together, the live prices (0) and the candidate
// (1), in whole credits. What the counts say is package report's to find.
package tally

import (
	"cmp"
	"time"

	"paygate/pricing"
	"paygate/shadow/snapshot"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// Window is a stretch of time; zero times do not bound it.
type Window struct{ From, To time.Time }

func (w Window) has(at time.Time) bool {
	return !at.Before(w.From) && (w.To.IsZero() || at.Before(w.To))
}

// Tally counts what a candidate would have meant, call by call. All sums are
// whole credits.
type Tally struct {
	From, To time.Time // calls outside do not count, though the wallets live through them; zero: no bound

	Attempts, Evaluated, Observed int
	Sides                         [2]Side         // live, candidate
	Rate, Won, Lost               pricing.Credits // the change, split
	ImputedCalls                  int
	Imputed                       pricing.Credits // guessed of calls that reality refused
	Newly                         int
	NewlyBy                       map[string]int
	DeniedBy                      map[string]int                 // by the candidate, first reason
	Sole                          int                            // newly denied for one reason only
	Leaks                         map[string]*[2]pricing.Credits // what each side could collect and does not, by the first reason of a denial, or see LeakImputed
	Keys                          map[string]*Key
	Tools                         map[string]*Tool
	Sheets                        map[string]*Sheet // by the sheet that calls were judged by
	Over                          Finished          // runs that cannot go on
	Queues                        map[string]*Queue // by key
	First, Last                   time.Time

	newest     *Sheet // that calls were judged by
	newestHash string

	named  *snapshot.Map[Run] // runs that agents name, by key and name
	list   []*Key             // as they came
	keys   []*Key             // by the caller's numbers
	tools  []*Tool            // the same
	queues []*Queue           // the same

	times, frozen uint32 // how often it was frozen, and which time it is now; 0: it is not
}

// Side is one column.
type Side struct {
	Potential, Collected, Refunds pricing.Credits
	Admitted, Denied              int
	Held, Quoted                  pricing.Credits // settled and quoted, of admitted calls
}

// Collectable is what was collected less what was given back.
func (s Side) Collectable() pricing.Credits { return s.Collected - s.Refunds }

// Coverage is the share of the attempts that both sides have judged.
func (t *Tally) Coverage() float64 {
	if t.Attempts == 0 {
		return 1
	}
	return float64(t.Evaluated) / float64(t.Attempts)
}

// New counts what happens within a window.
func New(w Window) *Tally {
	t := &Tally{From: w.From, To: w.To}
	t.ready()
	return t
}

// ready makes the maps that are missing.
func (t *Tally) ready() {
	made(&t.NewlyBy)
	made(&t.DeniedBy)
	made(&t.Leaks)
	made(&t.Keys)
	made(&t.Tools)
	if t.named == nil {
		t.named = snapshot.New[Run](nil)
	}
	made(&t.Sheets)
	made(&t.Queues)
}

func made[V any](m *map[string]V) {
	if *m == nil {
		*m = map[string]V{}
	}
}

// Refund counts what was given back of a side's calls at a time.
func (t *Tally) Refund(side int, n pricing.Credits, at time.Time) {
	if t.within(at) {
		t.Sides[side].Refunds += n
		t.leak(LeakBack, side, n)
	}
}

func (t *Tally) within(at time.Time) bool { return Window{t.From, t.To}.has(at) }

// Count takes one call, what the live prices say of it and what the candidate
// does, and tells whether it counts. key and tool are numbers that the caller
// gives to the call's, from 0 on, or -1.
func (t *Tally) Count(c *journal.Call, live, cand *ledger.Verdict, key, tool int32) bool {
	if c.Key == "" || !t.within(c.At) {
		return false
	}
	t.Attempts++
	t.Evaluated++
	if c.Observed {
		t.Observed++
	}
	if t.First.IsZero() || c.At.Before(t.First) {
		t.First = c.At
	}
	if c.At.After(t.Last) {
		t.Last = c.At
	}
	got := [2]pricing.Credits{t.side(0, c, live), t.side(1, c, cand)}
	switch {
	case live.Admitted && cand.Admitted:
		t.Rate += got[1] - got[0]
	case cand.Admitted:
		t.Won += got[1]
	case live.Admitted:
		t.Lost += got[0]
	}
	k := t.key(c, key)
	k.Plan, k.Tenant = c.Plan, c.Tenant
	if c.At.Before(k.First) {
		k.First = c.At
	}
	if cand.Imputed {
		t.ImputedCalls++
		t.Imputed += cand.Paid
		k.Imputed += cand.Paid
	}
	t.deny(k, c, live, cand)
	k.Paid[0], k.Paid[1] = k.Paid[0]+got[0], k.Paid[1]+got[1]
	k.spend(c.At, got)
	t.bySheet(k, c, got)
	k.change(c.Tool, got[1]-got[0])
	t.tool(c, tool).count(c, live, cand, got)
	t.toRun(k, key, c, [2]*ledger.Verdict{live, cand}, got)
	return true
}

// side adds a call to a column and gives what it pays there.
func (t *Tally) side(side int, c *journal.Call, v *ledger.Verdict) pricing.Credits {
	s := &t.Sides[side]
	s.Potential += price(c, v)
	if !v.Admitted {
		s.Denied++
		return 0
	}
	s.Admitted++
	n := Paid(v)
	s.Collected += n
	switch {
	case v.Imputed:
		t.leak(LeakImputed, side, v.Quote)
		return n
	case v.Short > 0:
		t.leak(LeakShort, side, v.Short)
	}
	s.Held += v.Quote
	s.Quoted += v.Charge.Due
	return n
}

// Paid is what a call is charged by a side; a guess of what reality refused is
// no charge.
func Paid(v *ledger.Verdict) pricing.Credits {
	if v.Ended && v.Admitted && !v.Imputed {
		return v.Paid
	}
	return 0
}

// price is what a call costs whether or not it is admitted: by what it became,
// or its quote when reality refused it for want of credits. What was refused
// for other reasons costs nothing at any price.
func price(c *journal.Call, v *ledger.Verdict) pricing.Credits {
	switch {
	case v.Ended && !v.Imputed:
		return v.Charge.Due
	case !c.Together && len(c.Findings) > len(c.Reasons):
		return 0
	}
	return v.Quote
}

func (t *Tally) deny(k *Key, c *journal.Call, live, cand *ledger.Verdict) {
	if !live.Admitted {
		t.leak(reasonOf(c, live), 0, price(c, live))
		first(&k.FirstDeniedLive, c.At)
	}
	if cand.Admitted {
		k.Admitted++
		return
	}
	k.Denied++
	reason := reasonOf(c, cand)
	t.DeniedBy[reason]++
	t.leak(reason, 1, price(c, cand))
	k.denied(c.At)
	first(&k.FirstDenied, c.At)
	if !live.Admitted {
		return
	}
	t.Newly++
	k.Newly++
	t.NewlyBy[reason]++
	if len(cand.Reasons) == 1 {
		t.Sole++
	}
	seq := cmp.Or(c.AdmitSeq, c.SettleSeq)
	if again := k.Stopped != nil && c.At.Equal(*k.Stopped) && seq < k.StopSeq; again || first(&k.Stopped, c.At) { // calls of a batch have one time
		k.StopSeq, k.Reason, k.Run = seq, reason, c.Run
	}
}

// first keeps the earliest time, and says whether this is it: a call that ends
// late may have been the first.
func first(kept **time.Time, at time.Time) bool {
	if *kept != nil && !at.Before(**kept) {
		return false
	}
	own := at // at itself stays off the heap
	*kept = &own
	return true
}

// reasonOf is the first reason why a call is denied.
func reasonOf(c *journal.Call, v *ledger.Verdict) string {
	switch {
	case len(v.Reasons) > 0:
		return v.Reasons[0].Reason
	case len(c.Findings) > 0:
		return c.Findings[0]
	}
	return "refused"
}

// What of the potential is not collected though no call was denied for it.
const (
	LeakImputed = "imputed"   // admitted here and refused in reality: a guess, which nobody pays
	LeakShort   = "shortfall" // it cost more than was held, and more than was there
	LeakBack    = "refunded"
)

func (t *Tally) leak(reason string, side int, n pricing.Credits) {
	l := t.Leaks[reason]
	if l == nil {
		l = new([2]pricing.Credits)
		t.Leaks[reason] = l
	}
	l[side] += n
}

func (t *Tally) key(c *journal.Call, id int32) *Key {
	if id >= 0 && int(id) < len(t.keys) && t.keys[id] != nil {
		return t.own(t.keys[id])
	}
	k := t.Keys[c.Key]
	if k == nil {
		k = &Key{Key: c.Key, First: c.At}
		t.add(k)
	}
	k = t.own(k)
	if id >= 0 {
		k.number = id
	}
	t.keys = place(t.keys, id, k)
	return k
}

// place puts v where its number says.
func place[T any](list []*T, id int32, v *T) []*T {
	if id < 0 {
		return list
	}
	if n := int(id) + 1 - len(list); n > 0 {
		list = append(list, make([]*T, n)...)
	}
	list[id] = v
	return list
}

func (t *Tally) tool(c *journal.Call, id int32) *Tool {
	if id >= 0 && int(id) < len(t.tools) && t.tools[id] != nil {
		return t.tools[id]
	}
	tool := t.Tools[c.Tool]
	if tool == nil {
		tool = &Tool{Tool: c.Tool}
		t.Tools[c.Tool] = tool
	}
	t.tools = place(t.tools, id, tool)
	return tool
}
