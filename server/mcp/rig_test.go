package mcp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"paygate/server/mcp"
)

// server is a fake MCP server of either era: a backend whose conversations
// answer with what they were told.
type server struct {
	modern bool
	answer func(ctx context.Context, c *conversation, m *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error)

	mu    sync.Mutex
	dials []mcp.Dial
	open  []*conversation
}

type conversation struct {
	dial mcp.Dial
	done chan struct{}
	once sync.Once
	sent chan *mcp.Message
}

func (s *server) Open(_ context.Context, d mcp.Dial) (*mcp.Opened, error) {
	c := &conversation{dial: d, done: make(chan struct{}), sent: make(chan *mcp.Message, 100)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dials, s.open = append(s.dials, d), append(s.open, c)
	init := &mcp.Message{ID: json.RawMessage("1"), Result: json.RawMessage(`{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"fake","version":"1"}}`)}
	return &mcp.Opened{Conn: talk{s, c}, Modern: s.modern, Init: init}, nil
}

// last is the conversation opened last.
func (s *server) last() *conversation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[len(s.open)-1]
}

func (s *server) opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

type talk struct {
	s *server
	c *conversation
}

func (t talk) Call(ctx context.Context, m *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	if t.s.answer == nil {
		return &mcp.Message{ID: m.ID, Result: m.Params}, nil
	}
	return t.s.answer(ctx, t.c, m, during)
}

func (t talk) Send(_ context.Context, m *mcp.Message) error { t.c.sent <- m; return nil }
func (t talk) Done() <-chan struct{}                        { return t.c.done }
func (t talk) Close() error                                 { t.c.once.Do(func() { close(t.c.done) }); return nil }

// pass is a handler that knows callers by a header and forwards everything.
type pass struct {
	handle func(ctx context.Context, x *mcp.Exchange) (*mcp.Message, error)
}

func (pass) Identify(r *http.Request) mcp.Caller { return mcp.Caller{ID: r.Header.Get("X-API-Key")} }

func (pass) Refused(mcp.Caller, *http.Request, *mcp.Message, *mcp.Error) {}

func (p pass) Handle(ctx context.Context, x *mcp.Exchange) (*mcp.Message, error) {
	if p.handle != nil {
		return p.handle(ctx, x)
	}
	return x.Forward(ctx, x.Request)
}

type rig struct {
	t   *testing.T
	e   *mcp.Endpoint
	url string
}

// serve starts an endpoint before a server.
func serve(t *testing.T, s *server, change func(*mcp.Options)) rig {
	t.Helper()
	o := mcp.Options{Handler: pass{}, Backend: s}
	if change != nil {
		change(&o)
	}
	e, err := mcp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(e)
	t.Cleanup(func() {
		web.CloseClientConnections()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = e.Shutdown(ctx) // whatever still runs is cancelled
		web.Close()
	})
	return rig{t, e, web.URL + "/mcp"}
}

// do sends one request; headers come in pairs.
func (g rig) do(method, body string, headers ...string) *http.Response {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.url, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// post gives the status and the body.
func (g rig) post(body string, headers ...string) (int, string) {
	g.t.Helper()
	res := g.do(http.MethodPost, body, headers...)
	text, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// session begins one and gives its id.
func (g rig) session(headers ...string) string {
	g.t.Helper()
	res := g.do(http.MethodPost, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`, headers...)
	id := res.Header.Get("Mcp-Session-Id")
	if res.StatusCode != http.StatusOK || id == "" {
		g.t.Fatalf("initialize: %s, session %q", res.Status, id)
	}
	return id
}

// event is one event of a stream; comments and priming events are left out.
type event struct{ id, data string }

func next(t *testing.T, b *bufio.Reader) event {
	t.Helper()
	var e event
	for {
		line, err := b.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended: %v", err)
		}
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "id: "):
			e.id = line[4:]
		case strings.HasPrefix(line, "data: "):
			e.data = line[6:]
		case line == "" && e.data != "":
			return e
		case line == "":
			e = event{}
		}
	}
}

func result(format string, args ...any) *mcp.Message {
	return &mcp.Message{Result: json.RawMessage(fmt.Sprintf(format, args...))}
}

func notification(n int) *mcp.Message {
	return &mcp.Message{Method: "notifications/message", Params: json.RawMessage(fmt.Sprintf(`{"level":"info","data":%d}`, n))}
}
