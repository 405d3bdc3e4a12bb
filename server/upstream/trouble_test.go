package upstream_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"paygate/server/mcp"
	"paygate/server/upstream"
)

func TestCancellingOverHTTPTellsTheServer(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var bodies []string
	old := streamable(sdkServer(), nil)
	web := newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		bodies = append(bodies, r.Method+string(body))
		mu.Unlock()
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		old.ServeHTTP(w, r)
	}))
	s := start(t, upstream.Options{}, upstream.Spec{URL: web.URL})
	c := dial(t, s, "a")
	ctx, stop := context.WithTimeoutCause(context.Background(), 50*time.Millisecond, errors.New("enough"))
	defer stop()
	if _, err := c.Call(ctx, sayRequest("x", 60000), nil); !errors.Is(err, mcp.ErrLost) || !strings.Contains(err.Error(), "enough") {
		t.Errorf("error %v", err)
	}
	seen := func(part string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Contains(strings.Join(bodies, "\n"), part)
		}
	}
	until(t, "the cancellation", seen(`"method":"notifications/cancelled","params":{"requestId":`))
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	until(t, "the end of the session", seen("DELETE"))
}

func TestHTTPTrouble(t *testing.T) {
	t.Parallel()
	good := streamable(sdkServer(), nil)
	web := newSite(t, good)
	s := start(t, upstream.Options{}, upstream.Spec{URL: web.URL, Headers: map[string]string{"X-Secret": "sesame"}})
	c := dial(t, s, "a")
	say(t, c, "x")
	for name, trouble := range map[string]struct {
		do   http.HandlerFunc
		want string
	}{
		"status": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "too busy", http.StatusServiceUnavailable) }, "503 Service Unavailable: too busy"},
		"auth":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "check the headers"},
		"empty":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202) }, "202 Accepted"},
		"not ours": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":999,"result":{}}`)
		}, "without the answer"},
		"html":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, "200 OK"},
		"cut stream": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/event-stream") }, "ended before the answer"},
		"broken":     {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "connection broke"},
		"headers": {func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.Header.Get("X-Secret")+r.Header.Get("MCP-Protocol-Version"), 500)
		}, "sesame2025-06-18"},
	} {
		var h http.Handler = trouble.do
		web.now.Store(&h)
		_, err := c.Call(context.Background(), sayRequest("x", 0), nil)
		if !errors.Is(err, mcp.ErrLost) || !strings.Contains(upstream.Detail(err), trouble.want) {
			t.Errorf("%s: %v, want %s", name, err, trouble.want)
		}
		web.now.Store(&good)
	}
	say(t, c, "x")
	web.CloseClientConnections()
	web.Close()
	_, err := c.Call(context.Background(), sayRequest("x", 0), nil)
	if !errors.Is(err, mcp.ErrLost) {
		t.Errorf("gone: %v", err)
	}
	until(t, "down", func() bool { return s.Status()[0].State == upstream.Down })
}

func TestAnswerTooLongOverHTTP(t *testing.T) {
	t.Parallel()
	good := streamable(sdkServer(), nil)
	web := newSite(t, good)
	s := start(t, upstream.Options{Limits: upstream.Limits{Message: 64 << 10}}, upstream.Spec{URL: web.URL})
	c := dial(t, s, "a")
	for _, kind := range []string{"application/json", "text/event-stream"} {
		var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, "data: "[:6*strings.Count(kind, "event")]+`{"x":"`+strings.Repeat("x", 100<<10))
		})
		web.now.Store(&h)
		if _, err := c.Call(context.Background(), sayRequest("x", 0), nil); !errors.Is(err, mcp.ErrLost) || !strings.Contains(err.Error(), "more than 65536 bytes") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
