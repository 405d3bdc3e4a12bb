package upstream

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"paygate/server/mcp"
)

// hub keeps one subscriptions/listen open on a process that many callers
// share, and gives each of them what it asked for: some servers keep only one
// a process, so that a second would silence the first.
type hub struct {
	view *view // the gateway's own on the link
	meta ownMeta
	kick chan struct{} // one token: who listens, or to what, has changed

	mu      sync.Mutex
	taps    map[*tap]struct{}
	asked   []string       // resources subscribed to upstream
	granted map[string]any // nil: not acknowledged yet
	running bool
	n       int // listens opened so far
}

// tap is one caller's subscription.
type tap struct {
	*inbox
	id    json.RawMessage
	flags map[string]any // what it wants besides resources
	uris  []string
	acked bool
}

func newHub(v *view, meta ownMeta) *hub {
	return &hub{view: v, meta: meta, kick: make(chan struct{}, 1), taps: map[*tap]struct{}{}}
}

// takes says whether a subscription may share the one upstream. Over HTTP those
// that want only what all want do: they need no connection each, and nobody has
// to wait while another's wish makes a new subscription necessary.
func (h *hub) takes(m *mcp.Message) bool {
	if !h.view.link.table().streams {
		return true
	}
	var flags map[string]json.RawMessage
	if json.Unmarshal(lookup(m.Params, "notifications"), &flags) != nil {
		return false
	}
	for name := range flags {
		if name != "toolsListChanged" && name != "promptsListChanged" && name != "resourcesListChanged" {
			return false
		}
	}
	return true
}

// listen is a caller's subscriptions/listen, until it gives up or the server
// ends it.
func (h *hub) listen(ctx context.Context, m *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	t := &tap{inbox: newInbox(h.view.link.table().max), id: m.ID}
	want := lookup(m.Params, "notifications")
	if want == nil || json.Unmarshal(want, &t.flags) != nil || during == nil {
		return &mcp.Message{ID: m.ID, Error: &mcp.Error{Code: -32602, Message: "params.notifications must say what to listen to"}}, nil
	}
	list, _ := t.flags["resourceSubscriptions"].([]any)
	for _, uri := range list {
		if s, ok := uri.(string); ok {
			t.uris = append(t.uris, s)
		}
	}
	h.enter(t)
	defer h.leave(t)
	for {
		select {
		case <-t.wake:
		case <-ctx.Done():
			return nil, &lostError{text: "the subscription was given up", cause: ctx.Err()}
		case <-h.view.gone:
			t.finish(nil, &lostError{text: "the subscription ended with the server's process"})
		}
		msgs, over := t.take()
		for _, n := range msgs {
			during(n)
		}
		if over {
			return t.final, t.err
		}
	}
}

func (h *hub) enter(t *tap) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taps[t] = struct{}{}
	if !h.running {
		h.running, h.asked, h.granted = true, nil, nil
		go h.run()
		return
	}
	if !h.acknowledge(t) {
		h.ring()
	}
}

func (h *hub) leave(t *tap) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.taps, t)
	if len(h.taps) == 0 {
		h.ring()
	}
}

func (h *hub) ring() {
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

// run keeps the one subscription upstream, as wide as all callers together
// need it, while there are any.
func (h *hub) run() {
	for {
		id, params, more := h.next()
		if !more {
			return
		}
		ctx, stop := context.WithCancel(until(h.view.gone)) // ends with the last listener or the link
		ended := make(chan answer, 1)
		go func() {
			res, err := h.view.do(ctx, &mcp.Message{ID: id, Method: listen, Params: params}, h.hear)
			ended <- answer{res, err}
		}()
		over := h.hold(id, ended)
		stop()
		if over {
			return
		}
	}
}

// next says what to subscribe to now; nothing more when nobody listens.
func (h *hub) next() (id, params json.RawMessage, more bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.taps) == 0 {
		h.running = false
		return nil, nil, false
	}
	flags := map[string]any{"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true}
	h.asked, h.granted = nil, nil
	for t := range h.taps {
		maps.Copy(flags, t.flags)
		h.asked = append(h.asked, t.uris...)
	}
	for _, name := range []string{"toolsListChanged", "promptsListChanged", "resourcesListChanged"} {
		flags[name] = true // so that only new resources need a new subscription
	}
	slices.Sort(h.asked)
	h.asked = slices.Compact(h.asked)
	delete(flags, "resourceSubscriptions")
	if len(h.asked) > 0 {
		flags["resourceSubscriptions"] = h.asked
	}
	h.n++
	return marshal(fmt.Sprintf("listen-%d", h.n)), marshal(map[string]any{"_meta": h.meta, "notifications": flags}), true
}

// hold waits until the subscription has ended, or another is needed. A server
// that forgets all subscriptions when one ends must have ended the old one
// before it hears of the new.
func (h *hub) hold(id json.RawMessage, ended chan answer) (over bool) {
	for {
		select {
		case a := <-ended:
			h.finish(a)
			return true
		case <-h.kick:
		}
		if h.enough() {
			continue
		}
		_ = h.view.Send(until(h.view.gone), &mcp.Message{Method: "notifications/cancelled", Params: cancelParams(id, "resubscribing")}) // if the link is broken, ended says so
		patience := time.NewTimer(500 * time.Millisecond)
		defer patience.Stop()
		select {
		case <-ended:
		case <-patience.C:
		}
		return false
	}
}

// enough says whether the subscription upstream serves all who listen, or must
// be left alone for now: a server may not find what it is told to cancel
// before it has acknowledged it.
func (h *hub) enough() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.granted == nil {
		return true
	}
	for t := range h.taps {
		if !h.covers(t) {
			return false
		}
	}
	return len(h.taps) > 0
}

