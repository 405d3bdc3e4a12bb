// Package lane serves the most ordinary requests of HTTP/1.1 with less work
// than net/http needs: a POST to one path with a short body that arrives whole.
// A connection on which anything else comes is handed to net/http, with every
// byte that was read, and stays there: what is unusual, slow, long or wrong is
// judged by net/http alone.
//
// It owns its connections until then: how long they may be idle, and that a
// client that has gone ends its request's context. It knows nothing of MCP.
package lane

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Lane is what requests are served with. Use it once.
type Lane struct {
	Path    string          // the one that it serves
	Handler http.Handler    // of it
	Base    context.Context // of every request
	Rest    *http.Server    // serves everything else
	Idle    time.Duration   // how long a connection may stay open between requests
	First   time.Duration   // how long until the first byte of the first
	Log     *slog.Logger

	mu     sync.Mutex
	conns  map[*conn]struct{}
	active sync.WaitGroup
	ending atomic.Bool
	others *passed
	accept net.Listener
	dated  atomic.Pointer[dated] // the Date of answers of this second
}

// dated is a rendered Date.
type dated struct {
	second int64
	line   []byte
}

// date is the line of an answer that leaves now.
func (l *Lane) date() []byte {
	now := time.Now()
	d := l.dated.Load()
	if d == nil || d.second != now.Unix() {
		d = &dated{now.Unix(), append(now.UTC().AppendFormat([]byte("Date: "), http.TimeFormat), "\r\n"...)}
		l.dated.Store(d)
	}
	return d.line
}

// Serve takes connections until Shutdown, when it returns http.ErrServerClosed,
// or until the listener breaks.
func (l *Lane) Serve(from net.Listener) error {
	l.mu.Lock()
	l.conns, l.accept = map[*conn]struct{}{}, from
	l.others = &passed{from: from, conns: make(chan net.Conn), closed: make(chan struct{})}
	l.mu.Unlock()
	served := make(chan error, 1)
	go func() { served <- l.Rest.Serve(l.others) }()
	for {
		rwc, err := from.Accept()
		if err == nil {
			l.begin(rwc)
			continue
		}
		if temporary(err) {
			<-time.After(5 * time.Millisecond) // as net/http: there may be files again in a moment
			continue
		}
		_ = l.others.Close()
		if rest := <-served; l.ending.Load() {
			if errors.Is(rest, net.ErrClosed) { // its listener ended before it was told to
				return http.ErrServerClosed
			}
			return rest
		}
		return err
	}
}

// temporary says that Accept may be tried again.
func temporary(err error) bool {
	n, ok := err.(interface{ Temporary() bool })
	return ok && n.Temporary()
}

func (l *Lane) begin(rwc net.Conn) {
	c := newConn(l, rwc)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ending.Load() {
		_ = rwc.Close()
		return
	}
	l.conns[c] = struct{}{}
	l.active.Go(c.serve)
}

func (l *Lane) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// Shutdown takes no more connections, closes the idle ones and waits for the
// requests under way; when ctx ends, it closes their connections too. The same
// goes for the Rest.
func (l *Lane) Shutdown(ctx context.Context) error {
	l.ending.Store(true)
	l.mu.Lock()
	if l.accept != nil {
		_ = l.accept.Close()
	}
	for c := range l.conns {
		c.endIfIdle()
	}
	l.mu.Unlock()
	done := make(chan struct{})
	go func() {
		l.active.Wait()
		close(done)
	}()
	err := l.Rest.Shutdown(ctx)
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
		l.Close()
		<-done
	}
	return err
}

// Close ends every connection at once.
func (l *Lane) Close() {
	l.mu.Lock()
	for c := range l.conns {
		c.gone()
		_ = c.rwc.Close()
	}
	l.mu.Unlock()
	_ = l.Rest.Close()
}

// passed is the listener of connections that are handed over.
type passed struct {
	from   net.Listener
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *passed) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *passed) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *passed) Addr() net.Addr { return p.from.Addr() }

// give hands a connection over; nobody takes it any more during a shutdown.
func (p *passed) give(c net.Conn) {
	select {
	case p.conns <- c:
	case <-p.closed:
		_ = c.Close()
	}
}

// again is a connection that first gives what was read from it before.
type again struct {
	net.Conn
	read []byte
}

func (a *again) Read(b []byte) (int, error) {
	if len(a.read) > 0 {
		n := copy(b, a.read)
		if a.read = a.read[n:]; len(a.read) == 0 {
			a.read = nil // a stream that stays open for days needs it no more
		}
		return n, nil
	}
	return a.Conn.Read(b)
}
