package demo

import (
	"sync/atomic"
	"time"
)

// Clock is the time that the demo's gateway believes it is: first that of its
// made-up history, then the real one.
type Clock struct {
	real func() time.Time
	past atomic.Pointer[time.Time] // nil: the real time
}

// NewClock begins at a time in the past.
func NewClock(real func() time.Time, past time.Time) *Clock {
	c := &Clock{real: real}
	c.Set(past)
	return c
}

// Now is what the gateway asks.
func (c *Clock) Now() time.Time {
	if past := c.past.Load(); past != nil {
		return *past
	}
	return c.real()
}

// Set stops the clock at a time of the history.
func (c *Clock) Set(t time.Time) { c.past.Store(&t) }

// Go lets the real time run.
func (c *Clock) Go() { c.past.Store(nil) }
