package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paygate/testdata/fake"
)

// Servers misbehave; the gateway stays up, says what happened, charges nothing
// for what was not answered, and leaves no process behind.

// marked starts a gateway whose children carry a mark in their environment, by
// which they and theirs are found.
func marked(t *testing.T, mode string, more map[string]any) (g *gateway, left func() []string) {
	t.Helper()
	mark := "PAYTEST_MARK=" + filepath.Base(t.TempDir()) + t.Name()
	env := fake.Env(mode)
	env["PAYTEST_MARK"] = strings.TrimPrefix(mark, "PAYTEST_MARK=")
	settings := map[string]any{"env": env, "isolation": ""}
	for name, value := range more {
		settings[name] = value
	}
	g = start(t, settings)
	return g, func() []string {
		var found []string
		all, err := filepath.Glob("/proc/[0-9]*/environ")
		if err != nil { // where there is no /proc, nothing is found
			t.Fatal(err)
		}
		for _, path := range all {
			if text, err := os.ReadFile(path); err == nil && bytes.Contains(text, []byte(mark)) {
				line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
				found = append(found, filepath.Base(filepath.Dir(path))+" "+string(line))
			}
		}
		return found
	}
}

func TestAServerThatWritesWhatItShouldNot(t *testing.T) {
	t.Parallel()
	g, left := marked(t, "legacy,noisy", nil)
	k := g.key(map[string]any{"credits": 1000})
	a := g.connect(t, "2025-11-25", k.Key)
	a.hello()
	for range 3 { // among lines that are no messages
		if _, words := a.tool("echo", map[string]any{"text": "ü"}); !strings.Contains(words, "ü") {
			t.Errorf("among garbage: %s", words)
		}
	}
	if _, words := a.tool("flood", map[string]any{"n": 50_000}); words == "" {
		t.Error("a flood on standard error stopped the call")
	}
	if _, words := a.tool("big", map[string]any{"n": 50 << 20}); len(words) != 50<<20 {
		t.Errorf("50 MB came as %d bytes", len(words))
	}
	if _, words := a.tool("big", map[string]any{"n": 3 << 20, "split": true}); len(words) != 3<<20 {
		t.Errorf("a message in pieces came as %d bytes", len(words))
	}
	r := a.do(t.Context(), "tools/call", map[string]any{"name": "big", "arguments": map[string]any{"n": 70 << 20}}, nil)
	if r.Error == nil || !strings.Contains(r.Error.Message, "more than 67108864 bytes") {
		t.Errorf("70 MB: %d bytes, %+v", len(r.Result), r.Error)
	}
	if _, words := a.tool("echo", map[string]any{"text": "still here"}); !strings.Contains(words, "still here") {
		t.Errorf("after all that: %s", words)
	}
	var stderr struct{ Lines []struct{ Text string } }
	if g.do("GET", "/admin/servers/stderr", nil, &stderr, http.StatusOK); len(stderr.Lines) == 0 || len(stderr.Lines) > 1000 {
		t.Errorf("%d lines of standard error are kept", len(stderr.Lines))
	}
	if got := g.account(k); got.Spent != int64(2*a.charged) || got.Held != 0 {
		t.Errorf("%d calls: %+v", a.charged, got)
	}
	g.stop()
	g.until("every child ends", func() bool { return len(left()) == 0 })
}

func TestAServerThatEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	g, left := marked(t, "legacy", nil)
	k := g.key(nil)
	a := g.connect(t, "2025-11-25", k.Key)
	a.hello()
	for tool, want := range map[string]string{"crash": "exited with code 3", "half": "exited with code 1"} {
		r := a.do(t.Context(), "tools/call", map[string]any{"name": tool, "arguments": map[string]any{"code": 3}}, nil)
		began := time.Now()
		if r.Error == nil || !strings.Contains(r.Error.Message, want) {
			t.Errorf("%s: %s %+v", tool, r.Result, r.Error)
		}
		if strings.Contains(fmt.Sprint(r.Error), "about to fall over") {
			t.Errorf("%s: the agent is told what is the owner's: %+v", tool, r.Error)
		}
		if _, words := a.tool("echo", map[string]any{"text": "again"}); !strings.Contains(words, "again") {
			t.Errorf("after %s: %s", tool, words)
		}
		if took := time.Since(began); took > 3*time.Second { // a warm spare takes over; the bound is for a busy machine
			t.Errorf("healthy again after %s", took)
		}
	}
	if got := g.account(k); got.Spent != int64(2*a.charged) || got.Held != 0 {
		t.Errorf("%d calls: %+v", a.charged, got)
	}
	var page struct {
		Calls []struct{ ID, Tool, Reason string }
	}
	g.do("GET", "/admin/calls?filter=~fail", nil, &page, http.StatusOK)
	if len(page.Calls) != 2 {
		t.Fatalf("the owner sees %+v", page.Calls)
	}
	var detail json.RawMessage
	if g.do("GET", "/admin/calls/"+page.Calls[0].ID, nil, &detail, http.StatusOK); !strings.Contains(string(detail), "exited with code") {
		t.Errorf("the owner is not told why: %s", detail)
	}
	if n := len(left()); n > 4 { // the lobby, a spare, the session's, and one that ends
		t.Errorf("%d processes: %q", n, left())
	}
	g.stop()
	g.until("every child ends", func() bool { return len(left()) == 0 })
}

