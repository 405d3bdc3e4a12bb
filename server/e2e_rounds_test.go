package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"paygate/testdata/fake"
)

// before is a gateway before a fake server of a mode, over a transport. A
// server over HTTP outlives a kill of the gateway.
func before(t *testing.T, mode, transport string, more map[string]any) *gateway {
	t.Helper()
	settings := map[string]any{"env": fake.Env(mode), "isolation": "session"}
	if transport == "http" {
		web := httptest.NewServer(fake.Web(mode))
		t.Cleanup(web.Close)
		settings = map[string]any{"serverCommand": "", "env": "", "isolation": "session", "remoteUrl": web.URL + "/mcp"}
	}
	maps.Copy(settings, more)
	return start(t, settings)
}

// waiting is the first round of a call: what the server asks, and the params
// of the next round.
func (c *mcpClient) waiting(tool string) (next map[string]any) {
	c.t.Helper()
	params := map[string]any{"name": tool, "arguments": map[string]any{"who": "what now?"}}
	a := c.round(c.t.Context(), "tools/call", params, nil)
	var input struct {
		ResultType, RequestState string
		InputRequests            map[string]note
	}
	if a.Error != nil || json.Unmarshal(a.Result, &input) != nil || input.ResultType != "input_required" || input.RequestState == "" {
		c.t.Fatalf("the first round: %+v %s", a.Error, a.Result)
	}
	responses := map[string]any{}
	for name, q := range input.InputRequests {
		responses[name] = c.replies[q.Method]
	}
	params["inputResponses"], params["requestState"] = responses, input.RequestState
	return params
}

func TestACallThatWaitsForItsClientOutlivesTheGateway(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"stdio", "http"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			g := before(t, "modern", transport, nil)
			k := g.key(nil)
			c := g.connect(t, newestRevision, k.Key)
			next := c.waiting("ask")
			g.restart()
			if got := g.account(k); got.Held != 2 || got.Spent != 0 {
				t.Errorf("between the rounds, after the kill: %+v", got)
			}
			a := c.round(t.Context(), "tools/call", next, nil)
			if a.Error != nil || !strings.Contains(string(a.Result), "Ada") {
				t.Fatalf("the second round: %+v %s", a.Error, a.Result)
			}
			g.restart()
			if a := c.round(t.Context(), "tools/call", next, nil); a.Error == nil || a.Error.Code != -32602 {
				t.Errorf("the second round once more: %+v %s", a.Error, a.Result)
			}
			if got := g.account(k); got.Held != 0 || got.Spent != 2 || got.Calls != 1 {
				t.Errorf("at the end: %+v", got)
			}
			g.prove()
		})
	}
}

// An old server's call waits in the gateway's process, and ends with it.
func TestACallThatWaitsForAnOldServerEndsWithTheGateway(t *testing.T) {
	t.Parallel()
	g := before(t, "legacy", "stdio", nil)
	k := g.key(nil)
	c := g.connect(t, newestRevision, k.Key)
	next := c.waiting("ask")
	g.restart()
	if got := g.account(k); got.Held != 0 { // nobody can answer it any more
		t.Errorf("after the kill: %+v", got)
	}
	a := c.round(t.Context(), "tools/call", next, nil)
	if a.Error == nil || a.Error.Code != -32602 || !strings.Contains(a.Error.Message, "call the tool anew") {
		t.Errorf("the second round: %+v %s", a.Error, a.Result)
	}
	if got := g.account(k); got.Held != 0 || got.Spent != 0 || got.Credits != 100 {
		t.Errorf("at the end: %+v", got)
	}
	if _, words := c.tool("ask", map[string]any{"who": "again?"}); !strings.Contains(words, "Ada") {
		t.Errorf("the tool, called anew: %q", words)
	}
	g.prove()
}

