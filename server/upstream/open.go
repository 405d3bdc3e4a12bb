package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"paygate/server/mcp"
)

// Open gives a conversation with the server; see mcp.Backend.
//
// A modern server is shared by all. On a legacy one, keyless callers share the
// lobby, callers with a key share one conversation per key if that is enough
// for them, and get one of their own otherwise. Who gave Dial.Init sends
// notifications/initialized itself, before its first request or not at all:
// then it is sent for them.
func (s *server) Open(ctx context.Context, d mcp.Dial) (*mcp.Opened, error) {
	for try := 0; ; try++ {
		m, err := s.await(ctx)
		if err != nil {
			return nil, err
		}
		o, err := s.openOn(ctx, m, d)
		if try == 2 || !errors.Is(err, ErrEnded) {
			return o, err
		}
		// It broke while we joined; the next one is being started.
	}
}

func (s *server) openOn(ctx context.Context, m *main, d mcp.Dial) (*mcp.Opened, error) {
	s.mu.Lock()
	native := !m.modern || !d.Modern && !d.Shared && !s.onlyNew
	s.mu.Unlock()
	if !native {
		return s.join(m.link, m.about, true, d)
	}
	o, err := s.openLegacy(ctx, m, d)
	if err == nil || !m.modern || errors.Is(err, ErrBusy) || ctx.Err() != nil {
		return o, err
	}
	var rpc *mcp.Error
	if errors.As(err, &rpc) || errors.Is(err, errStateless) {
		s.mu.Lock()
		s.onlyNew = true
		s.mu.Unlock()
	}
	return s.join(m.link, m.about, true, d) // whatever became of initialize, the new era works
}

// errStateless: a server that speaks both eras keeps no sessions in the old
// one, so that all it might ask or tell would be lost.
var errStateless = errors.New("the server keeps no session")

func (s *server) openLegacy(ctx context.Context, m *main, d mcp.Dial) (*mcp.Opened, error) {
	switch {
	case (d.Caller == "" || s.spec.Isolation == IsolationShared) && !m.modern:
		about := *m.about
		about.Result = agreed(about.Result, d.Init)
		return s.join(m.link, &about, false, d)
	case d.Caller == "" || s.spec.Isolation == IsolationShared:
		return s.pooled(ctx, "lobby", "", d)
	case d.Shared:
		return s.pooled(ctx, poolKey(d), d.Caller, d)
	default:
		return s.ownConversation(ctx, m, d)
	}
}

// join adds a conversation to a link that others use too.
func (s *server) join(l link, about *mcp.Message, modern bool, d mcp.Dial) (*mcp.Opened, error) {
	v := newView(l, s, d.Other)
	if v == nil {
		return nil, ErrEnded
	}
	v.greeted, v.caller = true, d.Caller
	s.enlist(v, nil)
	return &mcp.Opened{Conn: v, Modern: modern, Init: about}, nil
}

// enlist remembers a conversation until it ends.
func (s *server) enlist(v *view, free func()) {
	s.mu.Lock()
	s.views[v] = struct{}{}
	v.used = s.opt.Now()
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		delete(s.views, v)
		s.mu.Unlock()
		if free != nil {
			free()
		}
	}
	v.mu.Lock()
	v.free = leave
	v.mu.Unlock()
	if v.ended() {
		leave() // it broke before it was entered
	}
}

// ownConversation starts a child, or an HTTP session, for one caller.
func (s *server) ownConversation(ctx context.Context, m *main, d mcp.Dial) (*mcp.Opened, error) {
	at, err := s.sit(d.Caller)
	if err != nil {
		return nil, err
	}
	l, about, err := s.dial(ctx, false, d.Init, false)
	if err == nil && m.modern && stateless(l) {
		l.close()
		err = errStateless
	}
	if err != nil {
		s.stand(at)
		return nil, s.explainCall(err)
	}
	v := newView(l, s, d.Other)
	if v == nil {
		s.stand(at)
		l.close()
		return nil, ErrEnded
	}
	v.own = true
	s.enlist(v, func() { s.stand(at) })
	if at != nil {
		s.seats.occupy(at, v.idle, func() bool {
			if !l.table().vacate() {
				return false
			}
			s.loops.Go(l.close)
			return true
		})
	}
	return &mcp.Opened{Conn: v, Init: about}, nil
}

// explainCall keeps a refusal of the server as it is, for the client to read,
// and makes all else a call without an answer.
func (s *server) explainCall(err error) error {
	var rpc *mcp.Error
	if errors.As(err, &rpc) || errors.Is(err, mcp.ErrLost) || errors.Is(err, errStateless) {
		return err
	}
	return &lostError{text: s.explain(err).Error(), cause: err}
}

// sit takes a seat for a child; sessions over HTTP cost none.
func (s *server) sit(key string) (*seat, error) {
	if s.spec.URL != "" {
		return nil, nil
	}
	return s.seats.take(key, s.spec.label())
}

func (s *server) stand(at *seat) {
	if at != nil {
		s.seats.free(at)
	}
}

// agreed answers a client of the lobby in the revision it asked for, if the
// lobby's server would have agreed to it too: the older one of both.
func agreed(result json.RawMessage, init *mcp.Message) json.RawMessage {
	if init == nil {
		return result
	}
	known := []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}
	want := text(init.Params, "protocolVersion")
	if !slices.Contains(known, want) || want > text(result, "protocolVersion") {
		return result
	}
	out, _ := splice(result, marshal(want), "protocolVersion")
	return out
}

