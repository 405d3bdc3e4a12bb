package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// mcpClient is an agent of one revision of the protocol: what it does is said
// in words that all revisions share, and it does it in the words of its own.
type mcpClient struct {
	t       *testing.T
	g       *gateway
	rev     string
	key     string
	session string
	caps    map[string]any
	replies map[string]any // what it says when it is asked, by method
	level   string         // of logs, for clients that say it with every request
	ids     int            // of the last request
	charged int            // calls of tools that were answered
	at      string         // prefix of the server whose tools it calls
}

// note is a notification, or a question, that came before an answer or outside.
type note struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// said is how a request ended.
type said struct {
	Result json.RawMessage
	Error  *struct {
		Code    int
		Message string
		Data    json.RawMessage
	}
	Notes []note
}

const newestRevision = "2026-07-28"

func (c *mcpClient) modern() bool { return c.rev == newestRevision }

// connect begins with the handshake of the revision.
func (g *gateway) connect(t *testing.T, rev, secret string) *mcpClient {
	t.Helper()
	c := &mcpClient{t: t, g: g, rev: rev, key: secret, replies: map[string]any{
		"elicitation/create":     map[string]any{"action": "accept", "content": map[string]any{"name": "Ada"}},
		"sampling/createMessage": map[string]any{"role": "assistant", "model": "m", "content": map[string]any{"type": "text", "text": "Paris"}},
		"roots/list":             map[string]any{"roots": []any{map[string]any{"uri": "file:///home/ada"}}},
	}}
	c.caps = map[string]any{"sampling": map[string]any{}, "roots": map[string]any{}}
	if rev >= "2025-06-18" {
		c.caps["elicitation"] = map[string]any{"form": map[string]any{}, "url": map[string]any{}}
	}
	return c
}

func (c *mcpClient) hello() json.RawMessage {
	c.t.Helper()
	if c.modern() {
		return c.must("server/discover", map[string]any{}).Result
	}
	a := c.must("initialize", map[string]any{"protocolVersion": c.rev, "capabilities": c.caps, "clientInfo": map[string]any{"name": "test", "version": "1"}})
	if c.session == "" {
		c.t.Fatal("no session was begun")
	}
	c.post(c.t.Context(), map[string]any{"jsonrpc": "2.0", "method": "notifications/initialized"}).Body.Close()
	return a.Result
}

// must is do that must end well.
func (c *mcpClient) must(method string, params map[string]any) said {
	c.t.Helper()
	a := c.do(c.t.Context(), method, params, nil)
	if a.Error != nil || a.Result == nil {
		c.t.Fatalf("%s %v: %+v %s", method, params, a.Error, a.Result)
	}
	return a
}

// tool calls a tool and gives what the fake server says.
func (c *mcpClient) tool(name string, args map[string]any) (a said, words string) {
	c.t.Helper()
	a = c.do(c.t.Context(), "tools/call", map[string]any{"name": c.at + name, "arguments": args}, nil)
	var r struct{ Content []struct{ Text string } }
	if a.Error == nil && json.Unmarshal(a.Result, &r) == nil && len(r.Content) == 1 {
		c.charged++
		return a, r.Content[0].Text
	}
	return a, ""
}

// do sends one request, answers what is asked meanwhile, in this request's
// stream or over as many rounds as it takes, and returns with the end. hear
// sees every notification as it comes.
func (c *mcpClient) do(ctx context.Context, method string, params map[string]any, hear func(note)) said {
	c.t.Helper()
	params = maps.Clone(params)
	var notes []note
	for range 12 {
		a := c.round(ctx, method, params, hear)
		notes = append(notes, a.Notes...)
		a.Notes = notes
		var input struct {
			ResultType    string
			RequestState  *string
			InputRequests map[string]note
		}
		if a.Error != nil || json.Unmarshal(a.Result, &input) != nil || input.ResultType != "input_required" {
			return a
		}
		delete(params, "requestState")
		responses := map[string]any{}
		for name, q := range input.InputRequests {
			responses[name] = c.replies[q.Method]
		}
		params["inputResponses"] = responses
		if input.RequestState != nil {
			params["requestState"] = *input.RequestState
		}
	}
	c.t.Fatalf("%s: no end of rounds", method)
	return said{}
}

// round is one request and its answer.
func (c *mcpClient) round(ctx context.Context, method string, params map[string]any, hear func(note)) (a said) {
	c.t.Helper()
	c.ids++
	res := c.post(ctx, map[string]any{"jsonrpc": "2.0", "id": c.ids, "method": method, "params": c.meta(params)})
	defer res.Body.Close()
	if id := res.Header.Get("Mcp-Session-Id"); id != "" {
		c.session = id
	}
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		_ = json.NewDecoder(res.Body).Decode(&a)
		return a
	}
	events := newReader(res.Body)
	for {
		data, err := events.next()
		if err != nil {
			return a
		}
		var n note
		_ = json.Unmarshal(data, &n)
		switch {
		case n.Method == "":
			_ = json.Unmarshal(data, &a)
			return a
		case n.ID != nil:
			c.post(ctx, map[string]any{"jsonrpc": "2.0", "id": n.ID, "result": c.replies[n.Method]}).Body.Close()
		default:
			a.Notes = append(a.Notes, n)
			if hear != nil {
				hear(n)
			}
		}
	}
}

