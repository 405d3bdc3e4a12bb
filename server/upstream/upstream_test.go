package upstream_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"paygate/server/mcp"
	"paygate/server/upstream"
	"paygate/testdata/fake"
)

func TestMain(m *testing.M) {
	if os.Getenv(doomed) != "" {
		beDoomed()
	}
	if os.Getenv(official) != "" {
		beOfficial()
	}
	fake.Main()
	os.Exit(m.Run())
}

// spec is a fake server of the given mode.
func spec(t testing.TB, mode string) upstream.Spec {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return upstream.Spec{Command: self, Env: fake.Env(mode)}
}

// start starts servers and ends them with the test.
func start(t testing.TB, o upstream.Options, specs ...upstream.Spec) *upstream.Servers {
	t.Helper()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	if testing.Verbose() && o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	s, err := upstream.New(specs, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
		defer stop()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

const hello = `{"protocolVersion":"2025-06-18","capabilities":{"elicitation":{}},"clientInfo":{"name":"tester","version":"1"}}`

// dial opens a legacy conversation of its own for a caller.
func dial(t testing.TB, b mcp.Backend, caller string) *mcp.Opened {
	t.Helper()
	return open(t, b, mcp.Dial{Caller: caller, Init: &mcp.Message{ID: json.RawMessage("0"), Method: "initialize", Params: json.RawMessage(hello)}})
}

func open(t testing.TB, b mcp.Backend, d mcp.Dial) *mcp.Opened {
	t.Helper()
	o, err := b.Open(context.Background(), d)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = o.Close() })
	return o
}

// request is a tools/call.
func request(id, tool string, a fake.Args) *mcp.Message {
	args, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	return &mcp.Message{ID: json.RawMessage(id), Method: "tools/call", Params: json.RawMessage(fmt.Sprintf(`{"name":%q,"arguments":%s}`, tool, args))}
}

// call calls a tool and reads what it said.
func call(t testing.TB, c mcp.Conn, tool string, a fake.Args) fake.Said {
	t.Helper()
	res, err := c.Call(context.Background(), request("1", tool, a), func(*mcp.Message) {})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return said(t, res)
}

func said(t testing.TB, res *mcp.Message) fake.Said {
	t.Helper()
	if res.Error != nil {
		t.Fatalf("error %d: %s", res.Error.Code, res.Error.Message)
	}
	var out struct {
		Content []struct{ Text string }
	}
	var s fake.Said
	if err := json.Unmarshal(res.Result, &out); err != nil || len(out.Content) == 0 {
		t.Fatalf("result %.200s: %v", res.Result, err)
	}
	if err := json.Unmarshal([]byte(out.Content[0].Text), &s); err != nil {
		t.Fatalf("text %.200s: %v", out.Content[0].Text, err)
	}
	return s
}

// until waits for something that another goroutine or process brings about.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("never came: %s", what)
		case <-tick.C:
		}
	}
}

// alive says whether a process runs, zombies not counted.
func alive(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	return !strings.HasPrefix(rest, "Z")
}
