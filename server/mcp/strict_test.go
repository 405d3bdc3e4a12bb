package mcp_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"paygate/server/mcp"
)

const pinging = `{"jsonrpc":"2.0","id":1,"method":"ping"}`

// rebind is what a page in a browser can do: name another host or origin.
func TestHostsAndOriginsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	g := serve(t, &server{}, func(o *mcp.Options) {
		o.Origin = func(origin string) bool { return origin == "https://friend.example" }
	})
	for _, c := range []struct {
		header, value string
		status        int
	}{
		{"Host", "localhost:3402", 200},
		{"Host", "LOCALHOST", 200},
		{"Host", "app.localhost", 200},
		{"Host", "127.8.8.8:1", 200},
		{"Host", "[::1]:3402", 200},
		{"Host", "evil.example", 403},
		{"Host", "localhost.evil.example", 403},
		{"Host", "127.0.0.1.evil.example:3402", 403},
		{"Host", "192.168.0.1:3402", 403},
		{"Origin", "http://localhost:5173", 200},
		{"Origin", "http://[::1]:1", 200},
		{"Origin", "https://friend.example", 200},
		{"Origin", "https://friend.example.evil.example", 403},
		{"Origin", "https://evil.example", 403},
		{"Origin", "https://localhost.evil.example", 403},
		{"Origin", "null", 403},
		{"Origin", "file://", 403},
		{"Origin", "://", 403},
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			want := c.status
			if want == 200 && method != http.MethodPost { // let in, and told that there is no session
				want = 404
			}
			if res := g.do(method, pinging, c.header, c.value, "Mcp-Session-Id", map[bool]string{true: "", false: "none"}[method == http.MethodPost]); res.StatusCode != want {
				t.Errorf("%s with %s %q: %d, want %d", method, c.header, c.value, res.StatusCode, want)
			}
		}
	}
}

func TestContentTypesAndAccept(t *testing.T) {
	t.Parallel()
	g := serve(t, &server{}, nil)
	for value, want := range map[string]int{"application/json": 200, "application/json; charset=utf-8": 200, "Application/JSON": 200,
		"": 415, "text/json": 415, "application/json-seq": 415, "multipart/form-data": 415, "application/x-www-form-urlencoded": 415, ";": 415} {
		if status, _ := g.post(pinging, "Content-Type", value); status != want {
			t.Errorf("Content-Type %q: %d, want %d", value, status, want)
		}
	}
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`
	for value, want := range map[string]string{"application/json": "application/json", "*/*": "application/json", "": "application/json", "text/html": "application/json",
		"text/event-stream": "text/event-stream", "text/event-stream, application/json": "text/event-stream", "application/json, text/event-stream": "application/json"} {
		if res := g.do(http.MethodPost, call, "Accept", value); res.StatusCode != 200 || res.Header.Get("Content-Type") != want {
			t.Errorf("Accept %q: %d %s, want %s", value, res.StatusCode, res.Header.Get("Content-Type"), want)
		}
	}
}

func TestVersionHeaders(t *testing.T) {
	t.Parallel()
	g := serve(t, &server{modern: true}, nil)
	meta := func(revision string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"` + revision + `","io.modelcontextprotocol/clientCapabilities":{}}}}`
	}
	for _, c := range []struct {
		name, body, header string
		status             int
		holds              string
	}{
		{"neither", pinging, "", 200, "result"},
		{"the oldest", pinging, mcp.Rev2024, 200, "result"},
		{"an old one", pinging, mcp.Rev0618, 200, "result"},
		{"the newest in the header only", pinging, mcp.Modern, 400, "-32602"},
		{"one that is none", pinging, "latest", 400, "-32022"},
		{"both the same", meta(mcp.Modern), mcp.Modern, 200, "result"},
		{"the newest in _meta only", meta(mcp.Modern), "", 400, "-32020"},
		{"two different ones", meta(mcp.Modern), mcp.Rev1125, 400, "-32020"},
		{"an old one in _meta", meta(mcp.Rev1125), mcp.Rev1125, 400, "-32022"},
		{"a future one", meta("2031-01-01"), "2031-01-01", 400, `"supported":["2026-07-28"`},
	} {
		status, body := g.post(c.body, "MCP-Protocol-Version", c.header, "Mcp-Method", "server/discover")
		if status != c.status || !strings.Contains(body, c.holds) {
			t.Errorf("%s: %d %s, want %d with %s", c.name, status, body, c.status, c.holds)
		}
	}
}

