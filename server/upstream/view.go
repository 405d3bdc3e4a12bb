package upstream

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"paygate/server/mcp"
)

// link is a connection to a server in one era: a child, or an HTTP session.
type link interface {
	table() *routes
	post(ctx context.Context, c *call, m *mcp.Message, params json.RawMessage) error // sends a request; its answer comes by the table
	cancel(c *call, reason string)                                                   // tells the server, and ends what the transport holds for the call
	send(ctx context.Context, m *mcp.Message, id json.RawMessage) error              // sends what has no answer
	done() <-chan struct{}
	close()
}

// view is one conversation on a link, alone there or with others.
type view struct {
	link   link
	srv    *server // for counting; nil in the handshake
	other  *inbox  // nil: nobody listens
	own    bool    // closing the view closes the link
	caller string  // whose it is; empty: nobody's in particular
	free   func()  // gives back what the view occupies

	mu      sync.Mutex
	used    time.Time // when the last call ended, or the conversation began
	busy    int
	closing bool // no call may begin any more
	greeted bool // the server has had notifications/initialized

	once  sync.Once
	gone  chan struct{}
	loops sync.WaitGroup
}

// newView attaches a conversation to a link; nil when the link has ended.
func newView(l link, s *server, other func(*mcp.Message)) *view {
	v := &view{link: l, srv: s, gone: make(chan struct{})}
	if other != nil {
		v.other = newInbox(l.table().max)
	}
	if !l.table().attach(v) {
		return nil
	}
	if other != nil {
		v.loops.Go(func() { v.listen(other) })
	}
	return v
}

func (v *view) listen(other func(*mcp.Message)) {
	for {
		select {
		case <-v.other.wake:
			msgs, _ := v.other.take()
			for _, m := range msgs {
				other(m)
			}
		case <-v.gone:
			return
		}
	}
}

// Call sends a request and waits for its answer; see mcp.Conn.
func (v *view) Call(ctx context.Context, m *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	if t := v.link.table(); m.Method == listen && t.hub != nil && t.hub.takes(m) {
		if v.ended() {
			return nil, ErrEnded
		}
		return t.hub.listen(ctx, m, during)
	}
	return v.do(ctx, m, during)
}

func (v *view) do(ctx context.Context, m *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	if !v.enter() {
		return nil, ErrEnded
	}
	defer v.leave()
	if err := v.greet(ctx, m.Method); err != nil {
		return nil, err
	}
	t := v.link.table()
	if t.shared && strings.HasSuffix(m.Method, "subscribe") && t.subscribe(v, m) {
		return &mcp.Message{ID: m.ID, Result: json.RawMessage("{}")}, nil
	}
	c, params, err := t.begin(v, m, during != nil)
	if err != nil {
		return nil, err
	}
	defer t.end(c)
	defer v.count(c)()
	if err := v.link.post(ctx, c, m, params); err != nil {
		if ctx.Err() != nil {
			v.link.cancel(c, reason(ctx))
			return nil, v.given(ctx)
		}
		return nil, err
	}
	res, err := v.wait(ctx, c, during)
	if err != nil && v.srv != nil && ctx.Err() == nil {
		v.srv.log.Info("call lost", "method", m.Method, "error", Detail(err))
	}
	if h, ok := v.link.(*httpLink); ok && err == nil && res.Error == nil {
		h.note(m.Method, m.Params)
	}
	return res, err
}

// enter says whether a call may begin; until leave, the conversation is busy.
func (v *view) enter() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closing || v.ended() {
		return false
	}
	v.busy++
	return true
}

func (v *view) leave() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.busy--
	if v.srv != nil {
		v.used = v.srv.opt.Now()
	}
}

// greet says initialized before the first real request when the client has
// not: one whose session is revived may not know that it must.
func (v *view) greet(ctx context.Context, method string) error {
	v.mu.Lock()
	known := v.greeted || method == "initialize" || method == "ping"
	v.greeted = v.greeted || !known
	v.mu.Unlock()
	if known {
		return nil
	}
	err := v.link.send(ctx, &mcp.Message{Method: "notifications/initialized"}, nil)
	if err != nil {
		v.mu.Lock()
		v.greeted = false
		v.mu.Unlock()
	}
	return err
}

func (v *view) wait(ctx context.Context, c *call, during func(*mcp.Message)) (*mcp.Message, error) {
	for {
		select {
		case <-c.wake:
		case <-ctx.Done():
			v.link.cancel(c, reason(ctx))
			return nil, v.given(ctx)
		case <-v.gone: // evicted, or the link broke: the inbox knows which
			c.finish(nil, &lostError{text: "the conversation with the MCP server was ended while the call ran"})
		}
		msgs, over := c.take()
		for _, m := range msgs {
			during(m)
		}
		if over {
			return c.outcome()
		}
	}
}

// count keeps the figures of the server true.
func (v *view) count(c *call) (stop func()) {
	if v.srv == nil || c.method == listen {
		return func() {}
	}
	began := v.srv.opt.Now()
	v.srv.flying.Add(1)
	return func() {
		v.srv.flying.Add(-1)
		v.srv.figures.add(v.srv.opt.Now().Sub(began), c)
	}
}

// given says that the caller gave up.
func (v *view) given(ctx context.Context) error {
	return &lostError{text: "the call was given up before the server answered: " + reason(ctx), cause: ctx.Err()}
}

func reason(ctx context.Context) string {
	if err := context.Cause(ctx); err != nil {
		return err.Error()
	}
	return ""
}

// Send sends a notification or an answer; see mcp.Conn.
func (v *view) Send(ctx context.Context, m *mcp.Message) error {
	if v.ended() {
		return ErrEnded
	}
	t := v.link.table()
	if m.Method == "" {
		if theirs := t.reply(v, m.ID); theirs != nil {
			return v.link.send(ctx, m, theirs)
		}
		return fmt.Errorf("answer to %s: the server has asked nothing under this id, or no longer waits", m.ID)
	}
	switch m.Method {
	case "notifications/cancelled":
		return v.cancelled(m)
	case "notifications/initialized":
		v.mu.Lock()
		known := v.greeted
		v.greeted = true
		v.mu.Unlock()
		if known {
			return nil // said once, by the gateway, for all who share
		}
	case "notifications/roots/list_changed":
		if t.shared {
			return nil // it is true of one of many
		}
	}
	return v.link.send(ctx, m, nil)
}

// cancelled passes on a cancellation with its reason, to the call it means.
func (v *view) cancelled(m *mcp.Message) error {
	id := lookup(m.Params, "requestId")
	t := v.link.table()
	t.mu.Lock()
	var c *call
	for _, each := range t.calls {
		if each.view == v && string(each.clientID) == string(id) {
			c = each
		}
	}
	t.mu.Unlock()
	if c != nil {
		v.link.cancel(c, text(m.Params, "reason"))
	}
	return nil
}

func (v *view) Done() <-chan struct{} { return v.gone }

func (v *view) ended() bool {
	select {
	case <-v.gone:
		return true
	default:
		return false
	}
}

// end makes the conversation over without waiting for anything.
func (v *view) end() {
	v.once.Do(func() {
		close(v.gone)
		v.link.table().detach(v)
		v.mu.Lock()
		free := v.free
		v.mu.Unlock()
		if free != nil {
			free()
		}
	})
}

// Close ends the conversation; what is its own ends with it.
func (v *view) Close() error {
	v.end()
	if v.own {
		v.link.close()
	}
	v.loops.Wait()
	return nil
}

// idle says since when nothing runs, and whether nothing does.
func (v *view) idle() (time.Time, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.used, v.busy == 0
}
