package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tidwall/gjson"

	"paygate/server/mcp"
	"paygate/server/mcp/bridge"
)

// modern is a server of the new era that answers from a script.
type modern struct {
	answer func(round int, m *mcp.Message) *mcp.Message

	mu  sync.Mutex
	got []*mcp.Message
}

func (s *modern) Open(context.Context, mcp.Dial) (*mcp.Opened, error) {
	about := `{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"logging":{},"extensions":{"x":{}}},"instructions":"Be kind."}`
	return &mcp.Opened{Conn: s, Modern: true, Init: &mcp.Message{Result: json.RawMessage(about)}}, nil
}

func (s *modern) Call(_ context.Context, m *mcp.Message, _ func(*mcp.Message)) (*mcp.Message, error) {
	s.mu.Lock()
	s.got = append(s.got, m)
	round := len(s.got) - 1
	s.mu.Unlock()
	res := s.answer(round, m)
	res.ID = m.ID
	return res, nil
}

func (s *modern) Send(context.Context, *mcp.Message) error { return nil }
func (s *modern) Done() <-chan struct{}                    { return nil }
func (s *modern) Close() error                             { return nil }

func result(text string) *mcp.Message { return &mcp.Message{Result: json.RawMessage(text)} }

// asks is an input_required answer with one question.
func asks(method, params string) *mcp.Message {
	return result(`{"resultType":"input_required","requestState":"s","inputRequests":{"q":{"method":"` + method + `","params":` + params + `}}}`)
}

// old begins a conversation of the old era with s.
func old(t *testing.T, s *modern, capabilities string) *mcp.Opened {
	t.Helper()
	init := &mcp.Message{ID: json.RawMessage("0"), Method: "initialize", Params: json.RawMessage(`{"protocolVersion":"2025-06-18","capabilities":` + capabilities + `,"clientInfo":{"name":"ada","version":"7"}}`)}
	o, err := bridge.New(bridge.Options{Name: "paygate", Version: "1"}).Adapt(s).Open(t.Context(), mcp.Dial{Caller: "a", Init: init, Other: func(*mcp.Message) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	return o
}

// call calls a tool and answers what is asked on the way.
func call(t *testing.T, o *mcp.Opened, params string, reply func(asked *mcp.Message) *mcp.Message) (*mcp.Message, error) {
	t.Helper()
	return o.Call(t.Context(), &mcp.Message{ID: json.RawMessage(`"mine"`), Method: "tools/call", Params: json.RawMessage(params)}, func(m *mcp.Message) {
		if reply == nil {
			t.Errorf("asked %s", m.Append(nil))
			return
		}
		answer := reply(m)
		answer.ID = m.ID
		if err := o.Send(t.Context(), answer); err != nil {
			t.Error(err)
		}
	})
}

func TestTheGreetingIsMadeOfDiscover(t *testing.T) {
	t.Parallel()
	got := string(old(t, &modern{}, `{}`).Init.Result)
	if want := `{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"logging":{}},"serverInfo":{"name":"paygate","version":"1"},"instructions":"Be kind."}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestEveryRequestSaysWhoAsks(t *testing.T) {
	t.Parallel()
	s := &modern{answer: func(int, *mcp.Message) *mcp.Message {
		return result(`{"resultType":"complete","content":[],"ttlMs":5,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"x"}}}`)
	}}
	o := old(t, s, `{"roots":{},"tasks":{"list":{}}}`)
	for _, c := range []struct{ params, want string }{
		{``, `{"_meta":{STAMP}}`},
		{`{"name":"t"}`, `{"name":"t","_meta":{STAMP}}`},
		{`{"name":"t","task":{"ttl":1},"_meta":{ "progressToken" : 7 }}`, `{"name":"t","_meta":{STAMP,"progressToken" : 7 }}`},
		{`{"_meta":{"io.modelcontextprotocol/protocolVersion":"forged","io.modelcontextprotocol/logLevel":"debug"}}`, `{"_meta":{STAMP}}`},
	} {
		res, err := call(t, o, c.params, nil)
		if err != nil || string(res.ID) != `"mine"` || string(res.Result) != `{"content":[]}` {
			t.Errorf("%s: %v %v", c.params, res, err)
		}
		stamp := `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":{}},"io.modelcontextprotocol/clientInfo":{"name":"ada","version":"7"}`
		if got, want := string(s.got[len(s.got)-1].Params), strings.ReplaceAll(c.want, "STAMP", stamp); got != want {
			t.Errorf("%s was sent as %s, want %s", c.params, got, want)
		}
	}
	if _, err := o.Call(t.Context(), &mcp.Message{Method: "logging/setLevel", Params: json.RawMessage(`{"level":"error"}`)}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, o, `{}`, nil); err != nil || gjson.GetBytes(s.got[len(s.got)-1].Params, `_meta.io\.modelcontextprotocol/logLevel`).Str != "error" {
		t.Errorf("the level: %s %v", s.got[len(s.got)-1].Params, err)
	}
}

