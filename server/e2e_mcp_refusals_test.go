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
	var page struct {
		Calls []struct{ Tool, Reason, Outcome string }
	}
	g.until("all refusals are seen", func() bool {
		g.do("GET", "/admin/calls", nil, &page, http.StatusOK)
		return len(page.Calls) >= len(cases)
	})
	slices.Reverse(page.Calls)
	for i, c := range cases {
		if got := page.Calls[i]; got.Tool+" "+got.Reason != c.seen || got.Outcome != "denied" {
			t.Errorf("%s: the owner sees %+v, want %q", c.what, got, c.seen)
		}
	}
	if got := g.account(k); got.Credits != 100 || got.Held != 0 {
		t.Errorf("refusals cost: %+v", got)
	}
	g.prove()
}
