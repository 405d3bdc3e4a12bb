package server_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// What keyed clients and admins do that mean no good.

// A server may not mind the case of names and take whichever comes last; the
// gateway would judge and charge another call than the one that runs.
func TestWhatIsJudgedIsWhatRuns(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"toolPricing": map[string]any{"sleep": map[string]any{"creditsPerCall": 50}}})
	k := g.key(map[string]any{"deniedTools": []string{"sleep"}})
	for _, params := range []string{`{"name":"echo","NAME":"sleep","arguments":{}}`, `{"name":"echo","arguments":{},"Argument\u017f":{}}`} {
		if a := g.rpc(k.Key, "tools/call", json.RawMessage(params)); a.Error == nil || a.Error.Code != -32602 {
			t.Errorf("%s was answered %s", params, a.Result)
		}
		if a := g.rpc(k.Key, "tools/call_batch", json.RawMessage(`{"calls":[`+params+`]}`)); a.Error == nil || !strings.Contains(a.Error.Message, "params.calls[0]") {
			t.Errorf("in a batch %s was answered %s", params, a.Result)
		}
	}
	if a := g.rpc(k.Key, "tasks/get", json.RawMessage(`{"TaskId":"another's"}`)); a.Error == nil || a.Error.Code != -32602 {
		t.Errorf("tasks/get was answered %s", a.Result)
	}
	if have := g.account(k); have.Credits != 100 || have.Calls != 0 {
		t.Errorf("the key has %+v", have)
	}
}

// A repeated request takes no slot of a rate, and is on record all the same:
// it must not be a way around the limit to the disk.
func TestARequestIsNotRepeatedForEver(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"globalRateLimitPerMin": 1})
	k := g.key(nil)
	for i := range 12 {
		a := g.rpc(k.Key, "tools/call", map[string]any{"name": "echo", "arguments": map[string]any{}}, "Idempotency-Key", "same")
		if refused := a.reason() == "rate_limited"; refused != (i > 10) || refused != (a.Header.Get("Retry-After") != "") {
			t.Errorf("request %d: %+v %s", i, a.Error, a.Result)
		}
	}
	if have := g.account(k); have.Spent != 2 {
		t.Errorf("it was charged %d", have.Spent)
	}
}
