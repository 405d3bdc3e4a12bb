package mcp

import (
	"io"
	"net/http"
	"strings"
)

// get opens a session's standing stream, or resumes a stream that broke.
func (e *Endpoint) get(w http.ResponseWriter, r *http.Request) {
	id, caller := r.Header.Get("Mcp-Session-Id"), e.handler.Identify(r)
	if v := r.Header.Get("MCP-Protocol-Version"); id == "" || v != "" && !IsLegacy(v) || !takesStreams(r) {
		w.Header().Set("Allow", "POST")
		e.refuse(w, r, caller, nil, http.StatusMethodNotAllowed, &Error{Code: CodeInvalidRequest, Message: "GET opens the event stream of a session: it needs Mcp-Session-Id and Accept: text/event-stream"})
		return
	}
	s, err := e.find(r.Context(), id, caller)
	if err != nil {
		e.refuse(w, r, caller, nil, http.StatusNotFound, noSession())
		return
	}
	defer s.leave()
	if caller.Barred {
		e.refuse(w, r, caller, nil, http.StatusForbidden, &Error{Code: CodeInvalidRequest, Message: "this key is suspended"})
		return
	}
	if !s.beginGet(e.limits.Streams) {
		e.refuse(w, r, caller, nil, http.StatusConflict, &Error{Code: CodeInvalidRequest, Message: "this session has as many streams as it may; close one first"})
		return
	}
	defer s.endGet()
	st, n := s.get, s.get.unread()
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		name, seen, ok := parseEventID(last)
		if !ok {
			e.refuse(w, r, caller, nil, http.StatusBadRequest, &Error{Code: CodeInvalidRequest, Message: "Last-Event-ID is not an id of this server"})
			return
		}
		if st, n = s.resume(name, seen); st == nil || st != s.get && st.spent(n) {
			w.WriteHeader(http.StatusNoContent) // to a reader of events: do not come back
			return
		}
	}
	stop := s.standing(st)
	if _, err := s.open(r.Context()); err != nil {
		e.log.Debug("a stream waits for its server", "session", id, "error", err)
	}
	out, err := e.begin(w, st, true, s.speaks() >= Rev1125 && r.Header.Get("Last-Event-ID") == "")
	if err == nil {
		out.still = e.still(r, caller)
		err = out.copy(r.Context(), st, n, stop)
	}
	if err != nil {
		e.log.Debug("a stream ended", "session", id, "error", err)
	}
}

// still asks again who sent a request that goes on for long: its key may have
// been revoked, rotated or suspended since.
func (e *Endpoint) still(r *http.Request, was Caller) func() bool {
	return func() bool {
		now := e.handler.Identify(r)
		return now.ID == was.ID && !now.Barred
	}
}

// resume finds the stream that an event id names, or none: then nothing of it
// can come any more. The standing stream of a life before this one goes on as
// this one's.
func (s *session) resume(name string, seen int) (*stream, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch st := s.streams[name]; {
	case st != nil:
		return st, st.from(seen)
	case name == s.get.name:
		return s.get, s.get.from(seen)
	case strings.HasSuffix(name, standingStream):
		return s.get, s.get.unread()
	}
	return nil, 0
}

// beginGet and endGet count a session's streams by GET.
func (s *session) beginGet(most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gets >= most {
		return false
	}
	s.gets++
	return true
}

func (s *session) endGet() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets--
}

// standing makes the new reader of the GET stream the only one: the older is a
// connection that its client has given up.
func (s *session) standing(st *stream) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st != s.get {
		return nil
	}
	if s.getStop != nil {
		close(s.getStop)
	}
	s.getStop = make(chan struct{})
	return s.getStop
}

// delete ends a session at its client's wish.
func (e *Endpoint) delete(w http.ResponseWriter, r *http.Request) {
	id, caller := r.Header.Get("Mcp-Session-Id"), e.handler.Identify(r)
	if v := r.Header.Get("MCP-Protocol-Version"); v != "" && !IsLegacy(v) {
		w.Header().Set("Allow", "POST")
		e.refuse(w, r, caller, nil, http.StatusMethodNotAllowed, &Error{Code: CodeInvalidRequest, Message: "this revision has no sessions to end"})
		return
	}
	if id == "" {
		e.refuse(w, r, caller, nil, http.StatusBadRequest, &Error{Code: CodeInvalidRequest, Message: "Mcp-Session-Id is missing"})
		return
	}
	s, err := e.find(r.Context(), id, caller)
	if err != nil {
		e.refuse(w, r, caller, nil, http.StatusNotFound, noSession())
		return
	}
	s.leave()
	s.end(true)
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"message":"Session ended"}`) // an error means that the client has gone
}
