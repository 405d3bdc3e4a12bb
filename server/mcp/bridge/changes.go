package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tidwall/gjson"

	"paygate/server/mcp"
)

// subscription is one subscriptions/listen in the name of a client that does
// not know it.
type subscription struct {
	stop    context.CancelFunc
	granted chan gjson.Result // what the server acknowledged, once
	refused chan error        // why there is none
}

// patience is how long a server may take to acknowledge a subscription.
const patience = 10 * time.Second

// begin subscribes to the changes that the server announces.
func (c *older) begin() {
	if len(c.wishes(nil)) == 0 {
		return
	}
	c.changing.Lock()
	defer c.changing.Unlock()
	if c.sub != nil {
		return // the client was quicker, with a wish of its own
	}
	_ = c.listen(c.life, nil) // a server that does not offer it announces nothing, and that is all
}

// wishes are the params.notifications of a subscription.
func (c *older) wishes(uris []string) map[string]any {
	want := map[string]any{}
	caps := gjson.GetBytes(c.inner.Init.Result, "capabilities")
	for name, path := range listChanges() {
		if caps.Get(path).Bool() {
			want[name] = true
		}
	}
	if len(uris) > 0 {
		want["resourceSubscriptions"] = uris
	}
	return want
}

// listChanges are the announcements of changed lists, and the capability that
// promises each.
func listChanges() map[string]string {
	return map[string]string{"toolsListChanged": "tools.listChanged", "promptsListChanged": "prompts.listChanged", "resourcesListChanged": "resources.listChanged"}
}

// subscribe opens the subscription anew, with one resource more or less.
func (c *older) subscribe(ctx context.Context, m *mcp.Message) (*mcp.Message, error) {
	uri := gjson.GetBytes(m.Params, "uri").Str
	switch {
	case uri == "":
		return nil, &mcp.Error{Code: mcp.CodeInvalidParams, Message: "params.uri must name a resource"}
	case c.hears == nil:
		return nil, &mcp.Error{Code: mcp.CodeInvalidRequest, Message: m.Method + " needs a session: send initialize first"}
	case !gjson.GetBytes(c.inner.Init.Result, "capabilities.resources.subscribe").Bool():
		return nil, &mcp.Error{Code: mcp.CodeNoMethod, Message: "the server does not tell when resources change"}
	}
	c.changing.Lock()
	defer c.changing.Unlock()
	uris := slices.DeleteFunc(slices.Clone(c.uris), func(each string) bool { return each == uri })
	if m.Method == "resources/subscribe" {
		uris = append(uris, uri)
	}
	if err := c.listen(ctx, uris); err != nil {
		return nil, err
	}
	return &mcp.Message{ID: m.ID, Result: json.RawMessage("{}")}, nil
}

// listen replaces the subscription: the old one ends when the new one is
// acknowledged, so that nothing falls between them. The caller holds changing.
func (c *older) listen(ctx context.Context, uris []string) error {
	life, stop := context.WithCancel(c.life)
	next := &subscription{stop: stop, granted: make(chan gjson.Result, 1), refused: make(chan error, 1)}
	request := c.stamped(&mcp.Message{ID: json.RawMessage(`"changes"`), Method: "subscriptions/listen", Params: quoted(map[string]any{"notifications": c.wishes(uris)})})
	c.loops.Go(func() { c.hear(life, next, request) })
	late := time.NewTimer(patience)
	defer late.Stop()
	var err error
	select {
	case granted := <-next.granted:
		for _, uri := range uris {
			if !slices.ContainsFunc(granted.Get("resourceSubscriptions").Array(), func(g gjson.Result) bool { return g.Str == uri }) {
				err = &mcp.Error{Code: mcp.CodeInvalidParams, Message: "the server does not tell when " + uri + " changes"}
			}
		}
	case err = <-next.refused:
	case <-late.C:
		err = fmt.Errorf("%w: the server did not acknowledge the subscription within %s", mcp.ErrLost, patience)
	case <-ctx.Done():
		err = fmt.Errorf("%w: %w", mcp.ErrLost, ctx.Err())
	}
	if err != nil {
		stop()
		return err
	}
	if c.sub != nil {
		c.sub.stop()
	}
	c.sub, c.uris = next, uris
	return nil
}

// hear keeps one subscription open, and opens it again when the server lets
// it go, until it is replaced or the conversation ends.
func (c *older) hear(life context.Context, s *subscription, request *mcp.Message) {
	acknowledged := false
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 30*time.Second) {
		res, err := c.inner.Call(life, request, func(n *mcp.Message) {
			if n.Method != "notifications/subscriptions/acknowledged" {
				c.hears(untagged(n))
				return
			}
			wait = 250 * time.Millisecond
			if !acknowledged {
				acknowledged = true
				s.granted <- gjson.GetBytes(n.Params, "notifications")
			}
		})
		if err == nil && res.Error != nil {
			err = res.Error
		}
		if !acknowledged {
			if err == nil {
				err = fmt.Errorf("%w: the server ended the subscription at once", mcp.ErrLost)
			}
			s.refused <- err
			return
		}
		select {
		case <-c.Done():
			return
		default:
		}
		if !pause(life, wait) {
			return
		}
	}
}

// untagged is an announcement without the subscription that it came by.
func untagged(n *mcp.Message) *mcp.Message {
	out := *n
	params := without([]byte(n.Params), "_meta."+gjson.Escape(metaPrefix+"subscriptionId"))
	if gjson.GetBytes(params, "_meta").Raw == "{}" {
		params = without(params, "_meta")
	}
	if string(params) == "{}" {
		params = nil
	}
	out.Params = params
	return &out
}
