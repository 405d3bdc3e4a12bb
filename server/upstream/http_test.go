package upstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"paygate/server/mcp"
	"paygate/server/upstream"
)

type sayArgs struct {
	Who  string `json:"who"`
	Wait int    `json:"wait,omitempty"`
}

// sdkServer is a server of the official SDK with a few tools.
func sdkServer() *sdk.Server {
	s := sdk.NewServer(&sdk.Implementation{Name: "sdk", Version: "1"}, &sdk.ServerOptions{SubscribeHandler: func(context.Context, *sdk.SubscribeRequest) error { return nil },
		UnsubscribeHandler: func(context.Context, *sdk.UnsubscribeRequest) error { return nil }})
	say := func(text string) *sdk.CallToolResult {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: text}}}
	}
	sdk.AddTool(s, &sdk.Tool{Name: "say"}, func(ctx context.Context, r *sdk.CallToolRequest, a sayArgs) (*sdk.CallToolResult, any, error) {
		if token := r.Params.GetProgressToken(); token != nil {
			for i := range 3 {
				// Where there is no stream to send it on, progress is lost.
				_ = r.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{ProgressToken: token, Message: a.Who, Progress: float64(i)})
			}
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(time.Duration(a.Wait) * time.Millisecond):
		}
		return say(r.Session.ID() + " " + a.Who), nil, nil
	})
	sdk.AddTool(s, &sdk.Tool{Name: "ask"}, func(ctx context.Context, r *sdk.CallToolRequest, a sayArgs) (*sdk.CallToolResult, any, error) {
		res, err := r.Session.Elicit(ctx, &sdk.ElicitParams{Message: a.Who})
		if err != nil {
			return nil, nil, err
		}
		return say(res.Action), nil, nil
	})
	return s
}

// site is an HTTP server whose handler can be changed, as if it restarted.
type site struct {
	*httptest.Server
	now atomic.Value // http.Handler
}

func newSite(t testing.TB, h http.Handler) *site {
	t.Helper()
	s := &site{}
	s.now.Store(&h)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*s.now.Load().(*http.Handler)).ServeHTTP(w, r)
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func streamable(srv *sdk.Server, o *sdk.StreamableHTTPOptions) http.Handler {
	return sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return srv }, o)
}

func say(t testing.TB, c mcp.Conn, who string) string {
	t.Helper()
	res, err := c.Call(context.Background(), sayRequest(who, 0), func(*mcp.Message) {})
	if err != nil {
		t.Fatalf("say: %v", err)
	}
	return words(t, res)
}

func sayRequest(who string, wait int) *mcp.Message {
	return &mcp.Message{ID: json.RawMessage("1"), Method: "tools/call", Params: json.RawMessage(fmt.Sprintf(`{"name":"say","arguments":{"who":%q,"wait":%d},"_meta":{"progressToken":1}}`, who, wait))}
}

func words(t testing.TB, res *mcp.Message) string {
	t.Helper()
	var out struct{ Content []struct{ Text string } }
	if res.Error != nil {
		t.Fatalf("error %d %s", res.Error.Code, res.Error.Message)
	}
	if err := json.Unmarshal(res.Result, &out); err != nil || len(out.Content) == 0 {
		t.Fatalf("result %s: %v", res.Result, err)
	}
	return out.Content[0].Text
}

func modernSay(who string) *mcp.Message {
	meta := `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"progressToken":1`
	return &mcp.Message{ID: json.RawMessage("1"), Method: "tools/call", Params: json.RawMessage(fmt.Sprintf(`{"name":"say","arguments":{"who":%q},"_meta":{%s}}`, who, meta))}
}

func TestSessionsOverHTTP(t *testing.T) {
	t.Parallel()
	web := newSite(t, streamable(sdkServer(), nil))
	s := start(t, upstream.Options{}, upstream.Spec{URL: web.URL})
	a, b := dial(t, s, "a"), dial(t, s, "b")
	var heard []string
	res, err := a.Call(context.Background(), sayRequest("a", 0), func(m *mcp.Message) { heard = append(heard, string(m.Params)) })
	if err != nil {
		t.Fatal(err)
	}
	sessionA, sessionB := words(t, res), say(t, b, "b")
	if len(heard) != 3 || !strings.Contains(heard[0], `"progressToken":1`) {
		t.Errorf("heard %v", heard)
	}
	if sessionA[:8] == sessionB[:8] || !strings.HasSuffix(sessionA, " a") {
		t.Errorf("sessions %q and %q", sessionA, sessionB)
	}
	if st := s.Status()[0]; st.Revision != "2025-11-25" || st.Transport != "http" || st.Tools != 2 {
		until(t, "the tools", func() bool { return s.Status()[0].Tools == 2 })
	}
	res, err = a.Call(context.Background(), &mcp.Message{ID: json.RawMessage("2"), Method: "tools/call", Params: json.RawMessage(`{"name":"ask","arguments":{"who":"x"}}`)}, func(m *mcp.Message) {
		if err := a.Send(context.Background(), &mcp.Message{ID: m.ID, Result: json.RawMessage(`{"action":"decline"}`)}); err != nil {
			t.Error(err)
		}
	})
	if err != nil || words(t, res) != "decline" {
		t.Errorf("ask: %v %v", res, err)
	}
}

