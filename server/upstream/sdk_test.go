package upstream_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"paygate/server/mcp"
	"paygate/server/upstream"
)

// official makes the test binary a server of the official Go SDK over stdio,
// which speaks both eras.
const official = "PAYTEST_OFFICIAL_SERVER"

func beOfficial() {
	s := sdkServer()
	s.AddResource(&sdk.Resource{URI: "x://1", Name: "one"}, nil)
	sdk.AddTool(s, &sdk.Tool{Name: "touch"}, func(ctx context.Context, _ *sdk.CallToolRequest, a sayArgs) (*sdk.CallToolResult, any, error) {
		return nil, nil, s.ResourceUpdated(ctx, &sdk.ResourceUpdatedNotificationParams{URI: a.Who})
	})
	if err := s.Run(context.Background(), &sdk.StdioTransport{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(0)
}

func officialSpec(t testing.TB) upstream.Spec {
	sp := spec(t, "")
	sp.Env = map[string]string{official: "1", "GORACE": "atexit_sleep_ms=0"}
	return sp
}

func TestOfficialServerInBothEras(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, officialSpec(t))
	old, fresh := dial(t, s, "a"), open(t, s, mcp.Dial{Caller: "a", Modern: true})
	if old.Modern || !fresh.Modern || !strings.Contains(string(old.Init.Result), "2025-06-18") || !strings.Contains(string(fresh.Init.Result), "2026-07-28") {
		t.Fatalf("old %s, new %s", old.Init.Result, fresh.Init.Result)
	}
	var heard []string
	hear := func(m *mcp.Message) { heard = append(heard, string(m.Params)) }
	if got := words(t, must(old.Call(context.Background(), sayRequest("old", 0), hear))); got != " old" {
		t.Errorf("old said %q", got)
	}
	if got := words(t, must(fresh.Call(context.Background(), modernSay("new"), hear))); got != " new" {
		t.Errorf("new said %q", got)
	}
	if len(heard) != 6 || !strings.Contains(heard[5], `"new"`) || !strings.Contains(heard[5], `"progressToken":1`) {
		t.Errorf("heard %v", heard)
	}
	res := must(old.Call(context.Background(), &mcp.Message{ID: json.RawMessage("2"), Method: "tools/call", Params: json.RawMessage(`{"name":"ask","arguments":{"who":"x"}}`)}, func(m *mcp.Message) {
		if err := old.Send(context.Background(), &mcp.Message{ID: m.ID, Result: json.RawMessage(`{"action":"decline"}`)}); err != nil {
			t.Error(err)
		}
	}))
	if got := words(t, res); got != "decline" {
		t.Errorf("asked, the client said %q", got)
	}
}

// The SDK keeps one subscription a session, so a second one on the same child
// would silence the first.
func TestOfficialServerSubscriptions(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, officialSpec(t))
	c := open(t, s, mcp.Dial{Modern: true})
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() { stop(); wg.Wait() })
	const listeners = 20
	heard := make(chan string, 10*listeners)
	for i := range listeners {
		wg.Go(func() {
			id := fmt.Sprint(`"l`, i, `"`)
			m := modernSay("")
			m.ID, m.Method = json.RawMessage(id), "subscriptions/listen"
			m.Params = json.RawMessage(strings.Replace(string(m.Params), `"name":"say"`, fmt.Sprintf(`"notifications":{"resourceSubscriptions":["x://%d"]}`, i%2+1), 1))
			_, _ = c.Call(ctx, m, func(n *mcp.Message) {
				if !strings.Contains(string(n.Params), `subscriptionId":`+id) {
					t.Errorf("%s heard %s", id, n.Params)
				}
				heard <- n.Method
			})
		})
	}
	expect := func(method string, n int) {
		t.Helper()
		for range n {
			select {
			case got := <-heard:
				if got != method {
					t.Errorf("heard %s, want %s", got, method)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("not all heard %s", method)
			}
		}
	}
	expect("notifications/subscriptions/acknowledged", listeners)
	touch := modernSay("x://1")
	touch.Params = json.RawMessage(strings.Replace(string(touch.Params), `"say"`, `"touch"`, 1))
	must(c.Call(context.Background(), touch, nil))
	expect("notifications/resources/updated", listeners/2)
	if len(heard) > 0 {
		t.Errorf("%d were told what they had not asked for", len(heard))
	}
}
