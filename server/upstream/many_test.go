package upstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"paygate/server/mcp"
	"paygate/server/upstream"
	"paygate/testdata/fake"
)

func prefixed(s upstream.Spec, prefix string) upstream.Spec {
	s.Prefix = prefix
	return s
}

func ask(t testing.TB, c mcp.Conn, method, params string) *mcp.Message {
	t.Helper()
	res, err := c.Call(context.Background(), &mcp.Message{ID: json.RawMessage("1"), Method: method, Params: json.RawMessage(params)}, func(*mcp.Message) {})
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	if res.Error != nil {
		t.Fatalf("%s: %d %s", method, res.Error.Code, res.Error.Message)
	}
	return res
}

type list struct {
	Tools []struct{ Name, Description string }
	Next  string                       `json:"nextCursor"`
	Meta  map[string]map[string]string `json:"_meta"`
}

func tools(t testing.TB, c mcp.Conn) (names []string, l list) {
	t.Helper()
	res := ask(t, c, "tools/list", "{}")
	if err := json.Unmarshal(res.Result, &l); err != nil {
		t.Fatal(err)
	}
	for _, tool := range l.Tools {
		names = append(names, tool.Name)
	}
	return names, l
}

func TestSeveralServersAsOne(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{Name: "shop"}, prefixed(spec(t, "legacy"), "a"), prefixed(spec(t, "legacy"), "b"), prefixed(upstream.Spec{Command: "/no/such/program"}, "c"))
	c := dial(t, s, "key_a")
	if init := string(c.Init.Result); !strings.Contains(init, `"name":"shop"`) || !strings.Contains(init, `"protocolVersion":"2025-06-18"`) || !strings.Contains(init, "c: the server is down") {
		t.Errorf("initialize answered %s", init)
	}
	names, l := tools(t, c)
	if !slices.Contains(names, "a:echo") || !slices.Contains(names, "b:echo") || l.Tools[0].Description != "[a] Does echo." {
		t.Errorf("tools %v, first %+v", names, l.Tools[0])
	}
	if why := l.Meta[upstream.Unavailable]["c"]; !strings.HasPrefix(why, "c: the server is down") || !strings.Contains(s.Status()[2].LastError, "command not found") {
		t.Errorf("c is missing because of %q", why)
	}
	a, b := call(t, c, "a:echo", fake.Args{Who: "1"}), call(t, c, "b:echo", fake.Args{Who: "2"})
	if a.Who != "1" || b.Who != "2" || a.Pid == b.Pid || string(a.Hello) != hello || a.Inited != 1 {
		t.Errorf("a said %+v, b said %+v", a, b)
	}
	if again := call(t, c, "a:echo", fake.Args{}); again.Pid != a.Pid {
		t.Error("the session changed its process")
	}
}

func TestUnknownPrefix(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, prefixed(spec(t, "legacy"), "a"), prefixed(spec(t, "legacy"), "b"))
	c := dial(t, s, "key_a")
	for _, name := range []string{"z:echo", "echo", ""} {
		_, err := c.Call(context.Background(), request("1", name, fake.Args{}), nil)
		var rpc *mcp.Error
		if !errors.As(err, &rpc) || rpc.Code != -32602 || !strings.Contains(rpc.Message, "a:, b:") || !errors.Is(err, mcp.ErrLost) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestOneCrashHurtsNoOther(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, prefixed(spec(t, "legacy"), "a"), prefixed(spec(t, "legacy"), "b"))
	c := dial(t, s, "key_a")
	before := call(t, c, "b:echo", fake.Args{}).Pid
	if _, err := c.Call(context.Background(), request("1", "a:crash", fake.Args{Code: 2}), nil); !errors.Is(err, mcp.ErrLost) || !strings.HasPrefix(err.Error(), "a: ") {
		t.Errorf("crash: %v", err)
	}
	if after := call(t, c, "b:echo", fake.Args{}).Pid; after != before {
		t.Error("b lost its session")
	}
	if got := call(t, c, "a:echo", fake.Args{Text: "again"}).Text; got != "again" {
		t.Errorf("a said %q", got)
	}
}

func TestMixedErasNeedATranslator(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, prefixed(spec(t, "legacy"), "old"), prefixed(spec(t, "modern"), "new"))
	c := dial(t, s, "key_a")
	if c.Modern {
		t.Error("modern, though one server is not")
	}
	call(t, c, "old:echo", fake.Args{})
	if _, err := c.Call(context.Background(), request("1", "new:echo", fake.Args{}), nil); !errors.Is(err, mcp.ErrLost) || !strings.Contains(err.Error(), "nothing translates") {
		t.Errorf("error %v", err)
	}
}

