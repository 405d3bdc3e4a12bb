// Package bridge lets clients of the stateless revision 2026-07-28 use servers
// that only know initialize: requests lose what only the new revision knows,
// answers gain what it wants, and what a server asks during a call becomes an
// input_required answer whose next round carries the client's replies.
//
// It is a Backend around another one, and its conversations are Conns over
// Conns. It does not translate the other way: a client of an older revision
// before a server that only speaks the new one is refused at initialize.
package bridge

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"paygate/server/mcp"
)

// Options bound what parked calls may cost. Zero values take the defaults in
// brackets.
type Options struct {
	Now           func() time.Time
	Name, Version string        // of the gateway, towards servers
	Gather        time.Duration // how long to wait for a second question after the first (25 ms)
	Parked        int           // calls that wait for a client's replies; beyond, the oldest ends (1,000)
	Keep          time.Duration // how long such a call waits (10 min)
}

// Adapt makes a backend speak the new revision to clients that ask for it,
// whatever its servers speak.
func Adapt(inner mcp.Backend, o Options) mcp.Backend {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Gather == 0 {
		o.Gather = 25 * time.Millisecond
	}
	if o.Parked == 0 {
		o.Parked = 1000
	}
	if o.Keep == 0 {
		o.Keep = 10 * time.Minute
	}
	return &backend{inner: inner, opts: o, lot: &lot{opts: o, calls: map[string]*parked{}}}
}

type backend struct {
	inner mcp.Backend
	opts  Options
	lot   *lot
}

// Open gives the conversation that is asked for, bridged where the server is
// of the older era.
func (b *backend) Open(ctx context.Context, d mcp.Dial) (*mcp.Opened, error) {
	o, err := b.inner.Open(ctx, d)
	if err != nil || o.Modern || !d.Modern {
		return o, err
	}
	c := &conn{b: b, dial: d, first: o, byCaps: map[string]*mcp.Opened{}, done: make(chan struct{})}
	return &mcp.Opened{Conn: c, Modern: true, Init: o.Init}, nil
}

// conn speaks the new revision over conversations of the old one: one for each
// set of capabilities that clients declare, since servers fix what they offer
// by them when a conversation begins.
type conn struct {
	b     *backend
	dial  mcp.Dial
	first *mcp.Opened // lives as long as the conn: Done is its

	mu     sync.Mutex
	byCaps map[string]*mcp.Opened
	levels map[string]string // by capabilities, the log level that was set last
	closed bool
	done   chan struct{}
}

const metaPrefix = "io.modelcontextprotocol/"

func meta(m *mcp.Message, name string) gjson.Result {
	return gjson.GetBytes(m.Params, "_meta."+gjson.Escape(metaPrefix+name))
}

// inner is the conversation for what a request's client declares.
func (c *conn) inner(ctx context.Context, m *mcp.Message) (*mcp.Opened, error) {
	caps := meta(m, "clientCapabilities").Raw
	if caps == "" {
		caps = "{}"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.byCaps[caps]; o != nil {
		select {
		case <-o.Done():
		default:
			return o, nil
		}
	}
	info := meta(m, "clientInfo").Raw
	if info == "" {
		info = string(quoted(map[string]string{"name": c.b.opts.Name, "version": c.b.opts.Version}))
	}
	d := c.dial
	d.Modern = false
	d.Init = &mcp.Message{ID: json.RawMessage("1"), Method: "initialize",
		Params: json.RawMessage(`{"protocolVersion":"2025-11-25","capabilities":` + caps + `,"clientInfo":` + info + `}`)}
	o, err := c.b.inner.Open(ctx, d)
	if err == nil {
		c.byCaps[caps] = o
	}
	return o, err
}

// Call sends a request of the new revision.
func (c *conn) Call(ctx context.Context, m *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	if m.Method == "server/discover" {
		return c.discover(m), nil
	}
	if m.Method == "subscriptions/listen" {
		return c.listen(ctx, m, during)
	}
	if state := gjson.GetBytes(m.Params, "requestState"); strings.HasPrefix(state.Str, ownState) {
		return c.goOn(ctx, m, state.Str, during)
	}
	inner, err := c.inner(ctx, m)
	if err != nil {
		return nil, err
	}
	if err := c.setLevel(ctx, inner, m); err != nil {
		return nil, err
	}
	res, err := c.ask(ctx, inner, m, during)
	if errors.Is(err, mcp.ErrLost) && ctx.Err() == nil && !known(m.Method) {
		// Servers of the old era refuse a method that no revision has with a
		// bare HTTP status; the new era wants to be told in its words.
		return nil, &mcp.Error{Code: mcp.CodeNoMethod, Message: "method not found: " + m.Method}
	}
	return res, err
}

// known are the methods that a server of the old era may have.
func known(method string) bool {
	return slices.Contains([]string{"tools/list", "tools/call", "prompts/list", "prompts/get", "resources/list", "resources/templates/list", "resources/read",
		"completion/complete", "tasks/get", "tasks/list", "tasks/result", "tasks/cancel"}, method)
}

// Send passes notifications on; the new revision has none that matter here.
func (c *conn) Send(ctx context.Context, m *mcp.Message) error { return c.first.Send(ctx, m) }

// Done ends with the conversation that was opened first.
func (c *conn) Done() <-chan struct{} { return c.first.Done() }

// Close ends all conversations.
func (c *conn) Close() error {
	c.mu.Lock()
	open := c.byCaps
	c.byCaps, c.closed = map[string]*mcp.Opened{}, true
	c.mu.Unlock()
	err := c.first.Close()
	for _, o := range open {
		if e := o.Close(); err == nil {
			err = e
		}
	}
	return err
}

func quoted(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return text
}

// ownState begins the states of calls that wait here; others are the server's.
const ownState = "parked "

func newID() string { return ownState + rand.Text() }
