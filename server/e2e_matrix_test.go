package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"paygate/testdata/fake"
)

// feature is something that every client can do with every server; a revision
// that lacks it says since when it has it.
type feature struct {
	name  string
	since string
	works func(c *mcpClient)
}

// features are all that the protocol has, but tasks (which the eras shape
// differently and nobody translates).
func features() []feature {
	return []feature{
		{"tools", "", usesTools},
		{"paging", "", readsEveryPage},
		{"resources", "", readsResources},
		{"prompts", "", getsPrompts},
		{"completion", "", completes},
		{"progress", "", followsProgress},
		{"logging", "", asksForLogs},
		{"cancellation", "", cancels},
		{"sampling", "", func(c *mcpClient) { isAsked(c, "sample", "Paris") }},
		{"roots", "", func(c *mcpClient) { isAsked(c, "roots", "file:///home/ada") }},
		{"elicitation", "2025-06-18", func(c *mcpClient) { isAsked(c, "ask", "Ada") }},
		{"two rounds", "2025-06-18", func(c *mcpClient) { isAsked(c, "twice", "Ada", "Paris") }},
		{"subscriptions", "", subscribes},
		{"ping", "", pings},
		{"unknown things", "", isRefused},
	}
}

func TestEveryClientUsesEveryServer(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"legacy", "modern", "both"} {
		for _, transport := range []string{"stdio", "http"} {
			t.Run(server+" over "+transport, func(t *testing.T) {
				t.Parallel()
				settings := map[string]any{"env": fake.Env(server + ",paged"), "isolation": "session", "refundOnFailure": true}
				if transport == "http" {
					web := httptest.NewServer(fake.Web(server + ",paged"))
					t.Cleanup(web.Close)
					settings = map[string]any{"serverCommand": "", "env": "", "isolation": "session", "refundOnFailure": true, "remoteUrl": web.URL + "/mcp"}
				}
				g := start(t, settings)
				t.Run("clients", func(t *testing.T) {
					for _, rev := range []string{"2025-03-26", "2025-06-18", "2025-11-25", newestRevision} {
						t.Run(rev, func(t *testing.T) {
							t.Parallel()
							usesEverything(t, g, rev)
						})
					}
				})
				if !t.Failed() {
					g.prove()
				}
			})
		}
	}
}

// usesEverything is one cell of the matrix: one agent, one server.
func usesEverything(t *testing.T, g *gateway, rev string) {
	k := g.key(map[string]any{"credits": 1000})
	c := g.connect(t, rev, k.Key)
	hello := string(c.hello())
	for _, want := range []string{`"fake"`, "Ask nicely.", rev, `"completions"`, `"logging"`} {
		if !strings.Contains(hello, want) {
			t.Errorf("the handshake lacks %s: %s", want, hello)
		}
	}
	if !c.modern() && strings.Contains(hello, "extensions") {
		t.Errorf("an old client is told of extensions: %s", hello)
	}
	for _, f := range features() {
		if rev < f.since {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			mine := *c
			mine.t = t
			f.works(&mine)
			c.ids, c.charged = mine.ids, mine.charged
		})
	}
	if got := g.account(k); got.Spent != int64(2*c.charged) || got.Held != 0 {
		t.Errorf("%d calls of 2 credits: %+v", c.charged, got)
	}
}

func contains(c *mcpClient, text any, wants ...string) {
	c.t.Helper()
	for _, want := range wants {
		if !strings.Contains(fmt.Sprintf("%s", text), want) {
			c.t.Errorf("%s lacks %s", text, want)
		}
	}
}

// asItsOwn says whether a result is in the words of the client's revision.
func asItsOwn(c *mcpClient, a said, cached bool) {
	c.t.Helper()
	text := string(a.Result)
	if got := strings.Contains(text, `"resultType":"complete"`); got != c.modern() {
		c.t.Errorf("resultType: %t in %s", got, text)
	}
	if got := strings.Contains(text, `"cacheScope"`); got != (c.modern() && cached) {
		c.t.Errorf("cacheScope: %t in %s", got, text)
	}
}

func usesTools(c *mcpClient) {
	a, words := c.tool("echo", map[string]any{"text": "ü 😀 \u2028 </script>", "who": c.rev})
	contains(c, words, `"who":"`+c.rev+`"`, "😀")
	asItsOwn(c, a, false)
	a = c.must("tools/call", map[string]any{"name": "fail", "arguments": map[string]any{"text": "the disk is gone"}})
	contains(c, a.Result, "the disk is gone", `"isError":true`)
}

