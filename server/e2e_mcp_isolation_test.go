package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"paygate/testdata/fake"
)

// Callers never meet: fifty agents that all count their ids from 1, use the same
// progress token and subscribe to the same resource, at once, and each gets
// exactly its own. `make soak` does it for minutes.

// soak is how long they go on.
func soak(t *testing.T) time.Duration {
	text := os.Getenv("PAYTEST_SOAK")
	if text == "" {
		return 800 * time.Millisecond
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("PAYTEST_SOAK: %v", err)
	}
	return d
}

func TestCallersNeverMeet(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(fake.Web("legacy,terse"))
	t.Cleanup(web.Close)
	servers := map[string]map[string]any{
		"one process for all, of the new era":  {"env": fake.Env("modern,terse"), "isolation": ""},
		"one process for all, of the old era":  {"env": fake.Env("legacy,terse"), "isolation": "shared"},
		"sessions over HTTP":                   {"serverCommand": "", "env": "", "isolation": "", "remoteUrl": web.URL + "/mcp"},
		"several servers, of either transport": {"serverCommand": "", "env": "", "isolation": "", "servers": several(t, web.URL)},
	}
	if os.Getenv("PAYTEST_SOAK") != "" {
		servers["a process for each session"] = map[string]any{"env": fake.Env("legacy,terse"), "isolation": "session"}
	}
	for name, settings := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings["adminRateLimit"], settings["sessionRateLimit"], settings["publicRateLimit"] = 0, 0, 0
			g := start(t, settings)
			crowd{g: g, old: strings.HasSuffix(name, "old era"), prefix: prefixes(settings)}.meet(t)
			if !t.Failed() {
				g.prove()
			}
		})
	}
}

func several(t *testing.T, url string) []any {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []any{map[string]any{"prefix": "a", "serverCommand": self, "env": fake.Env("modern,terse")}, map[string]any{"prefix": "b", "remoteUrl": url + "/mcp"}}
}

func prefixes(settings map[string]any) []string {
	if settings["servers"] != nil {
		return []string{"a:", "b:"}
	}
	return []string{""}
}

// crowd is fifty agents of all revisions before one gateway.
type crowd struct {
	g      *gateway
	old    bool     // one process of the old era serves all: it cannot say whom it asks
	prefix []string // of the tools
}

func (m crowd) meet(t *testing.T) {
	revisions := []string{"2025-03-26", "2025-06-18", "2025-11-25", newestRevision}
	var all sync.WaitGroup
	keys := make([]key, 50)
	for i := range keys {
		keys[i] = m.g.key(map[string]any{"name": fmt.Sprint("agent ", i), "credits": 1_000_000})
	}
	until := time.Now().Add(soak(t))
	for i, k := range keys {
		all.Go(func() {
			a := &member{crowd: m, mcpClient: m.g.connect(t, revisions[i%len(revisions)], k.Key), who: fmt.Sprintf("agent-%d", i)}
			a.live(until)
			m.g.until("the call that was given up ends", func() bool { return m.g.account(k).Held == 0 })
			if got := m.g.account(k); got.Spent != int64(2*a.charged) || a.rounds == 0 {
				t.Errorf("%s: %d rounds, %d calls: %+v", a.who, a.rounds, a.charged, got)
			}
		})
	}
	all.Wait()
}

// member is one of them.
type member struct {
	crowd
	*mcpClient
	who    string
	rounds int
}

func (a *member) live(until time.Time) {
	a.mcpClient.replies["elicitation/create"] = map[string]any{"action": "accept", "content": map[string]any{"name": a.who}}
	a.mcpClient.replies["sampling/createMessage"] = map[string]any{"role": "assistant", "model": "m", "content": map[string]any{"type": "text", "text": a.who}}
	a.hello()
	heard := a.listen("fake://everybody", "fake://"+a.who)
	var ears sync.WaitGroup
	stop := make(chan struct{})
	ears.Go(func() { a.overhear(heard, stop) })
	for a.rounds == 0 || time.Now().Before(until) && !a.t.Failed() {
		for _, prefix := range a.prefix {
			a.round(prefix)
		}
		a.rounds++
	}
	close(stop)
	ears.Wait()
}

