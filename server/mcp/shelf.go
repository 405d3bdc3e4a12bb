package mcp

import (
	"sync"
	"sync/atomic"
)

// shelf bounds what all streams keep together, so that many readers that stay
// behind, or finish and never come back, cannot take the gateway's memory.
// What was sent already goes first, the oldest of it before the rest.
type shelf struct {
	most int64
	kept atomic.Int64 // bytes of all streams

	mu   sync.Mutex
	over []*stream // that have ended and may be asked for again, oldest first
}

// finished says that a stream has ended.
func (f *shelf) finished(s *stream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.over) > 0 && f.over[0].empty() { // forgotten with its session, or for its age
		f.over = f.over[1:]
	}
	f.over = append(f.over, s)
}

// settle makes room: s, which has grown, gives itself what nobody else can.
func (f *shelf) settle(s *stream) {
	for f.kept.Load() > f.most {
		f.mu.Lock()
		if len(f.over) == 0 || f.over[0] == s {
			f.mu.Unlock()
			break
		}
		oldest := f.over[0]
		f.over = f.over[1:]
		f.mu.Unlock()
		oldest.clear(false)
	}
	s.shrink(func() bool { return f.kept.Load() > f.most })
}