// meta adds what a request of the newest revision says of itself.
func (c *mcpClient) meta(params map[string]any) map[string]any {
	if !c.modern() {
		return params
	}
	params = maps.Clone(params)
	own, _ := params["_meta"].(map[string]any)
	own = maps.Clone(own)
	if own == nil {
		own = map[string]any{}
	}
	own["io.modelcontextprotocol/protocolVersion"], own["io.modelcontextprotocol/clientCapabilities"] = c.rev, c.caps
	if c.level != "" {
		own["io.modelcontextprotocol/logLevel"] = c.level
	}
	params["_meta"] = own
	return params
}

func (c *mcpClient) request(ctx context.Context, method string, body []byte) *http.Request {
	req, err := http.NewRequestWithContext(ctx, method, c.g.url+"/mcp", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if c.key != "" {
		req.Header.Set("X-API-Key", c.key)
	}
	if c.session != "" {
		req.Header.Set("Mcp-Session-Id", c.session)
	}
	if c.modern() || c.session != "" && c.rev > "2025-03-26" {
		req.Header.Set("MCP-Protocol-Version", c.rev)
	}
	return req
}

// post sends one message.
func (c *mcpClient) post(ctx context.Context, m map[string]any) *http.Response {
	c.t.Helper()
	body, err := json.Marshal(m)
	if err != nil {
		c.t.Fatal(err)
	}
	req := c.request(ctx, http.MethodPost, body)
	if method, _ := m["method"].(string); c.modern() {
		req.Header.Set("Mcp-Method", method)
		params, _ := m["params"].(map[string]any)
		for _, member := range []string{"name", "uri", "taskId"} {
			if v, ok := params[member].(string); ok && method != "completion/complete" {
				req.Header.Set("Mcp-Name", v)
			}
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return &http.Response{Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}
		}
		c.t.Fatal(err)
	}
	return res
}

// listen hears what the server tells outside calls, about lists and the given
// resources. It returns when it listens.
func (c *mcpClient) listen(uris ...string) <-chan note {
	c.t.Helper()
	heard := make(chan note, 100)
	var res *http.Response
	if c.modern() {
		want := map[string]any{"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true}
		if len(uris) > 0 {
			want["resourceSubscriptions"] = uris
		}
		c.ids++
		res = c.post(c.t.Context(), map[string]any{"jsonrpc": "2.0", "id": c.ids, "method": "subscriptions/listen", "params": c.meta(map[string]any{"notifications": want})})
	} else {
		var err error
		if res, err = http.DefaultClient.Do(c.request(c.t.Context(), http.MethodGet, nil)); err != nil {
			c.t.Fatal(err)
		}
		for _, uri := range uris {
			c.must("resources/subscribe", map[string]any{"uri": uri})
		}
	}
	events := newReader(res.Body)
	if c.modern() {
		if data, err := events.next(); err != nil || !strings.Contains(string(data), "notifications/subscriptions/acknowledged") {
			c.t.Fatalf("listen: %s %v", data, err)
		}
	}
	go func() {
		defer close(heard)
		for {
			data, err := events.next()
			if err != nil {
				_ = res.Body.Close()
				if c.modern() {
					return
				}
				if res = c.again(events.lastID); res == nil {
					return
				}
				events = newReader(res.Body)
				continue
			}
			var n note
			_ = json.Unmarshal(data, &n)
			heard <- n
		}
	}()
	return heard
}

// again opens a stream that broke where it broke, as soon as somebody answers;
// nil when the test is over.
func (c *mcpClient) again(lastID string) *http.Response {
	for c.t.Context().Err() == nil {
		req := c.request(c.t.Context(), http.MethodGet, nil)
		if lastID != "" {
			req.Header.Set("Last-Event-ID", lastID)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			if res.StatusCode == http.StatusOK {
				return res
			}
			_ = res.Body.Close()
			return nil // there is nothing to come back to
		}
		select {
		case <-c.t.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// hears waits for an announcement of a method. Others may come before it,
// since lists are everybody's; updates of resources are not, so each that comes
// must be of this client's.
func (c *mcpClient) hears(from <-chan note, method, uri string) note {
	c.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case n := <-from:
			if n.Method == "notifications/resources/updated" && (uri == "" || !strings.Contains(string(n.Params), `"`+uri+`"`)) {
				c.t.Errorf("heard of another's resource: %s", n.Params)
			}
			if n.Method == method {
				return n
			}
		case <-deadline:
			c.t.Fatalf("%s was never announced", method)
		}
	}
}

// sseReader reads the events of a stream.
type sseReader struct {
	b      *bufio.Reader
	lastID string
}

func newReader(body io.Reader) *sseReader { return &sseReader{b: bufio.NewReader(body)} }

// next gives the data of the next event; comments and priming events are left out.
func (r *sseReader) next() ([]byte, error) {
	var data []byte
	for {
		line, err := r.b.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("the stream ended: %w", err)
		}
		line = strings.TrimRight(line, "\r\n")
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			r.lastID = id
		}
		if d, ok := strings.CutPrefix(line, "data: "); ok {
			data = append(data, d...)
		}
		if line == "" && len(data) > 0 {
			return data, nil
		}
	}
}
