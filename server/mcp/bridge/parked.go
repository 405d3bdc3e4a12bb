package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"paygate/server/mcp"
)

// parked is a call on a server of the old era whose questions a client of the
// new one answers in its next request.
type parked struct {
	inner  *talk
	cancel context.CancelFunc
	ended  chan struct{} // closed when result or err is there
	result *mcp.Message
	err    error
	since  time.Time
	wait   mcp.Wait // ends when the call does without an answer

	mu     sync.Mutex
	during func(*mcp.Message)      // of the round that waits; nil between rounds
	asked  map[string]*mcp.Message // by the name the client knows: questions without an answer
	names  int
	news   chan struct{} // one token: a question has come
}

// lot is where calls wait.
type lot struct {
	opts  Options
	mu    sync.Mutex
	calls map[string]*parked
}

// put keeps a call under a state; the oldest goes when there are too many, and
// those that nobody came back for.
func (l *lot) put(p *parked) string {
	id := newID(ownState)
	l.mu.Lock()
	defer l.mu.Unlock()
	p.since = l.opts.Now()
	oldest := ""
	for other, q := range l.calls {
		switch {
		case p.since.Sub(q.since) > l.opts.Keep:
			q.cancel()
			delete(l.calls, other)
		case oldest == "" || q.since.Before(l.calls[oldest].since):
			oldest = other
		}
	}
	if len(l.calls) >= l.opts.Parked && oldest != "" {
		l.calls[oldest].cancel()
		delete(l.calls, oldest)
	}
	l.calls[id] = p
	return id
}

func (l *lot) take(id string) *parked {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.calls[id]
	delete(l.calls, id)
	return p
}

// ask begins a call. It goes on over several requests of the client, so it has
// a life of its own.
func (c *newer) ask(ctx context.Context, inner *talk, m *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &parked{inner: inner, cancel: cancel, ended: make(chan struct{}), asked: map[string]*mcp.Message{}, news: make(chan struct{}, 1), during: during}
	var hear func(*mcp.Message) // nil for what no server asks about: it must not hide whom a question is for
	if questionable(m.Method) {
		hear = func(n *mcp.Message) { p.hear(life, m, n) }
	}
	go func() {
		defer cancel()
		p.result, p.err = inner.Call(life, request(m), hear)
		close(p.ended)
		if p.err != nil {
			p.wait.End()
		}
	}()
	return c.wait(ctx, p, m)
}

// hear takes what the server sends during the call.
func (p *parked) hear(ctx context.Context, m, n *mcp.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n.ID == nil || n.Method == "" {
		if p.during != nil && wants(m, n) {
			p.during(n)
		}
		return
	}
	if !declared(m, n.Method) {
		refuse := &mcp.Message{ID: n.ID, Error: &mcp.Error{Code: mcp.CodeNoMethod, Message: "the client has not declared this capability"}}
		_ = p.inner.Send(ctx, refuse) // a server that is gone ends the call itself
		return
	}
	p.names++
	p.asked[fmt.Sprintf("q%d", p.names)] = n
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// declared says whether a client can be asked this.
func declared(m *mcp.Message, method string) bool {
	name, known := capabilityFor(method)
	return known && meta(m, "clientCapabilities").Get(name).Exists()
}

// wait returns with the answer, or with what the server asks before it.
func (c *newer) wait(ctx context.Context, p *parked, m *mcp.Message) (*mcp.Message, error) {
	select {
	case <-p.ended:
	case <-p.news:
		gather := time.NewTimer(c.b.opts.Gather)
		defer gather.Stop()
		select {
		case <-p.ended:
		case <-gather.C:
			return c.questions(p, m), nil
		}
	case <-ctx.Done():
		p.cancel()
		return nil, fmt.Errorf("%w: %w", mcp.ErrLost, ctx.Err())
	}
	if p.err != nil {
		return nil, p.err
	}
	return c.answer(m, p.result), nil
}

// questions is the input_required answer; the call waits in the lot.
func (c *newer) questions(p *parked, m *mcp.Message) *mcp.Message {
	p.mu.Lock()
	requests := map[string]any{}
	for name, q := range p.asked {
		params := q.Params
		if params == nil {
			params = json.RawMessage("{}")
		}
		requests[name] = map[string]any{"method": q.Method, "params": params}
	}
	p.during = nil
	p.mu.Unlock()
	result := quoted(map[string]any{"resultType": "input_required", "inputRequests": requests, "requestState": c.b.lot.put(p)})
	return &mcp.Message{ID: m.ID, Result: result, Wait: &p.wait}
}

// goOn takes a parked call up with the client's replies.
func (c *newer) goOn(ctx context.Context, m *mcp.Message, state string, during func(*mcp.Message)) (*mcp.Message, error) {
	p := c.b.lot.take(state)
	if p == nil {
		return nil, &mcp.Error{Code: mcp.CodeInvalidParams, Message: "the call that this requestState belongs to has ended; call the tool anew"}
	}
	replies := gjson.GetBytes(m.Params, "inputResponses")
	p.mu.Lock()
	p.during = during
	var send []*mcp.Message
	for _, name := range slices.Sorted(maps.Keys(p.asked)) {
		if reply := replies.Get(gjson.Escape(name)); reply.IsObject() {
			send = append(send, &mcp.Message{ID: p.asked[name].ID, Result: json.RawMessage(reply.Raw)})
			delete(p.asked, name)
		}
	}
	left := len(p.asked)
	p.mu.Unlock()
	for _, reply := range send {
		// A server that no longer waits for a reply goes on without it, and one
		// that is gone ends the call itself.
		_ = p.inner.Send(ctx, reply)
	}
	if left > 0 { // a reply is missing: ask for it again
		return c.questions(p, m), nil
	}
	return c.wait(ctx, p, m)
}

// visitPage is the error by which a server of the old era sends the user to a
// web page before it goes on; the new era forbids it and has a question for it.
const visitPage = -32042

// visited is the state of a call whose client has been sent to a page.
const visited = "visited"

// visits asks a client of the new era to show the pages; its next round is the
// same call anew.
func visits(m, res *mcp.Message) (*mcp.Message, error) {
	if !meta(m, "clientCapabilities").Get("elicitation.url").Exists() {
		return nil, &mcp.Error{Code: mcp.CodeMissingCapability, Message: res.Error.Message, Data: json.RawMessage(`{"requiredCapabilities":{"elicitation":{"url":{}}}}`)}
	}
	requests := map[string]any{}
	for i, page := range gjson.GetBytes(res.Error.Data, "elicitations").Array() {
		params := map[string]string{"mode": "url", "url": page.Get("url").Str, "message": page.Get("message").Str}
		requests[fmt.Sprintf("q%d", i+1)] = map[string]any{"method": "elicitation/create", "params": params}
	}
	return &mcp.Message{ID: m.ID, Result: quoted(map[string]any{"resultType": "input_required", "inputRequests": requests, "requestState": visited})}, nil
}
