package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// stream is a sequence of events for one client: the answer to one POST, or
// what a session's GET gets. It keeps what it may have to send again, within
// bounds: a reader that stays behind loses the oldest, and is told by being
// cut off.
type stream struct {
	name   string // by which clients resume it: <life>-<number>
	limits *Limits
	shelf  *shelf // of the endpoint

	mu     sync.Mutex
	events []event
	bytes  int
	next   int // number of the next event
	lost   int // events below this number are gone
	read   int // the last event written to a client
	aged   int // what had been written when settled was called last
	over   bool
	closed bool // nothing is kept any more
	ended  time.Time
	wake   chan struct{} // closed when something changes
}

type event struct {
	n    int
	data []byte
}

func (e *Endpoint) newStream(name string) *stream {
	return &stream{name: name, limits: &e.limits, shelf: &e.shelf, next: 1, lost: 1, wake: make(chan struct{})}
}

// add appends a message; final ends the stream.
func (s *stream) add(m *Message, final bool, now time.Time) {
	if !s.put(m, final, now) {
		return
	}
	if final {
		s.shelf.finished(s)
	}
	s.shelf.settle(s)
}

// put is add within the stream's own bounds. It says whether the stream took
// the message.
func (s *stream) put(m *Message, final bool, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.closed {
		return false
	}
	if m != nil {
		data := m.Append(nil)
		s.events = append(s.events, event{s.next, data})
		s.next++
		s.bytes += len(data)
		s.shelf.kept.Add(int64(len(data)))
		for len(s.events) > 1 && (len(s.events) > s.limits.LogEvents || s.bytes > s.limits.LogBytes) {
			s.drop()
		}
	}
	if final {
		s.over, s.ended = true, now
	}
	close(s.wake)
	s.wake = make(chan struct{})
	return true
}

// drop forgets the oldest event. Behind mu.
func (s *stream) drop() {
	n := len(s.events[0].data)
	s.bytes -= n
	s.shelf.kept.Add(-int64(n))
	s.lost = s.events[0].n + 1
	s.events[0].data = nil
	s.events = s.events[1:]
}

// shrink forgets the oldest events but the last while there are too many in
// all.
func (s *stream) shrink(tooMuch func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.events) > 1 && tooMuch() {
		s.drop()
	}
}

// clear forgets all events; with forever, also those that still come.
func (s *stream) clear(forever bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.events) > 0 {
		s.drop()
	}
	s.events = nil
	s.closed = s.closed || forever
}

func (s *stream) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events) == 0
}

// settled forgets what had been written to a client when it was called last:
// nobody who lost a connection has waited for so long to come back.
func (s *stream) settled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.events) > 0 && s.events[0].n <= s.aged {
		s.drop()
	}
	s.aged = s.read
}

// mostAtOnce is how many bytes of events a reader takes at a time, beyond the
// first: what it has taken the stream cannot forget.
const mostAtOnce = 256 << 10

// after gives the events above n, whether some of them are gone, whether the
// stream is over, and what to wait for when there is nothing.
func (s *stream) after(n int) (events []event, gap, over bool, wake chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bytes := 0
	for _, e := range s.events {
		if e.n <= n {
			continue
		}
		if bytes += len(e.data); bytes > mostAtOnce && len(events) > 0 {
			break
		}
		events = append(events, e)
	}
	return events, n+1 < s.lost, s.over, s.wake
}

// wrote notes that a client has been sent the events up to n.
func (s *stream) wrote(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = max(s.read, n)
}

// unwrote takes back what wrote noted: the client did not get the event n.
func (s *stream) unwrote(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read == n {
		s.read = n - 1
	}
}

// unread is where a reader begins that does not say what it has seen.
func (s *stream) unread() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.read, s.lost-1)
}

// forget drops what a client that cannot resume has been sent.
func (s *stream) forget(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.events) > 0 && s.events[0].n <= n {
		s.drop()
	}
}

// from is where a reader goes on that has seen the events up to n: those that
// are gone it will not get.
func (s *stream) from(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(n, s.lost-1)
}

