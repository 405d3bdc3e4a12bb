package ledger

import (
	"time"

	"paygate/pricing"
	"paygate/store/journal"
)

// Key is what the books say of one key.
type Key struct {
	Credits   pricing.Credits // the balance, what is held included
	Held      pricing.Credits
	Available pricing.Credits
	Spent     pricing.Credits // to revenue, less refunds
	Calls     int64           // answered
	LastUsed  time.Time       // zero: never
	Used      Used
}

// Used is what a key has used in the current UTC day and month.
type Used struct {
	DailyCalls, MonthlyCalls, DailyCredits, MonthlyCredits int64
}

// Key gives what the books say of a key, by its stable id. A key that was
// never seen has nothing.
func (b *Book) Key(id string) Key {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.real.key(id, b.now())
}

// WouldKey is Key in the books of shadow mode, which say what would be if calls
// were charged; false when shadow mode is off.
func (b *Book) WouldKey(id string) (Key, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.would == nil {
		return Key{}, false
	}
	return b.would.key(id, b.now()), true
}

// Keys calls fn for every key that has an account. It looks at some at a time,
// so that calls go on; fn runs without the lock.
func (b *Book) Keys(fn func(id string, k Key)) {
	for from := 0; ; from += ownersAtATime {
		ids, keys, more := b.someKeys(from)
		for i, id := range ids {
			fn(id, keys[i])
		}
		if !more {
			return
		}
	}
}

func (b *Book) someKeys(from int) (ids []string, keys []Key, more bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list, now := b.real.list, b.now()
	end := min(from+ownersAtATime, len(list))
	for _, o := range list[min(from, end):end] {
		if o == nil {
			continue
		}
		if id := o.account.Key(); id != "" {
			ids, keys = append(ids, id), append(keys, o.key(now))
		}
	}
	return ids, keys, end < len(list)
}

func (s *State) key(id string, now time.Time) Key {
	if o := s.owners[journal.KeyAccount(id)]; o != nil {
		return o.key(now)
	}
	return Key{}
}

func (o *owner) key(now time.Time) Key {
	k := Key{Credits: o.posted, Held: o.held, Available: max(0, o.available()), Spent: o.spent, Calls: o.calls}
	if o.last > 0 {
		k.LastUsed = time.UnixMilli(o.last).UTC()
	}
	used := func(kind journal.Kind) int64 {
		if m := o.meters[kind]; m.period == kind.Period(now) {
			return m.used
		}
		return 0
	}
	k.Used = Used{DailyCalls: used(journal.DailyCalls), MonthlyCalls: used(journal.MonthlyCalls),
		DailyCredits: used(journal.DailyCredits), MonthlyCredits: used(journal.MonthlyCredits)}
	return k
}

// Window says how many slots of a key's sliding window are taken, and how long
// until the oldest of them is free again. Tool is empty for the key's own
// window. In shadow mode it is the would-be books' window.
func (b *Book) Window(id, tool string) (used int, frees time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.real
	if b.would != nil {
		s = b.would
	}
	o := s.owners[journal.KeyAccount(id)]
	if o == nil || o.window(tool) == nil {
		return 0, 0
	}
	w, now := o.window(tool), b.now().UnixMilli()
	used = w.count(now)
	if used > 0 {
		frees = time.Duration(w.slots[len(w.slots)-used]+w.span-now) * time.Millisecond
	}
	return used, frees
}

// Totals sums the books.
type Totals struct {
	Issued    pricing.Credits // from the bank, less what was written off
	Spendable pricing.Credits // on all keys
	Held      pricing.Credits
	Revenue   pricing.Credits
	Expired   pricing.Credits
	Keys      int    // accounts of keys
	Open      int    // calls admitted and not ended
	Dropped   int64  // refusals that were counted, not recorded
	Seq       uint64 // on disk up to here
}

// Totals sums the books. It costs nothing however many keys there are.
func (b *Book) Totals() Totals {
	b.mu.Lock()
	defer b.mu.Unlock()
	balance := func(a journal.Account) pricing.Credits {
		if o := b.real.owners[a]; o != nil {
			return o.posted
		}
		return 0
	}
	return Totals{Issued: -balance(journal.Bank), Revenue: balance(journal.Revenue), Expired: balance(journal.Expired),
		Keys: b.real.keys, Held: b.real.held, Spendable: b.real.posted - b.real.held,
		Open: len(b.holding), Dropped: b.dropped, Seq: b.disk}
}

// Open counts the calls that were admitted and have not ended, parked ones
// included, among those that which names.
func (b *Book) Open(which func(*journal.Call) bool) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, c := range b.holding {
		if which(&c.Call) {
			n++
		}
	}
	return n
}
