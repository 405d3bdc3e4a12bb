// Package ledger says who has how much. Its Book is the live books: balances,
// limits and holds in memory, behind one mutex, as a fold of the journal, and
// the journal on disk, in blocks, before anybody is told.
//
// It promises: a balance never goes below zero and changes only by an entry;
// limits and credits are taken together or not at all; what was acknowledged
// is on disk; what is on disk can be folded anew to the same sums.
//
// It does not know HTTP, MCP, or which checks stand before it.
package ledger

import (
	"slices"
	"time"

	"paygate/pricing"
	"paygate/store/journal"
)

// State is one set of books: the real ones, what they would be in shadow mode,
// or those of a scenario. It is not safe for concurrent use. Apart from holds,
// which die with their process unless they are durable, it is a fold of the
// journal.
type State struct {
	owners map[journal.Account]*owner
	list   []*owner // position is the number in cells; nil where a number is free
	gaps   []int    // free numbers, highest first
	dirty  []bool   // cells that changed since they were written
	holds  map[string]*hold
	would  bool // counts what shadow mode would have moved

	clips   bool            // no act of an owner takes a wallet below zero
	clipped pricing.Credits // what wallets could not bear

	keys         int             // accounts of keys
	posted, held pricing.Credits // sums over them

	recent    [2]*owner // looked up last: an act asks for its owners many times
	revenue   *owner    // every charge asks for it; nil until the first does
	dayBegins int64     // of the periods below, Unix ms
	periods   [journal.Kinds]int32

	folding uint64 // number of the act being folded at boot; 0 when acts just happen

	times, frozen uint32 // how often the books were frozen, and which time it is now; 0: they are not
}

// NewState is empty books. With would they fold what observed calls would have
// cost instead of what was charged.
func NewState(would bool) *State {
	return &State{owners: map[journal.Account]*owner{}, holds: map[string]*hold{}, would: would}
}

// owner is an account and all that is counted for it.
type owner struct {
	account journal.Account
	number  int
	seq     uint64 // acts up to here were in when its cell was written

	posted pricing.Credits // the balance; below zero only for the house
	meters [journal.Kinds]meter
	rates  []*window // few, so they are searched one by one
	usage  pricing.Usage
	spent  pricing.Credits // to revenue, less refunds
	calls  int64           // answered
	last   int64           // time of the last call, Unix ms

	held     pricing.Credits // promised; never stored, durable ones come back from their holds
	refusals refusals        // recorded of late; not stored
	parked   int             // calls that wait; not stored
	frozen   uint32          // the time for which it was copied
	index    []uint64        // blocks that name the owner and are not in the written index yet
	flushed  []uint64        // those of the last time, whose commit may be under way
}

// meter counts in a period. What is held counts in the period of admission.
type meter struct {
	period     int32
	used, held int64
}

// roll starts a new period; what happened in an older one no longer counts.
func (m *meter) roll(period int32) bool {
	if period > m.period {
		*m = meter{period: period}
	}
	return period == m.period
}

// window is the times, in Unix ms and ascending, at which slots were taken.
type window struct {
	tool  string // empty: of all tools
	span  int64  // ms
	slots []int64
}

// take adds a slot; they come almost always in order.
func (w *window) take(at int64) {
	i := len(w.slots)
	for i > 0 && w.slots[i-1] > at {
		i--
	}
	w.slots = slices.Insert(w.slots, i, at)
	w.tidy(w.slots[len(w.slots)-1])
}

// prune forgets what no decision at now or later can see.
func (w *window) prune(now int64) {
	n := 0
	for n < len(w.slots) && w.slots[n] <= now-w.span {
		n++
	}
	if n > 0 {
		w.slots = slices.Delete(w.slots, 0, n)
	}
}

// tidy prunes once the forgettable part is the larger one, so that taking a
// slot does not move all others.
func (w *window) tidy(now int64) {
	if n := len(w.slots); n > 16 && w.slots[n/2] <= now-w.span {
		w.prune(now)
	}
}

// count is how many slots are taken at now.
func (w *window) count(now int64) int {
	i, _ := slices.BinarySearch(w.slots, now-w.span+1)
	return len(w.slots) - i
}

// drop takes back the newest slot at a time.
func (w *window) drop(at int64) {
	for i := len(w.slots) - 1; i >= 0; i-- {
		if w.slots[i] == at {
			w.slots = slices.Delete(w.slots, i, i+1)
			return
		}
	}
}

// of gives an account's owner, making it.
func (s *State) of(a journal.Account) *owner {
	o := s.find(a)
	if s.frozen != 0 && o.frozen != s.frozen {
		return s.copied(o)
	}
	return o
}

