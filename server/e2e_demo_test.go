package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// safe is a buffer that a program writes while a test reads.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// demo starts the demo and gives its address and admin key.
func demo(t *testing.T) (url, admin string) {
	t.Helper()
	port, log := freePort(t), &safe{}
	cmd := exec.Command(binary(), "demo", "--headless", "--port", port)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	secret := regexp.MustCompile(`admin_[0-9a-f]{32}`)
	for end := time.Now().Add(10 * time.Second); ; <-time.After(20 * time.Millisecond) {
		if admin = secret.FindString(log.String()); admin != "" {
			return "http://127.0.0.1:" + port, admin
		}
		if time.Now().After(end) {
			t.Fatalf("no admin key:\n%s", log)
		}
	}
}

func TestTheDemoIsAliveAtFirstSight(t *testing.T) {
	t.Parallel()
	binary() // building it is not the demo's time
	begin := time.Now()
	url, admin := demo(t)
	get := func(path string, out any) (status int, label string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Admin-Key", admin)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, ""
		}
		defer res.Body.Close()
		_ = json.NewDecoder(res.Body).Decode(out) // a test looks at what it expects
		return res.StatusCode, res.Header.Get("X-Paygate-Demo")
	}
	var made struct { // while the history is being made, its time is in the past
		To       time.Time
		Attempts int
	}
	for time.Since(made.To) > time.Minute {
		if time.Since(begin) > 30*time.Second { // half a second with nothing else to do
			t.Fatalf("after %s: %+v", time.Since(begin), made)
		}
		<-time.After(100 * time.Millisecond)
		get("/admin/shadow/report?name=demo-dearer", &made)
	}
	if made.Attempts < 10_000 {
		t.Errorf("it has %d calls of two weeks", made.Attempts)
	}
	failing := map[string]int{}
	for _, name := range []string{"demo-per-result", "demo-dearer"} {
		var r struct {
			Demo       bool
			Grade      string
			From, To   time.Time
			Projected  struct{ Lift *struct{ Low, High float64 } }
			Guardrails []struct{ Pass bool }
		}
		code, label := get("/admin/shadow/report?name="+name, &r)
		if code != 200 || label == "" || !r.Demo || r.Grade != "A" || r.Projected.Lift == nil || r.Projected.Lift.Low >= r.Projected.Lift.High || r.To.Sub(r.From) < 14*24*time.Hour {
			t.Errorf("%s: HTTP %d, label %q, %+v", name, code, label, r)
		}
		for _, g := range r.Guardrails {
			if !g.Pass {
				failing[name]++
			}
		}
	}
	if failing["demo-dearer"] == 0 {
		t.Error("no guardrail stands against the dearer one")
	}
	out, err := exec.Command(binary(), "shadow", "report", "demo-dearer", "--url", url, "--admin-key", admin).CombinedOutput()
	if err != nil || strings.Count(string(out), "made up") != 2 {
		t.Errorf("%v: the report and the command do not say that it is a demo:\n%.600s", err, out)
	}
}
