package mcp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"net/http/httptest"

	"paygate/server/mcp"
)

func TestASessionBelongsToItsCaller(t *testing.T) {
	t.Parallel()
	g := serve(t, &server{}, nil)
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`
	keyless := g.session()
	for _, c := range []struct {
		key    string
		status int
	}{{"", 200}, {"a", 200}, {"b", 404}, {"", 404}, {"a", 200}} {
		if status, _ := g.post(call, "Mcp-Session-Id", keyless, "X-API-Key", c.key); status != c.status {
			t.Errorf("key %q: %d, want %d", c.key, status, c.status)
		}
	}
	if res := g.do(http.MethodDelete, "", "Mcp-Session-Id", keyless, "X-API-Key", "a"); res.StatusCode != 200 {
		t.Errorf("DELETE: %s", res.Status)
	}
	if status, _ := g.post(call, "Mcp-Session-Id", keyless, "X-API-Key", "a"); status != 404 {
		t.Errorf("after DELETE: %d", status)
	}
}

func TestManyCallersWithTheSameIDs(t *testing.T) {
	t.Parallel()
	s := &server{answer: func(_ context.Context, c *conversation, m *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
		during(&mcp.Message{Method: "notifications/progress", Params: json.RawMessage(`{"progressToken":"p","who":"` + c.dial.Caller + `"}`)})
		return result(`{"who":%q,"got":%s}`, c.dial.Caller, m.Params), nil
	}}
	g := serve(t, s, nil)
	var all sync.WaitGroup
	for i := range 50 {
		who := fmt.Sprintf("caller%d", i)
		id := g.session("X-API-Key", who)
		all.Go(func() {
			for n := 1; n <= 10; n++ {
				status, body := g.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"n":"%s/%d","_meta":{"progressToken":"p"}}}`, n, who, n), "Mcp-Session-Id", id, "X-API-Key", who)
				for _, want := range []string{fmt.Sprintf(`"id":%d,`, n), `"result":{"who":"` + who + `"`, fmt.Sprintf(`"%s/%d"`, who, n), `"progressToken":"p","who":"` + who + `"`} {
					if status != 200 || strings.Count(body, want) != 1 {
						t.Errorf("%d %s lacks %s", status, body, want)
					}
				}
			}
		})
	}
	all.Wait()
}

func TestABrokenStreamGoesOnWhereItBroke(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	s := &server{answer: func(_ context.Context, _ *conversation, _ *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
		during(notification(1))
		<-more
		during(notification(2))
		return result(`{"done":true}`), nil
	}}
	g := serve(t, s, nil)
	id := g.session()
	ctx, hangUp := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Mcp-Session-Id", id)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	first := next(t, bufio.NewReader(res.Body))
	hangUp()
	_ = res.Body.Close()
	close(more)

	again := bufio.NewReader(g.do(http.MethodGet, "", "Mcp-Session-Id", id, "Last-Event-ID", first.id).Body)
	if e := next(t, again); !strings.Contains(e.data, `"data":2`) {
		t.Errorf("the second event is %s", e.data)
	}
	last := next(t, again)
	if !strings.Contains(last.data, `"done":true`) || !strings.Contains(last.data, `"id":1`) {
		t.Errorf("the last event is %s", last.data)
	}
	for name, at := range map[string]string{"a stream read to its end": last.id, "a stream that nobody remembers": "zzz-7_1"} {
		if res := g.do(http.MethodGet, "", "Mcp-Session-Id", id, "Last-Event-ID", at); res.StatusCode != 204 {
			t.Errorf("%s: %s; a client that is not told to stop comes back for ever", name, res.Status)
		}
	}
	if res := g.do(http.MethodGet, "", "Mcp-Session-Id", id, "Last-Event-ID", "nonsense"); res.StatusCode != 400 {
		t.Errorf("a strange Last-Event-ID: %s", res.Status)
	}
}

func TestTheStandingStreamRepeatsNothing(t *testing.T) {
	t.Parallel()
	s := &server{}
	g := serve(t, s, nil)
	id := g.session()
	for n := range 3 {
		res := g.do(http.MethodGet, "", "Mcp-Session-Id", id)
		s.last().dial.Other(notification(n))
		if e := next(t, bufio.NewReader(res.Body)); !strings.Contains(e.data, fmt.Sprintf(`"data":%d`, n)) {
			t.Errorf("reader %d got %s", n, e.data)
		}
		_ = res.Body.Close()
	}
}

func TestTheStandingStreamOfALifeBeforeGoesOn(t *testing.T) {
	t.Parallel()
	s := &server{}
	g := serve(t, s, nil)
	id := g.session()
	res := g.do(http.MethodGet, "", "Mcp-Session-Id", id, "Last-Event-ID", "before-0_12")
	s.last().dial.Other(notification(1))
	if e := next(t, bufio.NewReader(res.Body)); !strings.Contains(e.data, `"data":1`) {
		t.Errorf("the first event of this life is %s", e.data)
	}
}

