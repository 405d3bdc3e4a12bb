package upstream

import (
	"context"
	"time"
)

// until is a context that ends when its channel is closed: what outlives the
// caller that caused it ends with the link or the server that it serves. The
// nil channel never ends.
type until <-chan struct{}

var _ context.Context = until(nil)

func (u until) Deadline() (at time.Time, ok bool) { return time.Time{}, false }
func (u until) Done() <-chan struct{}             { return u }
func (u until) Value(any) any                     { return nil }

func (u until) Err() error {
	select {
	case <-u:
		return context.Canceled
	default:
		return nil
	}
}
