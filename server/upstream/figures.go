package upstream

import (
	"slices"
	"sync"
	"time"
)

// figures are the latest calls of a server: enough for a screen, nothing to
// account by.
type figures struct {
	mu       sync.Mutex
	took     [256]time.Duration
	n        int
	answered uint64
}

func (f *figures) add(took time.Duration, c *call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.took[f.n%len(f.took)] = took
	f.n++
	if c.result() != nil {
		f.answered++
	}
}

func (f *figures) count() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.answered
}

// p95 is the 95th percentile of the last 256 calls.
func (f *figures) p95() time.Duration {
	f.mu.Lock()
	took := slices.Clone(f.took[:min(f.n, len(f.took))])
	f.mu.Unlock()
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)*95/100]
}
