package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"paygate/server/mcp"
)

// State is how a server is doing.
type State string

// The states. Down means that the next attempt to start it waits; slow, that it
// is ready and has let a merged list wait for it in vain.
const (
	Starting   State = "starting"
	Ready      State = "ready"
	Slow       State = "slow"
	Restarting State = "restarting"
	Down       State = "down"
	Draining   State = "draining"
)

// server is one server of the configuration and all conversations with it.
// One goroutine, run, keeps its main link alive; everything else asks it.
type server struct {
	spec    Spec
	opt     *Options
	log     *slog.Logger
	nursery *nursery
	seats   *seats
	ring    func(from *server, method string) // tells who talks to all servers that a list has changed
	tail    *tail
	figures figures
	params  paramHeaders
	flying  atomic.Int64
	quit    chan struct{} // closed by close
	kick    chan struct{} // one token: look after the main link now
	loops   sync.WaitGroup

	mu       sync.Mutex
	state    State
	since    time.Time
	nextTry  time.Time
	restarts int
	lastErr  error
	changed  chan struct{} // closed and replaced when the state changes
	era      era
	onlyNew  bool  // a modern server that has refused initialize
	main     *main // nil unless ready
	spare    *child
	filling  bool // a spare is being started
	slots    map[string]*slot
	views    map[*view]struct{}
	tools    map[string]struct{} // names, as listed last; nil before
	anew     bool                // restart at once and probe again
	late     map[string]lateness // lists that it was too slow for, by method
	closed   bool
}

// era is what the probe found.
type era int

const (
	unknown era = iota
	legacy
	modern
)

// main is the link that the gateway keeps for itself: on a modern server all
// callers share it, on a legacy one it is the lobby of those without a key.
type main struct {
	link     link
	about    *mcp.Message // the answer to server/discover or initialize
	modern   bool
	since    time.Time
	answered uint64 // calls answered when it began
}

// over says whether the link has broken, which run may not know yet.
func (m *main) over() bool {
	select {
	case <-m.link.done():
		return true
	default:
		return false
	}
}

func newServer(spec Spec, all *Servers) *server {
	opt := &all.opt
	s := &server{spec: spec, opt: opt, log: opt.Log.With("server", spec.label()), nursery: all.nursery, seats: all.seats, ring: all.ring, tail: newTail(opt.Limits.StderrLines, opt.Now),
		kick: make(chan struct{}, 1), quit: make(chan struct{}), state: Starting, since: opt.Now(), changed: make(chan struct{}), slots: map[string]*slot{}, views: map[*view]struct{}{}}
	s.loops.Go(func() { s.run(until(s.quit)) })
	s.loops.Go(func() { s.sweep(until(s.quit)) })
	return s
}

// run keeps the main link alive: it starts it, waits until it breaks, and
// starts it again, at once the first time and ever later if that does not help.
func (s *server) run(ctx context.Context) {
	for fails := 0; ctx.Err() == nil; {
		err := s.live(ctx, &fails)
		if ctx.Err() != nil {
			break
		}
		fails++
		s.pause(ctx, backoff(fails, s.opt.Limits.Backoff), err)
	}
	s.endAll()
}

// live is one life of the main link. It returns when that is over, with why.
func (s *server) live(ctx context.Context, fails *int) error {
	m, err := s.begin(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("server does not start", "error", Detail(err))
		}
		return err
	}
	s.ready(m)
	s.log.Info("server ready", "revision", m.revision(), "took", s.opt.Now().Sub(m.since))
	s.refill()
	s.loops.Go(func() { s.count(ctx, m) })
	again := s.watch(ctx, m)
	if s.figures.count() > m.answered || s.opt.Now().Sub(m.since) > 5*time.Second {
		*fails = 0 // it was well
	}
	if ctx.Err() != nil {
		return nil
	}
	err = errors.New("restarted on request")
	if !again {
		err = s.obituary(m)
		s.log.Warn("server lost", "error", Detail(err))
	}
	s.set(Restarting, err, time.Time{})
	m.link.close()
	if again {
		*fails = 0
		s.endConversations()
	}
	return err
}

// watch waits until the main link is over or somebody wants it anew.
func (s *server) watch(ctx context.Context, m *main) (again bool) {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-m.link.done():
			return false
		case <-s.kick:
			s.mu.Lock()
			again = s.anew
			s.anew = false
			if again {
				s.era, s.onlyNew = unknown, false
			}
			s.mu.Unlock()
			if again {
				return true
			}
			if h, ok := m.link.(*httpLink); ok && !h.alive(ctx) {
				return false
			}
		}
	}
}

func (s *server) obituary(m *main) error {
	err := m.link.table().why()
	if err == nil {
		err = fmt.Errorf("%s: the server does not answer any more", s.spec.label())
	}
	return err
}

