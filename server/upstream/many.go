package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"paygate/server/mcp"
)

// many is one conversation with several servers, told apart by prefixes. The
// conversations with the single servers are opened when they are needed, and
// again when they have ended: a sick server hurts no other.
type many struct {
	all    *Servers
	dial   mcp.Dial
	modern bool
	gone   chan struct{}
	once   sync.Once
	bell   *bell // nil: nobody listens

	mu       sync.Mutex
	parts    map[*server]*part
	asks     map[uint64]manyAsk
	last     uint64
	settings []setting // what the client has set and servers have taken
}

// part is the conversation with one of the servers.
type part struct {
	mu  sync.Mutex // held while it opens
	now *mcp.Opened
}

// manyAsk is a request of one server that the client has not answered.
type manyAsk struct {
	conn mcp.Conn
	id   json.RawMessage
}

// bell tells a conversation that what the servers offer has changed.
type bell struct {
	ring func(from *server, method string)
}

// refusal is a request that cannot be sent anywhere: its sender gets a proper
// JSON-RPC error, and no call has happened.
type refusal struct{ rpc *mcp.Error }

func (e *refusal) Error() string   { return e.rpc.Message }
func (e *refusal) Unwrap() []error { return []error{e.rpc, mcp.ErrLost} }

func refuse(code int, format string, args ...any) error {
	return &refusal{&mcp.Error{Code: code, Message: fmt.Sprintf(format, args...)}}
}

// openMany begins a conversation with all servers. It waits for those that
// start, and goes on without those that are down.
func (s *Servers) openMany(ctx context.Context, d mcp.Dial) (*mcp.Opened, error) {
	m := &many{all: s, dial: d, modern: d.Modern, gone: make(chan struct{}), parts: map[*server]*part{}, asks: map[uint64]manyAsk{}}
	known, sick := s.abouts(ctx)
	if s.opt.Adapt == nil {
		m.modern = len(known) > 0
		for _, k := range known {
			m.modern = m.modern && k.main.modern
		}
	}
	if len(known) == 0 {
		return nil, &lostError{text: "no MCP server is up: " + joined(sick)}
	}
	o := &mcp.Opened{Conn: m, Modern: m.modern, Init: &mcp.Message{ID: json.RawMessage("0")}}
	if d.Init != nil {
		o.Init.ID = d.Init.ID
	}
	o.Init.Result = m.about(known, sick)
	if d.Other != nil {
		m.bell = &bell{m.changed}
		s.hang(m.bell)
	}
	return o, nil
}

// ringAll tells all conversations that what the servers offer has changed.
func (s *Servers) ringAll() {
	for _, method := range []string{"notifications/tools/list_changed", "notifications/prompts/list_changed", "notifications/resources/list_changed"} {
		s.ring(nil, method)
	}
}

func (s *Servers) ring(from *server, method string) {
	s.mu.Lock()
	bells := slices.Collect(maps.Keys(s.bells))
	s.mu.Unlock()
	for _, b := range bells {
		b.ring(from, method)
	}
}

// changed passes on what a server says of its lists, if no conversation of our
// own with it says the same. Modern clients hear by subscriptions/listen.
func (m *many) changed(from *server, method string) {
	if m.modern {
		return
	}
	if from != nil {
		m.mu.Lock()
		open := m.parts[from] != nil
		m.mu.Unlock()
		if open {
			return
		}
	}
	m.dial.Other(&mcp.Message{Method: method})
}

// part gives the conversation with one server, opening it if need be.
func (m *many) part(ctx context.Context, srv *server) (*mcp.Opened, error) {
	m.mu.Lock()
	p := m.parts[srv]
	if p == nil {
		p = &part{}
		m.parts[srv] = p
	}
	m.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-m.gone:
		return nil, ErrEnded
	default:
	}
	if p.now != nil {
		select {
		case <-p.now.Done():
			p.now = nil
		default:
			return p.now, nil
		}
	}
	o, err := m.open(ctx, srv)
	if err != nil {
		return nil, err
	}
	p.now = o
	m.tell(ctx, srv, o)
	return o, nil
}

