package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// post takes a message, or in 2025-03-26 a batch of them.
func (e *Endpoint) post(w http.ResponseWriter, r *http.Request) {
	body, status, err := e.read(w, r)
	if err != nil {
		e.refuse(w, r, e.handler.Identify(r), nil, status, err)
		return
	}
	messages, batch, err := Parse(body, e.limits.Depth)
	if err != nil {
		e.refuse(w, r, e.handler.Identify(r), nil, http.StatusBadRequest, err)
		return
	}
	caller := e.handler.Identify(r)
	if modernRequest(r, messages[0]) {
		if batch {
			e.refuse(w, r, caller, nil, http.StatusBadRequest, &Error{Code: CodeInvalidRequest, Message: "this revision has no batches; send one message a request"})
			return
		}
		e.postModern(w, r, caller, messages[0])
		return
	}
	e.postLegacy(w, r, caller, messages, batch)
}

// read takes the body, within its limits.
func (e *Endpoint) read(w http.ResponseWriter, r *http.Request) ([]byte, int, error) {
	if !isJSON(r.Header.Get("Content-Type")) {
		return nil, http.StatusUnsupportedMediaType, &Error{Code: CodeInvalidRequest, Message: "Content-Type must be application/json"}
	}
	if how := r.Header.Get("Content-Encoding"); how != "" && how != "identity" {
		w.Header().Set("Accept-Encoding", "identity")
		return nil, http.StatusUnsupportedMediaType, &Error{Code: CodeInvalidRequest, Message: "the body is compressed, which this gateway does not take; send it without Content-Encoding"}
	}
	tooBig := &Error{Code: CodeInvalidRequest, Message: fmt.Sprintf("the body is larger than %d bytes", e.limits.Body)}
	if r.ContentLength > e.limits.Body {
		w.Header().Set("Connection", "close")
		return nil, http.StatusRequestEntityTooLarge, tooBig
	}
	body, err := ReadBody(w, r, e.limits.Body, e.limits.Send)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, http.StatusRequestEntityTooLarge, tooBig
	case err != nil:
		return nil, http.StatusRequestTimeout, &Error{Code: CodeInvalidRequest, Message: "the body did not arrive in time or was cut off"}
	}
	return body, 0, nil
}

func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

// postLegacy takes messages of a client that keeps a session, or of one that
// just calls.
func (e *Endpoint) postLegacy(w http.ResponseWriter, r *http.Request, caller Caller, messages []*Message, batch bool) {
	first := messages[0]
	begins := func(m *Message) bool { return m.Method == "initialize" }
	switch {
	case batch && slices.ContainsFunc(messages, begins):
		e.refuse(w, r, caller, nil, http.StatusBadRequest, &Error{Code: CodeInvalidRequest, Message: "initialize must not be part of a batch"})
		return
	case begins(first) && first.ID != nil:
		e.initialize(w, r, caller, first)
		return
	}
	id := r.Header.Get("Mcp-Session-Id")
	var s *session
	if id != "" {
		var err error
		if s, err = e.find(r.Context(), id, caller); err != nil {
			e.refuse(w, r, caller, first, http.StatusNotFound, noSession())
			return
		}
		defer s.leave()
	}
	switch {
	case batch && !batches(s, r):
		e.refuse(w, r, caller, nil, http.StatusBadRequest, &Error{Code: CodeInvalidRequest, Message: "batches were part of revision 2025-03-26 only; send one message a request"})
	case batch:
		e.batch(w, r, caller, s, messages)
	case first.ID != nil && first.Method != "":
		e.request(w, r, caller, s, first)
	default:
		e.accept(r.Context(), s, first)
		w.WriteHeader(http.StatusAccepted)
	}
}

func batches(s *session, r *http.Request) bool {
	if v := r.Header.Get(versionHeader); v != "" {
		return v == Rev0326
	}
	return s == nil || s.speaks() == Rev0326
}

func (s *session) speaks() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision
}

func noSession() *Error {
	return &Error{Code: CodeInvalidRequest, Message: "no such session: it has ended, or belongs to another key; send initialize"}
}

// refuse answers with an error and lets the handler know.
func (e *Endpoint) refuse(w http.ResponseWriter, r *http.Request, caller Caller, m *Message, status int, err error) {
	var id json.RawMessage
	if m != nil {
		id = m.ID
	}
	fail(w, status, id, err)
	var rpc *Error
	if errors.As(err, &rpc) {
		e.handler.Refused(caller, r, m, rpc)
	}
}