func TestServersComeAndGo(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, prefixed(spec(t, "legacy"), "a"), prefixed(spec(t, "legacy"), "b"))
	heard := make(chan string, 100)
	c := open(t, s, mcp.Dial{Caller: "key_a", Other: func(m *mcp.Message) { heard <- m.Method }})
	waits := func() {
		t.Helper()
		for {
			select {
			case got := <-heard:
				if got == "notifications/tools/list_changed" {
					return
				}
			case <-time.After(5 * time.Second):
				t.Fatal("no tools/list_changed")
			}
		}
	}
	if err := s.Add(prefixed(spec(t, "legacy"), "n")); err != nil {
		t.Fatal(err)
	}
	waits()
	call(t, c, "n:echo", fake.Args{})
	pids := s.Status()[2].Pids
	if err := s.Remove("n"); err != nil {
		t.Fatal(err)
	}
	waits()
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d of the removed server is left", pid)
		}
	}
	if _, err := c.Call(context.Background(), request("1", "n:echo", fake.Args{}), nil); err == nil {
		t.Error("the removed server answered")
	}
	if err := s.Add(prefixed(spec(t, "legacy"), "a")); err == nil || !strings.Contains(err.Error(), "a: two servers have this prefix") {
		t.Errorf("same prefix twice: %v", err)
	}
	if err := s.Add(prefixed(spec(t, "legacy"), "x:y")); err == nil || !strings.Contains(err.Error(), "must not contain") {
		t.Errorf("separator in prefix: %v", err)
	}
	before := call(t, c, "a:echo", fake.Args{}).Pid
	if err := s.Restart("a"); err != nil {
		t.Fatal(err)
	}
	until(t, "a new process", func() bool { return s.Status()[0].Restarts > 0 && s.Status()[0].State == upstream.Ready })
	if call(t, c, "a:echo", fake.Args{}).Pid == before {
		t.Error("the old process answers")
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, prefixed(spec(t, "legacy"), "a"), prefixed(spec(t, "legacy"), "b"))
	c := dial(t, s, "key_a")
	call(t, c, "a:echo", fake.Args{})
	ended := make(chan error, 1)
	go func() {
		_, err := c.Call(context.Background(), request("1", "a:sleep", fake.Args{Ms: 300}), nil)
		ended <- err
	}()
	until(t, "the call", func() bool { return s.Status()[0].InFlight == 1 })
	if err := s.Drain(context.Background(), "a"); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	if _, err := c.Call(context.Background(), request("1", "a:echo", fake.Args{}), nil); err == nil || !strings.Contains(err.Error(), "drained") {
		t.Errorf("a new call: %v", err)
	}
	call(t, c, "b:echo", fake.Args{})
	if err := s.Restart("a"); err != nil {
		t.Fatal(err)
	}
	until(t, "a again", func() bool { return s.Status()[0].State == upstream.Ready })
	call(t, c, "a:echo", fake.Args{})
}

func TestQuestionsOfSeveralServers(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, prefixed(spec(t, "legacy"), "a"), prefixed(spec(t, "legacy"), "b"))
	c := dial(t, s, "key_a")
	results := make(chan string, 2)
	for _, who := range []string{"a", "b"} {
		go func() {
			res, err := c.Call(context.Background(), request("1", who+":ask", fake.Args{Who: who, Ms: 50}), func(m *mcp.Message) {
				_ = c.Send(context.Background(), &mcp.Message{ID: m.ID, Result: json.RawMessage(`{"for":"` + who + `"}`)})
			})
			if err != nil {
				results <- err.Error()
				return
			}
			results <- who + string(said(t, res).Answer)
		}()
	}
	for range 2 {
		got := <-results
		if !strings.Contains(got, `"for":"`+got[:1]+`"`) {
			t.Errorf("got %s", got)
		}
	}
}

// website is an SDK server with resources that nobody else has, which takes
// any subscription.
func website(t *testing.T, name string) upstream.Spec {
	srv := sdkServer()
	read := func(_ context.Context, r *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
		return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: r.Params.URI, Text: name}}}, nil
	}
	srv.AddResource(&sdk.Resource{URI: "file:///" + name, Name: name}, read)
	srv.AddResource(&sdk.Resource{URI: "file:///both", Name: "both"}, read)
	srv.AddResourceTemplate(&sdk.ResourceTemplate{URITemplate: "file:///" + name + "s/{id}", Name: name}, read)
	srv.AddPrompt(&sdk.Prompt{Name: "greet"}, func(context.Context, *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
		return &sdk.GetPromptResult{Description: name}, nil
	})
	return upstream.Spec{Prefix: name, URL: newSite(t, streamable(srv, nil)).URL}
}

