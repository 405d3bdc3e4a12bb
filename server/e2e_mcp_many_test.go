package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"paygate/testdata/fake"
)

// Several servers behind prefixes are one server, whatever their transport, era
// and health.

// four starts a gateway before two servers that are well, one that is down and
// one that answers no list.
func four(t *testing.T) *gateway {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(fake.Web("modern,paged"))
	t.Cleanup(web.Close)
	return start(t, map[string]any{"serverCommand": "", "env": "", "isolation": "", "adminRateLimit": 0, "servers": []any{
		map[string]any{"prefix": "a", "serverCommand": self, "env": fake.Env("legacy,paged")},
		map[string]any{"prefix": "b", "remoteUrl": web.URL + "/mcp"},
		map[string]any{"prefix": "down", "serverCommand": "false"},
		map[string]any{"prefix": "stuck", "serverCommand": self, "env": fake.Env("legacy,hangs")}}})
}

// pages reads a list to its end.
func (c *mcpClient) pages(list string) (names []string, unavailable map[string]string) {
	c.t.Helper()
	params := map[string]any{}
	for range 50 {
		var page struct {
			Tools, Prompts, Resources, ResourceTemplates []struct{ Name, URI string }
			Next                                         string `json:"nextCursor"`
			Meta                                         struct {
				Unavailable map[string]string `json:"paygate/unavailable"`
			} `json:"_meta"`
		}
		if err := json.Unmarshal(c.must(list+"/list", params).Result, &page); err != nil {
			c.t.Fatal(err)
		}
		for _, item := range slices.Concat(page.Tools, page.Prompts, page.Resources, page.ResourceTemplates) {
			names = append(names, item.Name)
		}
		if unavailable == nil {
			unavailable = page.Meta.Unavailable
		}
		if params["cursor"] = page.Next; page.Next == "" {
			return names, unavailable
		}
	}
	c.t.Fatalf("%s: no end of pages", list)
	return nil, nil
}

func TestSeveralServersAreOneAndASickOneHurtsNoOther(t *testing.T) {
	t.Parallel()
	g := four(t)
	for _, rev := range []string{"2025-06-18", newestRevision} {
		k := g.key(nil)
		c := g.connect(t, rev, k.Key)
		contains(c, c.hello(), `"listChanged":true`, `"subscribe":true`, `"completions"`, `"logging"`, "[a] Ask nicely.", "[b] Ask nicely.", `"down":"down: the server is down`)
		began := time.Now()
		tools, missing := c.pages("tools")
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("a server that hangs delays the list by %s", took)
		}
		for _, name := range []string{"a:echo", "a:fail", "b:echo", "b:fail"} {
			if n := len(slices.DeleteFunc(slices.Clone(tools), func(tool string) bool { return tool != name })); n != 1 {
				t.Errorf("%s is listed %d times among %v", name, n, tools)
			}
		}
		if !strings.Contains(missing["stuck"], "did not answer tools/list within") || !strings.Contains(missing["down"], "the server is down") || missing["a"] != "" {
			t.Errorf("missing: %v", missing)
		}
		routed(c)
		if got := g.account(k); got.Spent != int64(2*c.charged) || got.Held != 0 {
			t.Errorf("%d calls: %+v", c.charged, got)
		}
	}
	healthy(t, g)
	if !t.Failed() {
		g.prove()
	}
}

// routed checks that what is asked reaches the server that it is meant for, and
// what cannot reach one is refused.
func routed(c *mcpClient) {
	for _, prefix := range []string{"a", "b"} {
		_, words := c.tool(prefix+":echo", map[string]any{"who": prefix})
		contains(c, words, `"who":"`+prefix+`"`)
		contains(c, c.must("prompts/get", map[string]any{"name": prefix + ":greet", "arguments": map[string]any{"who": "Ada"}}).Result, "greet Ada")
		contains(c, c.must("completion/complete", map[string]any{"ref": map[string]any{"type": "ref/prompt", "name": prefix + ":greet"}, "argument": map[string]any{"name": "who", "value": "al"}}).Result, "alan")
	}
	prompts, _ := c.pages("prompts")
	if !slices.Contains(prompts, "a:greet") || !slices.Contains(prompts, "b:leave") {
		c.t.Errorf("prompts: %v", prompts)
	}
	resources, missing := c.pages("resources")
	if len(resources) != 3 || !strings.Contains(missing["b"], "is also offered by a, which comes first") {
		c.t.Errorf("the same resources of two servers: %v, missing %v", resources, missing)
	}
	contains(c, c.must("resources/read", map[string]any{"uri": "fake://b"}).Result, "the text of fake://b")
	contains(c, c.must("resources/read", map[string]any{"uri": "fake://item/7"}).Result, "the text of fake://item/7")
	for tool, want := range map[string]string{"echo": "the name has no prefix", "z:echo": `no server has the prefix \"z\"`, "down:echo": "the server is down", "a:nothing": "unknown tool nothing"} {
		if r := c.do(c.t.Context(), "tools/call", map[string]any{"name": tool, "arguments": map[string]any{}}, nil); r.Error == nil || !strings.Contains(strings.ReplaceAll(r.Error.Message, `"`, `\"`), want) {
			c.t.Errorf("%s: %+v %s", tool, r.Error, r.Result)
		}
	}
	if r := c.do(c.t.Context(), "tools/list", map[string]any{"cursor": "made up"}, nil); r.Error == nil || r.Error.Code != -32602 {
		c.t.Errorf("a made up cursor: %+v %s", r.Error, r.Result)
	}
}

