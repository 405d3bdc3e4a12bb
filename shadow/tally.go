package shadow

import (
	"time"

	"paygate/pricing"
	"paygate/store/journal"
	"paygate/store/ledger"
)

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
	Leaks                         map[string]*[2]pricing.Credits // price of what each side denied, by its first reason
	Keys                          map[string]*KeyTally
	Tools                         map[string]*ToolTally
	Runs                          []*RunTally
	First, Last                   time.Time

	runs  map[[2]string]*RunTally
	watch func(c *journal.Call, live, cand ledger.Verdict) // sees every call that counts; may be nil
	each  func(e *journal.Event, price pricing.Credits)    // sees every call that ended, with the candidate's price; may be nil
}

// Side is one column.
type Side struct {
	Potential, Collected, Refunds pricing.Credits
	Admitted, Denied              int
	Held, Quoted                  pricing.Credits // settled and quoted, of admitted calls
}

// Collectable is what was collected less what was given back.
func (s Side) Collectable() pricing.Credits { return s.Collected - s.Refunds }

// KeyTally is one key.
type KeyTally struct {
	Key              string
	Paid             [2]pricing.Credits
	Admitted, Denied int // by the candidate
	Newly            int
	Imputed          pricing.Credits
	First            time.Time                  // call
	FirstDenied      *time.Time                 // by the candidate
	FirstDeniedLive  *time.Time                 // by the live prices
	Hours            []HourCount                // denied by the candidate, by hour
	Days             []DaySpend                 // paid, by day
	Stopped          *time.Time                 // first denied by the candidate alone
	Reason           string                     // of Stopped
	Run              string                     // of Stopped
	Tools            map[string]pricing.Credits // change by tool

	run *RunTally // the inferred one that is going on
}

// HourCount is how many calls were denied in an hour.
type HourCount struct {
	Hour   int64 // since 1970
	Denied int
}

// DaySpend is what was paid on a day.
type DaySpend struct {
	Day  int64 // since 1970, UTC
	Paid [2]pricing.Credits
}

// ToolTally is one tool.
type ToolTally struct {
	Tool      string
	Calls     int
	Succeeded int
	Paid      [2]pricing.Credits
	Potential [2]pricing.Credits
	Cost      [2]pricing.Credits // upstream's as reported, of admitted calls
}

// RunTally is one piece of an agent's work.
type RunTally struct {
	Calls  int
	Broken [2]bool
	Paid   [2]pricing.Credits // until it broke
	last   time.Time
}

// runGap ends an inferred run.
const runGap = 15 * time.Minute

// NewTally counts calls of a window.
func NewTally(from, to time.Time) *Tally {
	return &Tally{From: from, To: to, NewlyBy: map[string]int{}, DeniedBy: map[string]int{}, Leaks: map[string]*[2]pricing.Credits{}, Keys: map[string]*KeyTally{}, Tools: map[string]*ToolTally{}, runs: map[[2]string]*RunTally{}}
}

func (t *Tally) refund(side int, n pricing.Credits) { t.Sides[side].Refunds += n }

// count takes one call: what the live prices say of it, and the candidate.
func (t *Tally) count(c *journal.Call, live, cand ledger.Verdict) {
	if c.Key == "" || c.At.Before(t.From) || !t.To.IsZero() && !c.At.Before(t.To) {
		return
	}
	t.Attempts++
	t.Evaluated++
	if t.watch != nil {
		t.watch(c, live, cand)
	}
	if c.Observed {
		t.Observed++
	}
	if t.First.IsZero() || c.At.Before(t.First) {
		t.First = c.At
	}
	if c.At.After(t.Last) {
		t.Last = c.At
	}
	both := [2]ledger.Verdict{live, cand}
	var got [2]pricing.Credits
	for i, v := range both {
		got[i] = t.side(&t.Sides[i], c, v)
	}
	switch {
	case live.Admitted && cand.Admitted:
		t.Rate += got[1] - got[0]
	case cand.Admitted:
		t.Won += got[1]
	case live.Admitted:
		t.Lost += got[0]
	}
	if cand.Imputed {
		t.ImputedCalls++
		t.Imputed += cand.Paid
	}
	k := t.key(c)
	if cand.Imputed {
		k.Imputed += cand.Paid
	}
	t.deny(k, c, live, cand)
	k.spend(c.At, got)
	tool := t.tool(c, both)
	run := t.run(k, c)
	run.Calls++
	for i, v := range both {
		k.Paid[i] += got[i]
		tool.Paid[i] += got[i]
		if run.Broken[i] = run.Broken[i] || !v.Admitted; !run.Broken[i] {
			run.Paid[i] += got[i]
		}
	}
	if d := got[1] - got[0]; d != 0 {
		k.Tools[c.Tool] += d
	}
}