func (s *State) find(a journal.Account) *owner {
	for _, o := range s.recent {
		if o != nil && o.account == a {
			return o
		}
	}
	if a == journal.Revenue && s.revenue != nil {
		return s.revenue
	}
	o := s.owners[a]
	if o == nil {
		o = &owner{account: a}
		s.place(o)
	}
	if a == journal.Revenue {
		s.revenue = o
		return o
	}
	s.recent[1] = s.recent[0]
	s.recent[0] = o
	return o
}

// period is k's period at a time.
func (s *State) period(k journal.Kind, at time.Time) int32 {
	s.turn(at)
	return s.periods[k]
}

// turn makes the periods those of a time. Most times are of the same day as the
// one before.
func (s *State) turn(at time.Time) {
	const day = 24 * 60 * 60 * 1000
	ms := at.UnixMilli()
	if ms < s.dayBegins || ms >= s.dayBegins+day || s.dayBegins == 0 {
		s.dayBegins = ms - ms%day // whole days since 1970, in UTC
		for k := range journal.Kinds {
			s.periods[k] = k.Period(at)
		}
	}
}

// place gives an owner a number: a free one, or the next.
func (s *State) place(o *owner) {
	if n := len(s.gaps); n > 0 {
		o.number, s.gaps = s.gaps[n-1], s.gaps[:n-1]
	} else {
		o.number = len(s.list)
		s.list = append(s.list, nil)
	}
	o.frozen = s.frozen
	s.list[o.number] = o
	s.owners[o.account] = o
	s.count(o)
	s.touch(o)
}

// count takes a new owner into the sums.
func (s *State) count(o *owner) {
	if o.account.Key() != "" {
		s.keys++
		s.posted += o.posted
		s.held += o.held
	}
}

// add changes a balance.
func (s *State) add(o *owner, n pricing.Credits) {
	o.posted += n
	if o.account.Key() != "" {
		s.posted += n
	}
}

// hold changes what is promised.
func (s *State) hold(o *owner, n pricing.Credits) {
	o.held += n
	if o.account.Key() != "" {
		s.held += n
	}
}

// touch marks an owner's cell as changed.
func (s *State) touch(o *owner) {
	cell := o.number / perCell
	for len(s.dirty) <= cell {
		s.dirty = append(s.dirty, false)
	}
	s.dirty[cell] = true
}

// available is what can be promised or moved now.
func (o *owner) available() pricing.Credits { return o.posted - o.held }

// window is the window of a tool, or nil.
func (o *owner) window(tool string) *window {
	for _, w := range o.rates {
		if w.tool == tool {
			return w
		}
	}
	return nil
}

// rate is the window of a tool, made if need be, and at least so long.
func (o *owner) rate(tool string, span time.Duration) *window {
	w := o.window(tool)
	if w == nil {
		w = &window{tool: tool}
		o.rates = append(o.rates, w)
	}
	w.span = max(w.span, span.Milliseconds())
	return w
}

// slot is the window that a limit counts in.
func (s *State) slot(l journal.Limit, tool string) *window {
	if l.Kind == journal.KeyRate {
		tool = ""
	}
	return s.of(l.Owner).rate(tool, l.Window)
}

// meterKinds are the kinds that count in a meter; every payer has all of them,
// limited or not, so that a quota set today counts today's use.
var meterKinds = [...]journal.Kind{journal.LifetimeSpend, journal.DailyCalls, journal.MonthlyCalls, journal.DailyCredits, journal.MonthlyCredits}

// metered calls fn for every meter that a call counts in and whose period is
// that of the call: its payer's, and those of other owners that limit it.
func (s *State) metered(c *journal.Call, fn func(*owner, *meter, journal.Kind)) {
	s.turn(c.At)
	payer := s.of(journal.Account(c.Payer))
	for _, k := range meterKinds {
		if m := &payer.meters[k]; m.roll(s.periods[k]) {
			fn(payer, m, k)
		}
	}
	for i := range c.Limits {
		l := &c.Limits[i]
		if l.Kind.Window() || l.Owner == payer.account {
			continue
		}
		o := s.of(l.Owner)
		if m := &o.meters[l.Kind]; m.roll(s.periods[l.Kind]) {
			fn(o, m, l.Kind)
		}
	}
}

// amount is what one call adds to a meter of the kind.
func amount(k journal.Kind, credits pricing.Credits, calls int64) int64 {
	if k.InCredits() {
		return int64(credits)
	}
	return calls
}

func copyWindows(from []*window) []*window {
	to := make([]*window, len(from))
	for i, w := range from {
		to[i] = &window{tool: w.tool, span: w.span, slots: slices.Clone(w.slots)}
	}
	return to
}
