package mcp

import (
	"context"
	"fmt"
	"time"
)

// Calls without a session share a conversation with others of their caller.

type poolKey struct {
	caller string
	modern bool
}

type pooled struct {
	conn   *Opened
	err    error
	opened chan struct{} // closed when conn or err is there
	last   time.Time
	busy   int
}

const poolIdle = 5 * time.Minute

// borrow gives a shared conversation; give it back.
func (e *Endpoint) borrow(ctx context.Context, key poolKey, d Dial) (*pooled, error) {
	e.pool.Lock()
	p := e.pool.conns[key]
	if p != nil && p.conn != nil {
		select {
		case <-p.conn.Done():
			delete(e.pool.conns, key)
			p = nil
		default:
		}
	}
	if p == nil {
		return e.openPooled(ctx, key, d)
	}
	p.busy++
	e.pool.Unlock()
	select {
	case <-p.opened:
	case <-ctx.Done():
		e.giveBack(p)
		return nil, fmt.Errorf("%w: %w", ErrLost, ctx.Err())
	}
	if p.err != nil {
		return nil, p.err
	}
	return p, nil
}

// openPooled opens a conversation for all who come meanwhile. It unlocks the
// pool.
func (e *Endpoint) openPooled(ctx context.Context, key poolKey, d Dial) (*pooled, error) {
	p := &pooled{opened: make(chan struct{}), busy: 1, last: e.now()}
	e.pool.conns[key] = p
	e.pool.Unlock()
	conn, err := e.backend.Open(context.WithoutCancel(ctx), d)
	e.pool.Lock()
	p.conn, p.err = conn, err
	if err != nil {
		delete(e.pool.conns, key)
	}
	e.pool.Unlock()
	close(p.opened)
	return p, err
}

func (e *Endpoint) giveBack(p *pooled) {
	e.pool.Lock()
	p.busy--
	p.last = e.now()
	e.pool.Unlock()
}

// pooledCall forwards a call that has no session.
func (e *Endpoint) pooledCall(ctx context.Context, caller Caller, modern bool, m *Message, emit func(*Message)) (*Message, error) {
	key := poolKey{caller: caller.ID, modern: modern}
	return anew(func() (*Message, error) {
		p, err := e.borrow(ctx, key, Dial{Caller: caller.ID, Modern: modern, Shared: true})
		if err != nil {
			return nil, err
		}
		defer e.giveBack(p)
		if p.conn.Modern != modern {
			return nil, unsupported(Rev1125, []string{Modern})
		}
		return p.conn.Call(ctx, m, emit)
	})
}

// Ask sends a request of the gateway's own in a caller's name: in its session,
// if that still goes on, or on a conversation that its calls share.
func (e *Endpoint) Ask(ctx context.Context, caller, session string, modern bool, m *Message) (*Message, error) {
	if s := e.living(session); s != nil && !modern {
		conn, err := s.open(ctx)
		if err != nil {
			return nil, err
		}
		return conn.Call(ctx, m, nil)
	}
	return e.pooledCall(ctx, Caller{ID: caller}, modern, m, nil)
}

func (e *Endpoint) living(session string) *session {
	e.sessions.mu.Lock()
	defer e.sessions.mu.Unlock()
	return e.sessions.byID[session]
}

func (e *Endpoint) sweepPool() {
	now := e.now()
	e.pool.Lock()
	defer e.pool.Unlock()
	for key, p := range e.pool.conns {
		if p.busy == 0 && p.conn != nil && now.Sub(p.last) >= poolIdle {
			delete(e.pool.conns, key)
			e.release(p.conn)
		}
	}
	for key, kept := range e.pool.headers {
		if now.Sub(kept.at) >= toolHeadersTTL {
			delete(e.pool.headers, key)
		}
	}
}

func (e *Endpoint) closePool() {
	e.pool.Lock()
	defer e.pool.Unlock()
	for key, p := range e.pool.conns {
		delete(e.pool.conns, key)
		if p.conn != nil {
			e.release(p.conn)
		}
	}
}
