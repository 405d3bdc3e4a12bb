package upstream

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"

	"paygate/server/mcp"
)

// known is a server that is up.
type known struct {
	srv  *server
	main *main
}

// abouts says which servers are up, in the order of the configuration, and
// why the others are not. It waits for those that are starting, but not long.
func (s *Servers) abouts(ctx context.Context) ([]known, map[string]string) {
	ctx, stop := context.WithTimeout(ctx, s.opt.Limits.List)
	defer stop()
	list := s.servers()
	mains := make([]*main, len(list))
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	for i, srv := range list {
		wg.Go(func() { mains[i], errs[i] = srv.await(ctx) })
	}
	wg.Wait()
	var up []known
	sick := map[string]string{}
	for i, srv := range list {
		if errs[i] != nil {
			sick[srv.spec.Prefix] = errs[i].Error()
			continue
		}
		up = append(up, known{srv, mains[i]})
	}
	return up, sick
}

func joined(sick map[string]string) string {
	return strings.Join(slices.Sorted(maps.Values(sick)), "; ")
}

// has says whether a handshake's answer declares a capability.
func has(about json.RawMessage, capability string) bool {
	return lookup(about, "capabilities", capability) != nil
}

// about is the answer to initialize or server/discover for all servers.
func (m *many) about(up []known, sick map[string]string) json.RawMessage {
	opt := &m.all.opt
	self := info{opt.Name, opt.Version}
	var instructions []string
	for _, k := range up {
		if words := text(k.main.about.Result, "instructions"); words != "" {
			instructions = append(instructions, "["+k.srv.spec.Prefix+"] "+words)
		}
	}
	result := map[string]any{"capabilities": m.capabilities(up, sick)}
	if len(instructions) > 0 {
		result["instructions"] = strings.Join(instructions, "\n\n")
	}
	meta := map[string]any{}
	if len(sick) > 0 {
		meta[Unavailable] = sick
	}
	if m.modern {
		meta["io.modelcontextprotocol/serverInfo"] = self
		result["resultType"] = "complete"
		result["supportedVersions"] = []string{modernRevision}
		result["ttlMs"] = 0
		result["cacheScope"] = "private"
	} else {
		result["serverInfo"] = self
		result["protocolVersion"] = m.revision(up)
	}
	if len(meta) > 0 {
		result["_meta"] = meta
	}
	return marshal(result)
}

// revision is the newest of the old era that the client and all servers speak.
func (m *many) revision(up []known) string {
	result := marshal(map[string]string{"protocolVersion": legacyRevision})
	for _, k := range up {
		if r := k.main.revision(); r < text(result, "protocolVersion") {
			result = marshal(map[string]string{"protocolVersion": r})
		}
	}
	return text(agreed(result, m.dial.Init), "protocolVersion")
}

// capabilities is the union of what the servers can, so far as it stays true
// when they are one: what nothing can route is left out. Lists change when
// servers come and go, so they always say that they may.
func (m *many) capabilities(up []known, sick map[string]string) map[string]any {
	caps := map[string]any{"tools": map[string]any{"listChanged": true}}
	lists := []string{"prompts", "resources"}
	for _, name := range lists {
		if len(sick) > 0 { // nobody knows what they have; an empty list is true in any case
			caps[name] = map[string]any{"listChanged": true}
		}
	}
	for _, k := range up {
		declared := lookup(k.main.about.Result, "capabilities")
		for _, name := range lists {
			if lookup(declared, name) == nil {
				continue
			}
			c, _ := caps[name].(map[string]any)
			if c == nil {
				c = map[string]any{"listChanged": true}
				caps[name] = c
			}
			if string(lookup(declared, name, "subscribe")) == "true" {
				c["subscribe"] = true
			}
		}
		for _, name := range []string{"logging", "completions"} {
			if lookup(declared, name) != nil {
				caps[name] = map[string]any{}
			}
		}
		if tasks := lookup(declared, "tasks"); tasks != nil && !m.modern && !k.main.modern {
			caps["tasks"] = tasks
		}
		m.extensions(declared, caps)
	}
	return caps
}

// extensions adds the ones whose requests can be routed: tasks.
func (m *many) extensions(declared json.RawMessage, caps map[string]any) {
	const tasks = "io.modelcontextprotocol/tasks"
	if ext := lookup(declared, "extensions", tasks); ext != nil && m.modern {
		caps["extensions"] = map[string]any{tasks: ext}
	}
}

// listenAll opens a subscription with every server and puts them together:
// one acknowledgement, then what each of them tells.
func (m *many) listenAll(ctx context.Context, req *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	if during == nil {
		return nil, refuse(-32602, "%s: nobody listens", listen)
	}
	up, _ := m.all.abouts(ctx)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g := &gather{many: m, req: req, during: during, left: len(up), granted: map[string]any{}}
	ends := make(chan answer, len(up))
	for _, k := range up {
		go func() {
			res, err := m.forward(ctx, k.srv, m.share(req, k.srv), func(n *mcp.Message) { g.hear(k.srv, n) })
			g.hear(k.srv, nil)
			ends <- answer{res, err}
		}()
	}
	if len(up) == 0 {
		g.acknowledge()
	}
	open := len(up)
	for open > 0 {
		select {
		case <-ends: // one server ended or refused: the others go on
			open--
		case <-ctx.Done():
			return nil, &lostError{text: "the subscription was given up", cause: ctx.Err()}
		}
	}
	meta := map[string]any{"_meta": map[string]any{subscriptionID: req.ID}, "resultType": "complete"}
	return &mcp.Message{ID: req.ID, Result: marshal(meta)}, nil
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

// gather makes one acknowledgement of many.
type gather struct {
	many   *many
	req    *mcp.Message
	during func(*mcp.Message)

	mu      sync.Mutex
	left    int // servers that have not said anything yet
	heard   map[*server]bool
	uris    []string
	granted map[string]any
	waiting []*mcp.Message // came before the acknowledgement
	open    bool
}

// hear takes what a server said, or nil when it has ended.
func (g *gather) hear(srv *server, n *mcp.Message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.heard == nil {
		g.heard = map[*server]bool{}
	}
	ack := n != nil && n.Method == "notifications/subscriptions/acknowledged"
	if ack {
		g.add(n)
	}
	if (ack || n == nil) && !g.heard[srv] {
		g.heard[srv] = true
		if g.left--; g.left == 0 {
			g.acknowledge()
		}
	}
	switch {
	case ack || n == nil:
	case g.open:
		g.during(n)
	case len(g.waiting) < 100:
		g.waiting = append(g.waiting, n)
	}
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

func (g *gather) acknowledge() {
	g.open = true
	g.during(&mcp.Message{Method: "notifications/subscriptions/acknowledged",
		Params: marshal(map[string]any{"notifications": g.granted, "_meta": map[string]any{subscriptionID: g.req.ID}})})
	for _, n := range g.waiting {
		g.during(n)
	}
	g.waiting = nil
}
