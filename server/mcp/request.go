package mcp

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
)

// reply is the answer to one request: JSON if nothing comes before the final
// message and the client takes it, a stream otherwise.
type reply struct {
	e       *Endpoint
	stream  *stream
	streams bool // the client takes streams
	mu      sync.Mutex
	begun   chan struct{} // closed when the stream must begin
	started bool
	aside   func(*Message) // where messages go when there can be no stream
}

// emit sends a message before the final one.
func (p *reply) emit(m *Message) {
	if !p.streams {
		if p.aside != nil {
			p.aside(m)
		}
		return
	}
	p.mu.Lock()
	if !p.started {
		p.started = true
		close(p.begun)
	}
	p.mu.Unlock()
	p.stream.add(m, false, p.e.now())
}

func (p *reply) streaming() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.started
}

// request answers one legacy request, in a session or without.
func (e *Endpoint) request(w http.ResponseWriter, r *http.Request, caller Caller, s *session, m *Message) {
	if m.Method == "ping" {
		writeJSON(w, http.StatusOK, (&Message{ID: m.ID, Result: json.RawMessage("{}")}).Append(nil))
		return
	}
	p := &reply{e: e, streams: takesStreams(r), begun: make(chan struct{})}
	x := e.exchange(r, w, caller, m)
	x.Streaming = p.streaming
	ctx, cancel := context.WithCancel(r.Context())
	if s != nil {
		// A client that hangs up may resume: the call goes on in its session.
		ctx, cancel = context.WithCancel(s.ctx)
		p.stream, p.aside = s.stream(), s.other
		s.track(m.ID, cancel)
		x.Session, x.Revision = s.id, s.speaks()
	} else {
		p.stream = newStream(0, &e.limits)
	}
	x.Forward = e.forward(s, caller, p)
	header := make(http.Header) // the handler's until the answer begins: its goroutine may outlive this one
	x.Header = header
	done := make(chan *Message, 1)
	go func() {
		defer cancel()
		res := e.handle(ctx, x)
		if s != nil {
			s.untrack(m.ID)
		}
		p.stream.add(res, true, e.now())
		done <- res
	}()
	e.send(w, r, s, p, header, done)
}

// send writes the answer in the form that what comes first decides.
func (e *Endpoint) send(w http.ResponseWriter, r *http.Request, s *session, p *reply, header http.Header, done chan *Message) {
	select {
	case res := <-done:
		if !p.streaming() && (prefersJSON(r) || !p.streams) {
			for name, values := range header {
				w.Header()[name] = values
			}
			writeJSON(w, statusOf(p, res), res.Append(nil))
			return
		}
		for name, values := range header {
			w.Header()[name] = values
		}
	case <-p.begun:
	case <-r.Context().Done():
		return
	}
	ids := s != nil
	out, err := e.begin(w, p.stream, ids, ids && s.speaks() >= Rev1125)
	if err == nil {
		err = out.copy(r.Context(), p.stream, 0, nil)
	}
	if err != nil {
		e.log.Debug("a stream broke", "error", err)
	}
}

// statusOf is 200 for everything a legacy client's handler can say.
func statusOf(_ *reply, _ *Message) int { return http.StatusOK }

// forward reaches the server over the session's conversation, or a pooled one.
func (e *Endpoint) forward(s *session, caller Caller, p *reply) func(context.Context, *Message) (*Message, error) {
	return func(ctx context.Context, m *Message) (*Message, error) {
		if s == nil {
			return e.pooledCall(ctx, caller, false, m, p.emit)
		}
		conn, err := s.open(ctx)
		if err != nil {
			return nil, err
		}
		return conn.Call(ctx, m, p.emit)
	}
}

func (s *session) track(id json.RawMessage, cancel context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[string(id)] = cancel
	s.busy++
}

func (s *session) untrack(id json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, string(id))
	s.busy--
	s.last = s.e.now()
}

// batch answers several messages of 2025-03-26 together.
func (e *Endpoint) batch(w http.ResponseWriter, r *http.Request, caller Caller, s *session, messages []*Message) {
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
			p := &reply{e: e}
			x := e.exchange(r, w, caller, m)
			x.Header = make(http.Header)
			if s != nil {
				p.aside, x.Session, x.Revision = s.other, s.id, s.speaks()
			}
			x.Forward = e.forward(s, caller, p)
			answers[i] = e.handle(r.Context(), x)
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