// spent says whether the stream has ended and a reader that has seen the events
// up to n would get nothing more.
func (s *stream) spent(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over && n >= s.next-1
}

func (s *stream) done() (bool, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over, s.ended
}

// eventID and parseEventID are how a client names the last event it saw. The
// name of a stream tells the lives of a session apart, which begin to count
// anew: a gateway that was restarted must not take an id for one of its own.
func (s *stream) eventID(n int) string { return s.name + "_" + strconv.Itoa(n) }

func parseEventID(id string) (name string, n int, ok bool) {
	name, number, cut := strings.Cut(id, "_")
	n, err := strconv.Atoi(number)
	_, _, dash := strings.Cut(name, "-")
	return name, n, cut && dash && err == nil && n >= 0
}

// sseWriter writes a stream to one HTTP answer.
type sseWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	limits  *Limits
	ids     bool        // the client may resume: events carry ids
	still   func() bool // asked before anything is sent: may the client have it? nil: yes
}

// errBarred ends a stream whose client may have no more of it.
var errBarred = errors.New("its key works no more")

// begin sends the headers, and the priming event where the client knows it.
func (e *Endpoint) begin(w http.ResponseWriter, s *stream, ids, prime bool) (*sseWriter, error) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	out := &sseWriter{w: w, control: http.NewResponseController(w), limits: &e.limits, ids: ids}
	w.WriteHeader(http.StatusOK)
	if prime {
		return out, out.write("id: " + s.eventID(0) + "\ndata: \n\n")
	}
	return out, out.flush()
}

// copy sends everything above n until the stream is over, the client is gone
// or stop is closed.
func (o *sseWriter) copy(ctx context.Context, s *stream, n int, stop <-chan struct{}) error {
	quiet := time.NewTicker(o.limits.KeepAlive)
	defer quiet.Stop()
	for {
		events, gap, over, wake := s.after(n)
		if len(events) > 0 && o.barred() {
			return errBarred
		}
		if gap && o.ids && n > 0 {
			return fmt.Errorf("stream %s: events after %d are no longer kept", s.name, n)
		}
		for _, ev := range events {
			s.wrote(ev.n) // before the client can have it and come again
			if err := o.event(s, ev); err != nil {
				s.unwrote(ev.n)
				return err
			}
			n = ev.n
		}
		if !o.ids {
			s.forget(n)
		}
		if over && len(events) == 0 {
			return nil
		}
		if len(events) > 0 {
			quiet.Reset(o.limits.KeepAlive)
			continue
		}
		select {
		case <-wake:
		case <-quiet.C:
			if o.barred() {
				return errBarred
			}
			if err := o.write(": keep-alive\n\n"); err != nil {
				return err
			}
		case <-stop:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (o *sseWriter) barred() bool { return o.still != nil && !o.still() }

func (o *sseWriter) event(s *stream, ev event) error {
	var b strings.Builder
	b.Grow(len(ev.data) + 64)
	b.WriteString("event: message\n")
	if o.ids {
		b.WriteString("id: " + s.eventID(ev.n) + "\n")
	}
	b.WriteString("data: ")
	b.Write(ev.data)
	b.WriteString("\n\n")
	return o.write(b.String())
}

func (o *sseWriter) write(text string) error {
	if err := patient(o.w, o.control, []byte(text), o.limits.Write); err != nil {
		return err
	}
	return o.flush()
}

func (o *sseWriter) flush() error {
	err := o.control.Flush()
	_ = o.control.SetWriteDeadline(time.Time{})
	return err
}

// patient writes in pieces, each of which the client must take in a while: a
// slow one gets what is long, one that does not read at all holds it no longer.
func patient(w io.Writer, control *http.ResponseController, text []byte, each time.Duration) error {
	const piece = 64 << 10
	for len(text) > 0 {
		// A server that cannot set deadlines (a test recorder) has none.
		_ = control.SetWriteDeadline(time.Now().Add(each))
		n, err := w.Write(text[:min(piece, len(text))])
		if err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}