// healthy checks that everybody who looks sees which servers are not well.
func healthy(t *testing.T, g *gateway) {
	var health struct {
		Status  string
		Servers []struct{ Prefix, State, Error string }
	}
	g.do("GET", "/health", nil, &health, http.StatusOK)
	var admin struct {
		Servers []struct{ Prefix, State, LastError string }
	}
	g.do("GET", "/admin/servers", nil, &admin, http.StatusOK)
	want := map[string]string{"a": "ready", "b": "ready", "stuck": "slow"}
	for i, s := range health.Servers {
		if w := want[s.Prefix]; w != "" && (s.State != w || admin.Servers[i].State != w) {
			t.Errorf("%s is %s, and %s for the dashboard; want %s", s.Prefix, s.State, admin.Servers[i].State, w)
		}
		if s.State != "ready" && (s.Error == "" || admin.Servers[i].LastError == "") {
			t.Errorf("%s is %s for no reason", s.Prefix, s.State)
		}
	}
	if len(health.Servers) != 4 || health.Status != "degraded" {
		t.Errorf("%+v", health)
	}
}

func TestServersAreAddedRemovedAndRestartedWhileAgentsWork(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(fake.Web("legacy"))
	t.Cleanup(web.Close)
	g := start(t, map[string]any{"serverCommand": "", "env": "", "isolation": "", "adminRateLimit": 0,
		"servers": []any{map[string]any{"prefix": "a", "serverCommand": self, "env": fake.Env("legacy")}}})
	k := g.key(nil)
	old, newer := g.connect(t, "2025-11-25", k.Key), g.connect(t, newestRevision, k.Key)
	var heard [2]<-chan note
	for i, c := range []*mcpClient{old, newer} {
		c.hello()
		heard[i] = c.listen()
	}
	changed := func(what string) {
		t.Helper()
		for i, c := range []*mcpClient{old, newer} {
			c.t.Log(what)
			c.hears(heard[i], "notifications/tools/list_changed", "")
		}
	}
	g.do("POST", "/admin/servers", map[string]any{"prefix": "b", "url": web.URL + "/mcp"}, nil, http.StatusCreated)
	changed("b was added")
	g.do("POST", "/admin/servers", map[string]any{"prefix": "b", "url": web.URL + "/mcp"}, nil, http.StatusBadRequest)
	pids := map[string]int{}
	for _, c := range []*mcpClient{old, newer} {
		for _, prefix := range []string{"a:", "b:"} {
			_, words := c.tool(prefix+"echo", nil)
			var s fake.Said
			if err := json.Unmarshal([]byte(words), &s); err != nil {
				t.Fatalf("%s of %s: %v", prefix, c.rev, err)
			}
			pids[prefix] = s.Pid
		}
	}
	g.do("POST", "/admin/servers/restart", map[string]any{"prefix": "a"}, nil, http.StatusOK)
	g.until("a is another process", func() bool {
		_, words := old.tool("a:echo", nil)
		var s fake.Said
		return json.Unmarshal([]byte(words), &s) == nil && s.Pid != pids["a:"] && s.Pid != 0
	})
	if _, words := newer.tool("b:echo", nil); words == "" {
		t.Error("b did not go on")
	}
	g.do("DELETE", "/admin/servers?prefix=b", nil, nil, http.StatusOK)
	changed("b was removed")
	for _, c := range []*mcpClient{old, newer} {
		if r := c.do(t.Context(), "tools/call", map[string]any{"name": "b:echo", "arguments": map[string]any{}}, nil); r.Error == nil || r.Error.Code != -32602 {
			t.Errorf("a removed server's tool: %+v %s", r.Error, r.Result)
		}
		if tools, _ := c.pages("tools"); slices.Contains(tools, "b:echo") || !slices.Contains(tools, "a:echo") {
			t.Errorf("after b was removed: %v", tools)
		}
	}
	if got := g.account(k); got.Spent != int64(2*(old.charged+newer.charged)) {
		t.Errorf("%d calls: %+v", old.charged+newer.charged, got)
	}
}