// It ends with the old server, too: its credits are free at once.
func TestACallThatWaitsForAnOldServerEndsWithTheServer(t *testing.T) {
	t.Parallel()
	g := before(t, "legacy", "stdio", nil)
	k := g.key(nil)
	c := g.connect(t, newestRevision, k.Key)
	next := c.waiting("ask")
	if got := g.account(k); got.Held != 2 {
		t.Errorf("between the rounds: %+v", got)
	}
	_, words := c.tool("echo", map[string]any{"who": "which process?"})
	var said fake.Said
	if err := json.Unmarshal([]byte(words), &said); err != nil {
		t.Fatal(err)
	}
	server, err := os.FindProcess(said.Pid)
	if err == nil {
		err = server.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	g.until("the credits are free", func() bool { return g.account(k).Held == 0 })
	a := c.round(t.Context(), "tools/call", next, nil)
	if a.Error == nil || a.Error.Code != -32602 || !strings.Contains(a.Error.Message, "its server has ended; call the tool anew") {
		t.Errorf("the second round: %+v %s", a.Error, a.Result)
	}
	if got := g.account(k); got.Held != 0 || got.Spent != 2 || got.Credits != 98 {
		t.Errorf("at the end: %+v", got)
	}
	g.prove()
}

func TestSeveralCallsOfAnAgentAskAtOnce(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"stdio", "http"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			g := before(t, "legacy", transport, nil)
			k := g.key(nil)
			c := g.connect(t, newestRevision, k.Key)
			var waiting []map[string]any
			for range 4 {
				waiting = append(waiting, c.waiting("twice"))
			}
			for _, next := range waiting {
				if a := c.do(t.Context(), "tools/call", next, nil); a.Error != nil || !strings.Contains(string(a.Result), "Ada") || !strings.Contains(string(a.Result), "Paris") {
					t.Errorf("%+v %s", a.Error, a.Result)
				}
			}
			var all sync.WaitGroup
			var pids sync.Map
			for i := range 8 { // half of them ask, and nothing says which
				who := fmt.Sprint("call ", i)
				mine := g.connect(t, newestRevision, k.Key)
				all.Go(func() {
					tool, want := "sleep", ""
					if i%2 == 0 {
						tool, want = "twice", "Ada"
					}
					a, words := mine.tool(tool, map[string]any{"who": who, "ms": 300})
					var said fake.Said
					if err := json.Unmarshal([]byte(words), &said); err != nil || said.Who != who || !strings.Contains(words, want) {
						t.Errorf("%s: %+v %s", who, a.Error, words)
					}
					pids.Store(said.Pid, true)
				})
			}
			all.Wait()
			n := 0
			pids.Range(func(any, any) bool { n++; return true })
			if n != 1 {
				t.Errorf("%d processes for one agent", n)
			}
			if got := g.account(k); got.Held != 0 || got.Spent != 24 {
				t.Errorf("at the end: %+v", got)
			}
		})
	}
}

func TestAServerSendsTheUserToAPageFirst(t *testing.T) {
	t.Parallel()
	for mode, revs := range map[string][]string{"legacy": {"2025-11-25", newestRevision}, "modern": {"2025-11-25", newestRevision}} {
		for _, rev := range revs {
			t.Run(mode+", client "+rev, func(t *testing.T) {
				t.Parallel()
				g := before(t, mode, "stdio", map[string]any{"refundOnFailure": true})
				k := g.key(nil)
				c := g.connect(t, rev, k.Key)
				c.hello()
				a, words := c.tool("visit", map[string]any{"who": "please"})
				if mode == "legacy" && rev != newestRevision { // the error as it is, then the call again
					if a.Error == nil || a.Error.Code != -32042 || !strings.Contains(string(a.Error.Data), "https://example.com/consent") {
						t.Fatalf("%+v %s", a.Error, a.Result)
					}
					_, words = c.tool("visit", map[string]any{"who": "please"})
				}
				if !strings.Contains(words, "please") {
					t.Errorf("%+v %s", a.Error, words)
				}
				if got := g.account(k); got.Held != 0 || got.Spent != 2 {
					t.Errorf("at the end: %+v", got)
				}
			})
		}
	}
}
