package upstream

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"paygate/server/mcp"
)

// routes is who gets what on one connection: calls by our own ids, so that ids
// and progress tokens of different callers never meet, and the server's own
// requests with the id under which they were handed out.
type routes struct {
	shared  bool // several callers use the connection
	streams bool // the server says by the stream it uses what belongs to which call
	max     int  // bytes that one inbox may hold
	hub     *hub // nil where nobody shares a subscription; set before anybody joins

	mu    sync.Mutex
	last  uint64
	calls map[uint64]*call
	asks  map[uint64]ask
	doubt []doubt     // questions of which it is not known yet whose they are
	later *time.Timer // ends their doubt; nil: nothing waits
	views map[*view]struct{}
	tasks map[uint64]json.RawMessage // progress tokens that live on in tasks
	subs  map[string]map[*view]bool  // who subscribed to a resource; kept when shared
	ended error                      // why nothing goes any more

	oneCaller bool // whoever shares the connection is the same caller
}

// call is a request under way.
type call struct {
	inbox
	id        uint64
	own       []byte   // id as sent upstream
	digits    [20]byte // of own
	view      *view
	method    string
	clientID  json.RawMessage
	token     json.RawMessage // the client's progress token, nil if it gave none
	hears     bool            // somebody listens while it runs
	logs      bool            // it asked for logs, as only the new era can
	cancelled bool            // the server has been told
	stop      func()          // ends what the transport holds for it; nil: nothing
}

// ask is a request of the server that waits for a client's answer.
type ask struct {
	theirs json.RawMessage
	view   *view
	call   *call        // nil: it belongs to no call
	asked  *mcp.Message // as the server sent it, where call is a guess
	among  string       // of whose calls
}

func newRoutes(max int, shared bool) *routes {
	return &routes{shared: shared, max: max, calls: map[uint64]*call{}, asks: map[uint64]ask{}, views: map[*view]struct{}{},
		tasks: map[uint64]json.RawMessage{}, subs: map[string]map[*view]bool{}}
}

// begin enters a call and returns it with the params to send.
func (r *routes) begin(v *view, m *mcp.Message, hears bool) (*call, json.RawMessage, error) {
	c := &call{view: v, method: m.Method, clientID: m.ID, hears: hears, logs: bytes.Contains(m.Params, []byte(logLevel))}
	c.ready(r.max)
	r.mu.Lock()
	if r.ended != nil {
		r.mu.Unlock()
		return nil, nil, ErrEnded
	}
	r.last++
	c.id = r.last
	r.calls[c.id] = c
	r.mu.Unlock()
	c.own = strconv.AppendUint(c.digits[:0], c.id, 10)
	params, token := splice(m.Params, c.own, "_meta", "progressToken")
	if token != nil {
		r.mu.Lock()
		c.token = token
		r.mu.Unlock()
	}
	return c, params, nil
}

// end forgets a call, and what the server still asks on its behalf.
func (r *routes) end(c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.calls, c.id)
	if len(r.asks) > 0 || len(r.doubt) > 0 {
		r.leave(c)
	}
	if c.token == nil || len(r.tasks) >= 1024 {
		return
	}
	if res := c.result(); res != nil && bytes.Contains(res.Result, []byte(`"taskId"`)) {
		r.tasks[c.id] = c.token
	}
}

// lose ends all calls and refuses new ones; over is closed when nothing can
// join any more, and before anybody hears of it.
func (r *routes) lose(err error, over chan struct{}) {
	r.mu.Lock()
	r.ended = err
	if r.later != nil {
		r.later.Stop()
	}
	close(over)
	calls := slices.Collect(maps.Values(r.calls))
	views := slices.Collect(maps.Keys(r.views))
	r.mu.Unlock()
	for _, c := range calls {
		c.finish(nil, err)
	}
	for _, v := range views {
		v.end()
	}
}

// why says why the link ended; nil while it has not.
func (r *routes) why() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

// vacate ends a link that nobody uses: from one moment on no call runs, none
// begins and nobody joins. It does nothing while a call runs.
func (r *routes) vacate() bool {
	r.mu.Lock()
	views := slices.Collect(maps.Keys(r.views))
	for _, v := range views { // nobody holds two of these locks but here
		v.mu.Lock()
	}
	busy := slices.ContainsFunc(views, func(v *view) bool { return v.busy > 0 })
	for _, v := range views {
		v.closing = v.closing || !busy
		v.mu.Unlock()
	}
	if !busy && r.ended == nil {
		r.ended = ErrEnded
	}
	r.mu.Unlock()
	if busy {
		return false
	}
	for _, v := range views {
		v.end()
	}
	return true
}

