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
	Sheets                        map[string]*SheetTally // by the sheet that calls were judged by
	Named                         map[string]*RunTally   // runs that agents name, by key and name
	Over                          Finished               // runs that cannot go on
	First, Last                   time.Time

	newest     *SheetTally // that calls were judged by
	newestHash string

	keys  []*KeyTally                                       // by the walker's numbers
	tools []*ToolTally                                      // the same
	watch func(c *journal.Call, live, cand *ledger.Verdict) // sees every call that counts; may be nil
	each  func(e *journal.Event, price pricing.Credits)     // sees every call that ended, with the candidate's price; may be nil
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
	Key, Tenant      string
	Plan             string // it was on last
	Paid             [2]pricing.Credits
	Admitted, Denied int // by the candidate
	Newly            int
	Imputed          pricing.Credits
	First            time.Time    // call
	FirstDenied      *time.Time   // by the candidate
	FirstDeniedLive  *time.Time   // by the live prices
	Hours            []HourCount  // denied by the candidate, by hour
	Days             []DaySpend   // paid, by day
	Stopped          *time.Time   // first denied by the candidate alone
	Reason           string       // of Stopped
	Run              string       // of Stopped
	Tools            []ToolChange // by tool
	Current          *RunTally    // the inferred run that is going on

	sheet *SheetTally // of its newest call
}

// ToolChange is how a tool changes a key's bill.
type ToolChange struct {
	Tool    string
	Credits pricing.Credits
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

// NewTally counts calls of a window.
func NewTally(from, to time.Time) *Tally {
	t := &Tally{From: from, To: to}
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
	made(&t.Named)
	made(&t.Sheets)
}

func made[V any](m *map[string]V) {
	if *m == nil {
		*m = map[string]V{}
	}
}

// refund counts what was given back at a time.
func (t *Tally) refund(side int, n pricing.Credits, at time.Time) {
	if t.within(at) {
		t.Sides[side].Refunds += n
	}
}

func (t *Tally) within(at time.Time) bool {
	return !at.Before(t.From) && (t.To.IsZero() || at.Before(t.To))
}

// count takes one call: what the live prices say of it, and the candidate. key
// and tool are its numbers in the walk, or -1.
func (t *Tally) count(c *journal.Call, live, cand *ledger.Verdict, key, tool int32) {
	if c.Key == "" || !t.within(c.At) {
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
	got := [2]pricing.Credits{t.side(&t.Sides[0], c, live), t.side(&t.Sides[1], c, cand)}
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
	t.run(k, c).count(live, cand, got)
}

// side adds a call to a column and gives what it pays there.
func (t *Tally) side(s *Side, c *journal.Call, v *ledger.Verdict) pricing.Credits {
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
func price(c *journal.Call, v *ledger.Verdict) pricing.Credits {
	switch {
	case v.Ended && !v.Imputed:
		return v.Charge.Due
	case !c.Together && len(c.Findings) > len(c.Reasons):
		return 0
	}
	return v.Quote
}

func (t *Tally) deny(k *KeyTally, c *journal.Call, live, cand *ledger.Verdict) {
	if !live.Admitted {
		t.leak(0, reasonOf(c, live), price(c, live))
		first(&k.FirstDeniedLive, c.At)
	}
	if cand.Admitted {
		k.Admitted++
		return
	}
	k.Denied++
	reason := reasonOf(c, cand)
	t.DeniedBy[reason]++
	t.leak(1, reason, price(c, cand))
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
	if k.Stopped == nil {
		first(&k.Stopped, c.At)
		k.Reason, k.Run = reason, c.Run
	}
}

// first keeps a time when there is none yet.
func first(kept **time.Time, at time.Time) {
	if *kept == nil {
		own := at // at itself stays off the heap
		*kept = &own
	}
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

func (t *Tally) key(c *journal.Call, id int32) *KeyTally {
	if id >= 0 && int(id) < len(t.keys) && t.keys[id] != nil {
		return t.keys[id]
	}
	k := t.Keys[c.Key]
	if k == nil {
		k = &KeyTally{Key: c.Key, First: c.At}
		t.Keys[c.Key] = k
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

// change counts how a tool changes the key's bill; a key uses few.
func (k *KeyTally) change(tool string, n pricing.Credits) {
	if n == 0 {
		return
	}
	for i := range k.Tools {
		if k.Tools[i].Tool == tool {
			k.Tools[i].Credits += n
			return
		}
	}
	k.Tools = append(k.Tools, ToolChange{tool, n})
}

func (t *Tally) tool(c *journal.Call, id int32) *ToolTally {
	if id >= 0 && int(id) < len(t.tools) && t.tools[id] != nil {
		return t.tools[id]
	}
	tool := t.Tools[c.Tool]
	if tool == nil {
		tool = &ToolTally{Tool: c.Tool}
		t.Tools[c.Tool] = tool
	}
	t.tools = place(t.tools, id, tool)
	return tool
}

func (t *ToolTally) count(c *journal.Call, live, cand *ledger.Verdict, got [2]pricing.Credits) {
	t.Calls++
	if c.Outcome == pricing.OK {
		t.Succeeded++
	}
	for i, v := range [2]*ledger.Verdict{live, cand} {
		t.Paid[i] += got[i]
		t.Potential[i] += price(c, v)
		if v.Admitted {
			t.Cost[i] += c.Cost
		}
	}
}
