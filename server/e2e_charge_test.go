package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"paygate/testdata/fake"
)

func TestACallIsChargedAndSurvivesAKill(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(map[string]any{"credits": 5})
	a := g.call(k.Key, "echo", map[string]any{"text": "hello"})
	if a.Error != nil || !strings.Contains(string(a.Result), "hello") || a.Header.Get("X-Credits-Remaining") != "3" {
		t.Fatalf("%+v", a)
	}
	g.restart()
	if got := g.account(k); got.Credits != 3 || got.Spent != 2 || got.Calls != 1 {
		t.Errorf("after the kill: %+v", got)
	}
	g.call(k.Key, "echo", nil)
	if got := g.call(k.Key, "echo", nil).reason(); got != "insufficient_credits" {
		t.Errorf("with 1 credit left: %q", got)
	}
	g.prove()
}

func TestEveryRefusalHasItsReason(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"toolPricing": map[string]any{"free": map[string]any{"creditsPerCall": 0}, "sleep": map[string]any{"creditsPerCall": 1, "rateLimitPerMin": 1}}})
	suspended := g.key(nil)
	g.do("POST", "/keys/suspend", map[string]any{"key": suspended.ID}, nil, http.StatusOK)
	revoked := g.key(nil)
	g.do("POST", "/keys/revoke", map[string]any{"key": revoked.ID}, nil, http.StatusOK)
	spender := g.key(nil)
	g.do("POST", "/limits", map[string]any{"key": spender.ID, "spendingLimit": 3}, nil, http.StatusOK)
	daily := g.key(map[string]any{"quota": map[string]any{"dailyCallLimit": 1}})
	slow := g.key(nil)
	for _, k := range []key{spender, daily} {
		if a := g.call(k.Key, "echo", nil); a.Error != nil {
			t.Fatalf("first call: %+v", a.Error)
		}
	}
	g.call(slow.Key, "sleep", nil)
	for _, c := range []struct{ name, secret, tool, want string }{
		{"no key", "", "echo", "missing_api_key"},
		{"unknown key", "pg_nonsense", "echo", "invalid_api_key"},
		{"revoked", revoked.Key, "echo", "invalid_api_key"},
		{"expired", g.key(map[string]any{"expiresAt": "2020-01-01"}).Key, "echo", "api_key_expired"},
		{"suspended", suspended.Key, "echo", "key_suspended"},
		{"address", g.key(map[string]any{"ipAllowlist": []string{"203.0.113.9"}}).Key, "echo", "ip_not_allowed"},
		{"not allowed", g.key(map[string]any{"allowedTools": []string{"read*"}}).Key, "echo", "tool_not_allowed"},
		{"denied", g.key(map[string]any{"deniedTools": []string{"ech*"}}).Key, "echo", "tool_denied"},
		{"tool rate", slow.Key, "sleep", "tool_rate_limited"},
		{"credits", g.key(map[string]any{"credits": 1}).Key, "echo", "insufficient_credits"},
		{"lifetime", spender.Key, "echo", "spending_limit_exceeded"},
		{"quota", daily.Key, "echo", "daily_call_quota_exceeded"},
	} {
		if got := g.call(c.secret, c.tool, nil); got.reason() != c.want || got.Status != http.StatusOK || got.Error.Code != -32402 {
			t.Errorf("%s: %q (HTTP %d), want %q", c.name, got.reason(), got.Status, c.want)
		}
	}
	var log struct {
		Requests []struct{ DenyReason string }
	}
	g.do("GET", "/requests?status=denied&limit=100", nil, &log, http.StatusOK)
	if len(log.Requests) != 12 {
		t.Errorf("%d refusals on record, want 12", len(log.Requests))
	}
}

