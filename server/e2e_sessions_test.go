package server_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"paygate/testdata/fake"
)

// settled is a client of the old era that has set all that a session can hold:
// what it wants to be told, and how much of it.
func settled(t *testing.T, g *gateway) (c *mcpClient, heard <-chan note) {
	t.Helper()
	c = g.connect(t, "2025-11-25", g.key(nil).Key)
	c.hello()
	heard = c.listen("fake://mine")
	c.must("logging/setLevel", map[string]any{"level": "warning"})
	return c, heard
}

// still says that nothing of it is lost, and nothing heard twice.
func (c *mcpClient) still(heard <-chan note) {
	c.t.Helper()
	c.tool("touch", map[string]any{"text": "fake://mine"})
	c.hears(heard, "notifications/resources/updated", "fake://mine")
	c.tool("notify", map[string]any{"text": "notifications/prompts/list_changed"})
	if n := c.soon(heard); n.Method != "notifications/prompts/list_changed" {
		c.t.Errorf("heard %s %s, want one change of the prompts", n.Method, n.Params)
	}
	quiet, _ := c.tool("log", map[string]any{"level": "info", "who": "quiet"})
	loud, _ := c.tool("log", map[string]any{"level": "error", "who": "loud"})
	if len(quiet.Notes) != 0 || len(loud.Notes) != 1 {
		c.t.Errorf("the level of logs is lost: below it %s, above it %s", quiet.Notes, loud.Notes)
	}
}

// soon is the next thing that is announced, nothing if the stream has ended.
func (c *mcpClient) soon(heard <-chan note) note {
	c.t.Helper()
	select {
	case n := <-heard:
		return n
	case <-time.After(10 * time.Second):
		c.t.Fatal("nothing was announced")
		return note{}
	}
}

func TestAClientDoesNotNoticeThatItsServerWasRestarted(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"legacy", "modern"} {
		t.Run(mode+" over stdio", func(t *testing.T) {
			t.Parallel()
			g := before(t, mode, "stdio", nil)
			c, heard := settled(t, g)
			c.still(heard)
			if a, _ := c.tool("crash", map[string]any{"code": 3}); a.Error == nil {
				t.Fatalf("the call that crashes the server: %s", a.Result)
			}
			c.still(heard)
		})
	}
	t.Run("one of several", func(t *testing.T) {
		t.Parallel()
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		g := start(t, map[string]any{"serverCommand": "", "env": "", "isolation": "", "servers": []any{
			map[string]any{"prefix": "a", "serverCommand": self, "env": fake.Env("legacy")},
			map[string]any{"prefix": "b", "serverCommand": self, "env": fake.Env("modern")}}})
		c, heard := settled(t, g)
		for _, c.at = range []string{"a:", "b:"} {
			if a, _ := c.tool("crash", map[string]any{"code": 3}); a.Error == nil {
				t.Fatalf("the call that crashes %s: %s", c.at, a.Result)
			}
		}
		c.at = "a:"
		c.still(heard)
		c.at = "b:"
		if loud, _ := c.tool("log", map[string]any{"level": "error"}); len(loud.Notes) != 1 {
			t.Errorf("the level of logs is lost: %s", loud.Notes)
		}
	})
	t.Run("legacy over http", func(t *testing.T) {
		t.Parallel()
		site := fake.Web("legacy")
		web := httptest.NewServer(site)
		t.Cleanup(web.Close)
		g := start(t, map[string]any{"serverCommand": "", "env": "", "isolation": "session", "remoteUrl": web.URL + "/mcp"})
		c, heard := settled(t, g)
		c.still(heard)
		site.Forget()
		c.still(heard)
	})
}

func TestAClientDoesNotNoticeThatTheGatewayWasKilled(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"legacy", "modern"} {
		for _, transport := range []string{"stdio", "http"} {
			t.Run(mode+" over "+transport, func(t *testing.T) {
				t.Parallel()
				g := before(t, mode, transport, nil)
				c, heard := settled(t, g)
				c.still(heard)
				g.restart()
				c.still(heard)
			})
		}
	}
}

func TestASessionThatItsClientEndsIsGoneForGood(t *testing.T) {
	t.Parallel()
	g := before(t, "legacy", "http", nil)
	c, heard := settled(t, g)
	req := c.request(t.Context(), "DELETE", nil)
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode/100 != 2 {
		t.Fatalf("DELETE: %v %v", res, err)
	}
	_ = res.Body.Close()
	if n := c.soon(heard); n.Method != "" {
		t.Errorf("heard %s after the end", n.Method)
	}
	g.restart()
	if a := c.do(t.Context(), "tools/list", map[string]any{}, nil); a.Error == nil || !strings.Contains(a.Error.Message, "initialize") {
		t.Errorf("after DELETE and a restart: %+v %s", a.Error, a.Result)
	}
}
