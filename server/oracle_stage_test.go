package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paygate/server"
	settings "paygate/server/config"
	"paygate/testdata/clock"
	"paygate/testdata/fake"
)

// played is how a tool of the stage answers; its arguments say it.
type played struct {
	Size  int    `json:"size,omitempty"`
	Units int    `json:"units,omitempty"`
	Cost  int    `json:"cost,omitempty"`
	End   string `json:"end,omitempty"`  // "", tool, rpc or lost
	Wait  string `json:"wait,omitempty"` // until the test lets it go on
	Depth string `json:"depth,omitempty"`
	Pad   string `json:"pad,omitempty"`
}

// stage is an MCP server whose tools do what a test says, and when.
type stage struct {
	site *fake.Site

	mu    sync.Mutex
	waits map[string]chan struct{}
	here  chan string // which call has come to wait
}

func newStage() *stage {
	return &stage{site: fake.Web("legacy"), waits: map[string]chan struct{}{}, here: make(chan string, 64)}
}

func (s *stage) gate(id string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waits[id] == nil {
		s.waits[id] = make(chan struct{})
	}
	return s.waits[id]
}

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	var m struct {
		ID     json.RawMessage
		Method string
		Params struct{ Arguments played }
	}
	if json.Unmarshal(body, &m) != nil || m.Method != "tools/call" {
		s.site.ServeHTTP(w, r)
		return
	}
	p := m.Params.Arguments
	if p.Wait != "" {
		s.here <- p.Wait
		select {
		case <-s.gate(p.Wait):
		case <-r.Context().Done():
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	switch p.End {
	case "lost":
		panic(http.ErrAbortHandler)
	case "rpc":
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":"no"}}`, m.ID)
		return
	}
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"isError":%t,"_meta":{"paygate/units":%d,"paygate/cost":%d},"content":[{"type":"text","text":%q}]}}`,
		m.ID, p.End == "tool", p.Units, p.Cost, strings.Repeat("x", p.Size))
}

// theatre is a gateway in this process before a stage, in a time that only the
// test moves.
type theatre struct {
	*gateway
	*clock.Hands
	stage *stage
	web   *httptest.Server
	up    *httptest.Server
	s     *server.Server
	more  func(*settings.All)
}

var newYear = time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC)

func newTheatre(t *testing.T, more func(*settings.All)) *theatre {
	t.Helper()
	x := &theatre{gateway: &gateway{t: t, dir: t.TempDir()}, Hands: clock.At(newYear), stage: newStage(), more: more}
	x.up = httptest.NewServer(x.stage)
	x.open()
	t.Cleanup(func() {
		x.close()
		x.up.CloseClientConnections()
		x.up.Close()
	})
	return x
}

func (x *theatre) open() {
	x.t.Helper()
	all, found := settings.Load(settings.Source{})
	if settings.Failed(found) {
		x.t.Fatal(found)
	}
	all.StateDir, all.AdminKey, all.AdminRateLimit, all.PublicRateLimit, all.SessionRateLimit, all.GlobalRateLimit = x.dir, adminKey, 0, 0, 0, 0
	all.Servers = []settings.Server{{URL: x.up.URL + "/mcp"}}
	all.RetentionDays = 0
	if x.more != nil {
		x.more(all)
	}
	s, err := server.New(x.t.Context(), server.Options{Static: all.Static, Config: all.Config, Now: x.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler),
		Environ: os.Environ(), Version: "test"})
	if err != nil {
		x.t.Fatal(err)
	}
	x.s, x.web = s, httptest.NewServer(s.Handler())
	x.url = x.web.URL
}

func (x *theatre) close() {
	x.web.CloseClientConnections()
	x.web.Close()
	if err := x.s.Close(context.Background()); err != nil {
		x.t.Error(err)
	}
}

// crash goes on with what is on disk, as if the program had been killed.
func (x *theatre) crash() {
	x.t.Helper()
	dir := x.t.TempDir()
	list, err := os.ReadDir(x.dir)
	if err != nil {
		x.t.Fatal(err)
	}
	for _, f := range list {
		if f.Type().IsRegular() && f.Name() != "shadow.db" {
			raw, err := os.ReadFile(filepath.Join(x.dir, f.Name()))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, f.Name()), raw, 0o600)
			}
			if err != nil {
				x.t.Fatal(err)
			}
		}
	}
	x.close() // what it still writes, it writes where nobody looks
	x.dir = dir
	x.open()
}
