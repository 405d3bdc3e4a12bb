package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// npm gives the path of a program that `make clients` has installed.
func npm(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "testdata", "clients", "node_modules", ".bin", name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%s is not installed; \"make test\" installs it: %v", name, err)
	}
	return path
}

func TestFilesystemAndMemoryServersSideBySide(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"serverCommand": "", "env": "", "isolation": "", "servers": []any{
		map[string]any{"prefix": "fs", "serverCommand": npm(t, "mcp-server-filesystem"), "serverArgs": []string{"."}, "cwd": t.TempDir()},
		map[string]any{"prefix": "mem", "serverCommand": npm(t, "mcp-server-memory")}}})
	k := g.key(nil)
	for tool, args := range map[string]any{"fs:list_directory": map[string]any{"path": "."}, "mem:read_graph": map[string]any{}} {
		if a := g.call(k.Key, tool, args); a.Error != nil || strings.Contains(string(a.Result), `"isError":true`) {
			t.Errorf("%s: %+v %s", tool, a.Error, a.Result)
		}
	}
	if got := g.account(k).Spent; got != 4 {
		t.Errorf("%d spent, want 4", got)
	}
}

// withKey adds the API key that the Go client has no setting for.
type withKey struct{ key string }

func (w withKey) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-API-Key", w.key)
	return http.DefaultTransport.RoundTrip(r)
}

func TestTheGoClientWithASession(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"isolation": ""})
	k := g.key(nil)
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: g.url + "/mcp", HTTPClient: &http.Client{Transport: withKey{k.Key}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for range 2 {
		res, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"text": "from go"}})
		if err != nil || res.IsError || !strings.Contains(res.Content[0].(*mcp.TextContent).Text, "from go") {
			t.Fatalf("%v %+v", err, res)
		}
		g.restart() // its session lives on
	}
	if got := g.account(k); got.Spent != 4 {
		t.Errorf("%+v", got)
	}
}
