package upstream

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"paygate/server/mcp"
)

// paramHeaders knows which arguments of which tools the server wants mirrored
// into headers (x-mcp-header in a tool's input schema).
type paramHeaders struct {
	mu    sync.Mutex
	tools map[string][]binding // nil: never read
	read  time.Time
}

type binding struct {
	header string
	path   []string
}

// stale says whether the list is old enough to be read again, and takes it so.
func (p *paramHeaders) stale(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Sub(p.read) > time.Second
}

// headersFor are the headers of the new era for a request.
func (h *httpLink) headersFor(ctx context.Context, m *mcp.Message) map[string]string {
	extra := map[string]string{"Mcp-Method": m.Method}
	if !h.modern {
		return extra
	}
	switch m.Method {
	case "tools/call", "prompts/get":
		extra["Mcp-Name"] = headerText(text(m.Params, "name"))
	case "resources/read":
		extra["Mcp-Name"] = headerText(text(m.Params, "uri"))
	case "tasks/get", "tasks/update", "tasks/cancel", "tasks/result":
		extra["Mcp-Name"] = headerText(text(m.Params, "taskId"))
	}
	if m.Method != "tools/call" {
		return extra
	}
	p := &h.srv.params
	p.mu.Lock()
	known := p.tools != nil
	p.mu.Unlock()
	if !known {
		h.readSchemas(ctx, m)
	}
	p.mu.Lock()
	bindings := p.tools[text(m.Params, "name")]
	p.mu.Unlock()
	for _, b := range bindings {
		if value, ok := headerValue(lookupExact(m.Params, append([]string{"arguments"}, b.path...))); ok {
			extra["Mcp-Param-"+b.header] = value
		}
	}
	return extra
}

// headersAnew reads the schemas again first: the server says ours are wrong.
func (h *httpLink) headersAnew(ctx context.Context, m *mcp.Message) map[string]string {
	h.readSchemas(ctx, m)
	return h.headersFor(ctx, m)
}

// readSchemas asks for the tools, as the caller of m sees them.
func (h *httpLink) readSchemas(ctx context.Context, m *mcp.Message) {
	meta := lookup(m.Params, "_meta")
	if meta == nil {
		meta = marshal(h.srv.meta())
	}
	found := map[string][]binding{}
	cursor := ""
	for range h.srv.opt.Limits.ListPages {
		page := struct {
			Meta   json.RawMessage `json:"_meta"`
			Cursor string          `json:"cursor,omitempty"`
		}{meta, cursor}
		list := &mcp.Message{Method: "tools/list", Params: marshal(page)}
		v := &view{link: h, gone: make(chan struct{})}
		c, params, err := h.begin(v, list, false)
		if err != nil {
			return
		}
		h.exchange(ctx, c, &mcp.Message{Method: list.Method, Params: params})
		h.end(c)
		res := c.result()
		if res == nil || res.Result == nil {
			return // the call itself will say what is wrong
		}
		collect(res.Result, found)
		if cursor = text(res.Result, "nextCursor"); cursor == "" {
			break
		}
	}
	p := &h.srv.params
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tools, p.read = found, h.srv.opt.Now()
}

// schema is what of a JSON schema says where headers come from.
type schema struct {
	Header     any               `json:"x-mcp-header"`
	Properties map[string]schema `json:"properties"`
}

func collect(result json.RawMessage, found map[string][]binding) {
	var list struct {
		Tools []struct {
			Name   string          `json:"name"`
			Schema json.RawMessage `json:"inputSchema"`
		} `json:"tools"`
	}
	if json.Unmarshal(result, &list) != nil {
		return
	}
	for _, t := range list.Tools {
		var s schema
		if strings.Contains(string(t.Schema), "x-mcp-header") && json.Unmarshal(t.Schema, &s) == nil {
			found[t.Name] = bindings(s, nil, nil)
		}
	}
}

func bindings(s schema, path []string, out []binding) []binding {
	for name, prop := range s.Properties {
		here := append(append([]string(nil), path...), name)
		if header, ok := prop.Header.(string); ok && token(header) {
			out = append(out, binding{header, here})
		}
		if len(here) < 32 {
			out = bindings(prop, here, out)
		}
	}
	return out
}

// token says whether s may be part of a header's name.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			continue
		}
		return false
	}
	return s != ""
}

// lookupExact returns the value at path by exact names: the arguments of a
// tool may differ in nothing but letter case.
func lookupExact(obj json.RawMessage, path []string) json.RawMessage {
	for _, name := range path {
		var fields map[string]json.RawMessage
		if json.Unmarshal(obj, &fields) != nil {
			return nil
		}
		obj = fields[name]
	}
	return obj
}

// headerValue writes an argument as a header; null and what is no plain value
// has none.
func headerValue(raw json.RawMessage) (string, bool) {
	var v any
	if raw == nil || json.Unmarshal(raw, &v) != nil {
		return "", false
	}
	switch v := v.(type) {
	case string:
		return headerText(v), true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatInt(int64(v), 10), true
		}
		return string(raw), true
	}
	return "", false
}

// headerText writes text as a header's value: as it is where a header can
// carry it, else in base64, marked as such.
func headerText(s string) string {
	marked := strings.HasPrefix(s, "=?base64?") && strings.HasSuffix(s, "?=")
	plain := strings.TrimSpace(s) == s && !marked
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] >= ' ' && s[i] <= '~' || s[i] == '\t'
	}
	if plain {
		return s
	}
	return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(s)) + "?="
}
