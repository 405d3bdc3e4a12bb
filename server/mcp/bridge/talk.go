package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/tidwall/gjson"

	"paygate/server/mcp"
)

// talk is a conversation of the old era held for a client of the new one.
// Servers fix what they offer by what a client declares when it begins, so
// there is one for each set of capabilities, and more where a server cannot
// say which of several calls it asks about.
type talk struct {
	*mcp.Opened
	caps   string
	level  string // of logs, as set last; behind newer.mu
	extra  bool   // for one asking call at a time
	asking bool   // behind newer.mu: such a call runs, or waits for its client
}

// Each extra conversation may be a process: mostExtra is how many one caller
// can have, mostIdle how many without a call are kept.
const (
	mostExtra = 8
	mostIdle  = 2
)

func capsOf(m *mcp.Message) string {
	if caps := meta(m, "clientCapabilities"); caps.IsObject() {
		return caps.Raw
	}
	return "{}"
}

// shared gives the conversation for what a request's client declares.
func (c *newer) shared(ctx context.Context, m *mcp.Message) (*talk, error) {
	caps := capsOf(m)
	find := func(t *talk) bool { return t.caps == caps && !t.extra }
	if t := c.find(find); t != nil {
		return t, nil
	}
	c.opening.Lock()
	defer c.opening.Unlock()
	if t := c.find(find); t != nil {
		return t, nil
	}
	return c.open(ctx, m, false)
}

// alone gives a conversation on which no other call asks, where the server
// could not say which call a question belongs to. Give it back with leave.
func (c *newer) alone(ctx context.Context, m *mcp.Message) (t *talk, leave func(), err error) {
	t, err = c.shared(ctx, m)
	if err != nil || t.Streams || !mayAsk(m) {
		return t, func() {}, err
	}
	if t = c.claim(t.caps); t == nil {
		t, err = c.openExtra(ctx, m)
	}
	if err != nil { // as many as there may be: with the others, then, where a question may find nobody
		t, err = c.shared(ctx, m)
		return t, func() {}, err
	}
	return t, func() { c.leave(t) }, nil
}

// mayAsk says whether a server may have questions during a request.
func mayAsk(m *mcp.Message) bool {
	caps := meta(m, "clientCapabilities")
	return questionable(m.Method) && (caps.Get("elicitation").Exists() || caps.Get("sampling").Exists() || caps.Get("roots").Exists())
}

// questionable are the requests that may end in input_required.
func questionable(method string) bool {
	return method == "tools/call" || method == "prompts/get" || method == "resources/read"
}

// find gives a conversation that lives, and forgets those that have ended.
func (c *newer) find(which func(*talk) bool) *talk {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.talks = slices.DeleteFunc(c.talks, func(t *talk) bool {
		select {
		case <-t.Done():
			return true
		default:
			return false
		}
	})
	if i := slices.IndexFunc(c.talks, which); i >= 0 {
		return c.talks[i]
	}
	return nil
}

// claim takes a conversation without an asking call, if there is one.
func (c *newer) claim(caps string) *talk {
	var t *talk
	c.find(func(each *talk) bool {
		if each.caps != caps || each.asking {
			return false
		}
		each.asking = true
		t = each
		return true
	})
	return t
}

var errEnough = errors.New("the caller has as many conversations as it may")

func (c *newer) openExtra(ctx context.Context, m *mcp.Message) (*talk, error) {
	c.opening.Lock()
	defer c.opening.Unlock()
	c.mu.Lock()
	extra := 0
	for _, t := range c.talks {
		if t.extra {
			extra++
		}
	}
	c.mu.Unlock()
	if extra >= mostExtra {
		return nil, errEnough
	}
	return c.open(ctx, m, true)
}

// leave frees a conversation; an extra one ends if there are enough of them.
func (c *newer) leave(t *talk) {
	c.mu.Lock()
	t.asking = false
	idle := 0
	for _, each := range c.talks {
		if each.extra && !each.asking {
			idle++
		}
	}
	end := t.extra && idle > mostIdle
	if end {
		c.talks = slices.DeleteFunc(c.talks, func(each *talk) bool { return each == t })
	}
	c.mu.Unlock()
	if end {
		_ = t.Close() // nobody uses it
	}
}

// open begins a conversation in the name of a request's client. The caller
// holds opening.
func (c *newer) open(ctx context.Context, m *mcp.Message, extra bool) (*talk, error) {
	caps := capsOf(m)
	info := objectOf(meta(m, "clientInfo"), string(c.b.self()))
	d := c.dial
	d.Modern, d.Other = false, c.announce
	d.Shared = d.Shared && !extra
	d.Init = &mcp.Message{ID: json.RawMessage("1"), Method: "initialize",
		Params: json.RawMessage(`{"protocolVersion":"` + mcp.Rev1125 + `","capabilities":` + caps + `,"clientInfo":` + info + `}`)}
	o, err := c.backend.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	t := &talk{Opened: o, caps: caps, extra: extra, asking: extra}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.talks = append(c.talks, t)
	return t, nil
}

// setLevel tells the server which logs a request asks for: the most that any
// request on the conversation has asked for.
func (c *newer) setLevel(ctx context.Context, t *talk, m *mcp.Message) error {
	level := meta(m, "logLevel").Str
	if severity(level) < 0 || !gjson.GetBytes(t.Init.Result, "capabilities.logging").Exists() {
		return nil
	}
	c.mu.Lock()
	known := t.level != "" && severity(t.level) <= severity(level)
	if !known {
		t.level = level
	}
	c.mu.Unlock()
	if known {
		return nil
	}
	_, err := t.Call(ctx, &mcp.Message{ID: json.RawMessage(`"level"`), Method: "logging/setLevel", Params: quoted(map[string]string{"level": level})}, nil)
	return err
}