func (m *many) open(ctx context.Context, srv *server) (*mcp.Opened, error) {
	d := m.dial
	d.Modern = m.modern
	var box struct {
		mu   sync.Mutex
		conn mcp.Conn
	}
	if d.Other != nil {
		box.mu.Lock() // what comes before we have the conversation waits
		defer box.mu.Unlock()
		d.Other = func(n *mcp.Message) {
			box.mu.Lock()
			conn := box.conn
			box.mu.Unlock()
			if conn != nil {
				m.dial.Other(m.lend(conn, n))
			}
		}
	}
	var backend mcp.Backend = srv
	if m.all.opt.Adapt != nil {
		backend = m.all.opt.Adapt(srv)
	}
	o, err := backend.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	if o.Modern != m.modern {
		_ = o.Close() // nothing has run on it
		return nil, &lostError{text: srv.spec.label() + ": the server does not speak the revision of this conversation, and nothing translates"}
	}
	box.conn = o.Conn
	return o, nil
}

// lend gives a server's request an id of ours, since two servers may use the
// same.
func (m *many) lend(conn mcp.Conn, n *mcp.Message) *mcp.Message {
	if n.Method == "" || n.ID == nil {
		return n
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	m.asks[m.last] = manyAsk{conn, n.ID}
	lent := *n
	lent.ID = appendID(m.last)
	return &lent
}

// forward sends a request to one server. It is sent again on a new
// conversation only when the old one had ended before it was sent.
func (m *many) forward(ctx context.Context, srv *server, req *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	for try := 0; ; try++ {
		o, err := m.part(ctx, srv)
		if err != nil {
			return nil, err
		}
		hear := during
		var lent []*mcp.Message
		if during != nil {
			hear = func(n *mcp.Message) {
				mine := m.lend(o.Conn, n)
				if mine != n {
					lent = append(lent, mine)
				}
				during(mine)
			}
		}
		res, err := o.Call(ctx, req, hear)
		m.forget(lent)
		if err == nil && res.Error == nil {
			m.keep(srv, req)
		}
		if try > 0 || !errors.Is(err, ErrEnded) {
			return res, err
		}
	}
}

// forget drops what was asked during a call that is over.
func (m *many) forget(lent []*mcp.Message) {
	if len(lent) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range lent {
		if id, ok := number(n.ID); ok {
			delete(m.asks, id)
		}
	}
}

// Send sends a notification to whom it concerns, or an answer back to the
// server that asked; see mcp.Conn.
func (m *many) Send(ctx context.Context, n *mcp.Message) error {
	if n.Method == "" {
		id, ok := number(n.ID)
		m.mu.Lock()
		a, known := m.asks[id]
		delete(m.asks, id)
		m.mu.Unlock()
		if !ok || !known {
			return fmt.Errorf("answer to %s: no server has asked anything under this id, or it no longer waits", n.ID)
		}
		back := *n
		back.ID = a.id
		return a.conn.Send(ctx, &back)
	}
	var errs []error
	for _, o := range m.opened() {
		errs = append(errs, o.Send(ctx, n))
	}
	return errors.Join(errs...)
}

// opened are the conversations that are open.
func (m *many) opened() []*mcp.Opened {
	m.mu.Lock()
	parts := slices.Collect(maps.Values(m.parts))
	m.mu.Unlock()
	var open []*mcp.Opened
	for _, p := range parts {
		p.mu.Lock()
		if p.now != nil {
			open = append(open, p.now)
		}
		p.mu.Unlock()
	}
	return open
}

// Done is closed by Close only: the parts come and go.
func (m *many) Done() <-chan struct{} { return m.gone }

// Close ends the conversations with all servers.
func (m *many) Close() error {
	m.once.Do(func() { close(m.gone) })
	m.all.unhang(m.bell)
	var errs []error
	for _, o := range m.opened() {
		errs = append(errs, o.Close())
	}
	return errors.Join(errs...)
}
