// Package dedup answers a request that its caller sends again once: a client
// that names a tools/call with an idempotency key may repeat it, under another
// JSON-RPC id, after its connection broke, and gets the answer of the first
// call. Only that one ran and was charged.
//
// It owns the names that callers gave, what they stand for, and for how long.
// A name means something beside its caller only. What was charged is written
// with the settlement of the call, so that a repetition is known as such after
// a crash too; of a call that was under way then nothing was charged, and its
// repetition runs. What a repetition costs the price sheet says; by default it
// is free.
package dedup

import (
	"container/list"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"paygate/pricing"
	"paygate/server/gate"
	"paygate/server/mcp"
	"paygate/store/ledger"
)

// Bounds of what is kept.
const (
	mostOnDisk = 256 << 10 // bytes of one answer that outlives a restart
	mostBytes  = 64 << 20  // of all answers; beyond, the oldest are forgotten, but not that they were charged
	longestKey = 255
	// namesPerAnswer is how many names are known for each answer that may be
	// kept: that a call was charged is small, and must not be forgotten early.
	namesPerAnswer = 10
)

// Dedup is the feature. Make it with Open.
type Dedup struct {
	book *ledger.Book
	now  func() time.Time

	mu      sync.Mutex
	config  settings
	entries map[name]*entry
	ended   *list.List            // of *entry: those that have ended, oldest first
	owners  map[string]*list.List // by owner, those of them whose answer is kept
	kept    int                   // how many these are
	dead    []name                // forgotten here, and still on disk
	slim    []name                // their answer is, and still on disk
	bytes   int                   // of the answers kept
	figures figures
}

// figures are what happened since the start.
type figures struct {
	checks, answered, joined int64
	saved                    pricing.Credits
}

// name is what a caller calls a request: a hash of both, and of the place in a
// batch or the round of a call that takes several.
type name [32]byte

// entry is a request that has been named.
type entry struct {
	name  name
	owner string // the caller's key, by its stable id
	what  [32]byte

	// While it runs. waiting counts the first request and those that repeat it;
	// when all have left, the call is cancelled.
	done    chan struct{}
	waiting int
	cancel  context.CancelFunc

	// How it ended.
	call    string // id
	charged pricing.Credits
	answer  *mcp.Message // nil: no longer kept
	err     error
	ended   time.Time
	until   time.Time        // it is answered from; then a request of its name runs anew
	places  [2]*list.Element // in ended and in owners
}

func (e *entry) size() int {
	switch {
	case e.answer == nil:
		return 0
	case e.answer.Error != nil:
		return len(e.answer.Error.Message) + len(e.answer.Error.Data)
	}
	return len(e.answer.Result)
}

// look says whether a call is the first of its name, and sets on the call what
// the gate needs either way.
func (d *Dedup) look(c *gate.Call, id name, what [32]byte) *gate.Denial {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.figures.checks++
	d.expire(d.now())
	e := d.entries[id]
	if e != nil && e.places[0] != nil && !e.until.After(d.now()) { // some are kept longer than those after them
		d.forget(e)
		e = nil
	}
	if e == nil {
		if denial := d.makeRoom(c.Key); denial != nil {
			return denial
		}
		e = &entry{name: id, owner: c.Key, what: what, done: make(chan struct{}), waiting: 1}
		d.entries[id] = e
		c.Named = &first{d: d, entry: e}
		return nil
	}
	if e.what != what {
		return &gate.Denial{Reason: "idempotency_key_reused", Code: mcp.CodeInvalidParams,
			Message: "idempotency_key_reused: this key came with another tool or other arguments before; a new call needs a new key"}
	}
	if e.places[0] == nil {
		d.figures.joined++
	} else {
		d.figures.answered++
	}
	c.Again = func(ctx context.Context) gate.Earlier { return d.again(ctx, e) }
	return nil
}

// again waits for the end of a call and gives it.
func (d *Dedup) again(ctx context.Context, e *entry) gate.Earlier {
	d.mu.Lock()
	e.waiting++
	d.mu.Unlock()
	select {
	case <-e.done:
	case <-ctx.Done():
		d.leave(e)
		return gate.Earlier{Err: fmt.Errorf("%w: the repeated request was given up before the first was answered: %w", mcp.ErrLost, ctx.Err())}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.figures.saved += e.charged
	earlier := gate.Earlier{Call: e.call, Ended: e.ended, Err: e.err}
	switch {
	case e.err != nil:
	case e.answer == nil:
		earlier.Err = &mcp.Error{Code: mcp.CodeInternal, Data: json.RawMessage(fmt.Sprintf(`{"call":%q,"creditsCharged":%d}`, e.call, e.charged)),
			Message: fmt.Sprintf("this request was answered before, as %s, and %d credits were charged for it; its answer is no longer kept. To call the tool anew, and pay anew, use another idempotency key", e.call, e.charged)}
	default:
		copied := *e.answer
		earlier.Result = &copied
	}
	return earlier
}

// leave is a request that no longer waits for its answer.
func (d *Dedup) leave(e *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.waiting--
	if e.waiting == 0 && e.cancel != nil {
		e.cancel()
	}
}

// first is the call that runs for all requests of its name.
type first struct {
	d     *Dedup
	entry *entry
	stop  func() bool
}

// Begin lets the call live as long as anybody waits for it.
func (f *first) Begin(ctx context.Context) context.Context {
	life, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	f.d.mu.Lock()
	f.entry.cancel = func() { cancel(context.Cause(ctx)) }
	f.d.mu.Unlock()
	f.stop = context.AfterFunc(ctx, func() { f.d.leave(f.entry) })
	return life
}

// Settling has the answer written with the settlement.
func (f *first) Settling(c *gate.Call) {
	r := record{ID: f.entry.name.String(), Owner: f.entry.owner, What: fmt.Sprintf("%x", f.entry.what), Call: c.ID}
	if a := c.Result; a != nil && len(a.Result) <= mostOnDisk {
		r.Result, r.Error = a.Result, a.Error
	}
	c.Beside = f.d.write(r, freeAgain(c))
}

// Over tells those who wait, and keeps an answer that was charged or is good.
// What cost nothing and failed may be tried again under its name.
func (f *first) Over(c *gate.Call, err error) {
	if f.stop != nil {
		f.stop()
	}
	d, e := f.d, f.entry
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.cancel != nil {
		e.cancel()
	}
	e.call, e.charged, e.err, e.answer, e.ended = c.ID, c.Settlement.Charged, err, c.Result, d.now()
	if err == nil && c.Result == nil { // it did not come to an end
		e.err = fmt.Errorf("%w: the first request of this idempotency key broke off", mcp.ErrLost)
	}
	defer close(e.done)
	if !kept(&c.Call.Call) || e.err != nil {
		delete(d.entries, e.name)
		return
	}
	e.until = e.ended.Add(max(d.config.ttl(), freeAgain(c)))
	d.enter(e)
}

// freeAgain is how long the sheet promises the answer again for nothing: for so
// long it is known at least.
func freeAgain(c *gate.Call) time.Duration {
	if c.Price == nil {
		return 0
	}
	return c.Price.FreeAgain(&c.Call.Call.Call)
}
