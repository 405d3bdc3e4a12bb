package server_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// taskOf begins a task in the shape of the client's revision.
func (c *mcpClient) task(args map[string]any, ttl int) (id string) {
	c.t.Helper()
	params := map[string]any{"name": "job", "arguments": args}
	if c.modern() {
		args["n"] = ttl
	} else {
		params["task"] = map[string]any{"ttl": ttl}
	}
	a := c.must("tools/call", params)
	var r struct {
		TaskID string
		Task   struct{ TaskID string }
	}
	if err := json.Unmarshal(a.Result, &r); err != nil || r.TaskID+r.Task.TaskID == "" {
		c.t.Fatalf("no task: %s", a.Result)
	}
	return r.TaskID + r.Task.TaskID
}

// ends polls until the task has ended, and gives its last state.
func (c *mcpClient) ends(id string) (status string, last said) {
	c.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		last = c.must("tasks/get", map[string]any{"taskId": id})
		var r struct{ Status string }
		if err := json.Unmarshal(last.Result, &r); err != nil {
			c.t.Fatal(err)
		}
		if r.Status != "working" {
			return r.Status, last
		}
		select {
		case <-deadline:
			c.t.Fatalf("still working: %s", last.Result)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// tasking is an agent that knows tasks, before a server over HTTP that
// outlives the gateway.
func tasking(t *testing.T, rev string, more map[string]any) (*gateway, key, *mcpClient) {
	t.Helper()
	mode := map[bool]string{true: "modern", false: "legacy"}[rev == newestRevision]
	g := before(t, mode, "http", more)
	k := g.key(nil)
	c := g.connect(t, rev, k.Key)
	c.caps["extensions"] = map[string]any{"io.modelcontextprotocol/tasks": map[string]any{}}
	c.caps["tasks"] = map[string]any{}
	c.hello()
	return g, k, c
}

func eachTaskShape(t *testing.T, test func(t *testing.T, rev string)) {
	for _, rev := range []string{"2025-11-25", newestRevision} {
		t.Run(rev, func(t *testing.T) {
			t.Parallel()
			test(t, rev)
		})
	}
}

func TestATaskIsChargedWhenItCompletes(t *testing.T) {
	t.Parallel()
	eachTaskShape(t, func(t *testing.T, rev string) {
		g, k, c := tasking(t, rev, map[string]any{"toolPricing": map[string]any{"job": map[string]any{"creditsPerCall": 2, "creditsPerKbOutput": 3}}})
		id := c.task(map[string]any{"text": "done at last", "ms": 300}, 60_000)
		if got := g.account(k); got.Held < 2 || got.Spent != 0 {
			t.Errorf("at creation: %+v", got)
		}
		g.restart()
		if got := g.account(k); got.Held < 2 || got.Spent != 0 {
			t.Errorf("after the kill: %+v", got)
		}
		status, last := c.ends(id)
		if status != "completed" {
			t.Errorf("it ended %s", status)
		}
		if !c.modern() {
			last = c.must("tasks/result", map[string]any{"taskId": id})
		}
		if !strings.Contains(string(last.Result), "done at last") {
			t.Errorf("the result: %s", last.Result)
		}
		c.must("tasks/get", map[string]any{"taskId": id}) // asking again costs nothing
		if got := g.account(k); got.Held != 0 || got.Spent != 5 || got.Calls != 1 {
			t.Errorf("at completion, 2 and 3 for a kilobyte of result: %+v", got)
		}
		g.prove()
	})
}

func TestATaskThatIsCancelledCostsNothing(t *testing.T) {
	t.Parallel()
	eachTaskShape(t, func(t *testing.T, rev string) {
		g, k, c := tasking(t, rev, nil)
		id := c.task(map[string]any{"text": "never", "ms": 60_000}, 60_000)
		stranger := g.connect(t, rev, g.key(nil).Key)
		stranger.caps = c.caps
		stranger.hello()
		for _, method := range []string{"tasks/get", "tasks/cancel"} {
			if a := stranger.do(t.Context(), method, map[string]any{"taskId": id}, nil); a.Error == nil || a.Error.Code != -32602 {
				t.Errorf("%s by another key: %+v %s", method, a.Error, a.Result)
			}
		}
		if got := g.account(k); got.Held != 2 {
			t.Errorf("after the stranger: %+v", got)
		}
		c.must("tasks/cancel", map[string]any{"taskId": id})
		if got := g.account(k); got.Held != 0 || got.Spent != 0 || got.Credits != 100 {
			t.Errorf("cancelled: %+v", got)
		}
		g.prove()
	})
}

func TestATaskThatFailsIsRefundedWhereTheFileSaysSo(t *testing.T) {
	t.Parallel()
	eachTaskShape(t, func(t *testing.T, rev string) {
		g, k, c := tasking(t, rev, map[string]any{"refundOnFailure": true})
		if status, _ := c.ends(c.task(map[string]any{"code": 1}, 60_000)); status != "failed" {
			t.Errorf("it ended %s", status)
		}
		if got := g.account(k); got.Held != 0 || got.Spent != 0 {
			t.Errorf("failed: %+v", got)
		}
	})
}

func TestATaskThatCompletedIsChargedThoughNobodyAsks(t *testing.T) {
	t.Parallel()
	eachTaskShape(t, func(t *testing.T, rev string) {
		g, k, c := tasking(t, rev, map[string]any{"toolPricing": map[string]any{"job": map[string]any{"creditsPerCall": 2, "creditsPerKbOutput": 3}}})
		c.task(map[string]any{"text": "done, and nobody looks", "ms": 100}, 1000)
		g.restart()
		g.until("the task is settled", func() bool { return g.account(k).Held == 0 })
		if got := g.account(k); got.Spent != 5 || got.Calls != 1 {
			t.Errorf("2 and 3 for a kilobyte of result: %+v", got)
		}
		g.prove()
	})
}

func TestATaskNobodyComesBackForIsReleasedWithItsTime(t *testing.T) {
	t.Parallel()
	eachTaskShape(t, func(t *testing.T, rev string) {
		g, k, c := tasking(t, rev, nil)
		c.task(map[string]any{"ms": 60_000}, 1000)
		g.restart()
		deadline := time.After(15 * time.Second)
		for g.account(k).Held != 0 {
			select {
			case <-deadline:
				t.Fatalf("still held: %+v", g.account(k))
			case <-time.After(100 * time.Millisecond):
			}
		}
		if got := g.account(k); got.Credits != 100 || got.Spent != 0 {
			t.Errorf("expired: %+v", got)
		}
		g.prove()
	})
}

// The two shapes of tasks are not translated. Between the eras none are
// announced, and a call that asks for one runs as any.
func TestBetweenTheErasThereAreNoTasksFromTheStart(t *testing.T) {
	t.Parallel()
	for rev, mode := range map[string]string{"2025-11-25": "modern", newestRevision: "legacy"} {
		t.Run(rev, func(t *testing.T) {
			t.Parallel()
			g := before(t, mode, "stdio", nil)
			k := g.key(nil)
			c := g.connect(t, rev, k.Key)
			c.caps["extensions"] = map[string]any{"io.modelcontextprotocol/tasks": map[string]any{}}
			c.caps["tasks"] = map[string]any{}
			if about := c.hello(); strings.Contains(string(about), "tasks") {
				t.Errorf("tasks are announced: %s", about)
			}
			a := c.must("tools/call", map[string]any{"name": "job", "arguments": map[string]any{"text": "at once", "ms": 1}, "task": map[string]any{"ttl": 1000}})
			if strings.Contains(string(a.Result), "taskId") || !strings.Contains(string(a.Result), "content") {
				t.Errorf("the call was answered %s", a.Result)
			}
			if a := c.do(t.Context(), "tasks/get", map[string]any{"taskId": "one"}, nil); a.Error == nil || a.Error.Code != -32602 && a.Error.Code != -32601 {
				t.Errorf("tasks/get: %+v %s", a.Error, a.Result)
			}
			if got := g.account(k); got.Held != 0 || got.Spent != 2 {
				t.Errorf("at the end: %+v", got)
			}
		})
	}
}
