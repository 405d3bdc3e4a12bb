package bridge

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/tidwall/gjson"

	"paygate/server/mcp"
)

// talk is a conversation of the old era held for a client of the new one.
// Servers fix what they offer by what a client declares when it begins, so
// there is one for each set of capabilities.
type talk struct {
	*mcp.Opened
	caps  string
	level string // of logs, as set last; behind newer.mu
}

func capsOf(m *mcp.Message) string {
	if caps := meta(m, "clientCapabilities"); caps.IsObject() {
		return caps.Raw
	}
	return "{}"
}

// talk gives the conversation for what a request's client declares.
func (c *newer) talk(ctx context.Context, m *mcp.Message) (*talk, error) {
	caps := capsOf(m)
	if t := c.find(caps); t != nil {
		return t, nil
	}
	c.opening.Lock()
	defer c.opening.Unlock()
	if t := c.find(caps); t != nil {
		return t, nil
	}
	return c.open(ctx, m)
}

// questionable are the requests that may end in input_required.
func questionable(method string) bool {
	return method == "tools/call" || method == "prompts/get" || method == "resources/read"
}

// find gives a conversation that lives, and forgets those that have ended.
func (c *newer) find(caps string) *talk {
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
	if i := slices.IndexFunc(c.talks, func(t *talk) bool { return t.caps == caps }); i >= 0 {
		return c.talks[i]
	}
	return nil
}

// open begins a conversation in the name of a request's client. The caller
// holds opening.
func (c *newer) open(ctx context.Context, m *mcp.Message) (*talk, error) {
	caps := capsOf(m)
	info := objectOf(meta(m, "clientInfo"), string(c.b.self()))
	d := c.dial
	d.Modern, d.Other = false, c.announce
	d.Init = &mcp.Message{ID: json.RawMessage("1"), Method: "initialize",
		Params: json.RawMessage(`{"protocolVersion":"` + mcp.Rev1125 + `","capabilities":` + string(without([]byte(caps), "tasks")) + `,"clientInfo":` + info + `}`)}
	o, err := c.backend.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	t := &talk{Opened: o, caps: caps}
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
