package bridge

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/tidwall/gjson"

	"paygate/server/mcp"
)

// newer speaks the new revision over conversations of the old one (talk.go).
type newer struct {
	b       *Bridge
	backend mcp.Backend // for more conversations with the same server
	dial    mcp.Dial
	first   *mcp.Opened // lives as long as the conn: Done is its

	opening sync.Mutex // one conversation is opened at a time

	mu       sync.Mutex
	talks    []*talk
	ears     map[*ear]struct{}
	watching map[watched]int // how many ears
}

// openNewer serves a client of the new era with a server of the old one.
func (b *Bridge) openNewer(backend mcp.Backend, o *mcp.Opened, d mcp.Dial) *mcp.Opened {
	c := &newer{b: b, backend: backend, dial: d, first: o, ears: map[*ear]struct{}{}, watching: map[watched]int{}}
	return &mcp.Opened{Conn: c, Modern: true, Init: o.Init}
}

// Call sends a request of the new revision.
func (c *newer) Call(ctx context.Context, m *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	if m.Method == "server/discover" {
		return c.discover(m), nil
	}
	if m.Method == "subscriptions/listen" {
		return c.listen(ctx, m, during)
	}
	if state := gjson.GetBytes(m.Params, "requestState"); strings.HasPrefix(state.Str, ownState) {
		return c.goOn(ctx, m, state.Str, during)
	}
	t, err := c.talk(ctx, m)
	if err != nil {
		return nil, err
	}
	if err := c.setLevel(ctx, t, m); err != nil {
		return nil, err
	}
	res, err := c.ask(ctx, t, m, during)
	if err == nil && res.Error != nil && res.Error.Code == visitPage {
		return visits(m, res)
	}
	if errors.Is(err, mcp.ErrLost) && ctx.Err() == nil && !known(m.Method) {
		// Servers of the old era refuse a method that no revision has with a
		// bare HTTP status; the new era wants to be told in its words.
		return nil, &mcp.Error{Code: mcp.CodeNoMethod, Message: "method not found: " + m.Method}
	}
	return res, err
}

// known are the methods that a server of the old era may have.
func known(method string) bool {
	return slices.Contains([]string{"tools/list", "tools/call", "prompts/list", "prompts/get", "resources/list", "resources/templates/list", "resources/read",
		"completion/complete", "tasks/get", "tasks/list", "tasks/result", "tasks/cancel"}, method)
}

// Send passes notifications on; the new revision has none that matter here.
func (c *newer) Send(ctx context.Context, m *mcp.Message) error { return c.first.Send(ctx, m) }

// Done ends with the conversation that was opened first.
func (c *newer) Done() <-chan struct{} { return c.first.Done() }

// Close ends all conversations.
func (c *newer) Close() error {
	c.mu.Lock()
	open := c.talks
	c.talks = nil
	c.mu.Unlock()
	err := c.first.Close()
	for _, t := range open {
		if e := t.Close(); err == nil {
			err = e
		}
	}
	return err
}

// ownState begins the states of calls that wait here; others are the server's.
const ownState = "parked "
