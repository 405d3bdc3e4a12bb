package server_test

import (
	"net/http"
	"testing"
	"time"
)

// A sheet says how long an answer is given again for nothing: live, in its own
// shadow and in a replay alike, over a kill, and longer than answers are kept
// by default.
func TestARepetitionIsFreeForAsLongAsTheSheetSays(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(map[string]any{"credits": 100})
	g.do("POST", "/admin/dedup", map[string]any{"ttlMs": 1000}, nil, http.StatusOK)
	g.candidate("brief", `
defaults: {per_call: 5, retry: free_within 1h}
rules:
- match: {tool: echo}
  price: {per_call: 3, retry: free_within 1ms}
`)
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "brief", "override": []string{"all"}}, nil, http.StatusOK)
	g.candidate("charge", "defaults: {per_call: 7, retry: charge}")
	say := func(tool string, replayed string, cost int64) {
		t.Helper()
		before := g.account(k).Credits
		a := g.named(k.Key, "one "+tool, tool, map[string]any{"text": "x"})
		if a.Error != nil || a.Header.Get("X-Idempotent-Replay") != replayed {
			t.Fatalf("%s: %+v, replayed %q", tool, a.Error, a.Header.Get("X-Idempotent-Replay"))
		}
		if got := before - g.account(k).Credits; got != cost {
			t.Errorf("%s (replayed %q) costs %d, want %d", tool, replayed, got, cost)
		}
	}
	say("echo", "", 3)
	say("state", "", 5)
	<-time.After(20 * time.Millisecond)
	say("echo", "true", 3) // its millisecond is over
	say("state", "true", 0)
	g.restart()
	<-time.After(1100 * time.Millisecond) // no longer kept by the owner's setting
	say("state", "true", 0)
	say("echo", "", 3) // it is a new call
	var report struct {
		SelfDifference int
		Attempts       int
		Exact          struct {
			Live, Candidate struct{ Collectable int64 }
		}
	}
	g.do("GET", "/admin/shadow/report?name=charge", nil, &report, http.StatusOK)
	if e := report.Exact; report.SelfDifference != 0 || report.Attempts != 6 || e.Live.Collectable != 14 || e.Candidate.Collectable != 42 {
		t.Errorf("in shadow: %+v", report)
	}
	var replay struct {
		Reports []struct {
			Exact struct{ Candidate struct{ Collectable int64 } }
		}
	}
	g.do("POST", "/admin/shadow/replay", map[string]any{"sheets": []any{map[string]any{"name": "live"}, map[string]any{"name": "charge"}}}, &replay, http.StatusOK)
	if len(replay.Reports) != 2 || replay.Reports[0].Exact.Candidate.Collectable != 14 || replay.Reports[1].Exact.Candidate.Collectable != 42 {
		t.Errorf("replayed: %+v", replay)
	}
	g.prove()
}
