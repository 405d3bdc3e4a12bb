package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
)

// reply is the answer to one request: JSON if nothing comes before the final
// message and the client takes it, a stream otherwise. The request's goroutine
// waits in the handler; the first message before the final one starts another
// that writes the stream.
type reply struct {
	e       *Endpoint
	w       http.ResponseWriter
	r       *http.Request
	session *session       // nil: there is none, and the stream cannot be resumed
	aside   func(*Message) // where messages go when there can be no stream
	x       Exchange       // what is asked
	still   func() bool    // of what goes on for long: may its client have more? nil: it may
	giveUp  func()         // ends the request when it may not

	mu      sync.Mutex
	stream  *stream
	written chan struct{} // closed when the stream's writer has ended; nil: no stream
}

func (e *Endpoint) newReply(w http.ResponseWriter, r *http.Request, s *session, caller Caller, m *Message) *reply {
	p := &reply{e: e, w: w, r: r, session: s}
	p.x = Exchange{Caller: caller, Revision: Rev0326, Request: m, HTTP: r, SetHeader: p.setHeader, Streaming: p.streaming, Forward: p.forward}
	if s != nil {
		p.aside = s.other
		p.x.Session, p.x.Revision = s.id, s.speaks()
	}
	return p
}

func (p *reply) setHeader(name, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.w != nil && p.written == nil {
		p.w.Header().Set(name, value)
	}
}

// emit sends a message before the final one.
func (p *reply) emit(m *Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.w == nil || !takesStreams(p.r) {
		if p.aside != nil {
			p.aside(m)
		}
		return
	}
	p.begin()
	p.stream.add(m, false, p.e.now())
}

// begin starts the stream. Behind mu.
func (p *reply) begin() {
	if p.written != nil {
		return
	}
	if p.session != nil {
		p.stream = p.session.stream()
	} else {
		p.stream = p.e.newStream("")
	}
	p.written = make(chan struct{})
	go func() {
		defer close(p.written)
		ids := p.session != nil
		if !ids {
			defer p.stream.clear(true) // nobody can come back for the rest
		}
		out, err := p.e.begin(p.w, p.stream, ids, ids && p.session.speaks() >= Rev1125)
		if err == nil {
			out.still = p.still
			err = out.copy(p.r.Context(), p.stream, 0, nil)
		}
		if errors.Is(err, errBarred) {
			p.giveUp()
		}
		if err != nil {
			p.e.log.Debug("a stream broke", "error", err)
		}
	}()
}

// watch has a request that may go on for ever looked after: a call that was
// admitted ends as it began, what only listens ends with its key.
func (p *reply) watch(method string, caller Caller, giveUp func()) {
	if method == "subscriptions/listen" {
		p.still, p.giveUp = p.e.still(p.r, caller), giveUp
	}
}

func (p *reply) streaming() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.written != nil
}

// end sends the final message.
func (p *reply) end(res *Message, status int) {
	p.mu.Lock()
	if p.written == nil && (prefersJSON(p.r) || status != http.StatusOK || !takesStreams(p.r)) {
		w := p.w
		p.w = nil // what comes too late goes aside, and never into another request's answer
		p.mu.Unlock()
		p.e.writeLong(w, status, res.Append(nil))
		return
	}
	p.begin()
	p.mu.Unlock()
	p.stream.add(res, true, p.e.now())
	<-p.written
}

// request answers one legacy request, in a session or without.
func (e *Endpoint) request(w http.ResponseWriter, r *http.Request, caller Caller, s *session, m *Message) {
	if m.Method == "ping" {
		writeJSON(w, http.StatusOK, (&Message{ID: m.ID, Result: json.RawMessage("{}")}).Append(nil))
		return
	}
	p := e.newReply(w, r, s, caller, m)
	ctx, done := e.underway(r)
	defer done()
	if s != nil {
		// A client that hangs up may resume: the call goes on in its session.
		ctx, done = context.WithCancel(s.ctx)
		defer done()
		if !s.track(m.ID, done) {
			e.refuse(w, r, caller, m, http.StatusOK, &Error{Code: codeBusy, Message: fmt.Sprintf("this session has %d requests under way, which is as many as may; wait for some, or cancel them", e.limits.Pending)})
			return
		}
		defer s.untrack(m.ID)
	}
	p.watch(m.Method, caller, done)
	p.end(e.handle(ctx, &p.x), http.StatusOK)
}

// forward reaches the server over the session's conversation, or a pooled one.
func (p *reply) forward(ctx context.Context, m *Message) (*Message, error) {
	if p.session == nil {
		return p.e.pooledCall(ctx, p.x.Caller, false, m, p.emit)
	}
	res, err := anew(func() (*Message, error) {
		conn, err := p.session.open(ctx)
		if err != nil {
			return nil, err
		}
		return conn.Call(ctx, m, p.emit)
	})
	if err == nil && res.Error == nil && setting(m.Method) {
		p.session.set(m)
	}
	return res, err
}

// anew sends once more what found its conversation ended before it was sent.
func anew(send func() (*Message, error)) (*Message, error) {
	res, err := send()
	if errors.Is(err, ErrUnsent) {
		return send()
	}
	return res, err
}

// track enters a request of the session; false when it has too many. They go
// on when their client hangs up, so connections do not bound them.
func (s *session) track(id json.RawMessage, cancel context.CancelFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending >= s.e.limits.Pending {
		return false
	}
	s.calls[string(id)] = cancel
	s.pending++
	s.busy++
	return true
}

func (s *session) untrack(id json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, string(id))
	s.pending--
	s.busy--
	s.last = s.e.now()
}

// batch answers several messages of 2025-03-26 together.
func (e *Endpoint) batch(w http.ResponseWriter, r *http.Request, caller Caller, s *session, messages []*Message) {
	ctx, done := e.underway(r)
	defer done()
	answers := make([]*Message, len(messages))
	var wg sync.WaitGroup
	for i, m := range messages {
		if m.Method == "" || m.ID == nil {
			e.accept(r.Context(), s, m)
			continue
		}
		wg.Go(func() {
			if m.Method == "ping" {
				answers[i] = &Message{ID: m.ID, Result: json.RawMessage("{}")}
				return
			}
			answers[i] = e.handle(ctx, &e.newReply(nil, r, s, caller, m).x)
		})
	}
	wg.Wait()
	body := []byte{'['}
	for _, a := range answers {
		if a == nil {
			continue
		}
		if len(body) > 1 {
			body = append(body, ',')
		}
		body = a.Append(body)
	}
	if len(body) == 1 {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	writeJSON(w, http.StatusOK, append(body, ']'))
}
