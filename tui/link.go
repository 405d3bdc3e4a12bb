package tui

import (
	"context"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
)

type streamKind int

const (
	liveStream streamKind = iota
	logStream
)

// stream is one open subscription.
type stream struct {
	kind   streamKind
	path   string
	events chan streamMsg
	cancel context.CancelFunc
	tries  int
}

// streamMsg is one event of a stream, its end, or the time to open it again.
type streamMsg struct {
	of    *stream
	data  []byte
	err   error
	ended bool
	again bool
}

// link owns the goroutines that read streams: one a kind. Its maps are only
// touched by Update; the goroutines know their stream and its channel.
type link struct {
	ctx    context.Context
	client Client
	open   map[streamKind]*stream

	mu     sync.Mutex // guards closed, and that group grows only before it
	closed bool
	group  sync.WaitGroup
}

func newLink(ctx context.Context, c Client) *link {
	return &link{ctx: ctx, client: c, open: map[streamKind]*stream{}}
}

// subscribe ends the stream of this kind and opens another.
func (l *link) subscribe(kind streamKind, path string) tea.Cmd {
	l.drop(kind)
	s := &stream{kind: kind, path: path}
	l.open[kind] = s
	return l.start(s)
}

func (l *link) drop(kind streamKind) {
	if old := l.open[kind]; old != nil && old.cancel != nil {
		old.cancel()
	}
	delete(l.open, kind)
}

func (l *link) start(s *stream) tea.Cmd {
	ctx, cancel := context.WithCancel(l.ctx)
	s.cancel = cancel
	s.events = make(chan streamMsg, 8)
	events := s.events
	run := func() {
		defer l.group.Done()
		defer cancel()
		err := l.client.Stream(ctx, s.path, func(_, _ string, data []byte) error {
			select {
			case events <- streamMsg{of: s, data: append([]byte(nil), data...)}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		select {
		case events <- streamMsg{of: s, err: err, ended: true}:
		case <-ctx.Done():
		}
		close(events)
	}
	first := l.next(s)
	return func() tea.Msg {
		l.mu.Lock()
		if l.closed {
			l.mu.Unlock()
			return nil
		}
		l.group.Add(1)
		l.mu.Unlock()
		go run()
		return first()
	}
}

// next waits for the next event of a stream.
func (l *link) next(s *stream) tea.Cmd {
	events := s.events
	return func() tea.Msg {
		if msg, ok := <-events; ok {
			return msg
		}
		return nil
	}
}

// current says whether a stream is still the one of its kind.
func (l *link) current(s *stream) bool { return l.open[s.kind] == s }

// retry opens a stream again after a while that grows to five seconds.
func (l *link) retry(s *stream) tea.Cmd {
	wait := min(250*time.Millisecond<<min(s.tries, 5), 5*time.Second)
	s.tries++
	return tea.Tick(wait, func(time.Time) tea.Msg { return streamMsg{of: s, again: true} })
}

func (l *link) reopen(s *stream) tea.Cmd { return l.start(s) }

// wait returns when every reader has ended; the context must have.
func (l *link) wait() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.group.Wait()
}