func (r *routes) attach(v *view) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended != nil {
		return false
	}
	r.views[v] = struct{}{}
	return true
}

// detach forgets a view.
func (r *routes) detach(v *view) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.views, v)
	for _, who := range r.subs {
		delete(who, v)
	}
	maps.DeleteFunc(r.asks, func(_ uint64, a ask) bool { return a.view == v })
}

// all are the conversations on the link.
func (r *routes) all() []*view {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.views))
}

// deliver routes one message of the server. hint is the call whose stream it
// came on, nil where the transport has no streams. What it returns, if
// anything, is to be sent back to the server.
func (r *routes) deliver(m *mcp.Message, hint *call) (reply *mcp.Message) {
	switch {
	case m.Method == "":
		r.answer(m)
		return nil
	case m.ID != nil:
		return r.request(m, hint)
	default:
		r.notification(m, hint)
		return nil
	}
}

func (r *routes) answer(m *mcp.Message) {
	id, ok := number(m.ID)
	if !ok {
		return
	}
	r.mu.Lock()
	c := r.calls[id]
	r.mu.Unlock()
	if c == nil {
		return // cancelled meanwhile
	}
	m.ID = c.clientID
	if c.method == listen && m.Result != nil {
		m.Result, _ = splice(m.Result, c.clientID, "_meta", subscriptionID)
	}
	c.finish(m, nil)
}

// request hands a request of the server to whom it concerns: the call on whose
// stream it came, or the only one in flight, or in a process of the caller's
// own the newest. Where it cannot be known, nobody is asked.
func (r *routes) request(m *mcp.Message, hint *call) (reply *mcp.Message) {
	if m.Method == "ping" {
		return &mcp.Message{ID: m.ID, Result: json.RawMessage("{}")}
	}
	r.mu.Lock()
	c := r.callFor(hint)
	v := r.onlyView()
	if c != nil {
		v = c.view
	}
	if c == nil && hint == nil && r.queue(m) {
		r.mu.Unlock()
		return nil
	}
	if v == nil || c == nil && v.other == nil {
		why := "no client can be asked here"
		if c == nil && hint == nil && len(r.calls) > 1 {
			why += ": calls of several callers run in this process, and nothing says whose the question is; with isolation: session each caller has a process of its own"
		}
		r.mu.Unlock()
		return &mcp.Message{ID: m.ID, Error: &mcp.Error{Code: -32601, Message: why}}
	}
	r.last++
	id := r.last
	r.asks[id] = ask{theirs: m.ID, view: v, call: c}
	r.mu.Unlock()
	m.ID = appendID(id)
	if c != nil && c.put(m) || c == nil && v.other.put(m) {
		return nil
	}
	r.mu.Lock()
	theirs := r.asks[id].theirs
	delete(r.asks, id)
	r.mu.Unlock()
	return &mcp.Message{ID: theirs, Error: &mcp.Error{Code: -32603, Message: "the call is over"}}
}

// callFor finds the call that something without a name of its own belongs to.
// The caller holds mu.
func (r *routes) callFor(hint *call) *call {
	if hint != nil {
		if hint.hears {
			return hint
		}
		return nil
	}
	if v := r.onlyView(); r.streams && v != nil && v.other != nil {
		return nil
	}
	var newest *call
	n := 0
	for _, c := range r.calls {
		if !c.hears || c.method == listen {
			continue
		}
		n++
		if newest == nil || c.id > newest.id {
			newest = c
		}
	}
	if n > 1 && r.shared {
		return nil
	}
	return newest
}

// onlyView is the owner of a connection that is nobody else's.
func (r *routes) onlyView() *view {
	if r.shared || len(r.views) != 1 {
		return nil
	}
	for v := range r.views {
		return v
	}
	return nil
}

// reply takes back an answer of the client: it returns the id that the server
// gave its request, nil when v was never asked or has answered.
func (r *routes) reply(v *view, id json.RawMessage) json.RawMessage {
	n, ok := number(id)
	if !ok {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.asks[n]
	if !ok || a.view != v {
		return nil
	}
	delete(r.asks, n)
	return a.theirs
}

func appendID(id uint64) []byte { return strconv.AppendUint(nil, id, 10) }
