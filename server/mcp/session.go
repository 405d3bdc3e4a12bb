package mcp

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
)

// SessionStore keeps what a session needs to be revived after a restart.
type SessionStore interface {
	SaveSession(id, caller string, init []byte) error
	LoadSession(id string) (caller string, init []byte, ok bool)
	DeleteSession(id string) error
}

// session is one legacy client's conversation.
type session struct {
	id     string
	e      *Endpoint
	init   *Message // as the client sent it
	cancel context.CancelFunc
	ctx    context.Context // ends with the session; calls outlive their HTTP request in it

	mu       sync.Mutex
	caller   string // principal; empty until a key is shown
	conn     *Opened
	opening  chan struct{} // closed when conn or the failure is there
	revision string
	settings settings
	calls    map[string]context.CancelFunc // by the client's id
	life     string                        // tells this life of the session from those before a restart
	streams  map[string]*stream            // by name
	get      *stream
	getStop  chan struct{} // closed when another GET takes over
	gets     int           // streams by GET
	numbers  int
	busy     int // requests and streams
	pending  int // of them, requests under way
	last     time.Time
	pruned   time.Time // when the standing stream was
	ended    bool
}

// sessions are all of them.
type sessions struct {
	mu   sync.Mutex
	byID map[string]*session
}

// standingStream ends the name of the stream that a session's GET reads.
const standingStream = "-0"

var errNoSession = errors.New("no such session")

func (e *Endpoint) newID() (string, error) {
	raw := make([]byte, 16)
	if _, err := io.ReadFull(e.rand, raw); err != nil {
		return "", fmt.Errorf("session id: %w", err)
	}
	return "mcp_sess_" + hex.EncodeToString(raw), nil
}

// newSession makes room and enters a session, unless it is there.
func (e *Endpoint) newSession(id string, caller Caller, init *Message) *session {
	ctx, cancel := context.WithCancel(e.life)
	now := e.now()
	life := strconv.FormatInt(now.UnixMilli(), 36)
	s := &session{id: id, e: e, init: init, ctx: ctx, cancel: cancel, caller: caller.ID, calls: map[string]context.CancelFunc{},
		life: life, streams: map[string]*stream{}, get: e.newStream(life + standingStream), last: now, revision: Rev0326}
	if asked := revisionAsked(init); IsLegacy(asked) {
		s.revision = asked // until the server has agreed to one
	}
	e.sessions.mu.Lock()
	if known := e.sessions.byID[id]; known != nil { // two requests revive it at once
		e.sessions.mu.Unlock()
		cancel()
		return known
	}
	e.sessions.byID[id] = s
	idlest := e.sessions.overfull(e.limits.Sessions)
	e.sessions.mu.Unlock()
	if idlest != nil {
		e.log.Info("too many sessions: the one idle for longest ends", "session", idlest.id)
		idlest.end(false)
	}
	return s
}

// overfull picks the session that goes when there are too many. Behind mu.
func (ss *sessions) overfull(most int) *session {
	if len(ss.byID) <= most {
		return nil
	}
	var idlest *session
	for _, s := range ss.byID {
		s.mu.Lock()
		better := s.busy == 0 && (idlest == nil || s.last.Before(idlest.last))
		s.mu.Unlock()
		if better {
			idlest = s
		}
	}
	if idlest != nil {
		delete(ss.byID, idlest.id)
	}
	return idlest
}

// find gives the caller's session, reviving one that an earlier process knew.
// A session of somebody else does not exist for this caller.
func (e *Endpoint) find(ctx context.Context, id string, caller Caller) (*session, error) {
	e.sessions.mu.Lock()
	s := e.sessions.byID[id]
	e.sessions.mu.Unlock()
	if s == nil {
		s = e.revive(id)
	}
	if s == nil {
		return nil, errNoSession
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return nil, errNoSession
	case s.caller == "" && caller.ID != "": // begun keyless: it belongs to the first key it shows
		s.caller = caller.ID
		if s.conn != nil {
			s.e.release(s.conn)
			s.conn = nil
		}
		s.save()
	case s.caller != caller.ID:
		return nil, errNoSession
	}
	s.busy++
	s.last = e.now()
	return s, nil
}

// leave ends what find began.
func (s *session) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	s.last = s.e.now()
}

func (e *Endpoint) revive(id string) *session {
	if e.store == nil {
		return nil
	}
	caller, raw, ok := e.store.LoadSession(id)
	if !ok {
		return nil
	}
	messages, _, err := Parse(raw, e.limits.Depth)
	if err != nil || len(messages) == 0 {
		return nil
	}
	s := e.newSession(id, Caller{ID: caller}, messages[0])
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range messages[1:] {
		s.settings.keep(m)
	}
	return s
}

