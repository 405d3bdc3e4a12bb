package server_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"paygate/server"
	settings "paygate/server/config"
	"paygate/testdata/fake"
)

// withDisk is a gateway in this process whose disk can be full.
func withDisk(t *testing.T) (g *gateway, full *atomic.Bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	all, found := settings.Load(settings.Source{})
	if settings.Failed(found) {
		t.Fatal(found)
	}
	full = new(atomic.Bool)
	all.StateDir, all.AdminKey, all.AdminRateLimit, all.PublicRateLimit = t.TempDir(), adminKey, 0, 0
	all.Servers = []settings.Server{{Command: self, Env: fake.Env("legacy"), Isolation: "shared"}}
	s, err := server.New(t.Context(), server.Options{Static: all.Static, Config: all.Config, Now: time.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler),
		Environ: os.Environ(), Version: "test", Fault: func() error {
			if full.Load() {
				return errors.New("no space left on device")
			}
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		web.Close()
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &gateway{t: t, url: web.URL}, full
}

func TestAFullDiskServesNothingUnchargedAndRecovers(t *testing.T) {
	t.Parallel()
	g, full := withDisk(t)
	k := g.key(nil)
	runs := func() (n int) { // how many calls have reached the server
		t.Helper()
		var out struct {
			StructuredContent struct{ Calls int }
			Content           []struct{ Text string }
		}
		a := g.call(k.Key, "state", nil)
		if err := json.Unmarshal(a.Result, &out); err != nil || a.Error != nil {
			t.Fatalf("%v %+v", err, a.Error)
		}
		if out.StructuredContent.Calls == 0 && len(out.Content) > 0 {
			_ = json.Unmarshal([]byte(out.Content[0].Text), &out.StructuredContent)
		}
		return out.StructuredContent.Calls
	}
	if got := runs(); got != 1 {
		t.Fatalf("the server has seen %d calls, want 1", got)
	}
	slow := make(chan answer, 1)
	go func() { slow <- g.call(k.Key, "sleep", map[string]any{"ms": 300}) }()
	for deadline := time.Now().Add(10 * time.Second); g.account(k).Held == 0 && time.Now().Before(deadline); {
	}
	full.Store(true)
	if a := <-slow; a.Error == nil {
		t.Errorf("a call that could not be charged was answered: %s", a.Result)
	}
	for range 3 {
		if a := g.call(k.Key, "echo", nil); a.Error == nil || strings.Contains(a.Error.Message, "space left") {
			t.Errorf("with a full disk a call is answered %+v %s", a.Error, a.Result)
		}
	}
	g.do("POST", "/topup", map[string]any{"key": k.ID, "credits": 5}, nil, http.StatusServiceUnavailable)
	var health struct{ Status, Books string }
	g.do("GET", "/health", nil, &health, http.StatusOK)
	if health.Status != "degraded" || !strings.Contains(health.Books, "disk full") {
		t.Errorf("health says %+v", health)
	}
	g.do("GET", "/ready", nil, nil, http.StatusServiceUnavailable)
	full.Store(false)
	for deadline := time.Now().Add(15 * time.Second); g.try("GET", "/ready", nil, nil) != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatal("it does not recover")
		}
		<-time.After(20 * time.Millisecond)
	}
	if got := runs(); got != 3 { // the slow one and these two
		t.Errorf("the server has seen %d calls, want 3: refused ones must not reach it", got)
	}
	if got := g.account(k); got.Credits != 98 || got.Held != 0 {
		t.Errorf("after two answered calls of one credit: %+v", got)
	}
	g.do("POST", "/topup", map[string]any{"key": k.ID, "credits": 5}, nil, http.StatusOK)
	g.do("POST", "/admin/ledger/verify", map[string]any{}, nil, http.StatusOK)
	var proof struct {
		Running, OK bool
		At          *time.Time
		Faults      []string
	}
	for deadline := time.Now().Add(10 * time.Second); proof.At == nil && time.Now().Before(deadline); {
		g.do("GET", "/admin/ledger/verify", nil, &proof, http.StatusOK)
	}
	if !proof.OK {
		t.Errorf("the books: %+v", proof)
	}
}
