package lane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// together is how long the parts of a request may come after one another;
	// who takes longer is net/http's, which knows slow senders.
	together = 50 * time.Millisecond
	// quick is how long a request takes before somebody looks whether its client
	// is still there.
	quick = 50 * time.Millisecond
	// exact is by how much a connection may be idle for longer.
	exact = time.Second
)

// What a connection is doing.
const (
	idle int32 = iota
	busy
	ended
)

// conn is one connection. One goroutine serves it; while a request takes long,
// a second one waits for its client to go.
type conn struct {
	lane   *Lane
	rwc    net.Conn
	remote string
	line   string
	ctx    context.Context
	gone   context.CancelFunc
	state  atomic.Int32
	buf    []byte
	filled int
	usual  *http.Request // what all requests have alike
	answer response      // of the request under way
	until  time.Time     // the read deadline; zero: none
	timer  *time.Timer

	mu      sync.Mutex
	handled bool          // no request is under way
	looking chan struct{} // closed when nobody looks any more; nil: nobody looks
	early   []byte        // what came meanwhile
}

func newConn(l *Lane, rwc net.Conn) *conn {
	c := &conn{lane: l, rwc: rwc, remote: rwc.RemoteAddr().String(), line: "POST " + l.Path + " HTTP/1.1\r\n", buf: make([]byte, 2<<10), handled: true}
	ctx := context.WithValue(l.Base, http.LocalAddrContextKey, rwc.LocalAddr())
	c.ctx, c.gone = context.WithCancel(context.WithValue(ctx, http.ServerContextKey, l.Rest))
	c.usual = c.alike()
	return c
}

// serve is the life of the connection in the lane.
func (c *conn) serve() {
	defer c.lane.forget(c)
	defer c.gone()
	if c.requests() {
		_ = c.rwc.SetReadDeadline(time.Time{})
		c.lane.others.give(&again{c.rwc, c.buf[:c.filled]})
		return
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	_ = c.rwc.Close()
}

// requests serves one after another; it says whether net/http goes on.
func (c *conn) requests() (handOver bool) {
	for first := true; ; first = false {
		if c.filled == 0 && !c.await(first) {
			return false
		}
		r, is := parse(c.buf[:c.filled], c.line)
		for is == partial && c.more() {
			r, is = parse(c.buf[:c.filled], c.line)
		}
		if is != ordinary {
			return true
		}
		if !c.state.CompareAndSwap(idle, busy) {
			return false // the gateway ends
		}
		if !c.handle(&r) {
			return false
		}
		c.filled = copy(c.buf, c.buf[r.size:c.filled])
		c.state.Store(idle)
		if c.lane.ending.Load() {
			return false
		}
	}
}

// await waits for the first bytes of a request.
func (c *conn) await(first bool) bool {
	limit := c.lane.Idle
	if first {
		limit = c.lane.First
	}
	if now := time.Now(); limit > 0 && (first || c.until.Sub(now) < limit-min(exact, limit/8)) {
		c.until = now.Add(limit)
		_ = c.rwc.SetReadDeadline(c.until)
	}
	n, err := c.rwc.Read(c.buf)
	c.filled = n
	if first {
		c.until = time.Time{} // the next wait is another one
	}
	return n > 0 && (err == nil || errors.Is(err, io.EOF))
}

// more waits a moment for the rest of a request. Without it, the connection is
// net/http's.
func (c *conn) more() bool {
	if c.filled == len(c.buf) {
		if len(c.buf) >= mostRequest {
			return false
		}
		c.buf = append(c.buf, make([]byte, min(4*len(c.buf), mostRequest)-len(c.buf))...)
	}
	c.until = time.Time{}
	_ = c.rwc.SetReadDeadline(time.Now().Add(together))
	n, err := c.rwc.Read(c.buf[c.filled:])
	c.filled += n
	return err == nil
}

// handle answers one request; it says whether another one may follow.
func (c *conn) handle(r *request) (again bool) {
	in := r.http(c)
	w := c.answer.anew(c)
	defer func() {
		c.stopLooking()
		if p := recover(); p != nil {
			again = false
			if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				c.lane.Log.Error("a request failed", "panic", fmt.Sprint(p), "at", string(debug.Stack()))
			}
		}
	}()
	if c.filled == r.size { // else it has sent more, and only how that ends could be seen
		c.lookLater()
	}
	c.lane.Handler.ServeHTTP(w, in)
	return w.finish() && !w.last && c.ctx.Err() == nil
}

// lookLater has somebody look for the client if the request takes long.
func (c *conn) lookLater() {
	c.mu.Lock()
	c.handled = false
	c.mu.Unlock()
	if c.timer == nil {
		c.timer = time.AfterFunc(quick, c.look)
		return
	}
	c.timer.Reset(quick)
}

// look reads while a request is under way: nothing should come, and the end
// means that nobody waits for the answer.
func (c *conn) look() {
	c.mu.Lock()
	if c.handled || c.looking != nil {
		c.mu.Unlock()
		return
	}
	looking := make(chan struct{})
	c.looking = looking
	_ = c.rwc.SetReadDeadline(time.Time{})
	c.mu.Unlock()
	defer close(looking)
	var one [1]byte
	n, err := c.rwc.Read(one[:])
	c.mu.Lock()
	defer c.mu.Unlock()
	c.early = append(c.early, one[:n]...)
	if err != nil && !c.handled {
		c.gone()
	}
}

// stopLooking ends it, and takes what came.
func (c *conn) stopLooking() {
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Lock()
	c.handled = true
	looking := c.looking
	if looking != nil {
		_ = c.rwc.SetReadDeadline(time.Unix(1, 0))
	}
	c.mu.Unlock()
	if looking == nil {
		return
	}
	<-looking
	c.until = time.Time{}
	_ = c.rwc.SetReadDeadline(time.Time{})
	c.looking = nil
	if len(c.early) > 0 { // it follows what was read before
		c.buf = append(c.buf[:c.filled], c.early...)
		c.filled, c.early = len(c.buf), nil
		c.buf = c.buf[:cap(c.buf)]
	}
}

// endIfIdle closes the connection unless it has a request.
func (c *conn) endIfIdle() {
	if c.state.CompareAndSwap(idle, ended) {
		_ = c.rwc.Close()
	}
}

// body is one that has arrived.
type body struct{ rest []byte }

func (b *body) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *body) Close() error { return nil }
