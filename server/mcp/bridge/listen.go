package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"paygate/server/mcp"
)

// ear is one subscriptions/listen of a client: it hears what the server tells
// outside calls on any conversation that is held for that client, and takes of
// it what was asked for.
type ear struct {
	asked gjson.Result
	uris  []string
	id    json.RawMessage
	tell  func(*mcp.Message)

	mu   sync.Mutex
	open bool // the subscription has been acknowledged
}

func (e *ear) hear(n *mcp.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open && e.wants(n) {
		e.tell(tagged(n, e.id))
	}
}

// announce gives every ear what a server told outside calls.
func (c *newer) announce(n *mcp.Message) {
	c.mu.Lock()
	ears := make([]*ear, 0, len(c.ears))
	for e := range c.ears {
		ears = append(ears, e)
	}
	c.mu.Unlock()
	for _, e := range ears {
		e.hear(n)
	}
}

// listen is subscriptions/listen before a server of the old era, which tells
// everything it has to tell and must be told which resources matter.
func (c *newer) listen(ctx context.Context, m *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	e := &ear{asked: gjson.GetBytes(m.Params, "notifications"), id: m.ID, tell: during}
	if !e.asked.IsObject() || during == nil {
		return nil, &mcp.Error{Code: mcp.CodeInvalidParams, Message: "params.notifications must say what to listen to"}
	}
	inner, err := c.talk(ctx, m)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.ears[e] = struct{}{}
	c.mu.Unlock()
	defer c.deafen(ctx, e, inner)
	granted := map[string]any{}
	caps := gjson.GetBytes(inner.Init.Result, "capabilities")
	for name, path := range listChanges() {
		if e.asked.Get(name).Bool() && caps.Get(path).Bool() {
			granted[name] = true
		}
	}
	for _, uri := range e.asked.Get("resourceSubscriptions").Array() {
		if !slices.Contains(e.uris, uri.Str) && c.watch(ctx, inner, uri.Str) {
			e.uris = append(e.uris, uri.Str)
		}
	}
	if len(e.uris) > 0 {
		granted["resourceSubscriptions"] = e.uris
	}
	e.mu.Lock()
	during(tagged(&mcp.Message{Method: "notifications/subscriptions/acknowledged", Params: quoted(map[string]any{"notifications": granted})}, m.ID))
	e.open = true
	e.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", mcp.ErrLost, ctx.Err())
	case <-inner.Done():
		return nil, mcp.ErrLost
	}
}

// watched is a resource subscribed to on one conversation.
type watched struct {
	on  *talk
	uri string
}

// watch subscribes to a resource for one more ear.
func (c *newer) watch(ctx context.Context, inner *talk, uri string) bool {
	at := watched{inner, uri}
	c.mu.Lock()
	c.watching[at]++
	c.mu.Unlock()
	res, err := inner.Call(ctx, &mcp.Message{ID: json.RawMessage(`"subscribe"`), Method: "resources/subscribe", Params: quoted(map[string]string{"uri": uri})}, nil)
	if err == nil && res.Error == nil {
		return true
	}
	c.unwatch(at)
	return false
}

// unwatch says whether nobody watches any more.
func (c *newer) unwatch(at watched) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watching[at]--; c.watching[at] > 0 {
		return false
	}
	delete(c.watching, at)
	return true
}

// deafen ends an ear, and the subscriptions that only it wanted.
func (c *newer) deafen(ctx context.Context, e *ear, inner *talk) {
	e.mu.Lock()
	e.open = false // what is under way reaches nobody any more
	e.mu.Unlock()
	c.mu.Lock()
	delete(c.ears, e)
	c.mu.Unlock()
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer stop()
	for _, uri := range e.uris {
		if c.unwatch(watched{inner, uri}) {
			// An error means that the server tells more than anybody wants.
			_, _ = inner.Call(ctx, &mcp.Message{ID: json.RawMessage(`"unsubscribe"`), Method: "resources/unsubscribe", Params: quoted(map[string]string{"uri": uri})}, nil)
		}
	}
}

// wants says whether a client asked for a message.
func (e *ear) wants(n *mcp.Message) bool {
	switch n.Method {
	case "notifications/tools/list_changed":
		return e.asked.Get("toolsListChanged").Bool()
	case "notifications/prompts/list_changed":
		return e.asked.Get("promptsListChanged").Bool()
	case "notifications/resources/list_changed":
		return e.asked.Get("resourcesListChanged").Bool()
	case "notifications/resources/updated":
		return slices.Contains(e.uris, gjson.GetBytes(n.Params, "uri").Str)
	}
	return false
}

// tagged names the subscription that a message belongs to.
func tagged(n *mcp.Message, id json.RawMessage) *mcp.Message {
	out := *n
	params := []byte(n.Params)
	if len(params) == 0 {
		params = []byte("{}")
	}
	out.Params = with(params, "_meta."+gjson.Escape(metaPrefix+"subscriptionId"), id)
	return &out
}
