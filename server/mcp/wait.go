package mcp

import "sync"

// Wait is where a call waits in this process for its client's next round. It
// ends, without an answer, when the server that asked is gone or the call is
// given up.
type Wait struct {
	mu   sync.Mutex
	over bool
	then func()
}

// Then has f run when the wait ends: at once, if it has. It takes the place of
// an earlier round's.
func (w *Wait) Then(f func()) {
	w.mu.Lock()
	w.then = f
	over := w.over
	w.mu.Unlock()
	if over {
		f()
	}
}

// End says that no next round can be answered.
func (w *Wait) End() {
	w.mu.Lock()
	w.over = true
	f := w.then
	w.mu.Unlock()
	if f != nil {
		f()
	}
}
