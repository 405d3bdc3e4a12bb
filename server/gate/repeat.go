package gate

import (
	"context"
	"fmt"
	"time"

	"paygate/server/mcp"
)

// A request whose answer got lost on its way may come again, under another
// JSON-RPC id. Whoever gives a call a name gets it once: a check says whether
// a request is the first of its name or repeats an earlier one.

// Named is what a check sets on the first call of a name.
type Named interface {
	// Begin gives the life of the call: it may outlive its request, when
	// others wait for the same.
	Begin(context.Context) context.Context
	// Settling is told before the call is settled or parked; it may set
	// c.Beside, which will be on disk with that or not at all.
	Settling(*Call)
	// Over is told once how the call has ended, whatever happened.
	Over(*Call, error)
}

// Earlier is how the call that a request repeats has ended: with an answer, or
// as Do does.
type Earlier struct {
	Call   string // its id
	Ended  time.Time
	Result *mcp.Message
	Err    error
}

// begun gives a named call its life.
func (c *Call) begun(ctx context.Context) context.Context {
	if c.Named == nil {
		return ctx
	}
	return c.Named.Begin(ctx)
}

func (c *Call) settling() {
	if c.Named != nil {
		c.Named.Settling(c)
	}
}

func (c *Call) over(err error) {
	if c.Named != nil {
		c.Named.Over(c, err)
		c.Named = nil
	}
}

// repeat answers a request with what the earlier one got, or will get. The
// sheet says what that costs, by default nothing; it takes no slot of a rate
// and nothing of a quota, so that it is answered although nothing is left.
func (g *Gate) repeat(ctx context.Context, c *Call) error {
	began := g.Now()
	if wait := g.tooOften(c); wait > 0 {
		c.Denials = append(c.Denials, Denial{Check: "repeat", Reason: "rate_limited", RetryAfter: wait})
		g.refuse(c)
		return c.First()
	}
	earlier := c.Again(ctx)
	c.Repeated, c.Limits = true, nil
	if !earlier.Ended.IsZero() {
		c.RepeatedAfter = max(0, g.Now().Sub(earlier.Ended)).Truncate(time.Millisecond)
	}
	if err := g.reserve(c); err != nil {
		return err
	}
	if len(c.Denials) > 0 {
		g.refuse(c)
		return c.First()
	}
	c.Note(Step{Name: "repeat", Took: g.Now().Sub(began), Mark: "ok", Text: "the answer of " + earlier.Call})
	c.Result = earlier.Result
	if p := c.pending(earlier.Err); p != nil && p.task == "" && c.Carry != nil {
		c.Carry(earlier.Call)
	}
	c.judge(earlier.Err)
	c.Took = g.Now().Sub(c.started)
	c.Gate = min(c.Took, time.Millisecond) // it has waited for another call, not for the gateway
	c.Settlement = g.Book.Settle(&c.Call)
	if err := g.Book.Wait(context.WithoutCancel(ctx), c.Settlement.Seq); err != nil {
		c.Result = nil
		return fmt.Errorf("call %s: %w", c.ID, err)
	}
	return earlier.Err
}

// tooOften says how long a key must wait that repeats more than anybody needs
// to: a repetition takes no slot of a rate, and yet goes to the disk.
func (g *Gate) tooOften(c *Call) time.Duration {
	if g.Repeats == nil {
		return 0
	}
	return g.Repeats(c.Key)
}