func TestAClientCancels(t *testing.T) {
	t.Parallel()
	started := make(chan struct{})
	s := &server{answer: func(ctx context.Context, _ *conversation, _ *mcp.Message, _ func(*mcp.Message)) (*mcp.Message, error) {
		close(started)
		<-ctx.Done()
		return nil, fmt.Errorf("%w: %w", mcp.ErrLost, ctx.Err())
	}}
	g := serve(t, s, nil)
	id := g.session()
	ended := make(chan string)
	go func() {
		_, body := g.post(`{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{}}`, "Mcp-Session-Id", id)
		ended <- body
	}()
	<-started
	if status, _ := g.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x"}}`, "Mcp-Session-Id", id); status != 202 {
		t.Errorf("cancelled: %d", status)
	}
	if body := <-ended; !strings.Contains(body, `"error"`) {
		t.Errorf("the cancelled call ended with %s", body)
	}
}

func TestTheServerAsksTheClient(t *testing.T) {
	t.Parallel()
	s := &server{answer: func(ctx context.Context, c *conversation, _ *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
		during(&mcp.Message{ID: json.RawMessage(`"q7"`), Method: "roots/list"})
		select {
		case a := <-c.sent:
			return result(`{"asked":%s}`, a.Append(nil)), nil
		case <-ctx.Done():
			return nil, mcp.ErrLost
		}
	}}
	g := serve(t, s, nil)
	id := g.session()
	b := bufio.NewReader(g.do(http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`, "Mcp-Session-Id", id).Body)
	if e := next(t, b); e.data != `{"jsonrpc":"2.0","id":"q7","method":"roots/list"}` {
		t.Fatalf("asked %s", e.data)
	}
	if status, _ := g.post(`{"jsonrpc":"2.0","id":"q7","result":{"roots":[]}}`, "Mcp-Session-Id", id); status != 202 {
		t.Errorf("the answer: %d", status)
	}
	if e := next(t, b); !strings.Contains(e.data, `"asked":{"jsonrpc":"2.0","id":"q7","result":{"roots":[]}}`) {
		t.Errorf("the call ended with %s", e.data)
	}
}

// memory is a SessionStore that a second endpoint can be given.
type memory struct {
	mu sync.Mutex
	m  map[string][2]string
}

func (s *memory) SaveSession(id, caller string, init []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[id] = [2]string{caller, string(init)}
	return nil
}

func (s *memory) LoadSession(id string) (string, []byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.m[id]
	return v[0], []byte(v[1]), ok
}

func (s *memory) DeleteSession(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, id)
	return nil
}

func TestASessionOutlivesTheGateway(t *testing.T) {
	t.Parallel()
	kept := &memory{m: map[string][2]string{}}
	with := func(o *mcp.Options) { o.Store = kept }
	id := serve(t, &server{}, with).session("X-API-Key", "a")
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`
	s := &server{}
	g := serve(t, s, with)
	if status, _ := g.post(call, "Mcp-Session-Id", id, "X-API-Key", "b"); status != 404 {
		t.Errorf("another key: %d", status)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if status, body := g.post(call, "Mcp-Session-Id", id, "X-API-Key", "a"); status != 200 {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	all.Wait()
	if n := s.opened(); n != 1 || g.e.Sessions() != 1 || !strings.Contains(string(s.last().dial.Init.Params), "clientInfo") {
		t.Errorf("%d conversations, %d sessions", n, g.e.Sessions())
	}
}

func TestIdleSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := mcp.New(mcp.Options{Handler: pass{}, Backend: &server{}})
		if err != nil {
			t.Fatal(err)
		}
		begin := func() {
			r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}`))
			r.Header.Set("Content-Type", "application/json")
			e.ServeHTTP(httptest.NewRecorder(), r)
		}
		begin()
		time.Sleep(29 * time.Minute)
		begin()
		if n := e.Sessions(); n != 2 {
			t.Errorf("after 29 minutes: %d sessions", n)
		}
		time.Sleep(3 * time.Minute)
		if n := e.Sessions(); n != 1 {
			t.Errorf("after 32 minutes: %d sessions", n)
		}
		if err := e.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestTheLongestIdleSessionMakesRoom(t *testing.T) {
	t.Parallel()
	g := serve(t, &server{}, func(o *mcp.Options) { o.Limits.Sessions = 2 })
	first, second := g.session(), g.session()
	g.session()
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`
	if status, _ := g.post(call, "Mcp-Session-Id", first); status != 404 {
		t.Errorf("the first: %d", status)
	}
	if status, _ := g.post(call, "Mcp-Session-Id", second); status != 200 {
		t.Errorf("the second: %d", status)
	}
}

func TestShutdownEndsEveryKindOfCall(t *testing.T) {
	t.Parallel()
	started := make(chan struct{}, 2)
	s := &server{modern: true, answer: func(ctx context.Context, _ *conversation, m *mcp.Message, _ func(*mcp.Message)) (*mcp.Message, error) {
		if m.Method == "tools/list" {
			return result(`{"tools":[]}`), nil
		}
		started <- struct{}{}
		<-ctx.Done()
		return nil, mcp.ErrLost
	}}
	g := serve(t, s, nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.modern("tools/call", `"name":"slow"`, "Mcp-Name", "slow")
	}()
	<-started
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := g.e.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	<-ended
}
