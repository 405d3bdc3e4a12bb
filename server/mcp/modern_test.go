package mcp_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"paygate/server/mcp"
)

const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

// modern posts a request of 2026-07-28.
func (g rig) modern(method, params string, headers ...string) (int, string) {
	g.t.Helper()
	if params != "" {
		params += ","
	}
	return g.post(`{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{`+params+meta+`}}`,
		append([]string{"MCP-Protocol-Version", mcp.Modern, "Mcp-Method", method}, headers...)...)
}

func TestHeadersOfModernRequests(t *testing.T) {
	t.Parallel()
	s := &server{modern: true, answer: func(_ context.Context, _ *conversation, m *mcp.Message, _ func(*mcp.Message)) (*mcp.Message, error) {
		if m.Method == "tools/list" {
			return result(`{"tools":[{"name":"t","inputSchema":{"properties":{"n":{"x-mcp-header":"N"}}}}]}`), nil
		}
		return result(`{"resultType":"complete"}`), nil
	}}
	g := serve(t, s, nil)
	for name, c := range map[string]struct {
		method, params string
		headers        []string
		status         int
		holds          string
	}{
		"right":              {"tools/call", `"name":"a"`, []string{"Mcp-Name", "a"}, 200, "complete"},
		"in base64":          {"tools/call", `"name":"é"`, []string{"Mcp-Name", "=?base64?w6k=?="}, 200, "complete"},
		"another name":       {"tools/call", `"name":"a"`, []string{"Mcp-Name", "b"}, 400, "-32020"},
		"no name":            {"tools/call", `"name":"a"`, nil, 400, "-32020"},
		"another method":     {"tools/list", ``, []string{"Mcp-Method", "tools/call"}, 400, "-32020"},
		"another revision":   {"tools/list", ``, []string{"MCP-Protocol-Version", mcp.Rev1125}, 400, "-32020"},
		"an argument":        {"tools/call", `"name":"t","arguments":{"n":42}`, []string{"Mcp-Name", "t", "Mcp-Param-N", "42.0"}, 200, "complete"},
		"another argument":   {"tools/call", `"name":"t","arguments":{"n":42}`, []string{"Mcp-Name", "t", "Mcp-Param-N", "43"}, 400, "-32020"},
		"no such argument":   {"tools/call", `"name":"t","arguments":{"n":null}`, []string{"Mcp-Name", "t", "Mcp-Param-N", "43"}, 400, "-32020"},
		"no header for it":   {"tools/call", `"name":"t","arguments":{"n":42}`, []string{"Mcp-Name", "t"}, 400, "-32020"},
		"a method of before": {"ping", ``, nil, 404, "-32601"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := rig{t, g.e, g.url}
			if status, body := g.modern(c.method, c.params, c.headers...); status != c.status || !strings.Contains(body, c.holds) {
				t.Errorf("%d %s, want %d with %s", status, body, c.status, c.holds)
			}
		})
	}
}

func TestRoundsOfOneCall(t *testing.T) {
	t.Parallel()
	s := &server{modern: true, answer: func(_ context.Context, _ *conversation, m *mcp.Message, _ func(*mcp.Message)) (*mcp.Message, error) {
		switch {
		case m.Method == "tools/list":
			return result(`{"tools":[]}`), nil
		case gjson.GetBytes(m.Params, "requestState").Str == "its own":
			return result(`{"resultType":"complete"}`), nil
		}
		return result(`{"resultType":"input_required","requestState":"its own"}`), nil
	}}
	secret := []byte("the same secret in both processes")
	resumed := make(chan string, 1)
	with := func(o *mcp.Options) {
		o.Secret = secret
		o.Handler = pass{func(ctx context.Context, x *mcp.Exchange) (*mcp.Message, error) {
			if x.Resumes != "" {
				resumed <- x.Resumes
			}
			x.Carry("hold 7")
			return x.Forward(ctx, x.Request)
		}}
	}
	call := func(g rig, key, args, state string) (int, string) {
		params := `"name":"a","arguments":` + args
		if state != "" {
			text, _ := json.Marshal(state) // a string always has a text
			params += `,"inputResponses":{},"requestState":` + string(text)
		}
		return g.modern("tools/call", params, "Mcp-Name", "a", "X-API-Key", key)
	}
	_, body := call(serve(t, s, with), "a", `{"n":1}`, "")
	state := gjson.Get(body, "result.requestState").Str
	if state == "" || strings.Contains(state, "its own") {
		t.Fatalf("the state is not sealed: %s", body)
	}
	after := serve(t, s, with) // the gateway has been restarted
	for name, c := range map[string][3]string{
		"another caller":   {"b", `{"n":1}`, state},
		"another argument": {"a", `{"n":2}`, state},
		"a changed state":  {"a", `{"n":1}`, "A" + state[1:] + "A"},
		"the server's own": {"a", `{"n":1}`, "its own"},
	} {
		if status, body := call(after, c[0], c[1], c[2]); status != 400 || !strings.Contains(body, "-32602") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, body := call(after, "a", `{"n":1}`, state); status != 200 || !strings.Contains(body, `"complete"`) || <-resumed != "hold 7" {
		t.Errorf("the second round: %d %s", status, body)
	}
}

func TestAStateEndsWithItsTime(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	s := &server{modern: true, answer: func(_ context.Context, _ *conversation, m *mcp.Message, _ func(*mcp.Message)) (*mcp.Message, error) {
		if m.Method == "tools/list" {
			return result(`{"tools":[]}`), nil
		}
		return result(`{"resultType":"input_required","requestState":"its own"}`), nil
	}}
	g := serve(t, s, func(o *mcp.Options) { o.Now = func() time.Time { return time.Unix(now.Load(), 0) } })
	_, body := g.modern("tools/call", `"name":"a"`, "Mcp-Name", "a")
	again := `"name":"a","inputResponses":{},"requestState":` + gjson.Get(body, "result.requestState").Raw
	for at, want := range map[int64]int{599: 200, 601: 400} {
		now.Store(at)
		if status, text := g.modern("tools/call", again, "Mcp-Name", "a"); status != want {
			t.Errorf("after %d seconds: %d %s, want %d", at, status, text, want)
		}
	}
}

func TestAnOldServerIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	g := serve(t, &server{}, nil)
	if status, body := g.modern("server/discover", ``); status != 400 || !strings.Contains(body, "-32022") || !strings.Contains(body, mcp.Rev1125) {
		t.Errorf("%d %s", status, body)
	}
}

func TestKindsOfResults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]mcp.Kind{
		`{}`:                              {Kind: mcp.Complete},
		`{"resultType":"complete"}`:       {Kind: mcp.Complete},
		`{"resultType":"input_required"}`: {Kind: mcp.InputRequired},
		`{"resultType":"task","taskId":"t","ttlMs":5}`: {Kind: mcp.Task, TaskID: "t", TTL: 5e6},
		`{"task":{"taskId":"t","ttl":5}}`:              {Kind: mcp.Task, TaskID: "t", TTL: 5e6},
	} {
		if got := mcp.KindOf(json.RawMessage(text)); got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}
