package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"paygate/server/mcp"
)

// older is the conversation of a client that knows initialize with a server
// that does not: every request tells the server anew who asks, what the server
// wants to know on the way is asked on the client's own stream, and what it
// announces comes by one subscription.
type older struct {
	b     *Bridge
	inner *mcp.Opened
	hears func(*mcp.Message) // what belongs to no call; nil: nobody hears it
	stamp []byte             // members of _meta that every request gets
	caps  gjson.Result       // what the client declares

	life  context.Context
	stop  context.CancelFunc
	loops sync.WaitGroup

	mu       sync.Mutex
	level    string // of logs; empty: none asked for
	asked    map[string]chan *mcp.Message
	last     int
	changing sync.Mutex // one changes the subscription at a time
	uris     []string   // behind changing: resources subscribed to
	sub      *subscription
}

// openOlder greets a client of the old era in the name of a server of the new
// one, by what that server says of itself.
func (b *Bridge) openOlder(ctx context.Context, o *mcp.Opened, d mcp.Dial) *mcp.Opened {
	var init []byte
	if d.Init != nil {
		init = d.Init.Params
	}
	c := &older{b: b, inner: o, hears: d.Other, asked: map[string]chan *mcp.Message{}}
	c.life, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	caps := without([]byte(objectOf(gjson.GetBytes(init, "capabilities"), "{}")), "tasks")
	caps = without(caps, "extensions."+gjson.Escape(metaPrefix+"tasks")) // another shape than this client's
	c.caps = gjson.ParseBytes(caps)
	info := objectOf(gjson.GetBytes(init, "clientInfo"), string(b.self()))
	c.stamp = fmt.Appendf(nil, `"%sprotocolVersion":"%s","%sclientCapabilities":%s,"%sclientInfo":%s`, metaPrefix, mcp.Modern, metaPrefix, caps, metaPrefix, info)
	if d.Other != nil && !d.Shared {
		c.loops.Go(c.begin)
	}
	return &mcp.Opened{Conn: c, Init: &mcp.Message{ID: json.RawMessage("0"), Result: b.greeting(o.Init.Result, init)}}
}

// greeting is the answer to initialize, made of the answer to server/discover.
func (b *Bridge) greeting(about, init json.RawMessage) json.RawMessage {
	revision := gjson.GetBytes(init, "protocolVersion").Str
	if !mcp.IsLegacy(revision) {
		revision = mcp.Rev1125
	}
	caps := without([]byte(objectOf(gjson.GetBytes(about, "capabilities"), "{}")), "extensions")
	info := objectOf(gjson.GetBytes(about, "_meta."+gjson.Escape(metaPrefix+"serverInfo")), string(b.self()))
	text := fmt.Appendf(nil, `{"protocolVersion":"%s","capabilities":%s,"serverInfo":%s}`, revision, caps, info)
	if words := gjson.GetBytes(about, "instructions"); words.Type == gjson.String {
		text = with(text, "instructions", words.Str)
	}
	return text
}

func (b *Bridge) self() []byte {
	return quoted(map[string]string{"name": b.opts.Name, "version": b.opts.Version})
}

func objectOf(v gjson.Result, otherwise string) string {
	if v.IsObject() {
		return v.Raw
	}
	return otherwise
}

// Call answers what the new revision has no request for, and sends on the rest.
func (c *older) Call(ctx context.Context, m *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	switch m.Method {
	case "ping":
		return &mcp.Message{ID: m.ID, Result: json.RawMessage("{}")}, nil
	case "logging/setLevel":
		return c.setLevel(m)
	case "resources/subscribe", "resources/unsubscribe":
		return c.subscribe(ctx, m)
	case "tasks/get", "tasks/list", "tasks/result", "tasks/cancel":
		return nil, &mcp.Error{Code: mcp.CodeNoMethod, Message: "this server has tasks only for clients of revision " + mcp.Modern}
	case "server/discover", "subscriptions/listen", "tasks/update":
		return nil, &mcp.Error{Code: mcp.CodeNoMethod, Message: m.Method + " is not part of the revision of this session"}
	}
	return c.rounds(ctx, m, during)
}

