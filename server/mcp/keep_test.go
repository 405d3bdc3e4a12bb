package mcp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"paygate/server/mcp"
)

// chatty answers every call after so many notes of so many bytes.
func chatty(notes, size int) *server {
	text, _ := json.Marshal(strings.Repeat("x", size)) // a string always has a text
	return &server{answer: func(_ context.Context, _ *conversation, _ *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
		for range notes {
			during(&mcp.Message{Method: "notifications/message", Params: json.RawMessage(`{"level":"info","data":` + string(text) + `}`)})
		}
		return result(`{"done":true}`), nil
	}}
}

const toolCall = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`

// firstID is the id of the first event that a call is answered with, read to
// its end.
func (g rig) firstID(session string) string {
	g.t.Helper()
	b := bufio.NewReader(g.do(http.MethodPost, toolCall, "Mcp-Session-Id", session).Body)
	first := next(g.t, b)
	for e := first; !strings.Contains(e.data, `"done"`); {
		e = next(g.t, b)
	}
	return first.id
}

// resumed is how many events a client gets that has seen one.
func (g rig) resumed(session, id string) int {
	g.t.Helper()
	res := g.do(http.MethodGet, "", "Mcp-Session-Id", session, "Last-Event-ID", id)
	if res.StatusCode == http.StatusNoContent {
		return 0
	}
	b, n := bufio.NewReader(res.Body), 0
	for {
		n++
		if e := next(g.t, b); strings.Contains(e.data, `"done"`) {
			return n
		}
	}
}

func TestAllStreamsTogetherKeepWithinBounds(t *testing.T) {
	t.Parallel()
	const notes, size = 9, 10_000
	g := serve(t, chatty(notes, size), func(o *mcp.Options) { o.Limits.Kept = 3 * notes * size })
	var sessions, ids []string
	for range 6 {
		s := g.session()
		sessions, ids = append(sessions, s), append(ids, g.firstID(s))
	}
	for i, want := range map[int]int{0: 0, 1: 0, 5: notes, 4: notes} { // the oldest go first, whosesoever they are
		if got := g.resumed(sessions[i], ids[i]); got != want {
			t.Errorf("stream %d of 6 has %d events after the first, want %d", i, got, want)
		}
	}
}

func TestAStreamThatOutgrowsTheBoundKeepsItsEnd(t *testing.T) {
	t.Parallel()
	read := make(chan struct{})
	s := &server{answer: func(_ context.Context, _ *conversation, _ *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
		for range 50 {
			during(&mcp.Message{Method: "notifications/message", Params: json.RawMessage(`{"level":"info","data":"` + strings.Repeat("x", 10_000) + `"}`)})
			<-read // so that the reader never stays behind
		}
		return result(`{"done":true}`), nil
	}}
	g := serve(t, s, func(o *mcp.Options) { o.Limits.Kept = 100_000 })
	id := g.session()
	b := bufio.NewReader(g.do(http.MethodPost, toolCall, "Mcp-Session-Id", id).Body)
	first := next(t, b)
	read <- struct{}{}
	for range 49 {
		next(t, b)
		read <- struct{}{}
	}
	next(t, b)
	if n := g.resumed(id, first.id); n < 5 || n > 10 {
		t.Errorf("%d events are kept of 50 of which 10 fit", n)
	}
}

func TestAFinishedStreamIsKeptForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := mcp.New(mcp.Options{Handler: pass{}, Backend: chatty(3, 10)})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(method, body string, headers ...string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), method, "/mcp", strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Accept", "application/json, text/event-stream")
			for i := 0; i+1 < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			return w
		}
		session := ask(http.MethodPost, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`).Header().Get("Mcp-Session-Id")
		body := ask(http.MethodPost, toolCall, "Mcp-Session-Id", session).Body.String()
		id := next(t, bufio.NewReader(strings.NewReader(body))).id
		again := func() int {
			return strings.Count(ask(http.MethodGet, "", "Mcp-Session-Id", session, "Last-Event-ID", id).Body.String(), "data: {")
		}
		time.Sleep(50 * time.Second)
		if n := again(); n != 3 {
			t.Errorf("after 50 seconds: %d events, want 3", n)
		}
		time.Sleep(30 * time.Second)
		if n := again(); n != 0 {
			t.Errorf("after 80 seconds: %d events", n)
		}
		if err := e.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestAReaderThatLostEventsGoesOnWithWhatIsLeft(t *testing.T) {
	t.Parallel()
	s := &server{}
	g := serve(t, s, func(o *mcp.Options) { o.Limits.LogEvents = 5 })
	id := g.session()
	res := g.do(http.MethodGet, "", "Mcp-Session-Id", id)
	s.last().dial.Other(notification(0))
	first := next(t, bufio.NewReader(res.Body))
	_ = res.Body.Close()
	for n := 1; n <= 20; n++ {
		s.last().dial.Other(notification(n))
	}
	b := bufio.NewReader(g.do(http.MethodGet, "", "Mcp-Session-Id", id, "Last-Event-ID", first.id).Body)
	for n := 16; n <= 20; n++ {
		if e := next(t, b); !strings.Contains(e.data, fmt.Sprintf(`"data":%d}`, n)) {
			t.Errorf("got %s, want %d", e.data, n)
		}
	}
}

func TestAClientThatDoesNotReadIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	long := json.RawMessage(`{"text":"` + strings.Repeat("x", 30<<20) + `"}`) // more than connections hold by themselves
	s := &server{answer: func(context.Context, *conversation, *mcp.Message, func(*mcp.Message)) (*mcp.Message, error) {
		return &mcp.Message{Result: long}, nil
	}}
	e, err := mcp.New(mcp.Options{Handler: pass{}, Backend: s, Limits: mcp.Limits{Write: 200 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{}, 2)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.ServeHTTP(w, r)
		over <- struct{}{}
	}))
	defer web.Close()
	defer web.CloseClientConnections()
	g := rig{t, e, web.URL + "/mcp"}
	for _, accept := range []string{"application/json", "text/event-stream"} {
		g.do(http.MethodPost, toolCall, "Accept", accept) // and its body is left alone
	}
	for range 2 {
		select {
		case <-over:
		case <-time.After(10 * time.Second):
			t.Fatal("the answer still waits for its reader")
		}
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// slow is an answer that is written while a test looks at it.
type slow struct {
	*httptest.ResponseRecorder
	mu sync.Mutex
}

func (w *slow) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ResponseRecorder.Write(p)
}

func (w *slow) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Body.String()
}

func TestAQuietStreamIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := mcp.New(mcp.Options{Handler: pass{}, Backend: &server{}})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`))
		r.Header.Set("Content-Type", "application/json")
		begun := httptest.NewRecorder()
		e.ServeHTTP(begun, r)
		ctx, hangUp := context.WithCancel(t.Context())
		get := httptest.NewRequestWithContext(ctx, http.MethodGet, "/mcp", nil)
		get.Header.Set("Mcp-Session-Id", begun.Header().Get("Mcp-Session-Id"))
		get.Header.Set("Accept", "text/event-stream")
		w := &slow{ResponseRecorder: httptest.NewRecorder()}
		over := make(chan struct{})
		go func() {
			defer close(over)
			e.ServeHTTP(w, get)
		}()
		time.Sleep(46 * time.Second)
		if n := strings.Count(w.text(), ": keep-alive\n\n"); n != 3 {
			t.Errorf("%d signs of life in 46 seconds, want 3: %q", n, w.text())
		}
		time.Sleep(2 * time.Hour)
		if e.Sessions() != 1 {
			t.Error("a session whose stream is read has ended as idle")
		}
		hangUp()
		<-over
		if err := e.Shutdown(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
}

func TestASessionHasSoManyStreamsAndNoMore(t *testing.T) {
	t.Parallel()
	s := &server{answer: func(ctx context.Context, _ *conversation, _ *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
		during(notification(1))
		<-ctx.Done()
		return nil, mcp.ErrLost
	}}
	g := serve(t, s, func(o *mcp.Options) { o.Limits.Streams = 2 })
	id := g.session()
	first := next(t, bufio.NewReader(g.do(http.MethodPost, toolCall, "Mcp-Session-Id", id).Body))
	get := func() int {
		return g.do(http.MethodGet, "", "Mcp-Session-Id", id, "Last-Event-ID", first.id).StatusCode
	}
	if a, b, c := get(), get(), get(); a != 200 || b != 200 || c != 409 {
		t.Errorf("three streams where two may be: %d %d %d", a, b, c)
	}
}