func TestTheRateIsExactUnderConcurrencyAndOverAKill(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"globalRateLimitPerMin": 30})
	k := g.key(map[string]any{"credits": 1000})
	var wg sync.WaitGroup
	var mu sync.Mutex
	passed := 0
	for range 80 {
		wg.Go(func() {
			if a := g.call(k.Key, "echo", nil); a.Error == nil {
				mu.Lock()
				passed++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if passed != 30 {
		t.Errorf("%d calls passed a limit of 30", passed)
	}
	g.restart()
	a := g.call(k.Key, "echo", nil)
	if a.reason() != "rate_limited" || a.Header.Get("Retry-After") == "" {
		t.Errorf("after a kill: %q, Retry-After %q", a.reason(), a.Header.Get("Retry-After"))
	}
	g.prove()
}

func TestAKeysOwnRateTakesThePlaceOfTheGlobalOne(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"globalRateLimitPerMin": 2})
	own, other := g.key(map[string]any{"rateLimit": 4}), g.key(nil)
	g.bounded(own.Key, []string{"", "", "", "", "rate_limited"})
	g.bounded(other.Key, []string{"", "", "rate_limited"})
	g.restart()
	a := g.call(own.Key, "echo", nil)
	if a.reason() != "rate_limited" || a.Header.Get("X-RateLimit-Limit") != "4" {
		t.Errorf("after a kill: %q of %s", a.reason(), a.Header.Get("X-RateLimit-Limit"))
	}
	g.do("POST", "/limits", map[string]any{"key": own.ID, "spendingLimit": 90}, nil, http.StatusOK)
	g.do("POST", "/limits", map[string]any{"key": own.ID, "rateLimit": 5}, nil, http.StatusOK)
	g.bounded(own.Key, []string{"", "rate_limited"})
	var status struct{ Global struct{ Limit, Used int } }
	g.do("GET", "/keys/rate-limit-status?key="+own.ID, nil, &status, http.StatusOK)
	var list struct {
		Keys []struct{ SpendingLimit, RateLimit int }
	}
	g.do("GET", "/keys?limit=9&sortBy=totalCalls&order=desc", nil, &list, http.StatusOK)
	if k := list.Keys[0]; status.Global.Limit != 5 || status.Global.Used != 5 || k.RateLimit != 5 || k.SpendingLimit != 90 {
		t.Errorf("%+v, %+v", status, k)
	}
	if out, code := g.command("keys", "limit", own.ID, "--calls-per-minute", "0", "--url", g.url, "--admin-key", adminKey); code != 0 || !strings.Contains(out, "the global one applies") {
		t.Errorf("exit %d: %s", code, out)
	}
	if a := g.call(own.Key, "echo", nil); a.Header.Get("X-RateLimit-Limit") != "2" {
		t.Errorf("without its own: %s", a.Header.Get("X-RateLimit-Limit"))
	}
	g.prove()
}

func TestAToolThatNoServerHasIsNeverCharged(t *testing.T) {
	t.Parallel()
	g := start(t, nil) // failed calls are charged
	k := g.key(nil)
	if a := g.call(k.Key, "unlisted", nil); a.Error != nil || !strings.Contains(string(a.Result), "not found") || a.Header.Get("X-Credits-Remaining") != "100" {
		t.Errorf("the server's own answer is %+v %s", a.Error, a.Result)
	}
	if a := g.call(k.Key, "no_such_tool", nil); a.Error == nil {
		t.Errorf("an unknown tool answered %s", a.Result)
	}
	if got := g.account(k); got.Spent != 0 || got.Credits != 100 {
		t.Errorf("%+v after tools that do not exist", got)
	}
	if a := g.call(k.Key, "fail", map[string]any{"text": "broken"}); a.Error != nil || g.account(k).Spent != 2 {
		t.Errorf("a tool that failed: %+v, %+v", a.Error, g.account(k))
	}
	g.prove()
}

func TestPricesByToolAndSize(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"refundOnFailure": true, "toolPricing": map[string]any{
		"echo": map[string]any{"creditsPerCall": 3, "creditsPerKbInput": 2},
		"big":  map[string]any{"creditsPerCall": 1, "creditsPerKbOutput": 1}}})
	k := g.key(map[string]any{"credits": 1000})
	g.call(k.Key, "echo", map[string]any{"text": strings.Repeat("x", 1500)}) // 3 + 2 KB x 2
	if got := g.account(k); got.Spent != 7 {
		t.Errorf("with input: %+v", got)
	}
	a := g.call(k.Key, "big", map[string]any{"n": 5000}) // 1 + some KB
	var surcharge int64
	if _, err := fmt.Sscan(a.Header.Get("X-Output-Surcharge"), &surcharge); err != nil || surcharge < 5 || g.account(k).Spent != 7+1+surcharge {
		t.Errorf("with output: surcharge %q, %+v", a.Header.Get("X-Output-Surcharge"), g.account(k))
	}
	spent := g.account(k).Spent
	if a := g.call(k.Key, "no_such_tool", nil); a.Error == nil || g.account(k).Spent != spent {
		t.Errorf("an unknown tool was charged, or answered: %+v", g.account(k))
	}
	var list struct {
		Tools []struct {
			Name    string
			Pricing struct{ CreditsPerCall int } `json:"_pricing"`
		}
	}
	if err := json.Unmarshal(g.rpc("", "tools/list", map[string]any{}).Result, &list); err != nil || len(list.Tools) == 0 {
		t.Fatalf("tools/list without a key: %v", err)
	}
	for _, tool := range list.Tools {
		if tool.Name == "echo" && tool.Pricing.CreditsPerCall != 3 {
			t.Errorf("echo is listed at %d", tool.Pricing.CreditsPerCall)
		}
	}
	g.prove()
}

func TestACrashedServerCostsNothingAndComesBack(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(nil)
	a := g.call(k.Key, "crash", map[string]any{"code": 3})
	if a.Error == nil || a.Error.Code != -32603 || !strings.Contains(a.Error.Message, "exited") {
		t.Errorf("the crash was told as %+v", a.Error)
	}
	if got := g.account(k); got.Credits != 100 || got.Held != 0 {
		t.Errorf("a call without an answer was charged: %+v", got)
	}
	deadline := time.Now().Add(5 * time.Second)
	for g.call(k.Key, "echo", nil).Error != nil {
		if time.Now().After(deadline) {
			t.Fatal("the server did not come back")
		}
	}
	if got := g.account(k); got.Spent != 2 {
		t.Errorf("after it came back: %+v", got)
	}
}

