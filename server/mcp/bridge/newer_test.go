package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"paygate/server/mcp"
	"paygate/server/mcp/bridge"
)

// legacy is a server of the old era; each conversation with it runs the script.
type legacy struct {
	answer func(ctx context.Context, c *chat, m *mcp.Message, during func(*mcp.Message)) *mcp.Message
}

type chat struct {
	s    *legacy
	dial mcp.Dial
	told chan *mcp.Message // the client's answers
	gone chan struct{}
}

func (s *legacy) Open(_ context.Context, d mcp.Dial) (*mcp.Opened, error) {
	c := &chat{s: s, dial: d, told: make(chan *mcp.Message, 10), gone: make(chan struct{})}
	about := `{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"tasks":{}},"serverInfo":{"name":"old","version":"1"}}`
	return &mcp.Opened{Conn: c, Init: &mcp.Message{Result: json.RawMessage(about)}}, nil
}

func (c *chat) Call(ctx context.Context, m *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	if m.Method == "resources/subscribe" || m.Method == "resources/unsubscribe" {
		return &mcp.Message{ID: m.ID, Result: json.RawMessage("{}")}, nil
	}
	res := c.s.answer(ctx, c, m, during)
	if res == nil {
		return nil, mcp.ErrLost
	}
	res.ID = m.ID
	return res, nil
}

func (c *chat) Send(_ context.Context, m *mcp.Message) error {
	if m.Method == "" {
		c.told <- m
	}
	return nil
}

func (c *chat) Done() <-chan struct{} { return c.gone }
func (c *chat) Close() error          { return nil }

// asking asks for the roots and answers with what it is told.
func asking(ctx context.Context, c *chat, _ *mcp.Message, during func(*mcp.Message)) *mcp.Message {
	during(&mcp.Message{ID: json.RawMessage("5"), Method: "roots/list"})
	select {
	case a := <-c.told:
		return result(`{"told":` + string(a.Result) + `}`)
	case <-ctx.Done():
		return nil
	}
}

func fresh(t *testing.T, s *legacy) *mcp.Opened {
	t.Helper()
	o, err := bridge.New(bridge.Options{Name: "paygate", Version: "1"}).Adapt(s).Open(t.Context(), mcp.Dial{Caller: "a", Modern: true, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	return o
}

// request is one of the new era whose client can be asked for roots.
func request(method, params string) *mcp.Message {
	meta := `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":{}}}`
	if params != "" {
		meta = params + "," + meta
	}
	return &mcp.Message{ID: json.RawMessage("1"), Method: method, Params: json.RawMessage("{" + meta + "}")}
}

func do(t *testing.T, o *mcp.Opened, method, params string) *mcp.Message {
	t.Helper()
	res, err := o.Call(t.Context(), request(method, params), func(*mcp.Message) {})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestDiscoverIsMadeOfTheGreeting(t *testing.T) {
	t.Parallel()
	got := do(t, fresh(t, &legacy{}), "server/discover", "").Result
	for path, want := range map[string]string{"supportedVersions.0": "2026-07-28", "resultType": "complete", "cacheScope": "private", "capabilities.tools.listChanged": "true",
		"capabilities.tasks": "", `_meta.io\.modelcontextprotocol/serverInfo.name`: "old"} {
		if have := gjson.GetBytes(got, path).String(); have != want {
			t.Errorf("%s is %q, want %q: %s", path, have, want, got)
		}
	}
}

func TestAMissingReplyIsAskedForAgain(t *testing.T) {
	t.Parallel()
	o := fresh(t, &legacy{answer: asking})
	first := do(t, o, "tools/call", `"name":"t"`)
	again := do(t, o, "tools/call", `"name":"t","inputResponses":{"other":{}},"requestState":`+gjson.GetBytes(first.Result, "requestState").Raw)
	if gjson.GetBytes(again.Result, "inputRequests.q1.method").Str != "roots/list" {
		t.Fatalf("%s", again.Result)
	}
	last := do(t, o, "tools/call", `"name":"t","inputResponses":{"q1":{"n":1}},"requestState":`+gjson.GetBytes(again.Result, "requestState").Raw)
	if gjson.GetBytes(last.Result, "told.n").Int() != 1 {
		t.Errorf("%s", last.Result)
	}
}

func TestAStateIsGoodForOneAnswer(t *testing.T) {
	t.Parallel()
	o := fresh(t, &legacy{answer: asking})
	next := `"name":"t","inputResponses":{"q1":{"n":1}},"requestState":` + gjson.GetBytes(do(t, o, "tools/call", `"name":"t"`).Result, "requestState").Raw
	do(t, o, "tools/call", next)
	_, err := o.Call(t.Context(), request("tools/call", next), func(*mcp.Message) {})
	var rpc *mcp.Error
	if !errors.As(err, &rpc) || rpc.Code != mcp.CodeInvalidParams || !strings.Contains(rpc.Message, "anew") {
		t.Errorf("%v", err)
	}
}

// Some servers greet in the old era and ask in the new one: what they know of
// their rounds must reach them.
func TestAServerWithRoundsOfItsOwnGetsThem(t *testing.T) {
	t.Parallel()
	s := &legacy{answer: func(_ context.Context, _ *chat, m *mcp.Message, _ func(*mcp.Message)) *mcp.Message {
		if gjson.GetBytes(m.Params, "requestState").Str == "two" {
			return result(`{"told":` + gjson.GetBytes(m.Params, "inputResponses").Raw + `}`)
		}
		return result(`{"inputRequests":{"x":{"method":"roots/list"}},"requestState":"two"}`)
	}}
	o := fresh(t, s)
	first := do(t, o, "tools/call", `"name":"t"`)
	if gjson.GetBytes(first.Result, "resultType").Str != "input_required" {
		t.Fatalf("%s", first.Result)
	}
	if last := do(t, o, "tools/call", `"name":"t","requestState":"two","inputResponses":{"x":{"n":1}}`); gjson.GetBytes(last.Result, "told.x.n").Int() != 1 {
		t.Errorf("%s", last.Result)
	}
}

func TestAPageToVisitIsAQuestionOrARefusal(t *testing.T) {
	t.Parallel()
	page := func(context.Context, *chat, *mcp.Message, func(*mcp.Message)) *mcp.Message {
		return &mcp.Message{Error: &mcp.Error{Code: -32042, Message: "go there", Data: json.RawMessage(`{"elicitations":[{"mode":"url","url":"https://a.example","message":"please"}]}`)}}
	}
	o := fresh(t, &legacy{answer: page})
	_, err := o.Call(t.Context(), request("tools/call", `"name":"t"`), func(*mcp.Message) {})
	var rpc *mcp.Error
	if !errors.As(err, &rpc) || rpc.Code != mcp.CodeMissingCapability || !gjson.GetBytes(rpc.Data, "requiredCapabilities.elicitation.url").Exists() {
		t.Errorf("a client that cannot show pages: %v", err)
	}
	able := request("tools/call", `"name":"t"`)
	able.Params = json.RawMessage(strings.Replace(string(able.Params), `{"roots":{}}`, `{"elicitation":{"url":{}}}`, 1))
	res, err := o.Call(t.Context(), able, func(*mcp.Message) {})
	if err != nil || gjson.GetBytes(res.Result, "inputRequests.q1.params.url").Str != "https://a.example" {
		t.Errorf("a client that can: %v %v", res, err)
	}
}
