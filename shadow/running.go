package shadow

import (
	"context"
	"sync"
)

// running are the replays that are under way and have a name.
type running struct {
	mu sync.Mutex
	by map[string]*run
}

type run struct {
	done   float64
	cancel context.CancelFunc
}

// MostReplays is how many named replays may be under way at a time.
const MostReplays = 8

// begin names a replay. What it gives takes the progress and ends it.
func (r *running) begin(ctx context.Context, id string) (context.Context, func(float64), func(), error) {
	ctx, cancel := context.WithCancel(ctx)
	if id == "" {
		return ctx, func(float64) {}, cancel, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by[id] != nil || len(r.by) >= MostReplays || len(id) > 64 {
		cancel()
		return ctx, nil, nil, badInput("replay %.64q: its id is in use or too long, or %d replays are under way", id, MostReplays)
	}
	if r.by == nil {
		r.by = map[string]*run{}
	}
	this := &run{cancel: cancel}
	r.by[id] = this
	progress := func(done float64) {
		r.mu.Lock()
		defer r.mu.Unlock()
		this.done = min(1, done)
	}
	end := func() {
		cancel()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.by, id)
	}
	return ctx, progress, end, nil
}

// Progress is the share that a named replay has done; false when it is not
// under way.
func (l *Lab) Progress(id string) (float64, bool) {
	l.runs.mu.Lock()
	defer l.runs.mu.Unlock()
	r := l.runs.by[id]
	if r == nil {
		return 0, false
	}
	return r.done, true
}

// Cancel ends a named replay and tells whether it was under way.
func (l *Lab) Cancel(id string) bool {
	l.runs.mu.Lock()
	defer l.runs.mu.Unlock()
	r := l.runs.by[id]
	if r != nil {
		r.cancel()
	}
	return r != nil
}
