package ledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/store/journal"
)

// modeChanged is the reason why an observed call is in nobody's books: shadow
// mode ended, or began anew, while it was under way.
const modeChanged = "mode_changed"

// books are the books that a call is judged by. Behind mu.
func (b *Book) books(c *Call) *State {
	if c.Observed && b.would != nil {
		return b.would
	}
	return b.real
}

// Reserve admits calls, all or none: it reads the clock and quotes under the
// lock, promises each its quote and takes a slot of every limit. The error is
// a *Refused with every reason, or wraps ErrUnavailable or ErrBusy.
//
// An observed call (shadow mode) is never refused: what stands against it is
// appended to its findings, and only what its would-be books let through is
// promised there.
func (b *Book) Reserve(calls ...*Call) error { return b.reserve(calls, true) }

// Ask is Reserve that takes nothing.
func (b *Book) Ask(calls ...*Call) error { return b.reserve(calls, false) }

func (b *Book) reserve(calls []*Call, take bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range calls {
		if c.Price == nil {
			return fmt.Errorf("call %s: it has no price sheet", c.ID)
		}
	}
	if take {
		if b.down != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, b.down)
		}
		if len(b.queue) >= queueLimit {
			return ErrBusy
		}
	}
	refused, bad := b.decide(calls)
	if !bad && take {
		b.open(calls)
		return nil
	}
	for _, c := range calls {
		if c.books != nil {
			c.books.undo(&c.Call, c.Quote)
			c.books = nil
		}
	}
	if !bad {
		return nil
	}
	if take {
		b.refuseAll(calls, refused)
	}
	return &Refused{Calls: refused}
}

// decide quotes each call and promises it to those before it in the batch. An
// observed call is never refused. Behind mu.
func (b *Book) decide(calls []*Call) (refused [][]Refusal, bad bool) {
	now, observed := b.now(), false
	refused = make([][]Refusal, len(calls))
	for i, c := range calls {
		s := b.books(c)
		began := c.At
		c.At, c.books = now, nil
		c.Quote = s.quote(&c.Call, c.Price)
		if c.Observed && b.would == nil { // shadow mode has ended since its caller was told that nothing is charged
			c.observe([]Refusal{{Reason: modeChanged}})
			continue
		}
		refused[i] = s.decide(&c.Call, c.Quote)
		switch {
		case len(refused[i]) == 0:
			s.admit(&c.Call, c.Quote)
			c.books = s
		case c.Observed:
			c.observe(refused[i])
			observed = true
		default:
			bad = true
			if !began.IsZero() {
				c.Took = max(0, now.Sub(began))
				c.Gate = c.Took
			}
		}
	}
	if observed && len(calls) > 1 {
		rejectBatch(calls)
	}
	return refused, bad
}

// rejectBatch takes back what shadow mode's books have promised to the rest of
// a batch that they would have refused.
func rejectBatch(calls []*Call) {
	for _, c := range calls {
		if c.Observed && c.books != nil {
			c.books.undo(&c.Call, c.Quote)
			c.books = nil
			c.observe([]Refusal{{Reason: batchRejected}})
		}
	}
}

// observe records what shadow mode does not enforce.
func (c *Call) observe(reasons []Refusal) {
	for _, r := range reasons {
		c.Findings = append(c.Findings, r.Reason)
		c.Reasons = append(c.Reasons, r.Reason)
	}
}

// open gives admitted calls their numbers. Behind mu.
func (b *Book) open(calls []*Call) {
	for _, c := range calls {
		b.seq++
		c.AdmitSeq, c.epoch = b.seq, b.epoch
		b.holding[b.seq] = c
		b.opens[b.seq] = b.copied(c)
	}
	b.next.last = b.seq
	b.signal(b.soon)
}

// copied is a copy of a call, whose owner goes on changing it. Most calls end
// before their block is cut; then the copy is used again. Behind mu.
func (b *Book) copied(c *Call) *journal.Call {
	var kept *journal.Call
	if n := len(b.unused); n > 0 {
		kept, b.unused = b.unused[n-1], b.unused[:n-1]
	} else {
		kept = new(journal.Call)
	}
	*kept = c.Call
	return kept
}

