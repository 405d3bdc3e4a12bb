package upstream

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"paygate/server/mcp"
)

// Unavailable is the _meta key under which merged lists say which servers are
// missing from them, and why.
const Unavailable = "paygate/unavailable"

// kind is what the lists of a method are made of.
type kind struct {
	items      string // member of the result that holds them
	capability string
	named      bool // items carry a name that takes the prefix
}

func kinds(method string) kind {
	switch method {
	case "tools/list":
		return kind{"tools", "tools", true}
	case "prompts/list":
		return kind{"prompts", "prompts", true}
	case "resources/list":
		return kind{"resources", "resources", false}
	case "resources/templates/list":
		return kind{"resourceTemplates", "resources", false}
	}
	return kind{"tasks", "tasks", false}
}

// pageOf is what one server answered to a list request.
type pageOf struct {
	srv  *server
	res  *mcp.Message
	err  error
	skip bool // it does not have such things
}

// list asks all servers for the page that the cursor names, all at once, and
// puts the answers together in the order of the configuration.
func (m *many) list(ctx context.Context, req *mcp.Message) (*mcp.Message, error) {
	cursors, err := readCursor(text(req.Params, "cursor"))
	if err != nil {
		return nil, err
	}
	k := kinds(req.Method)
	known, sick := m.all.abouts(ctx)
	pages := make([]pageOf, len(known))
	var wg sync.WaitGroup
	for i, about := range known {
		p := &pages[i]
		p.srv = about.srv
		cursor, later := cursors[about.srv.spec.Prefix]
		if p.skip = !has(about.main.about.Result, k.capability) || cursors != nil && !later; p.skip {
			continue
		}
		wg.Go(func() { p.res, p.err = m.pageFrom(ctx, p.srv, req, cursor) })
	}
	wg.Wait()
	return m.merge(req, k, pages, sick)
}

// pageFrom asks one server, but not for ever: the others' answers wait.
func (m *many) pageFrom(ctx context.Context, srv *server, req *mcp.Message, cursor string) (*mcp.Message, error) {
	most := srv.patience(req.Method)
	timed, stop := context.WithTimeout(ctx, most)
	defer stop()
	sent := *req
	if sent.Params == nil {
		sent.Params = json.RawMessage("{}")
	}
	if cursor != "" {
		sent.Params, _ = splice(sent.Params, marshal(cursor), "cursor")
	}
	res, err := m.forward(timed, srv, &sent, nil)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		why := fmt.Sprintf("the server did not answer %s within %s", req.Method, most)
		srv.tardy(req.Method, why, most)
		return nil, &lostError{text: srv.spec.label() + ": " + why, cause: err}
	}
	if err == nil {
		srv.tardy(req.Method, "", most)
	}
	return res, err
}

// merge makes one answer of many.
func (m *many) merge(req *mcp.Message, k kind, pages []pageOf, sick map[string]string) (*mcp.Message, error) {
	next := map[string]string{}
	seen := map[string]string{}
	out := append([]byte(`{"`), k.items...)
	out = append(out, `":[`...)
	n, good := 0, 0
	for _, p := range pages {
		prefix := p.srv.spec.Prefix
		switch {
		case p.skip:
			good++
			continue
		case p.err != nil:
			sick[prefix] = p.err.Error()
			continue
		case p.res.Error != nil && p.res.Error.Code != -32601:
			sick[prefix] = p.res.Error.Message
			continue
		}
		good++
		for item := range mcp.Elements(lookup(p.res.Result, k.items)) {
			item = m.adorn(k, item, p.srv)
			if id := identity(k, item); seen[id] != "" && id != "" {
				sick[prefix] = "collision: " + cut(id, 200) + " is also offered by " + seen[id] + ", which comes first; the one of " + prefix + " is left out"
				continue
			} else {
				seen[id] = prefix
			}
			if n++; n > 1 {
				out = append(out, ',')
			}
			out = append(out, item...)
		}
		if c := text(p.res.Result, "nextCursor"); c != "" {
			next[prefix] = c
		}
	}
	if good == 0 && len(sick) > 0 {
		return nil, &lostError{text: "no MCP server is up: " + joined(sick)}
	}
	out = append(out, ']')
	if len(next) > 0 {
		out = append(append(out, `,"nextCursor":`...), marshal(base64.RawURLEncoding.EncodeToString(marshal(next)))...)
	}
	if m.modern {
		out = append(out, `,"resultType":"complete","ttlMs":0,"cacheScope":"private"`...)
	}
	if len(sick) > 0 {
		out = append(append(out, `,"_meta":`...), marshal(map[string]any{Unavailable: sick})...)
	}
	return &mcp.Message{ID: req.ID, Result: append(out, '}')}, nil
}

// adorn gives an item its prefix, and remembers whose it is.
func (m *many) adorn(k kind, item json.RawMessage, srv *server) json.RawMessage {
	prefix := srv.spec.Prefix
	if k.named {
		item = set(item, "name", prefix+m.all.opt.Separator+text(item, "name"))
	}
	if k.items == "tasks" {
		m.all.owners.set("task "+text(item, "taskId"), prefix)
		return item
	}
	switch uri := identity(k, item); k.items {
	case "resources":
		m.all.owners.claim(uri, prefix)
	case "resourceTemplates":
		m.all.owners.template(uri, prefix)
	}
	return set(item, "description", strings.TrimSpace("["+prefix+"] "+text(item, "description")))
}

// identity is what must be one of its kind among all servers' items.
func identity(k kind, item json.RawMessage) string {
	switch k.items {
	case "resources":
		return text(item, "uri")
	case "resourceTemplates":
		return text(item, "uriTemplate")
	case "tasks":
		return text(item, "taskId")
	}
	return text(item, "name")
}

// set replaces or adds a text member of an object.
func set(obj json.RawMessage, name, value string) json.RawMessage {
	raw := marshal(value)
	out, old := splice(obj, raw, name)
	if old != nil {
		return out
	}
	obj = bytes.TrimSpace(obj)
	end := len(obj) - 1
	out = append(json.RawMessage{}, obj[:end]...)
	if strings.TrimSpace(string(obj[1:end])) != "" {
		out = append(out, ',')
	}
	out = append(append(append(append(out, '"'), name...), `":`...), raw...)
	return append(out, '}')
}

// readCursor reads a cursor of ours: where each server that has more goes on.
func readCursor(cursor string) (map[string]string, error) {
	if cursor == "" {
		return nil, nil
	}
	var at map[string]string
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(raw, &at)
	}
	if err != nil || at == nil {
		return nil, refuse(-32602, "cursor %q: it is none of ours; begin without a cursor", cut(cursor, 100))
	}
	return at, nil
}