// setLevel keeps which logs the client wants; each request says it from now on.
func (c *older) setLevel(m *mcp.Message) (*mcp.Message, error) {
	level := gjson.GetBytes(m.Params, "level").Str
	switch {
	case !gjson.GetBytes(c.inner.Init.Result, "capabilities.logging").Exists():
		return nil, &mcp.Error{Code: mcp.CodeNoMethod, Message: "the server has no logs to send"}
	case severity(level) < 0:
		return nil, &mcp.Error{Code: mcp.CodeInvalidParams, Message: fmt.Sprintf("level %q is none of debug, info, notice, warning, error, critical, alert, emergency", level)}
	}
	c.mu.Lock()
	c.level = level
	c.mu.Unlock()
	return &mcp.Message{ID: m.ID, Result: json.RawMessage("{}")}, nil
}

// stamped is a request as a server of the new era wants it: it says of itself
// which revision it is of, who asks, and what that client can do.
func (c *older) stamped(m *mcp.Message) *mcp.Message {
	out := *m
	c.mu.Lock()
	level := c.level
	c.mu.Unlock()
	stamp := c.stamp
	if level != "" {
		stamp = fmt.Appendf(slices.Clone(stamp), `,"%slogLevel":"%s"`, metaPrefix, level)
	}
	params := []byte(m.Params)
	if len(params) == 0 || params[0] != '{' {
		params = []byte("{}")
	}
	params = without(params, "task") // tasks of another revision: the request runs as usual
	own := []byte(objectOf(gjson.GetBytes(params, "_meta"), "{}"))
	for _, name := range []string{"protocolVersion", "clientCapabilities", "clientInfo", "logLevel"} {
		own = without(own, gjson.Escape(metaPrefix+name))
	}
	meta := append([]byte{'{'}, stamp...)
	if rest := members(own); len(rest) > 0 {
		meta = append(append(meta, ','), rest...)
	}
	if set, err := sjson.SetRawBytes(params, "_meta", append(meta, '}')); err == nil {
		params = set
	}
	out.Params = params
	return &out
}

// members is what stands between the braces of an object.
func members(object []byte) []byte {
	rest := slices.Clone(object[1 : len(object)-1])
	for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\n' || rest[0] == '\r' || rest[0] == '\t') {
		rest = rest[1:]
	}
	return rest
}

// plain is an answer without what only the new revision knows.
func plain(res *mcp.Message) *mcp.Message {
	if res.Result == nil {
		return res
	}
	out := *res
	text := []byte(res.Result)
	for _, name := range []string{"resultType", "ttlMs", "cacheScope", "_meta." + gjson.Escape(metaPrefix+"serverInfo")} {
		text = without(text, name)
	}
	if gjson.GetBytes(text, "_meta").Raw == "{}" {
		text = without(text, "_meta")
	}
	out.Result = text
	return &out
}

// Send takes the client's answers to what it was asked. Its notifications
// concern nobody: the new revision has none but the end of a call.
func (c *older) Send(_ context.Context, m *mcp.Message) error {
	if m.Method != "" {
		return nil
	}
	c.mu.Lock()
	reply := c.asked[string(m.ID)]
	delete(c.asked, string(m.ID))
	c.mu.Unlock()
	if reply == nil {
		return fmt.Errorf("answer to %s: the client was asked nothing under this id, or the call is over", m.ID)
	}
	reply <- m // it has room for one
	return nil
}

// ask enters a question to the client and gives its id and where the reply
// will come.
func (c *older) ask() (id json.RawMessage, reply chan *mcp.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	id = strconv.AppendInt(nil, int64(c.last), 10)
	reply = make(chan *mcp.Message, 1)
	c.asked[string(id)] = reply
	return id, reply
}

func (c *older) forget(id json.RawMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.asked, string(id))
}

// Done ends with the conversation with the server.
func (c *older) Done() <-chan struct{} { return c.inner.Done() }

// Close ends the subscription and the conversation.
func (c *older) Close() error {
	c.stop()
	err := c.inner.Close()
	c.loops.Wait()
	return err
}
