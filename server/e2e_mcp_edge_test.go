package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"paygate/testdata/fake"
)

// What comes over the socket that is no request of an agent, or too many.

func TestAnAddressDoesNotKeepAllOthersOut(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"maxConnectionsPerAddress": 4})
	g.configure(config(t, map[string]any{"maxConnectionsPerAddress": 4, "publicRateLimit": 3})) // whether it is ready was asked more often
	g.do("POST", "/config/reload", nil, nil, http.StatusOK)
	k := g.key(nil)
	http.DefaultClient.CloseIdleConnections()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", "127.0.0.1:"+g.port)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		return c
	}
	var held []net.Conn
	refused := ""
	for range 6 {
		c := dial()
		_, _ = io.WriteString(c, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil && res.StatusCode == http.StatusTooManyRequests {
			text, _ := io.ReadAll(res.Body)
			refused = string(text)
		}
		held = append(held, c)
	}
	if !strings.Contains(refused, "maxConnectionsPerAddress") {
		t.Errorf("beyond its connections an address reads %q", refused)
	}
	for _, c := range held {
		_ = c.Close()
	}
	g.until("there is room again", func() bool { return g.raw("", `{"jsonrpc":"2.0","id":1,"method":"ping"}`).Status == http.StatusOK })
	list := `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	for i := range 5 { // whoever shows no key has so many lists
		if a := g.raw("", list); (a.reason() == "rate_limited") != (i >= 3) || (a.Header.Get("Retry-After") != "") != (i >= 3) {
			t.Errorf("list %d without a key: %+v", i, a)
		}
		if a := g.raw(k.Key, list); a.Error != nil {
			t.Errorf("list %d with a key: %+v", i, a.Error)
		}
	}
}

// Whoever stands before the gateway may read where a request ends by other
// words than it: nothing that hides behind one may run.
func TestNoRequestHidesBehindAnother(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}`
	head := "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-API-Key: KEY\r\n"
	hidden := head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	for what, c := range map[string]struct {
		sent  string
		calls int64 // of the first request, where it is one
	}{
		"a length and chunks":      {head + fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n%s%s", len(chunk)+len(hidden), chunk, hidden), 1},
		"chunks, and a length":     {head + fmt.Sprintf("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n%s%s", chunk, hidden), 1},
		"two lengths":              {head + fmt.Sprintf("Content-Length: 0\r\nContent-Length: %d\r\n\r\n%s", len(hidden), hidden), 0},
		"a length with a sign":     {head + fmt.Sprintf("Content-Length: +%d\r\n\r\n%s", len(body), body), 0},
		"another encoding":         {head + "Transfer-Encoding: xchunked\r\n\r\n" + chunk + hidden, 0},
		"an encoding twice":        {head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunk + hidden, 0},
		"a space before the colon": {head + fmt.Sprintf("Content-Length : %d\r\n\r\n%s", len(body), body), 0},
		"a line that goes on":      {strings.Replace(head, "Host:", " Folded: yes\r\nHost:", 1) + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body), 0},
		"a header of two lines":    {head + "X-Other: a\r\n Transfer-Encoding: chunked\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body), 1},
		"a bare return in a value": {head + "X-Other: a\rContent-Length: 0\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body), 0},
		"a length of bytes beyond": {head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body)-1, body) + hidden, 0},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			k := g.key(nil)
			conn, err := net.Dial("tcp", "127.0.0.1:"+g.port)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
			_, _ = io.WriteString(conn, strings.ReplaceAll(c.sent, "KEY", k.Key))
			from := bufio.NewReader(conn)
			res, err := http.ReadResponse(from, nil)
			if err != nil {
				t.Fatal(err)
			}
			said, _ := io.ReadAll(res.Body)
			_ = conn.SetDeadline(time.Now().Add(time.Second)) // if anything hides, it answers soon
			more, _ := io.ReadAll(from)
			if got := g.account(k).Calls; got != c.calls || strings.Contains(string(more), " 200 ") {
				t.Errorf("%d calls ran, want %d; answered HTTP %d %s, then %q", got, c.calls, res.StatusCode, said, more)
			}
		})
	}
}

// goroutines is how many the gateway has.
func (g *gateway) goroutines() int {
	res, err := http.Get(g.url + "/metrics")
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	_, rest, _ := strings.Cut(string(text), "\npaygate_goroutines ")
	n, _ := strconv.Atoi(strings.SplitN(rest, "\n", 2)[0])
	return n
}

// What sessions, streams, questions and crashed servers have started has ended
// with them.
func TestNothingGoesOnWhenAllAgentsHaveLeft(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"env": fake.Env("legacy"), "isolation": "session", "publicRateLimit": 0, "sessionRateLimit": 0})
	k := g.key(map[string]any{"credits": 10_000})
	visit := func() {
		for _, rev := range []string{"2025-06-18", "2025-11-25"} {
			c := g.connect(t, rev, k.Key)
			c.hello()
			c.listen("fake://a")
			c.tool("ask", map[string]any{"who": "me"})
			c.tool("crash", map[string]any{"code": 3})
			c.tool("progress", map[string]any{"n": 3})
			res, err := http.DefaultClient.Do(c.request(t.Context(), "DELETE", nil))
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
		}
		c := g.connect(t, newestRevision, k.Key)
		c.hello()
		c.tool("ask", map[string]any{"who": "me"})
		c.tool("crash", map[string]any{"code": 3})
		c.tool("echo", map[string]any{"who": "me"})
	}
	visit()
	calm := 0
	g.until("the first have left", func() bool {
		http.DefaultClient.CloseIdleConnections()
		before := calm
		calm = g.goroutines()
		return calm > 0 && calm == before
	})
	for range 5 {
		visit()
	}
	now := 0
	g.until(fmt.Sprintf("there are again %d", calm), func() bool {
		http.DefaultClient.CloseIdleConnections()
		now = g.goroutines()
		return now <= calm+3
	})
	t.Logf("%d goroutines, %d before", now, calm)
}
