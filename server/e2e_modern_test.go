package server_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"paygate/testdata/fake"
)

// modern is a request of revision 2026-07-28, with its headers.
func (g *gateway) modern(secret, method, name string, params map[string]any) answer {
	p := map[string]any{"_meta": map[string]any{"io.modelcontextprotocol/protocolVersion": "2026-07-28",
		"io.modelcontextprotocol/clientCapabilities": map[string]any{"elicitation": map[string]any{}}}}
	maps.Copy(p, params)
	headers := []string{"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", method}
	if name != "" {
		headers = append(headers, "Mcp-Name", name)
	}
	return g.rpc(secret, method, p, headers...)
}

func TestAStatelessClientUsesServersOfBothEras(t *testing.T) {
	t.Parallel()
	for _, era := range []string{"legacy", "modern"} {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			g := start(t, map[string]any{"env": fake.Env(era)})
			k := g.key(nil)
			a := g.modern("", "server/discover", "", nil)
			if a.Error != nil || !strings.Contains(string(a.Result), "2026-07-28") {
				t.Fatalf("discover: %+v %s", a.Error, a.Result)
			}
			a = g.modern(k.Key, "tools/call", "echo", map[string]any{"name": "echo", "arguments": map[string]any{"text": "hello"}})
			if a.Error != nil || !strings.Contains(string(a.Result), "hello") || g.account(k).Spent != 2 {
				t.Errorf("a call: %+v %s", a.Error, a.Result)
			}
			a = g.modern(k.Key, "tools/call", "other", map[string]any{"name": "echo", "arguments": map[string]any{}})
			if a.Status != http.StatusBadRequest || a.Error == nil || a.Error.Code != -32020 || g.account(k).Spent != 2 {
				t.Errorf("a header that names another tool: HTTP %d %+v", a.Status, a.Error)
			}
			if got := g.modern("", "tools/call", "echo", map[string]any{"name": "echo"}).reason(); got != "missing_api_key" {
				t.Errorf("without a key: %q", got)
			}
		})
	}
}

func TestACallOfTwoRoundsIsChargedOnce(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(nil)
	call := map[string]any{"name": "ask", "arguments": map[string]any{"who": "you?"}}
	a := g.modern(k.Key, "tools/call", "ask", call)
	var asked struct {
		ResultType    string
		InputRequests map[string]struct{ Method string }
		RequestState  string
	}
	if err := json.Unmarshal(a.Result, &asked); err != nil || asked.ResultType != "input_required" || len(asked.InputRequests) != 1 {
		t.Fatalf("first round: %+v %s", a.Error, a.Result)
	}
	if got := g.account(k); got.Held != 2 || got.Spent != 0 {
		t.Errorf("between the rounds: %+v", got)
	}
	again := maps.Clone(call)
	again["requestState"] = asked.RequestState
	responses := map[string]any{}
	for name := range asked.InputRequests {
		responses[name] = map[string]any{"action": "accept", "content": map[string]any{"name": "Ada"}}
	}
	again["inputResponses"] = responses
	stranger := g.key(nil)
	if a := g.modern(stranger.Key, "tools/call", "ask", again); a.Error == nil || a.Status != http.StatusBadRequest {
		t.Errorf("another caller's state: HTTP %d %s", a.Status, a.Result)
	}
	a = g.modern(k.Key, "tools/call", "ask", again)
	if a.Error != nil || !strings.Contains(string(a.Result), "Ada") {
		t.Fatalf("second round: %+v %s", a.Error, a.Result)
	}
	if got := g.account(k); got.Held != 0 || got.Spent != 2 || got.Calls != 1 {
		t.Errorf("at the end: %+v", got)
	}
	if a := g.modern(k.Key, "tools/call", "ask", again); a.Error == nil || g.account(k).Spent != 2 {
		t.Errorf("the same state once more: %s, %+v", a.Result, g.account(k))
	}
	g.prove()
}
