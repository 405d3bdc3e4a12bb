package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"paygate/testdata/fake"
)

// saidBy is what the fake server's tool has said.
func saidBy(t *testing.T, a answer) fake.Said {
	t.Helper()
	var result struct{ Content []struct{ Text string } }
	var s fake.Said
	if err := json.Unmarshal(a.Result, &result); err != nil || len(result.Content) != 1 {
		t.Fatalf("%v: %s %+v", err, a.Result, a.Error)
	}
	if err := json.Unmarshal([]byte(result.Content[0].Text), &s); err != nil {
		t.Fatalf("%v: %s", err, a.Result)
	}
	return s
}

func (g *gateway) named(secret, name, tool string, args any) answer {
	return g.rpc(secret, "tools/call", map[string]any{"name": tool, "arguments": args}, "Idempotency-Key", name)
}

func TestARepeatedCallIsAnsweredFromTheFirstAndChargedOnce(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"globalRateLimitPerMin": 1})
	k := g.key(map[string]any{"credits": 2})
	first := g.named(k.Key, "one", "echo", map[string]any{"text": "a<&>", "who": "é"})
	if first.Header.Get("X-Idempotent-Replay") != "" {
		t.Error("the first call says that it repeats one")
	}
	for _, args := range []string{`{"text":"a<&>","who":"é"}`, `{"who":"\u00e9", "text":"a\u003c&>"}`} { // nothing is left: no credit, no rate
		again := g.named(k.Key, "one", "echo", json.RawMessage(args))
		if string(again.Result) != string(first.Result) || again.Header.Get("X-Idempotent-Replay") != "true" {
			t.Errorf("%s: %s %+v, want %s", args, again.Result, again.Error, first.Result)
		}
	}
	if a := g.named(k.Key, "one", "echo", map[string]any{"text": "b"}); a.Error == nil || a.Error.Code != -32602 || !strings.HasPrefix(a.Error.Message, "idempotency_key_reused") {
		t.Errorf("the same key with other arguments: %s %+v", a.Result, a.Error)
	}
	stranger := g.key(nil)
	if s := saidBy(t, g.named(stranger.Key, "one", "echo", map[string]any{"text": "a<&>", "who": "é"})); s.Calls != 2 {
		t.Errorf("another caller's call under the same name is not its own: %+v", s)
	}
	g.restart()
	if again := g.named(k.Key, "one", "echo", map[string]any{"text": "a<&>", "who": "é"}); string(again.Result) != string(first.Result) {
		t.Errorf("after a kill: %s %+v", again.Result, again.Error)
	}
	if got := g.account(k); got.Spent != 2 || got.Credits != 0 || got.Calls != 1 {
		t.Errorf("%+v", got)
	}
	var stats struct{ TotalDeduped, CreditsSaved, CachedEntries int64 }
	if g.do("GET", "/admin/dedup", nil, &stats, http.StatusOK); stats.TotalDeduped != 1 || stats.CreditsSaved != 2 || stats.CachedEntries != 2 {
		t.Errorf("since the restart: %+v", stats)
	}
	var page struct{ Calls []struct{ Repeated bool } }
	if g.do("GET", "/admin/calls?limit=1", nil, &page, http.StatusOK); len(page.Calls) != 1 || !page.Calls[0].Repeated {
		t.Errorf("the journal does not say that the call was repeated: %+v", page)
	}
	g.prove()
}

func TestARepeatThatComesWhileTheFirstRunsWaitsForIt(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(nil)
	call := map[string]any{"name": "sleep", "arguments": map[string]any{"ms": 300}, "_meta": map[string]any{"paygate/idempotencyKey": "slow"}}
	var all sync.WaitGroup
	var answers [5]string
	for i := range answers {
		all.Go(func() { answers[i] = string(g.rpc(k.Key, "tools/call", call).Result) })
	}
	all.Wait()
	for _, a := range answers {
		if a != answers[0] || !strings.Contains(a, `calls\":1`) {
			t.Errorf("%s, want %s", a, answers[0])
		}
	}
	if got := g.account(k); got.Spent != 2 || got.Held != 0 {
		t.Errorf("%+v", got)
	}
}

func TestTheFirstGoesOnWhileARepeatWaits(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(nil)
	body := `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"sleep","arguments":{"ms":600}}}`
	ctx, breaks := context.WithCancel(t.Context())
	first, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	first.Header = http.Header{"Content-Type": {"application/json"}, "X-Api-Key": {k.Key}, "Idempotency-Key": {"broken"}}
	broken := make(chan struct{})
	go func() {
		defer close(broken)
		if res, err := http.DefaultClient.Do(first); err == nil {
			res.Body.Close()
		}
	}()
	g.until("the first call runs", func() bool { return g.account(k).Held == 2 })
	again := make(chan answer)
	go func() { again <- g.named(k.Key, "broken", "sleep", map[string]any{"ms": 600}) }()
	g.until("the repeat waits", func() bool {
		var stats struct{ TotalCoalesced int }
		g.do("GET", "/admin/dedup", nil, &stats, http.StatusOK)
		return stats.TotalCoalesced == 1
	})
	breaks()
	<-broken
	if a := <-again; a.Error != nil || saidBy(t, a).Calls != 1 {
		t.Errorf("%s %+v", a.Result, a.Error)
	}
	if got := g.account(k); got.Spent != 2 || got.Held != 0 {
		t.Errorf("%+v", got)
	}
}

