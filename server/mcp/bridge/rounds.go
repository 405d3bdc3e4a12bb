package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"paygate/server/mcp"
)

// mostRounds is how often a server may ask for more during one call.
const mostRounds = 10

// failed is a call that ended between two rounds: its client reads why, and no
// answer of the server's is charged.
type failed struct{ rpc *mcp.Error }

func (e *failed) Error() string   { return e.rpc.Message }
func (e *failed) Unwrap() []error { return []error{e.rpc, mcp.ErrLost} }

func fails(code int, format string, args ...any) error {
	return &failed{&mcp.Error{Code: code, Message: fmt.Sprintf(format, args...)}}
}

// rounds sends a request, and again with the client's replies for as long as
// the server answers with questions.
func (c *older) rounds(ctx context.Context, m *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	first := c.stamped(m)
	request := first
	for round := 0; ; round++ {
		res, err := c.inner.Call(ctx, request, during)
		if err != nil {
			return nil, err
		}
		if res.Result == nil || mcp.KindOf(res.Result).Kind != mcp.InputRequired {
			return plain(res), nil
		}
		if round == mostRounds {
			return nil, fails(mcp.CodeInternal, "the server asked for input more than %d times during one call", mostRounds)
		}
		replies, err := c.replies(ctx, gjson.GetBytes(res.Result, "inputRequests"), during)
		if err != nil {
			return nil, err
		}
		if request, err = retry(first, replies, gjson.GetBytes(res.Result, "requestState")); err != nil {
			return nil, err
		}
		if len(replies) == 0 && !pause(ctx, min(time.Second, 50*time.Millisecond<<round)) { // it only wants to be asked again
			return nil, fmt.Errorf("%w: %w", mcp.ErrLost, ctx.Err())
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// retry is the first request with what the server asked for.
func retry(first *mcp.Message, replies map[string]json.RawMessage, state gjson.Result) (*mcp.Message, error) {
	out := *first
	params := []byte(first.Params)
	var err error
	if len(replies) > 0 {
		params, err = sjson.SetRawBytes(params, "inputResponses", quoted(replies))
	}
	if err == nil && state.Exists() {
		params, err = sjson.SetRawBytes(params, "requestState", []byte(state.Raw))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the next round cannot be written: %w", mcp.ErrLost, err)
	}
	out.Params = params
	return &out, nil
}

// question is one that the client has been asked.
type question struct {
	name   string // the server's
	method string
	id     json.RawMessage
	reply  chan *mcp.Message
}

// replies asks the client everything at once, each as a request of the
// server, and waits until it has answered all.
func (c *older) replies(ctx context.Context, requests gjson.Result, during func(*mcp.Message)) (map[string]json.RawMessage, error) {
	questions, err := c.put(requests, during)
	defer func() {
		for _, q := range questions {
			c.forget(q.id)
		}
	}()
	if err != nil {
		return nil, err
	}
	patience := time.NewTimer(c.b.opts.Keep)
	defer patience.Stop()
	answers := map[string]json.RawMessage{}
	for _, q := range questions {
		select {
		case a := <-q.reply:
			if answers[q.name], err = said(q, a); err != nil {
				return nil, err
			}
		case <-patience.C:
			return nil, fails(mcp.CodeInternal, "the client did not answer %s within %s", q.method, c.b.opts.Keep)
		case <-c.Done():
			return nil, fmt.Errorf("%w: the server ended while the client was asked", mcp.ErrLost)
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", mcp.ErrLost, ctx.Err())
		}
	}
	return answers, nil
}

// put sends the questions on the client's stream. What it has not declared it
// is not asked.
func (c *older) put(requests gjson.Result, during func(*mcp.Message)) (questions []question, err error) {
	requests.ForEach(func(name, request gjson.Result) bool {
		method := request.Get("method").Str
		needs, known := capabilityFor(method)
		switch {
		case !known:
			err = fails(mcp.CodeInternal, "the server asked for %q, which no client can be asked", method)
		case !c.caps.Get(needs).Exists() || during == nil:
			err = fails(mcp.CodeInternal, "the server asked for %s, and the client has not declared the capability %q", method, needs)
		}
		if err != nil {
			return false
		}
		q := question{name: name.Str, method: method}
		q.id, q.reply = c.ask()
		questions = append(questions, q)
		during(&mcp.Message{ID: q.id, Method: method, Params: asked(request, q.id)})
		return true
	})
	return questions, err
}

// asked are the params of a question as a client of the old era knows them.
func asked(request gjson.Result, id json.RawMessage) json.RawMessage {
	params := request.Get("params")
	if !params.IsObject() {
		return nil
	}
	text := []byte(params.Raw)
	if params.Get("mode").Str == "url" && !params.Get("elicitationId").Exists() { // which only the old era wants
		text = with(text, "elicitationId", newID(string(slices.Concat([]byte("elicitation-"), id, []byte("-")))))
	}
	return text
}

// said is a reply as the server gets it. A client that cannot show a question
// has cancelled it; whatever else it cannot answer ends the call.
func said(q question, a *mcp.Message) (json.RawMessage, error) {
	switch {
	case a.Error == nil:
		return a.Result, nil
	case q.method == "elicitation/create":
		return json.RawMessage(`{"action":"cancel"}`), nil
	}
	return nil, fails(a.Error.Code, "the client answered %s with an error: %s", q.method, a.Error.Message)
}

// capabilityFor is what a client must have declared to be asked something.
func capabilityFor(method string) (name string, known bool) {
	name, known = map[string]string{"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}[method]
	return name, known
}