func TestALastMessageWithoutItsNewline(t *testing.T) {
	t.Parallel()
	g, _ := marked(t, "legacy,noend", nil)
	k := g.key(nil)
	for range 2 {
		if a := g.call(k.Key, "echo", map[string]any{"text": "last words"}); !strings.Contains(string(a.Result), "last words") {
			t.Errorf("%s %+v", a.Result, a.Error)
		}
	}
	if got := g.account(k).Spent; got != 4 {
		t.Errorf("%d spent", got)
	}
}

func TestNoGrandchildIsLeftBehind(t *testing.T) {
	t.Parallel()
	g, left := marked(t, "legacy,stubborn", nil)
	k := g.key(nil)
	a := g.connect(t, "2025-06-18", k.Key)
	a.hello()
	_, words := a.tool("fork", nil)
	var s fake.Said
	if err := json.Unmarshal([]byte(words), &s); err != nil || s.Child == 0 {
		t.Fatalf("%v: %s", err, words)
	}
	request := a.request(t.Context(), http.MethodDelete, nil)
	res, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	gone := func(pid int) bool {
		for _, line := range left() {
			if strings.HasPrefix(line, fmt.Sprint(pid)+" ") {
				return false
			}
		}
		return true
	}
	g.until("the session's child and its child end with the session", func() bool { return gone(s.Pid) && gone(s.Child) })
	_, _ = g.connect(t, "2025-06-18", k.Key).tool("fork", nil)
	g.call(k.Key, "fork", nil)
	g.stop()
	g.until("every child and grandchild ends with the gateway", func() bool { return len(left()) == 0 })
}

func TestACallThatIsCancelledIsNotCharged(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(fake.Web("legacy"))
	t.Cleanup(web.Close)
	for name, settings := range map[string]map[string]any{
		"stdio": {"isolation": ""}, "http": {"serverCommand": "", "env": "", "isolation": "", "remoteUrl": web.URL + "/mcp"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings["refundOnFailure"] = true
			g := start(t, settings)
			k := g.key(nil)
			sleeps := map[string]any{"name": "sleep", "arguments": map[string]any{"ms": 60_000, "who": "me"}, "_meta": map[string]any{"progressToken": 1}}

			old := g.connect(t, "2025-11-25", k.Key)
			old.hello()
			r := old.do(t.Context(), "tools/call", sleeps, func(note) {
				old.post(t.Context(), map[string]any{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": map[string]any{"requestId": old.ids}}).Body.Close()
			})
			if r.Error == nil || r.Result != nil {
				t.Errorf("a cancelled call: %s", r.Result)
			}
			newer := g.connect(t, newestRevision, k.Key)
			ctx, hangUp := context.WithCancel(t.Context())
			newer.do(ctx, "tools/call", sleeps, func(note) { hangUp() })
			hangUp()
			g.until("both calls end", func() bool { return g.account(k).Held == 0 })

			if a := g.call(k.Key, "fail", map[string]any{"text": "no"}); !strings.Contains(string(a.Result), `"isError":true`) {
				t.Errorf("fail: %s %+v", a.Result, a.Error)
			}
			if got := g.account(k); got.Spent != 0 || got.Credits != 100 {
				t.Errorf("two cancelled calls and one that failed: %+v", got)
			}
			var page struct {
				Calls []struct{ Outcome, Reason string }
			}
			g.do("GET", "/admin/calls?filter=~fail", nil, &page, http.StatusOK)
			if got := fmt.Sprint(page.Calls); got != "[{failed tool_error} {lost cancelled} {lost cancelled}]" {
				t.Errorf("the owner sees %s", got)
			}
			g.prove()
		})
	}
}