// refuseAll records the calls of a refused Reserve at the very number at which
// it was decided, so that the decision can be made again. Behind mu.
func (b *Book) refuseAll(calls []*Call, refused [][]Refusal) {
	for i, c := range calls {
		c.Outcome, c.Class, c.Reasons, c.Findings = pricing.Denied, "denied", nil, nil
		c.Together = len(calls) > 1
		if c.observe(refused[i]); len(c.Findings) == 0 {
			c.observe([]Refusal{{Reason: batchRejected}})
		}
		b.refuse(c)
	}
}

// Refuse records a call that was not admitted for other reasons than the
// book's, which are asked and recorded too, as Reasons. A call that Reserve has
// refused is on record already; then it does nothing. Nobody waits for it; when
// the queue is full, or refusals flood in, it is counted instead.
func (b *Book) Refuse(c *Call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.SettleSeq != 0 || c.counted {
		return
	}
	now := b.now()
	if b.down != nil || len(b.queue) >= queueLimit || c.Key == "" && !b.keyless.pass(now) {
		b.count(c.Findings)
		return
	}
	c.At, c.Reasons = now, nil
	if c.Key != "" && c.Price != nil {
		s := b.books(c)
		c.Quote = s.quote(&c.Call, c.Price)
		for _, r := range s.decide(&c.Call, c.Quote) {
			c.Reasons = append(c.Reasons, r.Reason)
		}
	}
	// In the contract's order the book's reasons come after all others. What it
	// said when it was asked before may have changed since.
	c.Findings = slices.Concat(slices.DeleteFunc(slices.Clone(c.Findings), ours), c.Reasons)
	b.refuse(c)
}

// ours says whether a reason is one that only the book finds.
func ours(reason string) bool {
	for k := range journal.Kinds {
		if reason == k.Reason() {
			return true
		}
	}
	return reason == insufficient
}

// refuse queues a refused call, or counts it. Behind mu.
func (b *Book) refuse(c *Call) {
	if c.Key != "" && !b.real.of(journal.Account(c.Payer)).refusals.pass(c.At) {
		c.counted = true
		b.count(c.Findings)
		return
	}
	b.seq++
	c.AdmitSeq, c.SettleSeq = 0, b.seq
	b.queue = append(b.queue, record(c, b.seq, c.At))
	b.next.last = b.seq
	b.signal(b.soon)
}

// Refusals cost their caller nothing, so they must not fill the disk: of each
// caller so many are recorded one by one, and what comes faster is counted.
const (
	keylessPerSecond = 20   // of all without a key
	refusalsAtOnce   = 2000 // of one key
	refusalsInterval = 50   // ms, between further ones
)

// keyless lets through so many refusals a second.
type keyless struct{ second, passed int64 }

func (k *keyless) pass(now time.Time) bool {
	if s := now.Unix(); s != k.second {
		k.second, k.passed = s, 0
	}
	k.passed++
	return k.passed <= keylessPerSecond
}

// refusals lets through those of one key: it is the time, in Unix ms, up to
// which what was let through has used them up.
type refusals int64

func (r *refusals) pass(now time.Time) bool {
	at := now.UnixMilli()
	used := max(int64(*r), at-refusalsAtOnce*refusalsInterval) + refusalsInterval
	if used > at {
		return false
	}
	*r = refusals(used)
	return true
}

// count counts a refusal instead of recording it. Behind mu.
func (b *Book) count(findings []string) {
	b.dropped++
	reason := "unknown"
	if len(findings) > 0 {
		reason, _, _ = strings.Cut(findings[0], ":")
	}
	if b.flood == nil {
		b.flood = map[string]int64{}
	}
	b.flood[reason]++
}

// sayDropped records how many refusals were counted instead of recorded, by
// reason. Behind mu.
func (b *Book) sayDropped() {
	if len(b.flood) == 0 || b.down != nil {
		return
	}
	data, err := json.Marshal(b.flood)
	if err != nil {
		return // a map of numbers: it cannot fail
	}
	b.flood = nil
	b.add(&journal.Event{Type: journal.TypeDropped, Actor: "system", Data: data})
}
