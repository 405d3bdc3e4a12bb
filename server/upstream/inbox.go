package upstream

import (
	"sync"

	"paygate/server/mcp"
)

// inbox holds messages until their reader takes them, so that one slow reader
// never stops the process that others use too. It is bounded: beyond its
// limit, notifications are dropped; requests and answers are not.
type inbox struct {
	wake chan struct{} // one token: something is waiting

	mu    sync.Mutex
	msgs  []*mcp.Message
	bytes int
	max   int
	lost  int // notifications dropped
	over  bool
	final *mcp.Message
	err   error
}

func newInbox(max int) *inbox { return &inbox{wake: make(chan struct{}, 1), max: max} }

// ready makes an inbox that is part of something else.
func (b *inbox) ready(max int) { b.wake, b.max = make(chan struct{}, 1), max }

// put leaves a message; it says whether there was room.
func (b *inbox) put(m *mcp.Message) bool {
	size := len(m.Params) + 64
	b.mu.Lock()
	if b.over || b.bytes+size > b.max && m.ID == nil {
		b.lost++
		b.mu.Unlock()
		return false
	}
	b.msgs = append(b.msgs, m)
	b.bytes += size
	b.mu.Unlock()
	b.ring()
	return true
}

// finish ends the inbox with an answer or an error; only the first end counts.
func (b *inbox) finish(final *mcp.Message, err error) {
	b.mu.Lock()
	if b.over {
		b.mu.Unlock()
		return
	}
	b.over, b.final, b.err = true, final, err
	b.mu.Unlock()
	b.ring()
}

func (b *inbox) ring() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take empties the inbox; over says that nothing more will come.
func (b *inbox) take() (msgs []*mcp.Message, over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	msgs, b.msgs, b.bytes = b.msgs, nil, 0
	return msgs, b.over
}

// finished says whether the inbox has its end.
func (b *inbox) finished() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.over
}

// outcome is how the inbox ended; nothing while it has not.
func (b *inbox) outcome() (*mcp.Message, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.final, b.err
}

// result is the answer, nil while there is none.
func (b *inbox) result() *mcp.Message {
	final, _ := b.outcome()
	return final
}
