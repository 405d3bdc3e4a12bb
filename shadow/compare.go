package shadow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// SheetOf finds a price sheet by its hash.
type SheetOf func(hash string) (*pricing.Sheet, error)

// walker lives through the journal once: with the books of then, which are the
// check on everything else, and with any number of candidates beside them.
type walker struct {
	db      *store.DB
	past    past
	real    *ledger.Scenario // what was charged
	would   *ledger.Scenario // what shadow mode's books said; nil outside of it
	pairs   []*pair
	steps   []step                              // to be handed to candidates
	used    []step                              // those they are busy with
	busy    sync.WaitGroup                      // candidates at work
	event   func(*journal.Event) error          // sees the lab's own events
	refunds func(seq uint64, n pricing.Credits) // sees what was given back of calls; may be nil
	before  func(time.Time) bool                // says that onset is due; nil: it is not wanted
	onset   func() error

	last    uint64    // acts up to here are in
	at      time.Time // of the newest act
	digest  string    // of the newest block, which chains all before it
	differs int       // decisions and charges that were not what the journal says
	err     error
}

func newWalker(db *store.DB, sheetOf SheetOf) (*walker, error) {
	w := &walker{db: db, past: past{sheetOf: sheetOf, kept: map[string]*pricing.Sheet{}}}
	var err error
	if w.real, w.last, err = ledger.FirstScenario(db, w.then); err != nil {
		return nil, fmt.Errorf("shadow: %w", err)
	}
	w.real.Takes = func(c *journal.Call) bool { return !c.Observed }
	return w, nil
}

// then is the sheet that a call was judged by.
func (w *walker) then(c *journal.Call) *pricing.Sheet { return w.past.of(c, &w.err) }

// past are the sheets that calls were judged by.
type past struct {
	sheetOf SheetOf
	kept    map[string]*pricing.Sheet
	hash    string // of the newest
	sheet   *pricing.Sheet
}

func (p *past) of(c *journal.Call, failed *error) *pricing.Sheet {
	if c.Sheet == p.hash && p.sheet != nil {
		return p.sheet
	}
	s := p.kept[c.Sheet]
	if s == nil {
		var err error
		if s, err = p.sheetOf(c.Sheet); err != nil {
			*failed = errors.Join(*failed, fmt.Errorf("call %s: %w", c.ID, err))
			s = pricing.FromTools(pricing.ToolPrice{}, nil, false) // the error ends the walk
		}
		p.kept[c.Sheet] = s
	}
	p.hash, p.sheet = c.Sheet, s
	return s
}

var errEnd = errors.New("the end of the walk")

// walk goes on to the end of the journal, or to the block that has an act with
// the number to.
func (w *walker) walk(ctx context.Context, to uint64, progress func(seq uint64)) error {
	err := journal.Blocks(ctx.Done(), w.db, w.last, func(raw []byte) (bool, error) {
		block, err := journal.Decode(raw)
		if err != nil {
			return false, err
		}
		if block.First > to {
			return false, errEnd
		}
		for i, act := range block.Acts {
			if seq := block.First + uint64(i); seq > w.last {
				w.act(act)
			}
		}
		w.hand()
		w.last = block.Last
		sum := sha256.Sum256(raw)
		w.digest = hex.EncodeToString(sum[:])
		if progress != nil {
			progress(w.last)
		}
		return true, w.err
	})
	w.flush()
	if err == nil || errors.Is(err, errEnd) {
		err = errors.Join(ctx.Err(), w.err)
	}
	if err != nil && !errors.Is(err, errEnd) {
		return fmt.Errorf("shadow: %w", err)
	}
	return nil
}

// step is an act that candidates have yet to live through, and what reality's
// books said of it.
type step struct {
	act  journal.Act
	real []ledger.Verdict
}

func (w *walker) act(a journal.Act) {
	at := timeOf(a)
	if w.before != nil && w.before(at) {
		w.flush()
		w.before = nil
		w.err = errors.Join(w.err, w.onset())
	}
	if at.After(w.at) {
		w.at = at
	}
	real := w.real.Act(a)
	w.compare(real)
	if w.would != nil {
		w.compare(w.would.Act(a))
	}
	if len(w.pairs) > 0 {
		w.steps = append(w.steps, step{a, slices.Clone(real)}) // a scenario uses its verdicts again
	}
	e := a.Event
	if e == nil {
		return
	}
	if e.Call != nil {
		return
	}
	if seq, n, ok := ledger.RefundOf(e); ok && w.refunds != nil {
		w.refunds(seq, n)
	}
	if e.Type == journal.TypeMode {
		w.flush()
		w.mode(e)
	}
	if w.event != nil && strings.HasPrefix(e.Type, eventPrefix) {
		w.flush()
		w.err = errors.Join(w.err, w.event(e))
	}
}

// hand gives what has come to the candidates and goes on: each is alone with
// its books, so they go side by side, one block behind, and none can change
// another's result.
func (w *walker) hand() {
	w.busy.Wait()
	if len(w.steps) == 0 {
		return
	}
	steps := w.steps
	w.steps, w.used = w.used[:0], steps
	for _, p := range w.pairs {
		w.busy.Go(func() { p.steps(steps) })
	}
}

// flush waits until every candidate has lived through what has come.
func (w *walker) flush() {
	w.hand()
	w.busy.Wait()
	for _, p := range w.pairs {
		w.err = errors.Join(w.err, p.err)
	}
}

