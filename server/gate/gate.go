// Package gate decides whether a call may go through and what it costs: it is
// the way from an agent's tools/call to the server behind the gateway and
// back. A Call travels along two lists: checks, which are all evaluated, and
// wraps, which stand around the upstream. Between them lies one Reserve for
// credits and every limit; after them one Settle, and the answer leaves only
// when that settlement is on disk.
//
// It owns that order and the meaning of a refusal. It does not know HTTP, nor
// how balances are kept (package ledger), nor who keys are (package keys), nor
// which checks there are: package server names them.
package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"paygate/pricing"
	"paygate/server/mcp"
	"paygate/store/ledger"
)

// Gate carries calls along a World's two lists.
type Gate struct {
	Book *ledger.Book
	Now  func() time.Time
	Log  *slog.Logger
	// Repeats takes one of the repetitions that a key may ask for, or says how
	// long until there is one; nil: any number.
	Repeats func(key string) time.Duration
	Trace   func(*Call) // sees every finished call once, for the inspector; nil: nobody looks

	steps sync.Pool // of *[steps]Step, for the calls under way
}

// steps is how many a call usually takes: checks, hold, upstream, settle.
const steps = 16

// Way is what a call is judged by, compiled once and never changed: a reload
// makes another one, and calls that have begun end in theirs.
type Way struct {
	Checks  []Check
	Run     Handler                    // the wraps folded around the upstream
	Sheet   *pricing.Sheet             // the live one
	Choose  func(*Call) *pricing.Sheet // the one that a call's key pays by; nil: all pay by Sheet
	Observe bool                       // shadow mode: economic refusals are recorded, not enforced
	// RefundOnFailure is part of the sheet; it stands here for the error texts.
}

// Do takes a call all the way. It returns nil with c.Result set, a *Denial,
// an error that wraps mcp.ErrLost, ledger.ErrUnavailable when the disk does
// not take commits, or another error, which is ours. Money has been settled
// and is on disk by then, or was never moved.
func (g *Gate) Do(ctx context.Context, w *Way, c *Call) (err error) {
	g.begin(w, c)
	defer g.trace(c)
	defer func() { c.over(err) }()
	g.check(w, c)
	if c.Again != nil {
		return g.repeat(ctx, c)
	}
	ctx = c.begun(ctx)
	if c.Resumes != "" && len(c.Denials) == 0 {
		return g.resume(ctx, w, c)
	}
	if err := g.reserve(c); err != nil {
		return err
	}
	if len(c.Denials) > 0 {
		g.refuse(c)
		return c.First()
	}
	return g.run(ctx, w, c)
}

// Ask says what Do would answer now, and moves nothing: a dry run.
func (g *Gate) Ask(w *Way, c *Call) (*Denial, error) {
	c.Dry = true
	g.begin(w, c)
	g.check(w, c)
	if err := g.reserve(c); err != nil {
		return nil, err
	}
	if len(c.Denials) > 0 {
		return c.First(), nil
	}
	return nil, nil
}

func (g *Gate) begin(w *Way, c *Call) {
	c.started = g.Now()
	c.At, c.lapped = c.started, c.started
	if room, ok := g.steps.Get().(*[steps]Step); ok {
		c.room = room
	} else {
		c.room = new([steps]Step)
	}
	c.Steps = c.room[:0]
	c.Price, c.Observed = w.Sheet, w.Observe
	if w.Choose != nil && c.Terms != nil {
		c.Price = w.Choose(c)
	}
	c.Sheet = c.Price.Hash()
}

// lap is how long it is since the last step ended.
func (g *Gate) lap(c *Call) time.Duration {
	now := g.Now()
	took := now.Sub(c.lapped)
	c.lapped = now
	return took
}

// trace shows the call that has ended, and takes back what only its way needed.
func (g *Gate) trace(c *Call) {
	if g.Trace != nil {
		g.Trace(c)
	}
	if c.room != nil {
		clear(c.room[:])
		g.steps.Put(c.room)
		c.room, c.Steps = nil, nil
	}
}

