package server

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// perAddress lets one address have so many connections of a listener. What is
// beyond is told so and closed, before it costs more than that.
type perAddress struct {
	net.Listener
	most int

	mu      sync.Mutex
	open    map[string]int // by vicinity
	telling chan struct{}  // room for those that are being told
	told    sync.WaitGroup
}

// mostTold is how many connections are told at a time why they are closed;
// others are just closed.
const mostTold = 64

func limitPerAddress(l net.Listener, most int) *perAddress {
	return &perAddress{Listener: l, most: most, open: map[string]int{}, telling: make(chan struct{}, mostTold)}
}

// Accept gives the next connection that its address may have.
func (l *perAddress) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := c.RemoteAddr().String()
		if both, err := netip.ParseAddrPort(from); err == nil {
			from = vicinity(both.Addr().Unmap())
		}
		if l.enter(from) {
			return &addressed{Conn: c, leave: sync.OnceFunc(func() { l.exit(from) })}, nil
		}
		l.refuse(c)
	}
}

// Close ends the listener, and waits for those that are being told.
func (l *perAddress) Close() error {
	err := l.Listener.Close()
	l.told.Wait()
	return err
}

func (l *perAddress) enter(from string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[from] >= l.most {
		return false
	}
	l.open[from]++
	return true
}

func (l *perAddress) exit(from string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[from]--; l.open[from] <= 0 {
		delete(l.open, from)
	}
}

const tooManyConnections = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 145\r\n\r\n" +
	`{"error":"Too many connections from this address; close some. Behind a reverse proxy all come from its address: raise maxConnectionsPerAddress."}`

// refuse says why, and reads what has been sent already, so that the answer is
// not lost with it.
func (l *perAddress) refuse(c net.Conn) {
	select {
	case l.telling <- struct{}{}:
	default:
		_ = c.Close() // there is nobody to tell
		return
	}
	l.told.Go(func() {
		defer func() { <-l.telling }()
		defer c.Close()
		const patience = 500 * time.Millisecond
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(c, tooManyConnections); err != nil {
			return
		}
		if half, ok := c.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(c, mostBody))
	})
}

// addressed is a connection that counts for its address until it is closed.
type addressed struct {
	net.Conn
	leave func()
}

// Close ends the connection.
func (c *addressed) Close() error {
	c.leave()
	return c.Conn.Close()
}