// overhear checks that all that is announced is everybody's, or its own.
func (a *member) overhear(heard <-chan note, stop <-chan struct{}) {
	for {
		select {
		case n, open := <-heard:
			if !open {
				return
			}
			if text := string(n.Params); strings.Contains(text, "agent-") && !a.mine(text) {
				a.t.Errorf("%s heard of another: %s %s", a.who, n.Method, text)
			}
		case <-stop:
			return
		}
	}
}

// mine says whether a text names this agent and nobody else.
func (a *member) mine(text string) bool {
	rest := strings.ReplaceAll(text, a.who+`"`, "")
	rest = strings.ReplaceAll(rest, a.who+`\"`, "")
	return rest != text && !strings.Contains(rest, "agent-")
}

func (a *member) check(what, text string) {
	if !a.mine(text) {
		a.t.Errorf("%s: %s got %s", a.who, what, text)
	}
}

// round is one of everything.
func (a *member) round(prefix string) {
	_, words := a.tool(prefix+"echo", map[string]any{"who": a.who})
	a.check("echo", words)
	a.progress(prefix)
	if r := a.do(a.t.Context(), "tools/call", map[string]any{"name": prefix + "fail", "arguments": map[string]any{"text": a.who}}, nil); r.Error == nil {
		a.charged++
		a.check("a failure", string(r.Result))
	} else {
		a.t.Errorf("%s: a failure: %+v", a.who, r.Error)
	}
	// A tool that does not exist is never charged.
	if r := a.do(a.t.Context(), "tools/call", map[string]any{"name": prefix + a.who, "arguments": map[string]any{}}, nil); r.Error == nil {
		a.t.Errorf("%s: an unknown tool: %s", a.who, r.Result)
	} else {
		a.check("an error", r.Error.Message+`"`)
	}
	_, _ = a.tool(prefix+"touch", map[string]any{"text": "fake://" + a.who})
	_, _ = a.tool(prefix+"touch", map[string]any{"text": "fake://everybody"})
	for _, tool := range []string{"ask", "sample"} {
		if a.old || tool == "ask" && a.rev < "2025-06-18" {
			continue // a shared server of the old era cannot say whom it asks
		}
		_, words := a.tool(prefix+tool, map[string]any{"who": "?"})
		a.check(tool, words)
	}
	a.giveUp(prefix)
}

// progress follows a call by a token that all use.
func (a *member) progress(prefix string) {
	r := a.do(a.t.Context(), "tools/call", map[string]any{"name": prefix + "progress", "arguments": map[string]any{"n": 3, "who": a.who}, "_meta": map[string]any{"progressToken": 1}}, nil)
	if r.Error != nil {
		a.t.Errorf("%s: progress: %+v", a.who, r.Error)
		return
	}
	a.charged++
	a.check("the end of progress", string(r.Result))
	var came []string
	for _, n := range r.Notes {
		if n.Method != "notifications/progress" {
			continue
		}
		var p struct{ ProgressToken, Progress int }
		if json.Unmarshal(n.Params, &p) != nil || p.ProgressToken != 1 {
			a.t.Errorf("%s: progress of %s", a.who, n.Params)
		}
		a.check("progress", string(n.Params))
		came = append(came, fmt.Sprint(p.Progress))
	}
	if got := strings.Join(came, " "); got != "1 2 3" {
		a.t.Errorf("%s: progress came as %q", a.who, got)
	}
}

// giveUp hangs up in the middle of a call. Where no session could resume it,
// that cancels it; it is nobody else's that ends.
func (a *member) giveUp(prefix string) {
	if !a.modern() {
		return
	}
	ctx, hangUp := context.WithCancel(a.t.Context())
	defer hangUp()
	a.mcpClient.do(ctx, "tools/call", map[string]any{"name": prefix + "sleep", "arguments": map[string]any{"ms": 60_000, "who": a.who}, "_meta": map[string]any{"progressToken": 1}}, func(note) { hangUp() })
}