// accept takes a notification, or the answer to a server's question. A request
// without an id is neither: nobody has judged it, and a server might do it.
func (e *Endpoint) accept(ctx context.Context, s *session, m *Message) {
	if s == nil || m.Method != "" && !strings.HasPrefix(m.Method, "notifications/") {
		return // nothing it could be about
	}
	if m.Method == "notifications/cancelled" {
		var p struct {
			RequestID json.RawMessage `json:"requestId"`
		}
		if json.Unmarshal(m.Params, &p) == nil {
			s.mu.Lock()
			cancel := s.calls[string(p.RequestID)]
			s.mu.Unlock()
			if cancel != nil {
				cancel()
				return
			}
		}
	}
	conn, err := s.open(ctx)
	if err == nil {
		err = conn.Send(ctx, m)
	}
	if err != nil {
		e.log.Debug("a notification did not reach the server", "method", m.Method, "error", err)
	}
}

// mostHello bounds, in bytes, what initialize may say: a session keeps it, in
// memory and on disk, and nobody has paid for it.
const mostHello = 32 << 10

// initialize begins a session.
func (e *Endpoint) initialize(w http.ResponseWriter, r *http.Request, caller Caller, m *Message) {
	if n := len(m.Params) + len(m.ID); n > mostHello {
		e.refuse(w, r, caller, m, http.StatusBadRequest, &Error{Code: CodeInvalidRequest, Message: fmt.Sprintf("initialize has %d bytes; at most %d are accepted", n, mostHello)})
		return
	}
	if e.admit != nil {
		if wait := e.admit(r); wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
			e.refuse(w, r, caller, m, http.StatusTooManyRequests, &Error{Code: CodeInvalidRequest, Message: "Too many sessions created; try again later"})
			return
		}
	}
	id, err := e.newID()
	if err != nil {
		fail(w, http.StatusInternalServerError, m.ID, err)
		return
	}
	s := e.newSession(id, caller, m)
	s.mu.Lock()
	s.busy++
	s.mu.Unlock()
	defer s.leave()
	x := &Exchange{Caller: caller, Revision: Rev0326, Session: id, Request: m, HTTP: r, SetHeader: w.Header().Set, Streaming: never}
	x.Forward = func(ctx context.Context, m *Message) (*Message, error) {
		conn, err := s.open(ctx)
		if err != nil {
			return nil, err
		}
		return conn.Init, nil
	}
	ctx, done := e.underway(r)
	defer done()
	res := e.handle(ctx, x)
	if res.Error != nil {
		s.end(false)
		writeJSON(w, http.StatusOK, res.Append(nil))
		return
	}
	s.mu.Lock()
	s.save()
	s.mu.Unlock()
	w.Header().Set("Mcp-Session-Id", id)
	answer(w, r, res)
}

// answer sends a message alone, in the form that the client prefers.
func answer(w http.ResponseWriter, r *http.Request, m *Message) {
	if prefersJSON(r) {
		writeJSON(w, http.StatusOK, m.Append(nil))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache, no-transform")
	w.WriteHeader(http.StatusOK)
	_, _ = fmt.Fprintf(w, "event: message\ndata: %s\n\n", m.Append(nil))
}

// prefersJSON says whether a plain answer may be JSON: unless the client takes
// streams only, or names them first.
func prefersJSON(r *http.Request) bool {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	sse := strings.Index(accept, "text/event-stream")
	if sse < 0 {
		return true
	}
	plain := strings.Index(accept, "application/json")
	return plain >= 0 && plain < sse
}

// takesStreams says whether the client can be sent more than the answer.
func takesStreams(r *http.Request) bool {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	return strings.Contains(accept, "text/event-stream") || accept == "" || strings.Contains(accept, "*/*")
}

func never() bool { return false }

// handle asks the Handler and makes whatever comes a message with the
// request's id.
func (e *Endpoint) handle(ctx context.Context, x *Exchange) *Message {
	e.calls.Add(1)
	defer e.calls.Done()
	res, err := e.handler.Handle(ctx, x)
	if err == nil && res == nil {
		err = errors.New("the handler gave no answer")
	}
	if err == nil {
		answered := *res
		answered.ID, answered.Method, answered.Params = x.Request.ID, "", nil
		return &answered
	}
	var rpc *Error
	if !errors.As(err, &rpc) {
		e.log.Error("a request failed", "method", x.Request.Method, "error", err)
		rpc = &Error{Code: CodeInternal, Message: "internal error"}
	}
	return &Message{ID: x.Request.ID, Error: rpc}
}
