package mcp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paygate/server/mcp"
)

// What follows is what a client does that means no good, or does not know
// better.

func TestABatchIsBounded(t *testing.T) {
	t.Parallel()
	g := serve(t, &server{}, nil)
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	many := func(n int) string { return "[" + strings.Repeat(ping+",", n-1) + ping + "]" }
	if status, body := g.post(many(100)); status != 200 || strings.Count(body, `"result":{}`) != 100 {
		t.Errorf("100 messages: %d %.100s", status, body)
	}
	if status, body := g.post(many(101)); status != 400 || !strings.Contains(body, "at most 100") {
		t.Errorf("101 messages: %d %.100s", status, body)
	}
}

func TestInitializeHidesInNoBatch(t *testing.T) {
	t.Parallel()
	s := &server{}
	g := serve(t, s, nil)
	status, body := g.post(`[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"initialize","params":{"protocolVersion":"2025-03-26"}}]`)
	if status != 400 || !strings.Contains(body, "must not be part of a batch") || s.opened() != 0 {
		t.Errorf("%d %s, %d conversations", status, body, s.opened())
	}
}

func TestASessionKeepsNoLongStory(t *testing.T) {
	t.Parallel()
	g := serve(t, &server{}, nil)
	hello := func(n int) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"%s","version":"1"}}}`, strings.Repeat("x", n))
	}
	if status, body := g.post(hello(16 << 10)); status != 200 {
		t.Errorf("16 KiB: %d %.100s", status, body)
	}
	status, body := g.post(hello(64 << 10))
	if status != 400 || !strings.Contains(body, "at most") || g.e.Sessions() != 1 {
		t.Errorf("64 KiB: %d %.100s, %d sessions", status, body, g.e.Sessions())
	}
}

// A tools/call without an id would be done by some servers, and paid by nobody.
func TestARequestWithoutAnIDReachesNoServer(t *testing.T) {
	t.Parallel()
	s := &server{}
	g := serve(t, s, nil)
	id := g.session("X-API-Key", "a")
	for _, body := range []string{`{"jsonrpc":"2.0","method":"tools/call","params":{"name":"send","arguments":{}}}`, `{"jsonrpc":"2.0","method":"notifications/one"}`} {
		if status, text := g.post(body, "Mcp-Session-Id", id, "X-API-Key", "a"); status != 202 {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
	if m := <-s.last().sent; m.Method != "notifications/one" || len(s.last().sent) > 0 {
		t.Errorf("the server heard %s", m.Method)
	}
}

// keyring is a handler whose one key can be taken away.
type keyring struct {
	pass
	revoked, suspended *atomic.Bool
}

func (k keyring) Identify(r *http.Request) mcp.Caller {
	c := k.pass.Identify(r)
	if k.revoked.Load() {
		c.ID = ""
	}
	c.Barred = k.suspended.Load()
	return c
}

func TestAStreamEndsWithItsKey(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"revoked", "suspended"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s, k := &server{}, keyring{revoked: new(atomic.Bool), suspended: new(atomic.Bool)}
			g := serve(t, s, func(o *mcp.Options) { o.Handler = k })
			id := g.session("X-API-Key", "a")
			res := g.do(http.MethodGet, "", "Mcp-Session-Id", id, "X-API-Key", "a")
			stream := bufio.NewReader(res.Body)
			s.last().dial.Other(notification(1))
			if e := next(t, stream); !strings.Contains(e.data, `"data":1`) {
				t.Fatalf("before: %s", e.data)
			}
			k.revoked.Store(how == "revoked")
			k.suspended.Store(how == "suspended")
			s.last().dial.Other(notification(2))
			if rest, err := io.ReadAll(stream); err != nil || strings.Contains(string(rest), "data") {
				t.Errorf("afterwards it got %q (%v)", rest, err)
			}
			if again := g.do(http.MethodGet, "", "Mcp-Session-Id", id, "X-API-Key", "a"); again.StatusCode < 400 {
				t.Errorf("and was opened again: %s", again.Status)
			}
		})
	}
}

func TestWhoSendsSlowlyIsCutOff(t *testing.T) {
	t.Parallel()
	g := serve(t, &server{}, func(o *mcp.Options) { o.Limits.Send = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(g.url, "http://"), "/mcp"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("nothing ended it: %v", err)
	}
	if res.StatusCode != http.StatusRequestTimeout {
		t.Errorf("%s", res.Status)
	}
}

// The time to send a request says nothing about how long its call may take.
func TestASlowCallOutlivesTheTimeToSendIt(t *testing.T) {
	t.Parallel()
	s := &server{}
	g := serve(t, s, func(o *mcp.Options) {
		o.Limits.Send = 20 * time.Millisecond
		o.Handler = pass{slowly}
	})
	if status, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`); status != 200 || !strings.Contains(body, `"done":true`) {
		t.Errorf("%d %s", status, body)
	}
}

func slowly(ctx context.Context, _ *mcp.Exchange) (*mcp.Message, error) {
	select {
	case <-time.After(100 * time.Millisecond):
		return result(`{"done":true}`), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A client that hangs up leaves its requests running, so that it can come back.
// A hostile one would leave any number.
func TestASessionHasOnlySoManyRequestsUnderWay(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	s := &server{answer: func(ctx context.Context, _ *conversation, _ *mcp.Message, _ func(*mcp.Message)) (*mcp.Message, error) {
		<-more
		return result(`{"done":true}`), nil
	}}
	g := serve(t, s, func(o *mcp.Options) { o.Limits.Pending = 2 })
	id := g.session()
	ask := func() (int, string) {
		return g.post(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}`, "Mcp-Session-Id", id)
	}
	var all sync.WaitGroup
	answers := make(chan string, 3)
	for range 3 { // all under one id, which is the client's business
		all.Go(func() {
			_, body := ask()
			answers <- body
		})
	}
	if body := <-answers; !strings.Contains(body, "-32005") || !strings.Contains(body, "2 requests under way") {
		t.Errorf("the third: %s", body)
	}
	close(more)
	all.Wait()
	if status, body := ask(); status != 200 || !strings.Contains(body, `"done":true`) {
		t.Errorf("when they have ended: %d %s", status, body)
	}
}