// backoff says how long to wait after that many failures in a row.
func backoff(fails int, longest time.Duration) time.Duration {
	if fails <= 1 {
		return 0
	}
	d := 500 * time.Millisecond
	for range fails - 2 {
		if d *= 2; d >= longest {
			break
		}
	}
	return min(d, longest)
}

// pause waits before the next start; a restart on request ends it.
func (s *server) pause(ctx context.Context, d time.Duration, err error) {
	if d == 0 {
		s.set(Restarting, err, time.Time{})
		return
	}
	s.set(Down, err, s.opt.Now().Add(d))
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			s.set(Restarting, err, time.Time{})
			return
		case <-s.kick:
			s.mu.Lock()
			again := s.anew
			s.anew = false
			s.mu.Unlock()
			if again {
				s.set(Restarting, err, time.Time{})
				return
			}
		}
	}
}

func (s *server) set(state State, err error, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state != Ready {
		s.main = nil
	}
	if state == Restarting && s.state != Restarting {
		s.restarts++
	}
	if err != nil {
		s.lastErr = err
	}
	s.turn(state, next)
}

// turn changes the state, unless the server drains. The caller holds mu.
func (s *server) turn(state State, next time.Time) {
	if s.state == Draining && state != Draining {
		return
	}
	if s.state != state {
		s.since = s.opt.Now()
	}
	s.state, s.nextTry = state, next
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *server) ready(m *main) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.main, s.late = m, nil
	s.era = legacy
	if m.modern {
		s.era = modern
	}
	s.turn(Ready, time.Time{})
}

// await waits while the server starts, and refuses at once when it is down.
func (s *server) await(ctx context.Context) (*main, error) {
	for {
		s.mu.Lock()
		m, state, next, err, changed := s.main, s.state, s.nextTry, s.lastErr, s.changed
		closed := s.closed
		s.mu.Unlock()
		switch {
		case closed:
			return nil, &lostError{text: s.spec.label() + ": " + ErrClosed.Error(), cause: ErrClosed}
		case state == Draining:
			return nil, &lostError{text: s.spec.label() + ": the server is being drained and takes no more calls"}
		case m != nil && !m.over():
			return m, nil
		case state == Down:
			return nil, s.downError(err, next)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, &lostError{text: s.spec.label() + ": the server is still starting", cause: ctx.Err()}
		}
	}
}

func (s *server) downError(err error, next time.Time) error {
	wait := max(next.Sub(s.opt.Now()), 0).Round(100 * time.Millisecond)
	down := &lostError{text: fmt.Sprintf("%s: the server is down; next try in %s", s.spec.label(), wait)}
	var lost *lostError
	switch {
	case errors.As(err, &lost):
		down.text += " (" + strings.TrimPrefix(lost.text, s.spec.label()+": the server ") + ")"
		down.more = lost.more
	case err != nil:
		down.more = " (" + err.Error() + ")"
	}
	return down
}

// suspect has the main link looked after: a call found the server unreachable.
func (s *server) suspect() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// restart starts everything anew and finds out the era again.
func (s *server) restart() {
	s.mu.Lock()
	s.anew = true
	if s.state == Draining {
		s.state = Restarting
	}
	s.mu.Unlock()
	s.suspect()
}

// drain refuses new calls; when the last one has ended, the children go.
func (s *server) drain(ctx context.Context) error {
	s.mu.Lock()
	s.turn(Draining, time.Time{})
	s.mu.Unlock()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for s.flying.Load() > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %d calls are still running: %w", s.spec.label(), s.flying.Load(), ctx.Err())
		case <-tick.C:
		}
	}
	s.endConversations()
	return nil
}

// close ends all that belongs to the server and waits for it.
func (s *server) close() {
	s.mu.Lock()
	s.closed = true
	s.turn(s.state, time.Time{})
	s.mu.Unlock()
	close(s.quit)
	s.loops.Wait()
}

// endAll ends every conversation, the main link and the spare.
func (s *server) endAll() {
	s.endConversations()
	s.mu.Lock()
	m, spare := s.main, s.spare
	s.main, s.spare = nil, nil
	s.mu.Unlock()
	var wg sync.WaitGroup
	if m != nil {
		wg.Go(m.link.close)
	}
	if spare != nil {
		wg.Go(spare.end)
	}
	wg.Wait()
}

// endConversations ends what callers have open.
func (s *server) endConversations() {
	s.mu.Lock()
	views := make([]*view, 0, len(s.views))
	for v := range s.views {
		views = append(views, v)
	}
	slots := s.slots
	s.slots = map[string]*slot{}
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, v := range views {
		wg.Go(func() {
			v.end()
			if v.own {
				v.link.close()
			}
		})
	}
	for _, sl := range slots {
		wg.Go(sl.close)
	}
	wg.Wait()
}