// poolKey says who may share: the same principal that declared the same, since
// what a server offers depends on both.
func poolKey(d mcp.Dial) string {
	var params []byte
	if d.Init != nil {
		params = d.Init.Params
	}
	return fmt.Sprintf("%s\x00%x", d.Caller, sha256.Sum256(params))
}

// slot is one pooled conversation; whoever comes first opens it for all.
type slot struct {
	mu     sync.Mutex
	link   link
	about  *mcp.Message
	err    error
	opened chan struct{} // closed when link or err is there
	used   time.Time     // when somebody joined last
}

func (s *server) pooled(ctx context.Context, key, caller string, d mcp.Dial) (*mcp.Opened, error) {
	if err := s.makeRoom(key); err != nil {
		return nil, err
	}
	s.mu.Lock()
	sl := s.slots[key]
	if sl == nil || sl.broken() {
		sl = &slot{opened: make(chan struct{}), used: s.opt.Now()}
		s.slots[key] = sl
		init := d.Init
		if caller == "" {
			init = nil
		}
		s.loops.Go(func() { s.fill(sl, key, caller, init) })
	}
	s.mu.Unlock()
	select {
	case <-sl.opened:
	case <-ctx.Done():
		return nil, &lostError{text: s.spec.label() + ": the server is still starting", cause: ctx.Err()}
	}
	sl.mu.Lock()
	l, about, err := sl.link, sl.about, sl.err
	sl.used = s.opt.Now()
	sl.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if caller == "" {
		copied := *about
		copied.Result = agreed(about.Result, d.Init)
		about = &copied
	}
	return s.join(l, about, false, d)
}

// makeRoom ends the pooled HTTP session unused for longest if another one
// would be too many; children are counted by their seats.
func (s *server) makeRoom(key string) error {
	s.mu.Lock()
	_, there := s.slots[key]
	full := len(s.slots) >= s.opt.Limits.Pooled
	s.mu.Unlock()
	if there || !full || s.spec.URL == "" {
		return nil
	}
	var oldest *slot
	var since time.Time
	for _, sl := range s.openSlots() {
		if at, ok := sl.idle(); ok && (oldest == nil || at.Before(since)) {
			oldest, since = sl, at
		}
	}
	if oldest == nil || !s.retire(oldest) {
		return fmt.Errorf("%s: %w: all %d pooled sessions are in the middle of a call; try again in a moment", s.spec.label(), ErrBusy, s.opt.Limits.Pooled)
	}
	return nil
}

// fill opens the slot's conversation.
func (s *server) fill(sl *slot, key, caller string, init *mcp.Message) {
	defer close(sl.opened)
	ctx, stop := context.WithTimeout(until(s.quit), s.opt.Limits.Handshake) // others wait too: no caller's end may stop it
	defer stop()
	var at *seat
	var err error
	if caller != "" {
		at, err = s.sit(caller)
	}
	if err == nil {
		sl.link, sl.about, err = s.dial(ctx, false, init, true)
	}
	if err == nil && caller != "" {
		sl.link.table().belongsToOne()
	}
	s.mu.Lock()
	late, both := s.closed, s.era == modern
	s.mu.Unlock()
	if err == nil && both && stateless(sl.link) {
		sl.link.close()
		err = errStateless
	}
	if err == nil && late {
		sl.link.close()
		err = ErrEnded
	}
	if err == nil {
		err = sl.link.send(ctx, &mcp.Message{Method: "notifications/initialized"}, nil)
	}
	if err != nil {
		sl.mu.Lock()
		sl.err = s.explainCall(err)
		sl.mu.Unlock()
		s.stand(at)
		s.forget(key, sl)
		return
	}
	s.loops.Go(func() {
		<-sl.link.done()
		s.stand(at)
		s.forget(key, sl)
	})
	if at != nil {
		s.seats.occupy(at, sl.idle, func() bool { return s.retire(sl) })
	}
}

func (s *server) forget(key string, sl *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots[key] == sl {
		delete(s.slots, key)
	}
}

// broken says whether a slot's conversation is over.
func (sl *slot) broken() bool {
	select {
	case <-sl.opened:
	default:
		return false
	}
	if sl.err != nil {
		return true
	}
	select {
	case <-sl.link.done():
		return true
	default:
		return false
	}
}

// idle says since when no call has run on any conversation of the slot.
func (sl *slot) idle() (time.Time, bool) {
	sl.mu.Lock()
	since := sl.used
	sl.mu.Unlock()
	for _, v := range sl.link.table().all() {
		at, ok := v.idle()
		if !ok {
			return at, false
		}
		if at.After(since) {
			since = at
		}
	}
	return since, true
}

// retire ends a slot if no call runs on it.
func (s *server) retire(sl *slot) bool {
	if _, ok := sl.idle(); !ok {
		return false
	}
	if !sl.link.table().vacate() {
		return false
	}
	s.mu.Lock()
	maps.DeleteFunc(s.slots, func(_ string, each *slot) bool { return each == sl })
	s.mu.Unlock()
	s.loops.Go(sl.link.close)
	return true
}

func (sl *slot) close() {
	<-sl.opened
	if sl.link != nil {
		sl.link.close()
	}
}
