package server

import (
	"net/netip"
	"sync"
	"time"
)

// limiter counts in sliding windows of a minute what need not be durable:
// requests of an address, and calls of a key that are not charged. It keeps at
// most mostCounted counters; beyond, the oldest go.
type limiter struct {
	now func() time.Time

	mu    sync.Mutex
	slots map[string][]time.Time
}

const (
	limiterWindow = time.Minute
	mostCounted   = 10000
)

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, slots: map[string][]time.Time{}}
}

// take takes a slot, or says how long until one is free. A limit of 0 or less
// is none.
func (l *limiter) take(who string, limit int) time.Duration {
	if limit <= 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	slots := l.slots[who]
	for len(slots) > 0 && now.Sub(slots[0]) >= limiterWindow {
		slots = slots[1:]
	}
	if len(slots) >= limit {
		l.slots[who] = slots
		return slots[len(slots)-limit].Add(limiterWindow).Sub(now)
	}
	if len(l.slots) >= mostCounted {
		l.forget(now)
	}
	l.slots[who] = append(slots, now)
	return 0
}

// forget makes room: what is over goes, and if that is not enough, everything.
// Behind mu.
func (l *limiter) forget(now time.Time) {
	for who, slots := range l.slots {
		if now.Sub(slots[len(slots)-1]) >= limiterWindow {
			delete(l.slots, who)
		}
	}
	if len(l.slots) >= mostCounted {
		clear(l.slots)
	}
}

// repeatsPerCall is how often a key may repeat, in a minute, each of the calls
// that it may make in one.
const repeatsPerCall = 10

// repeats limits how often a key gets the answer of an earlier call again.
func (s *Server) repeats(key string) time.Duration {
	return s.others.take("again "+key, repeatsPerCall*s.settings.Load().GlobalRateLimit)
}

// vicinity is what a limit per address counts by: the address, or of IPv6, where
// anybody has as many as they like, its /64.
func vicinity(a netip.Addr) string {
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