func (p *pair) steps(steps []step) {
	for _, s := range steps {
		p.act(s.act, s.real)
	}
}

// mode begins or ends shadow mode's books. From its beginning the live sheet
// needs wallets of its own: reality's stand still.
func (w *walker) mode(e *journal.Event) {
	var m struct{ Mode string }
	if err := json.Unmarshal(e.Data, &m); err != nil {
		w.err = errors.Join(w.err, fmt.Errorf("event %d: %w", e.Seq, err))
		return
	}
	if w.would = nil; m.Mode != "shadow" {
		return
	}
	w.would = ledger.NewScenario(w.real, w.then)
	w.would.Takes = func(c *journal.Call) bool { return c.Observed }
	for _, p := range w.pairs {
		p.own(w)
	}
}

// compare counts what the journal says otherwise.
func (w *walker) compare(verdicts []ledger.Verdict) {
	for _, v := range verdicts {
		c := v.Call
		live := (c.AdmitSeq != 0 || c.Repeated) && (!c.Observed || len(c.Reasons) == 0)
		same := !v.Imputed && v.Admitted == live && v.Quote == c.Quote
		if v.Ended && v.Admitted {
			same = same && v.Paid == c.Charged+c.Would && v.Short == c.Shortfall && v.Counted
		}
		if !v.Ended {
			same = same && slices.EqualFunc(v.Reasons, c.Reasons, func(r ledger.Refusal, s string) bool { return r.Reason == s })
		}
		if !same {
			w.differs++
		}
	}
}

// pair is a candidate beside the live prices, from one moment on.
type pair struct {
	live   *ledger.Scenario // nil as long as reality says the same
	cand   *ledger.Scenario
	tally  *Tally
	paid   [2]amounts // by number, what calls were charged by the live prices and by the candidate
	real   amounts    // what they were charged in reality
	err    error
	policy *policy
}

// begin adds a candidate to the walk. Its wallets and those of the live prices
// begin as reality's are at this moment.
func (w *walker) begin(sheet *pricing.Sheet, t *Tally) *pair {
	p := &pair{tally: t}
	p.cand = w.real.Fork(func(*journal.Call) *pricing.Sheet { return sheet })
	p.cand.Takes, p.cand.Clips = nil, true
	p.cand.Refund = p.share(1)
	p.cand.Limits = planLimits(sheet)
	if w.would != nil {
		p.own(w)
	}
	w.pairs = append(w.pairs, p)
	return p
}

// own gives the live prices wallets of their own.
func (p *pair) own(w *walker) {
	if p.live == nil {
		then := past{sheetOf: w.past.sheetOf, kept: map[string]*pricing.Sheet{}}
		p.live = w.real.Fork(func(c *journal.Call) *pricing.Sheet { return then.of(c, &p.err) })
		p.live.Takes, p.live.Clips = nil, true
		p.live.Refund = p.share(0)
	}
}

// share is how much of a refund counts for one side: the same part of its
// charge as of the real one.
func (p *pair) share(side int) func(uint64, pricing.Credits) pricing.Credits {
	return func(seq uint64, amount pricing.Credits) pricing.Credits {
		n := part(p.paid[side].get(seq), amount, p.real.get(seq))
		p.tally.refund(side, n)
		return n
	}
}

// part is paid × amount / charged; all three are below 2^32.
func part(paid, amount, charged pricing.Credits) pricing.Credits {
	if charged <= 0 {
		return 0
	}
	return paid * min(amount, charged) / charged
}

func (p *pair) act(a journal.Act, live []ledger.Verdict) {
	if p.live != nil {
		live = p.live.Act(a)
	} else if seq, amount, ok := ledger.RefundOf(a.Event); ok && p.paid[0].get(seq) > 0 {
		p.tally.refund(0, amount)
	}
	other := p.cand.Act(a)
	for i, v := range other {
		if p.policy != nil {
			p.policy.see(v)
		}
		if i >= len(live) { // nothing to compare with: it does not count as covered
			p.tally.Attempts++
			continue
		}
		if !v.Ended && v.Call.AdmitSeq != 0 { // its end will tell
			continue
		}
		if e := a.Event; e != nil && e.Call == v.Call {
			p.paid[0].set(e.Seq, paid(live[i]))
			p.paid[1].set(e.Seq, paid(v))
			p.real.set(e.Seq, e.Call.Charged)
			if p.tally.each != nil && v.Ended && !v.Imputed {
				p.tally.each(e, v.Charge.Due)
			}
		}
		p.tally.count(v.Call, live[i], v)
	}
}

func paid(v ledger.Verdict) pricing.Credits {
	if v.Ended && v.Admitted && !v.Imputed {
		return v.Paid
	}
	return 0
}

// amounts are credits by the number of an act.
type amounts struct {
	first uint64
	list  []uint32
}

func (a *amounts) set(seq uint64, n pricing.Credits) {
	if n <= 0 || n > math.MaxUint32 {
		return
	}
	if a.list == nil {
		a.first = seq
	}
	i := int(seq - a.first)
	if i >= len(a.list) {
		a.list = append(a.list, make([]uint32, i+1-len(a.list))...)
	}
	a.list[i] = uint32(n)
}

func (a *amounts) get(seq uint64) pricing.Credits {
	if i := seq - a.first; seq >= a.first && i < uint64(len(a.list)) {
		return pricing.Credits(a.list[i])
	}
	return 0
}