func TestTheClientsReplyGoesBackWithTheState(t *testing.T) {
	t.Parallel()
	s := &modern{answer: func(round int, _ *mcp.Message) *mcp.Message {
		return []*mcp.Message{asks("elicitation/create", `{"mode":"url","url":"https://a.example","message":"go"}`),
			result(`{"resultType":"input_required","inputRequests":{"r":{"method":"roots/list"}}}`), result(`{"done":true}`)}[round]
	}}
	var asked []string
	res, err := call(t, old(t, s, `{"elicitation":{"url":{}},"roots":{}}`), `{"name":"t"}`, func(m *mcp.Message) *mcp.Message {
		asked = append(asked, m.Method)
		if m.Method == "elicitation/create" && gjson.GetBytes(m.Params, "elicitationId").Str == "" {
			t.Errorf("a page without the id that old clients want: %s", m.Params)
		}
		return result(fmt.Sprintf(`{"round":%d}`, len(asked)))
	})
	if err != nil || string(res.Result) != `{"done":true}` || fmt.Sprint(asked) != "[elicitation/create roots/list]" {
		t.Fatalf("%v %v, asked %v", res, err, asked)
	}
	if got := s.got[1].Params; gjson.GetBytes(got, "requestState").Str != "s" || gjson.GetBytes(got, "inputResponses.q.round").Int() != 1 || gjson.GetBytes(got, "name").Str != "t" {
		t.Errorf("the second round: %s", got)
	}
	if got := s.got[2].Params; gjson.GetBytes(got, "requestState").Exists() || gjson.GetBytes(got, "inputResponses").Raw != `{"r":{"round":2}}` {
		t.Errorf("the third round: %s", got)
	}
}

func TestACallEndsWhenNobodyCanAnswer(t *testing.T) {
	t.Parallel()
	sampling := asks("sampling/createMessage", `{}`)
	for name, c := range map[string]struct {
		asks         *mcp.Message
		capabilities string
		reply        *mcp.Message
		code         int
	}{
		"the client has not declared it": {sampling, `{}`, nil, mcp.CodeInternal},
		"no client can be asked that":    {asks("tools/call", `{}`), `{"sampling":{}}`, nil, mcp.CodeInternal},
		"the client answers an error":    {sampling, `{"sampling":{}}`, &mcp.Message{Error: &mcp.Error{Code: -1, Message: "the user said no"}}, -1},
		"there is no end":                {sampling, `{"sampling":{}}`, result(`{}`), mcp.CodeInternal},
	} {
		s := &modern{answer: func(int, *mcp.Message) *mcp.Message { m := *c.asks; return &m }}
		var reply func(*mcp.Message) *mcp.Message
		if c.reply != nil {
			reply = func(*mcp.Message) *mcp.Message { m := *c.reply; return &m }
		}
		_, err := call(t, old(t, s, c.capabilities), `{}`, reply)
		var rpc *mcp.Error
		if !errors.As(err, &rpc) || rpc.Code != c.code || !errors.Is(err, mcp.ErrLost) {
			t.Errorf("%s: %v; a call without an answer must not be charged", name, err)
		}
		if len(s.got) > 11 {
			t.Errorf("%s: %d rounds", name, len(s.got))
		}
	}
}

func TestAQuestionThatCannotBeShownIsCancelled(t *testing.T) {
	t.Parallel()
	s := &modern{answer: func(round int, _ *mcp.Message) *mcp.Message {
		return []*mcp.Message{asks("elicitation/create", `{}`), result(`{"done":true}`)}[round]
	}}
	_, err := call(t, old(t, s, `{"elicitation":{}}`), `{}`, func(*mcp.Message) *mcp.Message {
		return &mcp.Message{Error: &mcp.Error{Code: -32601, Message: "no window"}}
	})
	if err != nil || gjson.GetBytes(s.got[1].Params, "inputResponses.q.action").Str != "cancel" {
		t.Errorf("%v: %s", err, s.got[1].Params)
	}
}

func TestAClientMayTakeItsTimeButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &modern{answer: func(int, *mcp.Message) *mcp.Message { return asks("roots/list", `{}`) }}
		o := old(t, s, `{"roots":{}}`)
		_, err := o.Call(t.Context(), &mcp.Message{Method: "tools/call"}, func(*mcp.Message) {})
		if !errors.Is(err, mcp.ErrLost) || !strings.Contains(err.Error(), "within 10m0s") {
			t.Errorf("%v", err)
		}
	})
}