// run takes an admitted call through the wraps, settles it and waits for the
// disk.
func (g *Gate) run(ctx context.Context, w *Way, c *Call) error {
	err := g.through(ctx, w, c)
	c.lapped = g.Now()
	c.Took = c.lapped.Sub(c.started)
	c.Gate = c.Took - c.upstream
	if kind := c.pending(err); kind != nil {
		if c.BatchN == 0 || kind.task != "" {
			return g.park(ctx, c, kind)
		}
		c.Result, err = nil, errAsksInBatch
	}
	c.judge(err)
	c.settling()
	c.Settlement = g.Book.Settle(&c.Call)
	// The commit is waited for even when the client has gone: what happened
	// must be on record. The wait is bounded by the book's own commit.
	if waited := g.Book.Wait(context.WithoutCancel(ctx), c.Settlement.Seq); waited != nil {
		c.Result = nil
		return fmt.Errorf("call %s: %w", c.ID, waited)
	}
	c.Note(Step{Name: "settle", Took: g.lap(c), Mark: "ok", Count: int64(c.Settlement.Charged), Unit: "charged, on disk"})
	return err
}

// errAsksInBatch ends a call of a batch whose server asks for more first: one
// answer for many calls has no place for a question.
var errAsksInBatch = fmt.Errorf("%w: the tool asks for input before it can answer, which a batch cannot give; call it alone. It was not charged", mcp.ErrLost)

// through runs the wraps; a panic in one of them loses the call, not the
// gateway.
func (g *Gate) through(ctx context.Context, w *Way, c *Call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.Result = nil
			err = fmt.Errorf("call %s: panic: %v", c.ID, p)
			g.Log.Error("a call panicked", "call", c.ID, "tool", c.Tool, "panic", fmt.Sprint(p))
		}
	}()
	return w.Run(ctx, c)
}

// judge says how a finished call ended: its outcome and its result class
// (pricing-lab words), which decide what it is charged.
func (c *Call) judge(err error) {
	denial := DenialOf(err)
	switch {
	case denial != nil: // a wrap refused: nothing ran
		c.Outcome, c.Class = pricing.Denied, "denied"
		c.Findings = append(c.Findings, denial.Reason)
	case errors.Is(err, context.Canceled):
		c.Outcome, c.Class, c.Error = pricing.Lost, "cancelled", "cancelled by the client"
	case errors.Is(err, context.DeadlineExceeded):
		c.Outcome, c.Class, c.Error = pricing.Lost, "timeout", "timed out"
	case err != nil:
		c.Outcome, c.Class, c.Error = pricing.Lost, "upstream_error", short(err.Error())
	case c.Result.Error != nil:
		c.Outcome, c.Class, c.Error = pricing.Failed, "upstream_error", short(c.Result.Error.Message)
	case c.Unknown: // nothing ran, so nothing is charged, but its answer is the server's
		c.Outcome, c.Class, c.Error = pricing.Lost, "tool_error", "no server has this tool"
	case isError(c.Result.Result):
		c.Outcome, c.Class, c.Error = pricing.Failed, "tool_error", "the tool answered isError"
	default:
		c.Outcome, c.Class = pricing.OK, "ok"
	}
	if c.Result != nil {
		c.Out = int64(len(c.Result.Result))
		c.reported(c.Result.Result)
	}
}

// reported takes what the server says that the call used and cost it.
func (c *Call) reported(result json.RawMessage) {
	units, cost := mcp.Reported(result, int64(pricing.MaxCredits))
	c.Units, c.Cost = pricing.Credits(units), pricing.Credits(cost)
}

func short(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most]
	}
	return s
}

// isError reads the one member that says a tool failed. Only results short
// enough to be failures by convention are parsed whole; see result.go.
func isError(result json.RawMessage) bool { return mcp.IsToolError(result) }