func readsEveryPage(c *mcpClient) {
	for list, want := range map[string]string{"tools": `"echo","sleep","crash"`, "resources": `"a","b","c"`, "prompts": `"greet","thank","leave"`} {
		var names []string
		params := map[string]any{}
		for range 20 {
			a := c.must(list+"/list", params)
			asItsOwn(c, a, true)
			var page map[string]json.RawMessage
			var items []struct{ Name string }
			if json.Unmarshal(a.Result, &page) != nil || json.Unmarshal(page[list], &items) != nil {
				c.t.Fatalf("%s: %s", list, a.Result)
			}
			for _, item := range items {
				names = append(names, `"`+item.Name+`"`)
			}
			var cursor string
			if page["nextCursor"] == nil || json.Unmarshal(page["nextCursor"], &cursor) != nil {
				break
			}
			params = map[string]any{"cursor": cursor}
		}
		contains(c, strings.Join(names, ","), want)
	}
}

func readsResources(c *mcpClient) {
	a := c.must("resources/read", map[string]any{"uri": "fake://item/7"})
	contains(c, a.Result, "the text of fake://item/7")
	asItsOwn(c, a, true)
	contains(c, c.must("resources/templates/list", map[string]any{}).Result, "fake://item/{id}")
	a = c.do(c.t.Context(), "resources/read", map[string]any{"uri": "http://elsewhere"}, nil)
	if a.Error == nil || a.Error.Code != -32602 && (c.modern() || a.Error.Code != -32002) {
		c.t.Errorf("a resource that is not there: %+v", a.Error)
	}
}

func getsPrompts(c *mcpClient) {
	a := c.must("prompts/get", map[string]any{"name": "greet", "arguments": map[string]any{"who": "Ada"}})
	contains(c, a.Result, "greet Ada")
	asItsOwn(c, a, false)
}

func completes(c *mcpClient) {
	a := c.must("completion/complete", map[string]any{"ref": map[string]any{"type": "ref/prompt", "name": "greet"}, "argument": map[string]any{"name": "who", "value": "a"}})
	contains(c, a.Result, `"ada","alan"`)
}

func followsProgress(c *mcpClient) {
	a := c.do(c.t.Context(), "tools/call", map[string]any{"name": "progress", "arguments": map[string]any{"n": 3, "who": c.rev}, "_meta": map[string]any{"progressToken": "mine"}}, nil)
	c.charged++
	if len(a.Notes) != 3 {
		c.t.Fatalf("%d notes of progress, want 3: %s", len(a.Notes), a.Notes)
	}
	for i, n := range a.Notes {
		contains(c, n.Params, `"progressToken":"mine"`, fmt.Sprintf(`"progress":%d`, i+1), c.rev)
	}
}

func asksForLogs(c *mcpClient) {
	if c.modern() {
		a, _ := c.tool("log", map[string]any{"level": "error", "who": "nobody asked"})
		if len(a.Notes) != 0 {
			c.t.Errorf("logs that the request did not ask for: %s", a.Notes)
		}
		c.level = "warning"
	} else {
		c.must("logging/setLevel", map[string]any{"level": "warning"})
	}
	a, _ := c.tool("log", map[string]any{"level": "info", "who": "quiet"})
	if len(a.Notes) != 0 {
		c.t.Errorf("below the level: %s", a.Notes)
	}
	// Where several share a process, nothing says whose log it is while their
	// calls overlap, and nobody gets it: so it is asked for again.
	for range 50 {
		if a, _ = c.tool("log", map[string]any{"level": "error", "who": c.rev}); len(a.Notes) > 0 {
			break
		}
	}
	if len(a.Notes) != 1 || !strings.Contains(string(a.Notes[0].Params), c.rev) {
		c.t.Errorf("above the level: %s", a.Notes)
	}
}

