package gate

import (
	"context"
	"errors"
	"fmt"

	"paygate/pricing"
	"paygate/store/ledger"
)

// Check looks at a call and says what stands against it, or nil. A check takes
// nothing: rates, quotas and budgets append to c.Limits, and the one Reserve
// takes all of them or none. Checks hold policy in their closure and nothing
// that changes.
type Check struct {
	Name string
	Do   func(*Call) *Denial
}

// Handler runs a call; Wrap stands around one.
type (
	Handler func(context.Context, *Call) error
	Wrap    func(next Handler) Handler
)

// Fold makes one Handler of wraps, outermost first, around last.
func Fold(last Handler, wraps ...Wrap) Handler {
	for i := len(wraps) - 1; i >= 0; i-- {
		last = wraps[i](last)
	}
	return last
}

// check evaluates every check, also after one has failed, so that the journal
// knows all reasons; the answer names the first in the contract's order,
// whatever order the checks have.
func (g *Gate) check(w *Way, c *Call) {
	for _, check := range w.Checks {
		d := check.Do(c)
		step := Step{Name: check.Name, Took: g.lap(c), Mark: "ok"}
		if d != nil {
			d.Check = check.Name
			step.Mark, step.Text = "deny", d.Reason
			c.Denials = append(c.Denials, *d)
		}
		c.Note(step)
		if c.Again != nil || d != nil && d.final {
			return
		}
	}
}

// reserve asks the book for credits and limits. When a check has already
// failed it only asks, so that the book's reasons are recorded with the rest.
func (g *Gate) reserve(c *Call) error {
	if c.Terms == nil { // nobody to ask the book about
		return nil
	}
	ask := (*ledger.Book).Reserve
	if c.Dry || len(c.Denials) > 0 {
		ask = (*ledger.Book).Ask
	}
	err := ask(g.Book, &c.Call)
	step := Step{Name: "hold", Took: g.lap(c), Mark: "ok", Count: int64(c.Quote), Unit: "held"}
	var refused *ledger.Refused
	switch {
	case errors.As(err, &refused):
		for _, r := range refused.Calls[0] {
			c.Denials = append(c.Denials, fromBook(r))
		}
		step.Mark, step.Text, step.Unit = "deny", c.First().Reason, ""
	case err != nil:
		return fmt.Errorf("call %s: %w", c.ID, err)
	case c.Observed && len(c.Findings) > 0:
		step.Mark, step.Text, step.Unit = "would", c.Findings[0], ""
	}
	c.Note(step)
	return nil
}

// Reject records a request that was refused before any check could look at it.
func (g *Gate) Reject(w *Way, c *Call, reason string) {
	g.begin(w, c)
	defer g.trace(c)
	c.Denials = append(c.Denials, Denial{Check: "protocol", Reason: reason})
	c.Note(Step{Name: "protocol", Mark: "deny", Text: reason})
	g.refuse(c)
}

// refuse records a denied call with all its reasons. Nobody waits for the
// disk.
func (g *Gate) refuse(c *Call) {
	c.Outcome, c.Class = pricing.Denied, "denied"
	c.Took = g.Now().Sub(c.started)
	c.Gate = c.Took
	for _, d := range ordered(c.Denials) {
		c.Findings = append(c.Findings, d.Reason)
	}
	g.Book.Refuse(&c.Call)
}
