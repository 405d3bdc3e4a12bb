package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"paygate/testdata/fake"
)

// Bad input gets the specification's error, is not charged, and is seen by the
// owner among the calls, with its cause.

func TestEveryRefusalIsSeenAmongTheCallsWithItsCause(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"env": fake.Env("both")})
	k := g.key(nil)
	suspended := g.key(nil)
	g.do("POST", "/keys/suspend", map[string]any{"key": suspended.Key}, nil, http.StatusOK)
	meta := `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	newer := []string{"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name"}
	cases := []struct {
		what, body string
		headers    []string
		status     int
		code       int
		seen       string // tool and cause, as the owner sees them
	}{
		{"a header that names another tool", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fail",` + meta + `}}`, append(newer, "echo"), 400, -32020, "fail header_mismatch"},
		{"a header that names no tool", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fail",` + meta + `}}`, newer[:4], 400, -32020, "fail header_mismatch"},
		{"a header that names another method", `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"x",` + meta + `}}`, append(newer, "echo"), 400, -32020, "resources/read header_mismatch"},
		{"no capabilities", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fail","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`, append(newer, "fail"), 400, -32602, "fail invalid_params"},
		{"a revision of the future", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fail"}}`, []string{"MCP-Protocol-Version", "2031-01-01"}, 400, -32022, "fail unsupported_version"},
		{"a method that was removed", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{` + meta + `}}`, []string{"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "ping"}, 404, -32601, "ping unknown_method"},
		{"a state that nobody gave", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fail","requestState":"x",` + meta + `}}`, append(newer, "fail"), 400, -32602, "fail invalid_params"},
		{"no JSON", `{"jsonrpc"`, nil, 400, -32700, "(no message) parse_error"},
		{"a member twice", `{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call"}`, nil, 400, -32700, "(no message) parse_error"},
		{"no version of JSON-RPC", `{"id":1,"method":"tools/call"}`, nil, 400, -32600, "(no message) invalid_request"},
		{"a batch after its time", `[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]`, []string{"MCP-Protocol-Version", "2025-06-18"}, 400, -32600, "(no message) invalid_request"},
		{"too much", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + strings.Repeat("x", 1<<20) + `"}}`, nil, 413, -32600, "(no message) invalid_request"},
		{"another content type", `{}`, []string{"Content-Type", "text/plain"}, 415, -32600, "(no message) invalid_request"},
		{"an unknown session", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}`, []string{"Mcp-Session-Id", "mcp_sess_0"}, 404, -32600, "echo invalid_request"},
		{"no tool", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`, nil, 200, -32602, "tools/call invalid_params"},
		{"arguments that are no object", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":[1]}}`, nil, 200, -32602, "echo invalid_params"},
		{"a suspended key that reads", `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"fake://a"}}`, []string{"X-API-Key", suspended.Key}, 200, -32402, "resources/read key_suspended"},
		{"a suspended key that calls", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}`, []string{"X-API-Key", suspended.Key}, 200, -32402, "echo key_suspended"},
	}
	for _, c := range cases {
		if a := g.raw(k.Key, c.body, c.headers...); a.Status != c.status || a.Error == nil || a.Error.Code != c.code {
			t.Errorf("%s: HTTP %d %+v, want %d with %d", c.what, a.Status, a.Error, c.status, c.code)
		}
	}
	seen := g.refusals(len(cases))
	for i, c := range cases {
		if seen[i] != c.seen+" denied" {
			t.Errorf("%s: the owner sees %q, want %q", c.what, seen[i], c.seen)
		}
	}
	if got := g.account(k); got.Credits != 100 || got.Held != 0 {
		t.Errorf("refusals cost: %+v", got)
	}
	g.prove()
}

// refusals are the calls that the owner sees, oldest first, when there are so
// many: tool, reason and outcome.
func (g *gateway) refusals(n int) []string {
	g.t.Helper()
	var page struct {
		Calls []struct{ Tool, Reason, Outcome string }
	}
	g.until("all refusals are seen", func() bool {
		g.do("GET", "/admin/calls", nil, &page, http.StatusOK)
		return len(page.Calls) >= n
	})
	slices.Reverse(page.Calls)
	seen := make([]string, len(page.Calls))
	for i, c := range page.Calls {
		seen[i] = c.Tool + " " + c.Reason + " " + c.Outcome
	}
	return seen
}

// Who shows no key, and what is no POST, is refused in the owner's sight too.
func TestARefusalIsSeenWithoutAKeyAndOutsideOfPost(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"env": fake.Env("legacy")})
	k := g.key(nil)
	stream := []string{"Mcp-Session-Id", "mcp_sess_0", "Accept", "text/event-stream"}
	hello := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	session := g.raw(k.Key, hello).Header.Get("Mcp-Session-Id")
	cases := []struct {
		what, method, key, body string
		headers                 []string
		status                  int
		seen                    string
	}{
		{"another origin", "POST", "", `{}`, []string{"Origin", "https://evil.example"}, 403, "(no message) invalid_request"},
		{"a name that is not ours", "POST", "", `{}`, []string{"Host", "evil.example"}, 403, "(no message) invalid_request"},
		{"another origin that listens", "GET", "", "", []string{"Origin", "https://evil.example"}, 403, "(GET) invalid_request"},
		{"no JSON", "POST", "", `{"jsonrpc"`, nil, 400, "(no message) parse_error"},
		{"too deep", "POST", "", strings.Repeat("[", 2000) + strings.Repeat("]", 2000), nil, 400, "(no message) parse_error"},
		{"too much", "POST", "", `{"x":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, "(no message) invalid_request"},
		{"compressed", "POST", "", `{}`, []string{"Content-Encoding", "gzip"}, 415, "(no message) invalid_request"},
		{"a revision of the future", "POST", "", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, []string{"MCP-Protocol-Version", "2031-01-01"}, 400, "tools/list unsupported_version"},
		{"a batch after its time", "POST", "", `[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]`, []string{"MCP-Protocol-Version", "2025-06-18"}, 400, "(no message) invalid_request"},
		{"an unknown session", "POST", "", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, stream, 404, "tools/list invalid_request"},
		{"a batch of nothing", "POST", k.Key, `{"jsonrpc":"2.0","id":1,"method":"tools/call_batch","params":{"calls":[]}}`, nil, 200, "tools/call_batch invalid_params"},
		{"a stream of no session", "GET", k.Key, "", []string{"Accept", "text/event-stream"}, 405, "(GET) invalid_request"},
		{"a stream of an unknown session", "GET", k.Key, "", stream, 404, "(GET) invalid_request"},
		{"a stream from nowhere", "GET", k.Key, "", []string{"Mcp-Session-Id", session, "Accept", "text/event-stream", "Last-Event-ID", "?"}, 400, "(GET) invalid_request"},
		{"the end of no session", "DELETE", k.Key, "", nil, 400, "(DELETE) invalid_request"},
		{"the end of somebody's session", "DELETE", "", "", []string{"Mcp-Session-Id", session}, 404, "(DELETE) invalid_request"},
		{"another method", "PUT", "", `{}`, nil, 405, "(PUT) invalid_request"},
	}
	for _, c := range cases {
		if a := g.at(c.method, c.key, c.body, c.headers...); a.Status != c.status {
			t.Errorf("%s: HTTP %d, want %d", c.what, a.Status, c.status)
		}
	}
	seen := g.refusals(len(cases))
	for i, c := range cases {
		if seen[i] != c.seen+" denied" {
			t.Errorf("%s: the owner sees %q, want %q", c.what, seen[i], c.seen)
		}
	}
	out, code := g.command("calls", "list", "--filter", `~t "(DELETE)"`, "--url", g.url, "--admin-key", adminKey)
	if code != 0 || strings.Count(out, "invalid_request") != 2 || strings.Contains(out, "(GET)") {
		t.Errorf("on the command line, exit %d:\n%s", code, out)
	}
}
