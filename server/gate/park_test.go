package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"paygate/pricing"
	"paygate/server/gate"
	"paygate/server/mcp"
)

const asks = `{"resultType":"input_required","inputRequests":{}}`

func TestACallOfSeveralRoundsIsChargedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.fund("key_a", 5)
	answers := []string{asks, asks, `{"content":[]}`}
	r.answer = func(context.Context, *gate.Call) (*mcp.Message, error) {
		next := answers[0]
		answers = answers[1:]
		return result(next), nil
	}
	token := ""
	for round := range 3 {
		c := r.call("key_a")
		c.Resumes, c.Carry = token, func(id string) { token = id }
		if err := r.do(c); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if k := r.Book.Key("key_a"); round < 2 && (k.Credits != 5 || k.Held != 2) {
			t.Errorf("after round %d: %+v", round, k)
		}
	}
	r.owns("key_a", 3)
	again := r.call("key_a")
	again.Resumes = token
	var rpc *mcp.Error
	if err := r.do(again); !errors.As(err, &rpc) || rpc.Code != mcp.CodeInvalidParams {
		t.Errorf("a round after the last: %v", err)
	}
	r.owns("key_a", 3)
}

func TestNobodyElseGoesOnWithACall(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.fund("key_a", 5)
	r.fund("key_b", 5)
	r.answer = func(context.Context, *gate.Call) (*mcp.Message, error) { return result(asks), nil }
	token := ""
	first := r.call("key_a")
	first.Carry = func(id string) { token = id }
	if err := r.do(first); err != nil {
		t.Fatal(err)
	}
	r.answer = func(context.Context, *gate.Call) (*mcp.Message, error) { return result(`{}`), nil }
	thief := r.call("key_b")
	thief.Resumes = token
	var rpc *mcp.Error
	if err := r.do(thief); !errors.As(err, &rpc) {
		t.Errorf("another key: %v", err)
	}
	other := r.call("key_a")
	other.Tool, other.Resumes = "dear", token
	if err := r.do(other); !errors.As(err, &rpc) {
		t.Errorf("another tool: %v", err)
	}
	mine := r.call("key_a")
	mine.Resumes = token
	if err := r.do(mine); err != nil {
		t.Errorf("its own: %v", err)
	}
	r.owns("key_a", 3)
	r.owns("key_b", 5)
}

func TestABatchCannotBeAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.fund("key_a", 5)
	r.answer = func(context.Context, *gate.Call) (*mcp.Message, error) { return result(asks), nil }
	c := r.call("key_a")
	if _, err := r.DoAll(t.Context(), &r.way, []*gate.Call{c}); err != nil || c.Result != nil || c.Outcome != pricing.Lost {
		t.Errorf("%v, %v, %v", err, c.Result, c.Outcome)
	}
	r.owns("key_a", 5)
}

// A task is paid when it completes, and its end is seen wherever it comes by.
func TestTheEndOfATaskSettlesItsCall(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]struct {
		method, answer string
		more           map[string]string // what the server says when asked
		left           pricing.Credits
		class          string
	}{
		"completed":                  {"tasks/get", `{"status":"completed","result":{"content":[]}}`, nil, 3, "ok"},
		"its result":                 {"tasks/result", `{"content":[]}`, nil, 3, "ok"},
		"completed with isError":     {"tasks/result", `{"isError":true}`, nil, 5, "tool_error"},
		"completed, result unknown":  {"tasks/get", `{"status":"completed"}`, map[string]string{"tasks/result": `{"content":[]}`}, 3, "ok"},
		"failed":                     {"tasks/get", `{"status":"failed"}`, nil, 5, "upstream_error"},
		"cancelled":                  {"tasks/cancel", `{}`, map[string]string{"tasks/get": `{"status":"cancelled"}`}, 5, "cancelled"},
		"cancelled and yet complete": {"tasks/cancel", `{}`, map[string]string{"tasks/get": `{"status":"completed","result":{}}`}, 3, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.fund("key_a", 5)
			r.answer = func(context.Context, *gate.Call) (*mcp.Message, error) {
				return result(`{"task":{"taskId":"t1","status":"working","ttl":60000}}`), nil
			}
			c := r.call("key_a")
			if err := r.do(c); err != nil {
				t.Fatal(err)
			}
			observe := func(key, method, answer string) {
				t.Helper()
				ask := func(_ context.Context, m *mcp.Message) (*mcp.Message, error) {
					if text, ok := end.more[m.Method]; ok {
						return result(text), nil
					}
					return nil, mcp.ErrLost
				}
				req := &mcp.Message{Method: method, Params: json.RawMessage(`{"taskId":"t1"}`)}
				if err := r.Observe(t.Context(), key, req, result(answer), ask); err != nil {
					t.Fatal(err)
				}
			}
			observe("key_a", "tasks/get", `{"status":"working"}`)
			observe("key_b", end.method, end.answer) // somebody else's task of the same name
			if k := r.Book.Key("key_a"); k.Credits != 5 || k.Held != 2 {
				t.Fatalf("while it works: %+v", k)
			}
			observe("key_a", end.method, end.answer)
			observe("key_a", end.method, end.answer) // seen twice, charged once
			r.owns("key_a", end.left)
			if got := r.recorded(); got.ID != c.ID || got.Class != end.class {
				t.Errorf("recorded %+v", got)
			}
		})
	}
}