func TestResourcesAndPromptsAreRoutedBack(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, website(t, "one"), prefixed(spec(t, "legacy"), "none"), website(t, "two"))
	c := dial(t, s, "key_a")
	for uri, want := range map[string]string{"file:///one": "one", "file:///two": "two", "file:///twos/7": "two", "file:///both": "one"} {
		if got := ask(t, c, "resources/read", `{"uri":"`+uri+`"}`); !strings.Contains(string(got.Result), `"text":"`+want+`"`) {
			t.Errorf("%s: %s", uri, got.Result)
		}
		ask(t, c, "resources/subscribe", `{"uri":"`+uri+`"}`)
	}
	if got := ask(t, c, "prompts/get", `{"name":"two:greet"}`); !strings.Contains(string(got.Result), `"two"`) {
		t.Errorf("prompt %s", got.Result)
	}
	if got := string(ask(t, c, "prompts/list", `{}`).Result); !strings.Contains(got, `"one:greet"`) || !strings.Contains(got, `"two:greet"`) {
		t.Errorf("prompts %s", got)
	}
	got := string(ask(t, c, "resources/list", `{}`).Result)
	if strings.Count(got, `"file:///both"`) != 1 || !strings.Contains(got, `"two":"collision: file:///both is also offered by one`) {
		t.Errorf("resources %s", got)
	}
}

func TestMergedListsPage(t *testing.T) {
	t.Parallel()
	paged := func(name string, n int) upstream.Spec {
		srv := sdk.NewServer(&sdk.Implementation{Name: name, Version: "1"}, &sdk.ServerOptions{PageSize: 2})
		for i := range n {
			sdk.AddTool(srv, &sdk.Tool{Name: fmt.Sprint("tool", i)}, func(context.Context, *sdk.CallToolRequest, sayArgs) (*sdk.CallToolResult, any, error) {
				return nil, nil, nil
			})
		}
		return upstream.Spec{Prefix: name, URL: newSite(t, streamable(srv, nil)).URL}
	}
	s := start(t, upstream.Options{}, paged("a", 5), paged("b", 1), paged("c", 3))
	c := dial(t, s, "key_a")
	var names []string
	pages := 0
	for cursor := "{}"; cursor != ""; pages++ {
		var l list
		if err := json.Unmarshal(ask(t, c, "tools/list", cursor).Result, &l); err != nil {
			t.Fatal(err)
		}
		for _, tool := range l.Tools {
			names = append(names, tool.Name)
		}
		cursor = ""
		if l.Next != "" {
			cursor = `{"cursor":"` + l.Next + `"}`
		}
	}
	slices.Sort(names)
	if want := "a:tool0 a:tool1 a:tool2 a:tool3 a:tool4 b:tool0 c:tool0 c:tool1 c:tool2"; strings.Join(names, " ") != want || pages != 3 {
		t.Errorf("%d pages of %v", pages, names)
	}
	_, err := c.Call(context.Background(), &mcp.Message{ID: json.RawMessage("1"), Method: "tools/list", Params: json.RawMessage(`{"cursor":"nonsense"}`)}, nil)
	var rpc *mcp.Error
	if !errors.As(err, &rpc) || rpc.Code != -32602 {
		t.Errorf("a foreign cursor: %v", err)
	}
}

func TestNewsOfModernServers(t *testing.T) {
	t.Parallel()
	srv := sdkServer()
	s := start(t, upstream.Options{}, upstream.Spec{URL: newSite(t, streamable(srv, &sdk.StreamableHTTPOptions{Stateless: true})).URL})
	until(t, "two tools", func() bool { return s.Status()[0].Tools == 2 })
	tries := 0
	until(t, "a third", func() bool {
		if tries++; tries%40 != 1 { // the SDK gathers changes before it tells of them
			return s.Status()[0].Tools == 3
		}
		srv.AddTool(&sdk.Tool{Name: "third", InputSchema: json.RawMessage(`{"type":"object"}`)}, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) { return nil, nil })
		return s.Status()[0].Tools == 3
	})
}
