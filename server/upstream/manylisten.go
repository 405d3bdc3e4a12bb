package upstream

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"paygate/server/mcp"
)

// listenAll opens a subscription with every server and puts them together:
// one acknowledgement, then what each of them tells. Servers that are added
// meanwhile join, and those that come back after a crash.
func (m *many) listenAll(ctx context.Context, req *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	if during == nil {
		return nil, refuse(-32602, "%s: nobody listens", listen)
	}
	g := &gather{many: m, req: req, during: during, granted: map[string]any{}, joined: map[*server]bool{}, ends: make(chan ending), news: make(chan struct{}, 1)}
	bell := &bell{ring: g.changed}
	m.all.hang(bell)
	defer m.all.unhang(bell)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer g.close()
	up, _ := m.all.abouts(ctx)
	for _, k := range up {
		g.join(ctx, k.srv)
	}
	if err := g.follow(ctx); err != nil {
		return nil, err
	}
	meta := map[string]any{"_meta": map[string]any{subscriptionID: req.ID}, "resultType": "complete"}
	return &mcp.Message{ID: req.ID, Result: marshal(meta)}, nil
}

func (s *Servers) hang(b *bell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bells[b] = struct{}{}
}

func (s *Servers) unhang(b *bell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.bells, b)
}

// share is the subscription as one server gets it: with the resources that are
// not known to be another's.
func (m *many) share(req *mcp.Message, srv *server) *mcp.Message {
	var uris []string
	raw := lookup(req.Params, "notifications", "resourceSubscriptions")
	if raw == nil || json.Unmarshal(raw, &uris) != nil {
		return req
	}
	mine := []string{}
	for _, uri := range uris {
		if owner := m.all.owners.of(uri); owner == srv.spec.Prefix || owner == "\x00" {
			mine = append(mine, uri)
		}
	}
	sent := *req
	sent.Params, _ = splice(req.Params, marshal(mine), "notifications", "resourceSubscriptions")
	return &sent
}

// gather makes one subscription of many.
type gather struct {
	many   *many
	req    *mcp.Message
	during func(*mcp.Message)
	ends   chan ending   // of subscriptions with single servers
	news   chan struct{} // one token: servers have come or gone

	mu      sync.Mutex
	joined  map[*server]bool // true: it has not said anything yet
	uris    []string
	granted map[string]any
	waiting []*mcp.Message // came before the acknowledgement
	open    bool           // acknowledged
	closed  bool           // nobody listens any more
}

// ending is a server's subscription that is over; again says whether to try
// once more.
type ending struct {
	srv   *server
	again bool
}

// rejoin is how long after the end of a server's subscription it is asked anew.
const rejoin = time.Second

// join opens the subscription with one server.
func (g *gather) join(ctx context.Context, srv *server) {
	g.mu.Lock()
	g.joined[srv] = true
	g.mu.Unlock()
	go func() { // ends with ctx
		res, err := g.many.forward(ctx, srv, g.many.share(g.req, srv), func(n *mcp.Message) { g.hear(srv, n) })
		g.hear(srv, nil)
		select {
		case g.ends <- ending{srv, err != nil || res.Error == nil}:
		case <-ctx.Done():
		}
	}()
}

// follow keeps a subscription with every server there is until the client goes.
func (g *gather) follow(ctx context.Context) error {
	refused := map[*server]bool{}
	patience, again := time.NewTimer(g.many.all.opt.Limits.List), time.NewTimer(rejoin)
	defer patience.Stop()
	defer again.Stop()
	g.hear(nil, nil) // there may be no server that says anything
	for {
		select {
		case e := <-g.ends:
			refused[e.srv] = !e.again
			g.mu.Lock()
			delete(g.joined, e.srv)
			g.mu.Unlock()
			again.Reset(rejoin)
			continue
		case <-patience.C: // the acknowledgement waits for no slow one
			g.mu.Lock()
			g.acknowledge()
			g.mu.Unlock()
			continue
		case <-g.news:
		case <-again.C:
		case <-g.many.gone:
			return nil
		case <-ctx.Done():
			return &lostError{text: "the subscription was given up", cause: ctx.Err()}
		}
		for _, srv := range g.many.all.servers() {
			g.mu.Lock()
			_, in := g.joined[srv]
			g.mu.Unlock()
			if !in && !refused[srv] {
				g.join(ctx, srv)
			}
		}
	}
}

// changed passes on that servers have come or gone; what a server says of its
// own lists comes by its subscription.
func (g *gather) changed(from *server, method string) {
	if from != nil {
		return
	}
	select {
	case g.news <- struct{}{}:
	default:
	}
	for name, announced := range listChanges() {
		if announced == method && string(lookup(g.req.Params, "notifications", name)) == "true" {
			g.hear(nil, &mcp.Message{Method: method, Params: marshal(map[string]any{"_meta": map[string]any{subscriptionID: g.req.ID}})})
		}
	}
}

// listChanges are the announcements that may be asked for, by the name under
// which they are.
func listChanges() map[string]string {
	return map[string]string{"toolsListChanged": "notifications/tools/list_changed", "promptsListChanged": "notifications/prompts/list_changed",
		"resourcesListChanged": "notifications/resources/list_changed"}
}

// hear takes what a server said, or nil when its subscription has ended.
func (g *gather) hear(srv *server, n *mcp.Message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	ack := n != nil && n.Method == "notifications/subscriptions/acknowledged"
	if ack {
		g.add(n)
	}
	if g.joined[srv] && (ack || n == nil) {
		g.joined[srv] = false
	}
	if !slices.Contains(slices.Collect(maps.Values(g.joined)), true) {
		g.acknowledge()
	}
	switch {
	case ack || n == nil || g.closed:
	case g.open:
		g.during(n)
	case len(g.waiting) < 100:
		g.waiting = append(g.waiting, n)
	}
}

func (g *gather) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

func (g *gather) add(n *mcp.Message) {
	var p struct {
		Granted map[string]any `json:"notifications"`
	}
	if json.Unmarshal(n.Params, &p) != nil {
		return
	}
	for what, value := range p.Granted {
		if value == true {
			g.granted[what] = true
		}
	}
	uris, _ := p.Granted["resourceSubscriptions"].([]any)
	for _, uri := range uris {
		if s, ok := uri.(string); ok && !slices.Contains(g.uris, s) {
			g.uris = append(g.uris, s)
		}
	}
	if len(g.uris) > 0 {
		g.granted["resourceSubscriptions"] = g.uris
	}
}

// acknowledge says once what was granted: what the servers did, and that lists
// may change, since servers come and go. Behind mu.
func (g *gather) acknowledge() {
	if g.open || g.closed {
		return
	}
	g.open = true
	for name := range listChanges() {
		if string(lookup(g.req.Params, "notifications", name)) == "true" {
			g.granted[name] = true
		}
	}
	g.during(&mcp.Message{Method: "notifications/subscriptions/acknowledged",
		Params: marshal(map[string]any{"notifications": g.granted, "_meta": map[string]any{subscriptionID: g.req.ID}})})
	for _, n := range g.waiting {
		g.during(n)
	}
	g.waiting = nil
}
