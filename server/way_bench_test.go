package server_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paygate/server"
	settings "paygate/server/config"
	"paygate/testdata/fake"
)

// BenchmarkCall is a charged and durable tools/call from the handler on: all
// that the gateway does but HTTP itself, with 64 callers that wait.
func BenchmarkCall(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	all, found := settings.Load(settings.Source{})
	if settings.Failed(found) {
		b.Fatal(found)
	}
	all.Static.StateDir, all.Static.AdminKey = b.TempDir(), adminKey
	all.Static.Servers = []settings.Server{{Command: self, Env: fake.Env("legacy,quick"), Isolation: "shared"}}
	all.Config.GlobalRateLimit = 0
	s, err := server.New(b.Context(), server.Options{Static: all.Static, Config: all.Config, Now: time.Now, Rand: rand.Reader,
		Log: slog.New(slog.DiscardHandler), Environ: os.Environ(), Version: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.Close(context.Background()); err != nil {
			b.Error(err)
		}
	}()
	h := s.Handler()
	ask := func(path string, headers map[string]string, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	made := ask("/keys", map[string]string{"X-Admin-Key": adminKey}, `{"name":"bench","credits":1000000000}`)
	_, rest, _ := strings.Cut(made.Body.String(), `"key":"`)
	key, _, _ := strings.Cut(rest, `"`)
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"` + strings.Repeat("0", 64) + `"}}}`
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	var callers sync.WaitGroup
	for range 64 {
		callers.Go(func() {
			for left.Add(-1) >= 0 {
				if w := ask("/mcp", map[string]string{"X-Api-Key": key, "Accept": "application/json, text/event-stream"}, call); w.Code != http.StatusOK {
					b.Errorf("%d %s", w.Code, w.Body)
					return
				}
			}
		})
	}
	callers.Wait()
}