// save remembers the session on disk. Behind mu.
func (s *session) save() {
	if s.e.store == nil {
		return
	}
	if err := s.e.store.SaveSession(s.id, s.caller, s.settings.append(s.init)); err != nil {
		s.e.log.Warn("a session cannot be kept over a restart", "session", s.id, "error", err)
	}
}

// open gives the session's conversation with the server, beginning it, or
// beginning it again when it has ended: the client does not notice.
func (s *session) open(ctx context.Context) (*Opened, error) {
	for {
		s.mu.Lock()
		if s.ended {
			s.mu.Unlock()
			return nil, errNoSession
		}
		if s.conn != nil {
			select {
			case <-s.conn.Done():
				s.conn = nil
			default:
				conn := s.conn
				s.mu.Unlock()
				return conn, nil
			}
		}
		if wait := s.opening; wait != nil {
			s.mu.Unlock()
			select {
			case <-wait:
				continue
			case <-ctx.Done():
				return nil, fmt.Errorf("%w: %w", ErrLost, ctx.Err())
			}
		}
		done := make(chan struct{})
		s.opening = done
		caller, set := s.caller, s.settings.all()
		s.mu.Unlock()
		conn, err := s.e.backend.Open(ctx, Dial{Caller: caller, Init: s.init, Other: s.other})
		if err == nil && conn.Modern {
			s.e.release(conn)
			err = unsupported(revisionAsked(s.init), []string{Modern})
		}
		if err == nil {
			s.tell(ctx, conn, set)
		}
		s.mu.Lock()
		s.opening = nil
		if err == nil {
			s.conn = conn
			if rev := revisionOf(conn.Init); rev != "" {
				s.revision = rev
			}
		}
		s.mu.Unlock()
		close(done)
		return conn, err
	}
}

// other gets what the server sends outside calls: it goes to the GET stream,
// or waits there, within bounds, until the client asks.
func (s *session) other(m *Message) { s.get.add(m, false, s.e.now()) }

// stream opens a stream that can be resumed.
func (s *session) stream() *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.numbers++
	st := s.e.newStream(s.life + "-" + strconv.Itoa(s.numbers))
	s.streams[st.name] = st
	return st
}

// prune forgets the streams that have ended long ago, and what clients have
// been sent long ago of those that go on.
func (s *session) prune(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, st := range s.streams {
		over, at := st.done()
		switch {
		case !over:
			st.settled()
		case now.Sub(at) >= s.e.limits.Resumable:
			st.clear(true)
			delete(s.streams, name)
		}
	}
	if now.Sub(s.pruned) >= s.e.limits.Resumable {
		s.get.settled()
		s.pruned = now
	}
}

// end ends the session; forget also makes it unknown after a restart.
func (s *session) end(forget bool) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	conn, streams := s.conn, s.streams
	s.conn, s.streams = nil, map[string]*stream{}
	s.mu.Unlock()
	// On disk first: whoever finds it no more must not find it there.
	if forget && s.e.store != nil {
		if err := s.e.store.DeleteSession(s.id); err != nil {
			s.e.log.Warn("a session cannot be forgotten", "session", s.id, "error", err)
		}
	}
	s.e.sessions.mu.Lock()
	if s.e.sessions.byID[s.id] == s {
		delete(s.e.sessions.byID, s.id)
	}
	s.e.sessions.mu.Unlock()
	s.cancel()
	s.get.add(nil, true, s.e.now())
	s.get.clear(true)
	for _, st := range streams {
		st.clear(true)
	}
	if conn != nil {
		s.e.release(conn)
	}
}

// release closes a conversation without anybody waiting for it.
func (e *Endpoint) release(conn *Opened) {
	e.loops.Go(func() {
		if err := conn.Close(); err != nil {
			e.log.Debug("closing a conversation", "error", err)
		}
	})
}

// sweep ends sessions that nobody has used for long.
func (e *Endpoint) sweep() {
	now := e.now()
	e.sessions.mu.Lock()
	all := slices.Collect(maps.Values(e.sessions.byID))
	e.sessions.mu.Unlock()
	for _, s := range all {
		s.mu.Lock()
		idle := s.busy == 0 && now.Sub(s.last) >= e.limits.Idle
		s.mu.Unlock()
		if idle {
			s.end(true)
			continue
		}
		s.prune(now)
	}
}

// revisionAsked is the protocol version that an initialize request names.
func revisionAsked(init *Message) string {
	var p struct {
		ProtocolVersion string `json:"protocolVersion"`
	}
	if json.Unmarshal(init.Params, &p) != nil {
		return ""
	}
	return p.ProtocolVersion
}

// revisionOf is the protocol version that an initialize answer agrees to.
func revisionOf(init *Message) string {
	if init == nil {
		return ""
	}
	var r struct {
		ProtocolVersion string `json:"protocolVersion"`
	}
	if json.Unmarshal(init.Result, &r) != nil {
		return ""
	}
	return r.ProtocolVersion
}