func cancels(c *mcpClient) {
	ctx, hangUp := context.WithCancel(c.t.Context())
	defer hangUp()
	who := "sleeper " + c.rev
	c.do(ctx, "tools/call", map[string]any{"name": "sleep", "arguments": map[string]any{"ms": 60_000, "who": who}, "_meta": map[string]any{"progressToken": "s"}}, func(note) {
		if c.modern() {
			hangUp()
			return
		}
		c.post(ctx, map[string]any{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": map[string]any{"requestId": c.ids, "reason": "enough"}}).Body.Close()
	})
	deadline := time.After(10 * time.Second)
	for {
		if _, words := c.tool("state", nil); strings.Contains(words, who) {
			return
		}
		select {
		case <-deadline:
			c.t.Fatal("the server was never told")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func isAsked(c *mcpClient, tool string, wants ...string) {
	a, words := c.tool(tool, map[string]any{"who": "what now?"})
	if a.Error != nil {
		c.t.Fatalf("%+v", a.Error)
	}
	contains(c, words, wants...)
}

func subscribes(c *mcpClient) {
	mine, other := "fake://"+c.rev, "fake://other"
	heard := c.listen(mine)
	c.tool("touch", map[string]any{"text": other})
	c.tool("touch", map[string]any{"text": mine})
	c.hears(heard, "notifications/resources/updated", mine)
	for _, list := range []string{"tools", "prompts", "resources"} {
		c.tool("notify", map[string]any{"text": "notifications/" + list + "/list_changed"})
		n := c.hears(heard, "notifications/"+list+"/list_changed", "")
		if got := strings.Contains(string(n.Params), "subscriptionId"); got != c.modern() {
			c.t.Errorf("tagged with a subscription: %t", got)
		}
	}
	if c.modern() {
		return
	}
	c.must("resources/unsubscribe", map[string]any{"uri": mine})
	c.tool("touch", map[string]any{"text": mine})
	c.tool("notify", map[string]any{"text": "notifications/tools/list_changed"})
	c.hears(heard, "notifications/tools/list_changed", "")
}

func pings(c *mcpClient) {
	a := c.do(c.t.Context(), "ping", map[string]any{}, nil)
	if c.modern() && (a.Error == nil || a.Error.Code != -32601) || !c.modern() && string(a.Result) != "{}" {
		c.t.Errorf("%+v %s", a.Error, a.Result)
	}
}

func isRefused(c *mcpClient) {
	if a := c.do(c.t.Context(), "no/such/method", map[string]any{}, nil); a.Error == nil || a.Error.Code != -32601 {
		c.t.Errorf("a method that no revision has: %+v %s", a.Error, a.Result)
	}
	if a := c.do(c.t.Context(), "tools/call", map[string]any{"name": "none", "arguments": map[string]any{}}, nil); a.Error == nil || a.Error.Code != -32602 {
		c.t.Errorf("a tool that is not there: %+v %s", a.Error, a.Result)
	}
}

// Servers of both eras stand behind prefixes as one, for clients of both.
func TestServersOfBothErasAreOneForEveryClient(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var servers []map[string]any
	for _, mode := range []string{"legacy", "modern"} {
		servers = append(servers, map[string]any{"prefix": mode, "serverCommand": self, "env": fake.Env(mode), "isolation": "session"})
	}
	g := start(t, map[string]any{"serverCommand": "", "env": "", "isolation": "", "servers": servers})
	for _, rev := range []string{"2025-11-25", newestRevision} {
		t.Run(rev, func(t *testing.T) {
			t.Parallel()
			k := g.key(nil)
			c := g.connect(t, rev, k.Key)
			c.hello()
			contains(c, c.must("tools/list", map[string]any{}).Result, `"legacy:echo"`, `"modern:echo"`)
			heard := c.listen()
			for _, mode := range []string{"legacy", "modern"} {
				isAsked(c, mode+":ask", "Ada")
				isAsked(c, mode+":twice", "Ada", "Paris")
				a := c.do(t.Context(), "tools/call", map[string]any{"name": mode + ":progress", "arguments": map[string]any{"n": 2}, "_meta": map[string]any{"progressToken": "p"}}, nil)
				c.charged++
				if len(a.Notes) != 2 {
					t.Errorf("%s: %d notes of progress, want 2", mode, len(a.Notes))
				}
				c.tool(mode+":notify", map[string]any{"text": "notifications/prompts/list_changed"})
				c.hears(heard, "notifications/prompts/list_changed", "")
			}
			if got := g.account(k); got.Spent != int64(2*c.charged) || got.Held != 0 {
				t.Errorf("%d calls of 2 credits: %+v", c.charged, got)
			}
		})
	}
}