// side adds a call to a column and gives what it pays there.
func (t *Tally) side(s *Side, c *journal.Call, v ledger.Verdict) pricing.Credits {
	s.Potential += price(c, v)
	if !v.Admitted {
		s.Denied++
		return 0
	}
	s.Admitted++
	n := paid(v)
	s.Collected += n
	if !v.Imputed {
		s.Held += v.Quote
		s.Quoted += v.Charge.Due
	}
	return n
}

// price is what a call costs whether or not it is admitted: by what it became,
// or its quote when reality refused it for want of credits. What was refused
// for other reasons costs nothing at any price.
func price(c *journal.Call, v ledger.Verdict) pricing.Credits {
	switch {
	case v.Ended && !v.Imputed:
		return v.Charge.Due
	case !c.Together && len(c.Findings) > len(c.Reasons):
		return 0
	}
	return v.Quote
}

func (t *Tally) deny(k *KeyTally, c *journal.Call, live, cand ledger.Verdict) {
	at := c.At
	if !live.Admitted {
		t.leak(0, reasonOf(c, live), price(c, live))
		if k.FirstDeniedLive == nil {
			k.FirstDeniedLive = &at
		}
	}
	if cand.Admitted {
		k.Admitted++
		return
	}
	k.Denied++
	reason := reasonOf(c, cand)
	t.DeniedBy[reason]++
	t.leak(1, reason, price(c, cand))
	k.denied(at)
	if k.FirstDenied == nil {
		k.FirstDenied = &at
	}
	if !live.Admitted {
		return
	}
	t.Newly++
	k.Newly++
	t.NewlyBy[reason]++
	if len(cand.Reasons) == 1 {
		t.Sole++
	}
	if k.Stopped == nil {
		k.Stopped, k.Reason, k.Run = &at, reason, c.Run
	}
}

// reasonOf is the first reason why a call is denied.
func reasonOf(c *journal.Call, v ledger.Verdict) string {
	switch {
	case len(v.Reasons) > 0:
		return v.Reasons[0].Reason
	case len(c.Findings) > 0:
		return c.Findings[0]
	}
	return "refused"
}

func (t *Tally) leak(side int, reason string, n pricing.Credits) {
	l := t.Leaks[reason]
	if l == nil {
		l = new([2]pricing.Credits)
		t.Leaks[reason] = l
	}
	l[side] += n
}

// denied counts a denial in its hour.
func (k *KeyTally) denied(at time.Time) {
	hour := at.Unix() / 3600
	for i := len(k.Hours) - 1; i >= 0; i-- { // nearly always the last
		if k.Hours[i].Hour == hour {
			k.Hours[i].Denied++
			return
		}
	}
	k.Hours = append(k.Hours, HourCount{hour, 1})
}

// spend counts what was paid on its day.
func (k *KeyTally) spend(at time.Time, got [2]pricing.Credits) {
	if got == [2]pricing.Credits{} {
		return
	}
	day := at.Unix() / (24 * 3600)
	i := len(k.Days) - 1
	for i >= 0 && k.Days[i].Day != day { // nearly always the last
		i--
	}
	if i < 0 {
		i = len(k.Days)
		k.Days = append(k.Days, DaySpend{Day: day})
	}
	k.Days[i].Paid[0] += got[0]
	k.Days[i].Paid[1] += got[1]
}

func (t *Tally) key(c *journal.Call) *KeyTally {
	k := t.Keys[c.Key]
	if k == nil {
		k = &KeyTally{Key: c.Key, First: c.At, Tools: map[string]pricing.Credits{}}
		t.Keys[c.Key] = k
	}
	return k
}

func (t *Tally) tool(c *journal.Call, both [2]ledger.Verdict) *ToolTally {
	tool := t.Tools[c.Tool]
	if tool == nil {
		tool = &ToolTally{Tool: c.Tool}
		t.Tools[c.Tool] = tool
	}
	tool.Calls++
	if c.Outcome == pricing.OK {
		tool.Succeeded++
	}
	for i, v := range both {
		tool.Potential[i] += price(c, v)
		if v.Admitted {
			tool.Cost[i] += c.Cost
		}
	}
	return tool
}

// run is the piece of work that a call belongs to: what the agent calls it, or
// the calls of a key without a pause.
func (t *Tally) run(k *KeyTally, c *journal.Call) *RunTally {
	if c.Run != "" {
		id := [2]string{c.Key, c.Run}
		r := t.runs[id]
		if r == nil {
			r = &RunTally{}
			t.runs[id], t.Runs = r, append(t.Runs, r)
		}
		return r
	}
	if k.run == nil || c.At.Sub(k.run.last) >= runGap {
		k.run = &RunTally{}
		t.Runs = append(t.Runs, k.run)
	}
	k.run.last = c.At
	return k.run
}
