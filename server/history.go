package server

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/server/gate"
	"paygate/store/ledger"
)

// ErrNoDemo means that a history was to be made up for a gateway whose books
// are real.
var ErrNoDemo = errors.New("only a demo has a made-up history")

// Enact writes made-up calls, in the order of time, into the books of a demo as
// if they had been made: each is checked, reserved and settled, and recorded in
// the journal. at sets the time that the gateway believes it is. No server is
// asked, and nothing is waited for but the end.
func (s *Server) Enact(ctx context.Context, calls iter.Seq[api.Past], at func(time.Time)) error {
	if !s.opts.Demo {
		return ErrNoDemo
	}
	n := 0
	for p := range calls {
		at(p.At)
		if err := s.enact(p); err != nil {
			return fmt.Errorf("made-up call at %s: %w", p.At.Format(time.RFC3339), err)
		}
		if n++; n%enactAtOnce == 0 {
			if err := s.book.Flush(ctx); err != nil {
				return err
			}
		}
	}
	return s.book.Flush(ctx)
}

// enactAtOnce is how many made-up calls may wait for the disk.
const enactAtOnce = 4096

func (s *Server) enact(p api.Past) error {
	w := s.world.Load()
	id, ok := s.keys.Resolve(p.Key)
	if !ok {
		return api.NotFound("Key not found")
	}
	c := s.askCall(id, p.Tool, nil)
	c.In, c.Run = p.In, p.Run
	c.Price, c.At, c.Observed = w.prices.of(c.Terms, p.At), p.At, w.Way.Observe
	c.Sheet = c.Price.Hash()
	c.Dry = true // there is no request to look at
	for _, check := range w.Way.Checks {
		if d := check.Do(c); d != nil {
			c.Denials = append(c.Denials, *d)
		}
	}
	c.Dry = false
	return s.settlePast(p, c)
}

func (s *Server) settlePast(p api.Past, c *gate.Call) error {
	if len(c.Denials) > 0 {
		c.Outcome, c.Class = pricing.Denied, "denied"
		for _, d := range c.Denials {
			c.Findings = append(c.Findings, d.Reason)
		}
		s.book.Refuse(&c.Call)
		return nil
	}
	var refused *ledger.Refused
	if err := s.book.Reserve(&c.Call); errors.As(err, &refused) {
		return nil // it is on record
	} else if err != nil {
		return err
	}
	c.Outcome, c.Class, c.Out, c.Took = pricing.OK, "ok", p.Out, p.Took
	if p.Failed {
		c.Outcome, c.Class, c.Error = pricing.Failed, "tool_error", "the tool answered isError"
	}
	s.book.Settle(&c.Call)
	return nil
}
