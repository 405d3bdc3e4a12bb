package upstream

import (
	"context"
	"time"
)

// takeSpare gives the child that was kept warm, or starts one, and has the
// next one warmed.
func (s *server) takeSpare() (*child, error) {
	s.mu.Lock()
	c := s.spare
	s.spare = nil
	ready := s.state == Ready
	s.mu.Unlock()
	if c == nil || c.gone() {
		var err error
		if c, err = s.nursery.spawn(&s.spec, s.tail); err != nil {
			return nil, err
		}
	}
	if ready {
		s.refill()
	}
	return c, nil
}

// refill starts a spare if there is none. A child that has not been spoken to
// serves either era.
func (s *server) refill() {
	s.mu.Lock()
	want := s.spec.Command != "" && !s.opt.Limits.NoSpare && !s.closed && !s.filling && (s.spare == nil || s.spare.gone())
	s.filling = s.filling || want
	s.mu.Unlock()
	if !want {
		return
	}
	s.loops.Go(func() {
		c, err := s.nursery.spawn(&s.spec, s.tail)
		s.mu.Lock()
		s.filling = false
		if err == nil && !s.closed {
			s.spare, c = c, nil
		}
		s.mu.Unlock()
		if c != nil {
			c.end()
		}
	})
}

// sweep ends pooled conversations that nobody has used for a while.
func (s *server) sweep(ctx context.Context) {
	every := max(s.opt.Limits.Idle/4, 10*time.Millisecond)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, sl := range s.openSlots() {
			if since, ok := sl.idle(); ok && s.opt.Now().Sub(since) > s.opt.Limits.Idle {
				s.retire(sl)
			}
		}
	}
}

// openSlots are the pooled conversations that are open.
func (s *server) openSlots() []*slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	var open []*slot
	for _, sl := range s.slots {
		select {
		case <-sl.opened:
			if sl.err == nil {
				open = append(open, sl)
			}
		default:
		}
	}
	return open
}