func TestIDsThatAreNone(t *testing.T) {
	t.Parallel()
	g := serve(t, &server{}, nil)
	for _, id := range []string{`null`, `true`, `{}`, `[]`, `"` + strings.Repeat("x", 5000) + `"`} {
		if status, body := g.post(`{"jsonrpc":"2.0","id":` + id + `,"method":"ping"}`); status != 400 || !strings.Contains(body, "-32600") {
			t.Errorf("the id %.20s: %d %s", id, status, body)
		}
	}
	for _, id := range []string{`9007199254740993`, `-0.0`, `1E400`, `"9007199254740993"`, `"` + strings.Repeat("x", 4000) + `"`} {
		if _, body := g.post(`{"jsonrpc":"2.0","id":` + id + `,"method":"ping"}`); !strings.Contains(body, `"id":`+id+`,`) {
			t.Errorf("the id %.20s came back as %.60s", id, body)
		}
	}
}

func TestSizeAndDepthAtTheirLimits(t *testing.T) {
	t.Parallel()
	g := serve(t, &server{}, func(o *mcp.Options) { o.Limits.Body, o.Limits.Depth = 1000, 10 })
	sized := func(n int) string {
		const around = len(`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":""}}`)
		return `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"` + strings.Repeat("x", n-around) + `"}}`
	}
	deep := func(n int) string { // the message and its params are two
		return `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":` + strings.Repeat("[", n-2) + strings.Repeat("]", n-2) + `}}`
	}
	for name, c := range map[string]struct {
		body   string
		status int
	}{"as long as may be": {sized(1000), 200}, "one byte longer": {sized(1001), 413}, "as deep as may be": {deep(10), 200}, "one deeper": {deep(11), 400},
		"brackets in a text": {`{"jsonrpc":"2.0","id":"` + strings.Repeat(`[{\"`, 50) + `","method":"ping"}`, 200}} {
		if status, body := g.post(c.body); status != c.status {
			t.Errorf("%s: %d %s, want %d", name, status, body, c.status)
		}
	}
}

// A body in pieces says nothing of its length, and may never end.
func TestBodiesInPieces(t *testing.T) {
	t.Parallel()
	g := serve(t, &server{}, func(o *mcp.Options) { o.Limits.Body = 1000 })
	endless := io.LimitReader(neverending('x'), 1<<20)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url, endless)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if res, err := http.DefaultClient.Do(r); err == nil {
		_ = res.Body.Close()
		if res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("a body without an end: %s", res.Status)
		}
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(strings.TrimSuffix(g.url, "/mcp"), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"jsonrpc\"")
	_ = conn.(*net.TCPConn).CloseWrite()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusRequestTimeout {
		t.Errorf("a body that was cut off: %s", res.Status)
	}
}

type neverending byte

func (c neverending) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c)
	}
	return len(p), nil
}

func TestBatchesBelongToTheirRevision(t *testing.T) {
	t.Parallel()
	g := serve(t, &server{}, nil)
	batch := `[{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":1}},{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":"2","method":"ping"}]`
	for _, rev := range []string{mcp.Rev0326, mcp.Rev0618, mcp.Rev1125} {
		res := g.do(http.MethodPost, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"`+rev+`"}}`)
		id := res.Header.Get("Mcp-Session-Id")
		status, body := g.post(batch, "Mcp-Session-Id", id, "MCP-Protocol-Version", rev)
		if rev == mcp.Rev0326 {
			if want := `[{"jsonrpc":"2.0","id":1,"result":{"a":1}},{"jsonrpc":"2.0","id":"2","result":{}}]`; status != 200 || strings.TrimSpace(body) != want {
				t.Errorf("%s: %d %s", rev, status, body)
			}
		} else if status != 400 || !strings.Contains(body, "-32600") {
			t.Errorf("%s: %d %s", rev, status, body)
		}
	}
	for name, body := range map[string]string{"only notifications": `[{"jsonrpc":"2.0","method":"notifications/x"}]`, "initialize": `[{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}]`,
		"a message that is none": `[{"jsonrpc":"2.0","id":1,"method":"ping"},7]`, "a batch in a batch": `[[]]`} {
		want := map[bool]int{true: 202, false: 400}[name == "only notifications"]
		if status, text := g.post(body); status != want {
			t.Errorf("%s: %d %s, want %d", name, status, text, want)
		}
	}
	if status, body := g.post(batch, "MCP-Protocol-Version", mcp.Modern); status != 400 || !strings.Contains(body, "-32600") {
		t.Errorf("%s: %d %s", mcp.Modern, status, body)
	}
}