func TestWhatWasNotChargedMayBeTriedAgainUnderItsKey(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"refundOnFailure": true, "defaultCreditsPerCall": 5})
	k := g.key(map[string]any{"credits": 4})
	if got := g.named(k.Key, "x", "echo", nil).reason(); got != "insufficient_credits" {
		t.Errorf("with too little: %q", got)
	}
	g.do("POST", "/topup", map[string]any{"key": k.Key, "credits": 6}, nil, http.StatusOK)
	for range 2 {
		if a := g.named(k.Key, "fails", "fail", map[string]any{"text": "no"}); !strings.Contains(string(a.Result), `"isError":true`) || a.Header.Get("X-Idempotent-Replay") != "" {
			t.Errorf("a failed call that cost nothing: %s %+v", a.Result, a.Error)
		}
	}
	if a := g.named(k.Key, "dies", "crash", map[string]any{"code": 1}); a.Error == nil {
		t.Errorf("a crash: %s", a.Result)
	}
	if a := g.named(k.Key, "x", "echo", nil); a.Error != nil || g.account(k).Spent != 5 {
		t.Errorf("tried again: %+v, %+v", a.Error, g.account(k))
	}
}

func TestARepeatOfALongAnswerAfterAKillIsNotChargedTwice(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(nil)
	long := map[string]any{"n": 400_000}
	for range 2 {
		if a := g.named(k.Key, "long", "big", long); len(a.Result) < 400_000 {
			t.Fatalf("%d bytes %+v", len(a.Result), a.Error)
		}
	}
	g.restart()
	a := g.named(k.Key, "long", "big", long)
	if a.Error == nil || !strings.Contains(a.Error.Message, "2 credits were charged") || !strings.Contains(string(a.Error.Data), `"creditsCharged":2`) {
		t.Errorf("%d bytes, %+v", len(a.Result), a.Error)
	}
	if got := g.account(k); got.Spent != 2 {
		t.Errorf("%+v", got)
	}
	g.prove()
}

func TestABatchIsRepeatedCallByCall(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(map[string]any{"credits": 4})
	batch := map[string]any{"calls": []any{map[string]any{"name": "echo", "arguments": map[string]any{"text": "a"}}, map[string]any{"name": "echo", "arguments": map[string]any{"text": "b"}}}}
	first := g.rpc(k.Key, "tools/call_batch", batch, "X-Idempotency-Key", "both")
	g.restart()
	again := g.rpc(k.Key, "tools/call_batch", batch, "X-Idempotency-Key", "both")
	var one, two struct {
		Results []struct{ Result json.RawMessage }
	}
	if json.Unmarshal(first.Result, &one) != nil || json.Unmarshal(again.Result, &two) != nil || len(one.Results) != 2 || fmt.Sprint(one) != fmt.Sprint(two) {
		t.Errorf("first %s, again %s %+v", first.Result, again.Result, again.Error)
	}
	if got := g.account(k); got.Spent != 4 || got.Calls != 2 {
		t.Errorf("%+v", got)
	}
}

func TestTheOwnerSetsHowLongAnswersAreGivenAgain(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(nil)
	var s struct {
		Config struct{ TTLMs, MaxEntries int64 }
	}
	g.do("POST", "/admin/dedup", map[string]any{"ttlMs": 1, "maxEntries": 1}, &s, http.StatusOK)
	if s.Config.TTLMs != 1000 || s.Config.MaxEntries != 100 {
		t.Errorf("bounds: %+v", s)
	}
	g.named(k.Key, "short", "echo", nil)
	g.do("DELETE", "/admin/dedup", nil, nil, http.StatusOK)
	if got := saidBy(t, g.named(k.Key, "short", "echo", nil)).Calls; got != 2 {
		t.Errorf("after all answers were forgotten, call %d", got)
	}
	g.do("POST", "/admin/dedup", map[string]any{"ttlMs": 60000, "autoGenerate": true}, nil, http.StatusOK)
	g.restart()
	for range 2 {
		if got := saidBy(t, g.call(k.Key, "echo", map[string]any{"text": "equal"})).Calls; got != 1 {
			t.Errorf("equal calls are one, also without a key and after a restart: call %d", got)
		}
	}
	g.do("POST", "/admin/dedup", map[string]any{"enabled": false}, nil, http.StatusOK)
	if got := saidBy(t, g.call(k.Key, "echo", map[string]any{"text": "equal"})).Calls; got != 2 {
		t.Errorf("switched off: call %d", got)
	}
}