func TestABatchIsAllOrNothing(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(map[string]any{"credits": 5})
	echo := map[string]any{"name": "echo", "arguments": map[string]any{"text": "x"}}
	a := g.rpc(k.Key, "tools/call_batch", map[string]any{"calls": []any{echo, echo, echo}})
	if a.reason() != "insufficient_credits" || !strings.Contains(string(a.Error.Data), `"failedIndex":2`) || g.account(k).Spent != 0 {
		t.Errorf("three calls with 5 credits: %+v, %+v", a.Error, g.account(k))
	}
	a = g.rpc(k.Key, "tools/call_batch", map[string]any{"calls": []any{echo, echo}})
	if a.Error != nil || g.account(k).Spent != 4 {
		t.Errorf("two calls: %+v, %+v", a.Error, g.account(k))
	}
	if a := g.rpc(k.Key, "tools/call_batch", map[string]any{"calls": []any{}}); a.Error == nil || a.Error.Code != -32602 {
		t.Errorf("an empty batch: %+v", a.Error)
	}
	a = g.rpc(k.Key, "tools/call_batch", map[string]any{"calls": []any{echo, map[string]any{"name": 7}}})
	if a.Error == nil || !strings.Contains(a.Error.Message, "params.calls[1]") {
		t.Errorf("a batch with a mistake does not say where: %+v", a.Error)
	}
	g.prove()
}

func TestABatchCannotBeAskedBack(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"env": fake.Env("modern")})
	k := g.key(nil)
	ask := map[string]any{"name": "ask", "arguments": map[string]any{"who": "you?"}}
	a := g.modern(k.Key, "tools/call_batch", "", map[string]any{"calls": []any{ask}})
	if a.Error != nil || !strings.Contains(string(a.Result), "call it alone") {
		t.Errorf("a question in a batch: HTTP %d %+v %s", a.Status, a.Error, a.Result)
	}
	if got := g.account(k); got.Spent != 0 || got.Held != 0 {
		t.Errorf("and it holds or charges: %+v", got)
	}
}

func TestWhatACallerSaysIsNotKeptAtAnyLength(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(nil)
	if a := g.call(k.Key, strings.Repeat("x", 501), nil); a.Error == nil || a.Error.Code != -32602 {
		t.Errorf("a name of 501 bytes: %+v", a.Error)
	}
	echo := map[string]any{"name": "echo", "arguments": map[string]any{}}
	if a := g.rpc(k.Key, "tools/call", echo, "X-Run-Id", strings.Repeat("r", 501)); a.Error == nil || a.Error.Code != -32602 {
		t.Errorf("a run of 501 bytes: %+v", a.Error)
	}
	if a := g.rpc(k.Key, "tools/call", echo, "X-Run-Id", strings.Repeat("r", 500)); a.Error != nil {
		t.Errorf("a run of 500 bytes: %+v", a.Error)
	}
}

func TestShadowModeMovesNothingAndKeepsSecurity(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"shadowMode": true})
	k := g.key(map[string]any{"credits": 3})
	for range 3 {
		a := g.call(k.Key, "echo", nil)
		if a.Error != nil || a.Header.Get("X-Credits-Remaining") != "" {
			t.Fatalf("in shadow mode: %+v, X-Credits-Remaining %q", a.Error, a.Header.Get("X-Credits-Remaining"))
		}
	}
	if got := g.account(k); got.Credits != 3 || got.Spent != 0 {
		t.Errorf("credits moved: %+v", got)
	}
	if got := g.call("", "echo", nil).reason(); got != "missing_api_key" {
		t.Errorf("without a key: %q", got)
	}
	if strings.Contains(string(g.rpc(k.Key, "tools/list", map[string]any{}).Result), "_pricing") {
		t.Error("an agent sees a price")
	}
	var calls struct {
		Calls []struct {
			Would   bool
			Credits int64
			Reason  string
		}
	}
	g.do("GET", "/admin/calls?limit=10&filter=~would", nil, &calls, http.StatusOK)
	if len(calls.Calls) != 2 || calls.Calls[0].Reason != "insufficient_credits" || !calls.Calls[0].Would {
		t.Errorf("calls that live would refuse: %+v", calls.Calls)
	}
	g.do("POST", "/admin/mode", map[string]any{"mode": "live"}, nil, http.StatusOK)
	g.restart() // the switch holds, though the file says shadow
	if a := g.call(k.Key, "echo", nil); a.Error != nil || g.account(k).Credits != 1 {
		t.Errorf("live again: %+v %+v", a.Error, g.account(k))
	}
	g.prove()
}
