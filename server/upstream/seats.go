package upstream

import (
	"fmt"
	"sync"
	"time"
)

// seats counts the children that callers cause, by key and in all servers
// together. When there are too many, the one unused for longest ends: its
// session is revived at its next request.
type seats struct {
	perKey, total int

	mu    sync.Mutex
	taken map[*seat]struct{}
}

// seat is one child that a caller causes.
type seat struct {
	key   string
	idle  func() (since time.Time, ok bool)
	leave func() bool // ends what sits there, unless it became busy
}

func newSeats(l Limits) *seats {
	return &seats{perKey: l.PerKey, total: l.Children, taken: map[*seat]struct{}{}}
}

// take finds a seat for key, if need be by ending what is idle. The seat
// counts at once; who took it says with occupy what sits there.
func (s *seats) take(key, server string) (*seat, error) {
	mine := &seat{key: key}
	for range s.total + 1 {
		victim, err := s.tryTake(mine, server)
		if err != nil || victim == nil {
			return mine, err
		}
		if victim.leave() {
			s.free(victim)
		}
	}
	return nil, fmt.Errorf("%s: %w; try again in a moment", server, ErrBusy)
}

func (s *seats) tryTake(mine *seat, server string) (victim *seat, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for t := range s.taken {
		if t.key == mine.key {
			n++
		}
	}
	switch {
	case n >= s.perKey:
		if victim = s.oldest(mine.key); victim == nil {
			return nil, fmt.Errorf("%s: %w: all %d of this key are in the middle of a call; end one or wait for it", server, ErrBusy, n)
		}
	case len(s.taken) >= s.total:
		if victim = s.oldest(""); victim == nil {
			return nil, fmt.Errorf("%s: %w: all %d of this gateway are in the middle of a call; wait for one to end", server, ErrBusy, len(s.taken))
		}
	default:
		s.taken[mine] = struct{}{}
	}
	return victim, nil
}

// oldest is the seat idle for longest, of key or of anybody. The caller holds mu.
func (s *seats) oldest(key string) (victim *seat) {
	var since time.Time
	for t := range s.taken {
		if t.idle == nil || key != "" && t.key != key {
			continue
		}
		if at, ok := t.idle(); ok && (victim == nil || at.Before(since)) {
			victim, since = t, at
		}
	}
	return victim
}

func (s *seats) occupy(t *seat, idle func() (time.Time, bool), leave func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.idle, t.leave = idle, leave
}

func (s *seats) free(t *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taken, t)
}
