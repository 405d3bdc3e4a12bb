package upstream

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"paygate/server/mcp"
)

const (
	listen         = "subscriptions/listen"
	subscriptionID = "io.modelcontextprotocol/subscriptionId"
	logLevel       = "io.modelcontextprotocol/logLevel"
	modernRevision = "2026-07-28"
	legacyRevision = "2025-11-25"
)

// notification routes one: progress by its token, what a subscription carries
// by its id, logs to the call that runs, all else to every conversation.
func (r *routes) notification(m *mcp.Message, hint *call) {
	switch m.Method {
	case "notifications/progress":
		r.progress(m)
		return
	case "notifications/cancelled":
		r.withdrawn(m)
		return
	}
	if id := lookup(m.Params, "_meta", subscriptionID); id != nil {
		r.subscribed(m, id)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if hint != nil {
		if hint.hears {
			hint.put(m)
		}
		return
	}
	if m.Method == "notifications/message" {
		if c := r.logging(); c != nil {
			c.put(m)
			return
		}
		if v := r.onlyView(); v != nil && v.other != nil {
			v.other.put(m)
		}
		return
	}
	r.broadcast(m)
}

// logging is the only call that a log line can be of: the only one in flight,
// or the only one of those that asked for logs. The caller holds mu.
func (r *routes) logging() *call {
	if v := r.onlyView(); r.streams && v != nil && v.other != nil {
		return nil
	}
	var all, asked []*call
	for _, c := range r.calls {
		if !c.hears || c.method == listen {
			continue
		}
		all = append(all, c)
		if c.logs {
			asked = append(asked, c)
		}
	}
	if len(asked) > 0 {
		all = asked
	}
	if len(all) != 1 {
		return nil
	}
	return all[0]
}

// broadcast gives m to every conversation that it concerns. The caller holds mu.
func (r *routes) broadcast(m *mcp.Message) {
	if r.shared && m.Method != "notifications/resources/updated" && !strings.HasSuffix(m.Method, "/list_changed") {
		return // a task, or whatever else, is one caller's, and nothing says whose
	}
	var who map[*view]bool
	if r.shared && m.Method == "notifications/resources/updated" {
		who = r.subs[text(m.Params, "uri")]
		if who == nil {
			return
		}
	}
	for v := range r.views {
		if v.other != nil && (who == nil || who[v]) {
			v.other.put(m)
		}
	}
}

func (r *routes) progress(m *mcp.Message) {
	id, ok := number(lookup(m.Params, "progressToken"))
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.calls[id]; c != nil {
		if c.token != nil && c.hears {
			m.Params, _ = splice(m.Params, c.token, "progressToken")
			c.put(m)
		}
		return
	}
	if token, v := r.tasks[id], r.onlyView(); token != nil && v != nil && v.other != nil {
		m.Params, _ = splice(m.Params, token, "progressToken")
		v.other.put(m)
	}
}

// withdrawn passes on that the server no longer wants an answer.
func (r *routes) withdrawn(m *mcp.Message) {
	theirs := lookup(m.Params, "requestId")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doubt = slices.DeleteFunc(r.doubt, func(d doubt) bool { return bytes.Equal(d.asked.ID, theirs) })
	for id, a := range r.asks {
		if !bytes.Equal(a.theirs, theirs) {
			continue
		}
		delete(r.asks, id)
		m.Params, _ = splice(m.Params, appendID(id), "requestId")
		if a.call != nil {
			a.call.put(m)
		} else if a.view.other != nil {
			a.view.other.put(m)
		}
		return
	}
}

// subscribed routes what a subscriptions/listen carries, under the client's id.
func (r *routes) subscribed(m *mcp.Message, tag json.RawMessage) {
	id, ok := number(tag)
	if !ok {
		return
	}
	r.mu.Lock()
	c := r.calls[id]
	r.mu.Unlock()
	if c == nil || c.method != listen || !c.hears {
		return
	}
	m.Params, _ = splice(m.Params, c.clientID, "_meta", subscriptionID)
	c.put(m)
}

// subscribe keeps who subscribed to what where several share a connection. It
// returns true when the server need not be told: others stay subscribed.
func (r *routes) subscribe(v *view, m *mcp.Message) (settled bool) {
	if m.Method != "resources/subscribe" && m.Method != "resources/unsubscribe" {
		return false
	}
	uri := text(m.Params, "uri")
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.Method == "resources/subscribe" {
		if r.subs[uri] == nil {
			r.subs[uri] = map[*view]bool{}
		}
		r.subs[uri][v] = true
		return false
	}
	delete(r.subs[uri], v)
	return len(r.subs[uri]) > 0
}
