// Package clock is a time that only a test moves.
package clock

import (
	"sync"
	"time"
)

// Hands tell the time. They are safe for concurrent use.
type Hands struct {
	mu sync.Mutex
	at time.Time
}

// At are hands that stand at a time.
func At(t time.Time) *Hands { return &Hands{at: t} }

// Now is where they stand.
func (h *Hands) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

// Add moves them on, or back.
func (h *Hands) Add(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

// Set puts them at a time.
func (h *Hands) Set(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = t
}