func TestManyCallersOverHTTP(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]*sdk.StreamableHTTPOptions{"old, streams": {}, "old, JSON": {JSONResponse: true}, "new": {Stateless: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			web := newSite(t, streamable(sdkServer(), o))
			s := start(t, upstream.Options{}, upstream.Spec{URL: web.URL})
			var wg sync.WaitGroup
			for i := range 50 {
				wg.Go(func() {
					who := fmt.Sprint("caller", i)
					c, err := s.Open(context.Background(), mcp.Dial{Caller: fmt.Sprint(i % 5), Modern: o.Stateless, Shared: true})
					if err != nil {
						t.Error(err)
						return
					}
					defer func() { _ = c.Close() }()
					m := sayRequest(who, 0)
					if c.Modern {
						m = modernSay(who)
					}
					for range 5 {
						res, err := c.Call(context.Background(), m, func(n *mcp.Message) {
							if !strings.Contains(string(n.Params), `"`+who+`"`) {
								t.Errorf("%s heard %s", who, n.Params)
							}
						})
						if err != nil || !strings.HasSuffix(words(t, res), who) {
							t.Errorf("%s: %v %v", who, res, err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestModernHTTP(t *testing.T) {
	t.Parallel()
	srv := sdkServer()
	srv.AddTool(&sdk.Tool{Name: "route", InputSchema: json.RawMessage(`{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"object","properties":{"deep":{"type":"integer","x-mcp-header":"Deep"}}}}}`)},
		func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: r.Extra.Header.Get("Mcp-Param-Region") + " " + r.Extra.Header.Get("Mcp-Param-Deep")}}}, nil
		})
	web := newSite(t, streamable(srv, &sdk.StreamableHTTPOptions{Stateless: true}))
	s := start(t, upstream.Options{}, upstream.Spec{URL: web.URL})
	c := open(t, s, mcp.Dial{Modern: true})
	if !c.Modern || !strings.Contains(string(c.Init.Result), "2026-07-28") {
		t.Fatalf("discover answered %s", c.Init.Result)
	}
	if got := words(t, must(c.Call(context.Background(), modernSay("me"), func(*mcp.Message) {}))); got != " me" {
		t.Errorf("said %q", got)
	}
	m := modernSay("")
	m.Params = json.RawMessage(strings.Replace(strings.Replace(string(m.Params), `"say"`, `"route"`, 1), `{"who":""}`, `{"region":"Überall","n":{"deep":7}}`, 1))
	if got := words(t, must(c.Call(context.Background(), m, nil))); got != "=?base64?w5xiZXJhbGw=?= 7" {
		t.Errorf("headers %q", got)
	}
	if old := dial(t, s, "a"); !old.Modern {
		t.Error("an old client got a session of a server that keeps none")
	}
}

func must(m *mcp.Message, err error) *mcp.Message {
	if err != nil {
		return &mcp.Message{Error: &mcp.Error{Message: err.Error()}}
	}
	return m
}

func TestModernSubscriptionOverHTTP(t *testing.T) {
	t.Parallel()
	srv := sdkServer()
	web := newSite(t, streamable(srv, &sdk.StreamableHTTPOptions{Stateless: true}))
	s := start(t, upstream.Options{}, upstream.Spec{URL: web.URL})
	c := open(t, s, mcp.Dial{Modern: true})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	heard := make(chan *mcp.Message, 10)
	m := modernSay("")
	m.ID, m.Method = json.RawMessage(`"mine"`), "subscriptions/listen"
	m.Params = json.RawMessage(strings.Replace(string(m.Params), `"name":"say"`, `"notifications":{"toolsListChanged":true}`, 1))
	ended := make(chan error, 1)
	go func() {
		res, err := c.Call(ctx, m, func(n *mcp.Message) { heard <- n })
		if err == nil {
			err = fmt.Errorf("answered %s", res.Result)
		}
		ended <- err
	}()
	for _, want := range []string{"notifications/subscriptions/acknowledged", "notifications/tools/list_changed"} {
		select {
		case got := <-heard:
			if got.Method != want || !strings.Contains(string(got.Params), `subscriptionId":"mine"`) {
				t.Errorf("heard %s %s, want %s", got.Method, got.Params, want)
			}
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(5 * time.Second):
			t.Fatalf("never heard %s", want)
		}
		srv.AddTool(&sdk.Tool{Name: "new", InputSchema: json.RawMessage(`{"type":"object"}`)}, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) { return nil, nil })
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

func TestForgottenSessionIsEstablishedAnew(t *testing.T) {
	t.Parallel()
	web := newSite(t, streamable(sdkServer(), nil))
	s := start(t, upstream.Options{}, upstream.Spec{URL: web.URL})
	heard := make(chan string, 10)
	c := open(t, s, mcp.Dial{Caller: "a", Init: &mcp.Message{ID: json.RawMessage("0"), Method: "initialize", Params: json.RawMessage(hello)},
		Other: func(m *mcp.Message) { heard <- m.Method }})
	before := say(t, c, "x")
	ask(t, c, "resources/subscribe", `{"uri":"x://1"}`)
	fresh := sdkServer()
	fresh.AddResource(&sdk.Resource{URI: "x://1", Name: "one"}, nil)
	h := streamable(fresh, nil)
	web.now.Store(&h) // restarted: it knows no session
	web.CloseClientConnections()
	until(t, "an answer", func() bool {
		res, err := c.Call(context.Background(), sayRequest("x", 0), nil)
		return err == nil && words(t, res) != before
	})
	until(t, "the news about what was subscribed to", func() bool {
		if err := fresh.ResourceUpdated(context.Background(), &sdk.ResourceUpdatedNotificationParams{URI: "x://1"}); err != nil {
			t.Error(err)
		}
		for {
			select {
			case got := <-heard:
				if got == "notifications/resources/updated" {
					return true
				}
			default:
				return false
			}
		}
	})
}

func TestBrokenStreamIsResumed(t *testing.T) {
	t.Parallel()
	old := streamable(sdkServer(), &sdk.StreamableHTTPOptions{EventStore: sdk.NewMemoryEventStore(nil)})
	var cut atomic.Int32
	web := newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		if strings.Contains(string(body), `"name":"say"`) {
			ctx, stop := context.WithCancel(r.Context())
			w = &cutter{ResponseWriter: w, stop: stop, left: 2}
			r = r.WithContext(ctx)
			cut.Add(1)
		}
		old.ServeHTTP(w, r)
	}))
	s := start(t, upstream.Options{}, upstream.Spec{URL: web.URL})
	c := dial(t, s, "a")
	var heard []string
	res, err := c.Call(context.Background(), sayRequest("x", 300), func(m *mcp.Message) { heard = append(heard, string(m.Params)) })
	if err != nil || !strings.HasSuffix(words(t, res), " x") {
		t.Fatalf("%v %v", res, err)
	}
	if len(heard) != 3 || cut.Load() != 1 {
		t.Errorf("heard %d of 3, over %d cuts: %v", len(heard), cut.Load(), heard)
	}
}

// cutter breaks a stream off after some events.
type cutter struct {
	http.ResponseWriter
	stop func()
	left int
}

func (c *cutter) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "data: {") {
		if c.left--; c.left < 0 {
			c.stop()
			return 0, errors.New("cut")
		}
	}
	return c.ResponseWriter.Write(b)
}

func (c *cutter) Flush() { c.ResponseWriter.(http.Flusher).Flush() }

func TestPooledSessionsAreBounded(t *testing.T) {
	t.Parallel()
	web := newSite(t, streamable(sdkServer(), nil))
	s := start(t, upstream.Options{Limits: upstream.Limits{Pooled: 2}}, upstream.Spec{URL: web.URL})
	conns := map[string]*mcp.Opened{}
	for _, who := range []string{"a", "b", "c"} {
		conns[who] = open(t, s, mcp.Dial{Caller: who, Shared: true})
		say(t, conns[who], who)
	}
	<-conns["a"].Done()
	say(t, conns["c"], "c")
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() })
	for _, who := range []string{"b", "c"} {
		wg.Go(func() { _, _ = conns[who].Call(ctx, sayRequest(who, 60000), nil) })
	}
	until(t, "two calls", func() bool { return s.Status()[0].InFlight == 2 })
	if _, err := s.Open(context.Background(), mcp.Dial{Caller: "d", Shared: true}); !errors.Is(err, upstream.ErrBusy) {
		t.Errorf("error %v", err)
	}
}
