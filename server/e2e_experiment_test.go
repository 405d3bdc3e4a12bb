package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Agents that pay more call half as often: the experiment says so, and what it
// shows holds the truth.
func TestAStagedCanaryShowsThatAgentsCallLess(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	keys := make([]key, 40)
	for i := range keys {
		keys[i] = g.key(map[string]any{"name": fmt.Sprint("agent ", i), "credits": 10_000})
	}
	g.candidate("five", "defaults: {per_call: 5}")
	call := func(k key, n int) {
		for range n {
			if a := g.call(k.Key, "echo", nil); a.Error != nil {
				t.Fatalf("%+v", a.Error)
			}
		}
	}
	for i, k := range keys {
		call(k, 2+i%3)
	}
	if got := g.try("GET", "/admin/shadow/experiment?name=five", nil, nil); got != http.StatusConflict {
		t.Errorf("before anybody pays: HTTP %d", got)
	}
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "five", "canary": 50, "override": []string{"all"}}, nil, http.StatusOK)
	for i, k := range keys {
		n := 2 * (2 + i%3)
		if g.told(k, "echo") == 5 {
			n /= 2
		}
		call(k, n)
	}
	type interval struct{ Estimate, Low, High float64 }
	var r struct {
		Experiment struct {
			Attempts *struct {
				Control  float64
				Absolute interval
			}
			Elasticity *interval
			Levels     struct{ Refused string }
			Verdict    string
			Rows       []struct{ Name, Value, Note string }
		}
		CannotKnow, Assumptions []string
	}
	g.do("GET", "/admin/shadow/report?name=five", nil, &r, http.StatusOK)
	x := r.Experiment
	if x.Attempts == nil || x.Elasticity == nil {
		t.Fatalf("%+v", x)
	}
	if truth := -.5 * x.Attempts.Control; x.Attempts.Absolute.Low > truth || x.Attempts.Absolute.High < truth || x.Attempts.Absolute.High >= 0 {
		t.Errorf("calls %+v, of %v", x.Attempts.Absolute, x.Attempts.Control)
	}
	// half the calls at 5 instead of 2 credits: (−1/3) / (3/7)
	if e := x.Elasticity; e.Low > -.778 || e.High < -.778 {
		t.Errorf("elasticity %+v", e)
	}
	if !strings.HasPrefix(x.Verdict, "Callers call less") || !strings.Contains(x.Levels.Refused, "wait") || len(x.Rows) < 7 || len(r.Assumptions) == 0 || len(r.CannotKnow) < 3 {
		t.Errorf("%+v", r)
	}
}
