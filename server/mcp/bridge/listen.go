package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/tidwall/gjson"

	"paygate/server/mcp"
)

// listen is subscriptions/listen over a conversation of the old era: it hears
// what the server tells outside calls, and tags what the client asked for.
func (c *conn) listen(ctx context.Context, m *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	asked := gjson.GetBytes(m.Params, "notifications")
	uris := map[string]bool{}
	for _, uri := range asked.Get("resourceSubscriptions").Array() {
		uris[uri.Str] = true
	}
	var mu sync.Mutex
	acknowledged := false
	hear := func(n *mcp.Message) {
		mu.Lock()
		defer mu.Unlock()
		if acknowledged && listens(asked, uris, n) {
			during(tagged(n, m.ID))
		}
	}
	d := c.dial
	d.Modern, d.Other = false, hear
	inner, err := c.b.inner.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = inner.Close() }()
	granted := map[string]any{}
	caps := gjson.GetBytes(inner.Init.Result, "capabilities")
	for name, path := range map[string]string{"toolsListChanged": "tools.listChanged", "promptsListChanged": "prompts.listChanged", "resourcesListChanged": "resources.listChanged"} {
		if asked.Get(name).Bool() && caps.Get(path).Bool() {
			granted[name] = true
		}
	}
	var subscribed []string
	for uri := range uris {
		res, err := inner.Call(ctx, &mcp.Message{ID: json.RawMessage(`"subscribe"`), Method: "resources/subscribe", Params: quoted(map[string]string{"uri": uri})}, func(*mcp.Message) {})
		if err == nil && res.Error == nil {
			subscribed = append(subscribed, uri)
		}
	}
	if len(subscribed) > 0 {
		granted["resourceSubscriptions"] = subscribed
	}
	mu.Lock()
	during(tagged(&mcp.Message{Method: "notifications/subscriptions/acknowledged", Params: quoted(map[string]any{"notifications": granted})}, m.ID))
	acknowledged = true
	mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", mcp.ErrLost, ctx.Err())
	case <-inner.Done():
		return nil, mcp.ErrLost
	}
}

// listens says whether a client asked for a message.
func listens(asked gjson.Result, uris map[string]bool, n *mcp.Message) bool {
	switch n.Method {
	case "notifications/tools/list_changed":
		return asked.Get("toolsListChanged").Bool()
	case "notifications/prompts/list_changed":
		return asked.Get("promptsListChanged").Bool()
	case "notifications/resources/list_changed":
		return asked.Get("resourcesListChanged").Bool()
	case "notifications/resources/updated":
		return uris[gjson.GetBytes(n.Params, "uri").Str]
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
	out.Params = with(params, "_meta."+gjson.Escape(metaPrefix+"subscriptionId"), json.RawMessage(id))
	return &out
}