func (h *hub) covers(t *tap) bool {
	return !slices.ContainsFunc(t.uris, func(uri string) bool { return !slices.Contains(h.asked, uri) })
}

// finish ends all subscriptions as the server ended ours.
func (h *hub) finish(a answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = false
	for t := range h.taps {
		if a.err != nil {
			t.finish(nil, a.err)
			continue
		}
		m := *a.about
		m.ID = t.id
		if m.Result != nil {
			m.Result, _ = splice(m.Result, t.id, "_meta", subscriptionID)
		}
		t.finish(&m, nil)
	}
}

// hear takes what comes on the subscription.
func (h *hub) hear(n *mcp.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n.Method == "notifications/subscriptions/acknowledged" {
		h.granted = map[string]any{}
		if raw := lookup(n.Params, "notifications"); raw != nil && json.Unmarshal(raw, &h.granted) != nil {
			h.granted = map[string]any{}
		}
		for t := range h.taps {
			h.acknowledge(t)
		}
		h.ring()
		return
	}
	for t := range h.taps {
		if t.acked && t.wants(n) {
			mine := *n
			mine.Params, _ = splice(n.Params, t.id, "_meta", subscriptionID)
			t.put(&mine)
		}
	}
}

// acknowledge tells a listener what of its wishes the server granted, once
// that is known. The caller holds mu.
func (h *hub) acknowledge(t *tap) bool {
	if t.acked {
		return true
	}
	if h.granted == nil || !h.covers(t) {
		return false
	}
	granted := map[string]any{}
	for name, value := range t.flags {
		if given, ok := h.granted[name]; ok && value != false {
			granted[name] = given
		}
	}
	if list, ok := h.granted["resourceSubscriptions"].([]any); ok {
		mine := []string{}
		for _, uri := range t.uris {
			if slices.Contains(list, any(uri)) {
				mine = append(mine, uri)
			}
		}
		delete(granted, "resourceSubscriptions")
		if len(mine) > 0 {
			granted["resourceSubscriptions"] = mine
		}
	}
	t.acked = true
	t.put(&mcp.Message{Method: "notifications/subscriptions/acknowledged",
		Params: marshal(map[string]any{"notifications": granted, "_meta": map[string]any{subscriptionID: t.id}})})
	return true
}

// wants says whether a notification is one that t asked for.
func (t *tap) wants(n *mcp.Message) bool {
	switch n.Method {
	case "notifications/tools/list_changed":
		return t.flags["toolsListChanged"] == true
	case "notifications/prompts/list_changed":
		return t.flags["promptsListChanged"] == true
	case "notifications/resources/list_changed":
		return t.flags["resourcesListChanged"] == true
	case "notifications/resources/updated":
		uri := text(n.Params, "uri")
		return slices.ContainsFunc(t.uris, func(mine string) bool {
			return uri == mine || strings.HasPrefix(uri, strings.TrimSuffix(mine, "/")+"/")
		})
	}
	about := text(n.Params, "taskId") // of extensions, only what names its listener's own
	for _, value := range t.flags {
		if list, ok := value.([]any); ok && about != "" && slices.Contains(list, any(about)) {
			return true
		}
	}
	return false
}
