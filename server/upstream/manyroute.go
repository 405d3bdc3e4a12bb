package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"paygate/server/mcp"
)

// Call sends a request to the server that it is meant for, or asks all and
// merges what they say; see mcp.Conn.
func (m *many) Call(ctx context.Context, req *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	select {
	case <-m.gone:
		return nil, ErrEnded
	default:
	}
	switch req.Method {
	case "ping":
		return &mcp.Message{ID: req.ID, Result: json.RawMessage("{}")}, nil
	case "server/discover":
		known, sick := m.all.abouts(ctx)
		return &mcp.Message{ID: req.ID, Result: m.about(known, sick)}, nil
	case "tools/list", "prompts/list", "resources/list", "resources/templates/list", "tasks/list":
		return m.list(ctx, req)
	case "tools/call", "prompts/get":
		return m.named(ctx, req, during, "name")
	case "completion/complete":
		if uri := text(req.Params, "ref", "uri"); uri != "" {
			return m.byURI(ctx, uri, req, during)
		}
		return m.named(ctx, req, during, "ref", "name")
	case "resources/read", "resources/subscribe", "resources/unsubscribe":
		return m.byURI(ctx, text(req.Params, "uri"), req, during)
	case "tasks/get", "tasks/result", "tasks/update", "tasks/cancel":
		return m.task(ctx, req, during)
	case "logging/setLevel":
		return m.everywhere(ctx, req, "logging")
	case listen:
		return m.listenAll(ctx, req, during)
	}
	return nil, refuse(-32601, "method %q: with several servers behind prefixes, nothing says which one it is for", req.Method)
}

// named routes by a prefixed name, and sends it without the prefix.
func (m *many) named(ctx context.Context, req *mcp.Message, during func(*mcp.Message), path ...string) (*mcp.Message, error) {
	full := text(req.Params, path...)
	srv, name, err := m.all.split(full)
	if err != nil {
		return nil, err
	}
	sent := *req
	sent.Params, _ = splice(req.Params, marshal(name), path...)
	res, err := m.forward(ctx, srv, &sent, during)
	if err == nil && bytes.Contains(res.Result, []byte(`"taskId"`)) {
		if id := taskID(res.Result); id != "" {
			m.all.owners.set("task "+id, srv.spec.Prefix)
		}
	}
	return res, err
}

// split finds the server of a prefixed name.
func (s *Servers) split(full string) (*server, string, error) {
	prefix, name, found := strings.Cut(full, s.opt.Separator)
	var known []string
	for _, srv := range s.servers() {
		if found && srv.spec.Prefix == prefix {
			return srv, name, nil
		}
		known = append(known, srv.spec.Prefix+s.opt.Separator)
	}
	if !found {
		return nil, "", refuse(-32602, "%q: the name has no prefix; names begin with one of: %s", cut(full, 200), strings.Join(known, ", "))
	}
	return nil, "", refuse(-32602, "%q: no server has the prefix %q; names begin with one of: %s", cut(full, 200), cut(prefix, 100), strings.Join(known, ", "))
}

func taskID(result json.RawMessage) string {
	if id := text(result, "task", "taskId"); id != "" {
		return id
	}
	return text(result, "taskId")
}

// byURI routes by a resource's URI: to the server that has listed it, whose
// template it matches, or to whoever knows it.
func (m *many) byURI(ctx context.Context, uri string, req *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	owner := m.all.owners.of(uri)
	if owner == "\x00" && m.all.owners.ask(m.all.opt.Now()) {
		for _, method := range []string{"resources/list", "resources/templates/list"} {
			// What it teaches is in owners; what goes wrong here will again below.
			_, _ = m.list(ctx, &mcp.Message{ID: req.ID, Method: method, Params: m.bare(req)})
		}
		owner = m.all.owners.of(uri)
	}
	if srv, err := m.all.find(owner); err == nil {
		return m.forward(ctx, srv, req, during)
	}
	known, _ := m.all.abouts(ctx)
	var last *mcp.Message
	var lastErr error
	for _, k := range known {
		if !has(k.main.about.Result, "resources") {
			continue
		}
		res, err := m.forward(ctx, k.srv, req, during)
		if err == nil && (res.Error == nil || res.Error.Code != -32002 && res.Error.Code != -32602 && res.Error.Code != -32601) {
			m.all.owners.set(uri, k.srv.spec.Prefix)
			return res, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		if err == nil {
			last = res
		} else {
			lastErr = err
		}
	}
	switch {
	case last != nil:
		return last, nil
	case lastErr != nil:
		return nil, lastErr
	}
	return nil, refuse(-32602, "resource %q: no server has it", cut(uri, 200))
}

func (m *many) task(ctx context.Context, req *mcp.Message, during func(*mcp.Message)) (*mcp.Message, error) {
	id := text(req.Params, "taskId")
	if srv, err := m.all.find(m.all.owners.of("task " + id)); err == nil {
		return m.forward(ctx, srv, req, during)
	}
	known, _ := m.all.abouts(ctx) // begun before a restart of ours: whoever knows it has it
	for _, k := range known {
		res, err := m.forward(ctx, k.srv, &mcp.Message{ID: req.ID, Method: "tasks/get", Params: req.Params}, nil)
		if err == nil && res.Error == nil {
			m.all.owners.set("task "+id, k.srv.spec.Prefix)
			return m.forward(ctx, k.srv, req, during)
		}
	}
	return nil, refuse(-32602, "task %q: no server has it", cut(id, 200))
}

// bare is the params of a request about nothing but itself, as req's client
// would send it.
func (m *many) bare(req *mcp.Message) json.RawMessage {
	meta := lookup(req.Params, "_meta")
	if meta == nil || !m.modern {
		return json.RawMessage("{}")
	}
	return marshal(map[string]json.RawMessage{"_meta": meta})
}

// everywhere asks all servers that have a capability. It succeeds if one does.
func (m *many) everywhere(ctx context.Context, req *mcp.Message, capability string) (*mcp.Message, error) {
	known, _ := m.all.abouts(ctx)
	var mu sync.Mutex
	var wg sync.WaitGroup
	var good, bad *mcp.Message
	var errs []error
	for _, k := range known {
		if !has(k.main.about.Result, capability) {
			continue
		}
		wg.Go(func() {
			res, err := m.forward(ctx, k.srv, req, nil)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				errs = append(errs, err)
			case res.Error != nil:
				bad = res
			default:
				good = res
			}
		})
	}
	wg.Wait()
	switch {
	case good != nil:
		return good, nil
	case bad != nil:
		return bad, nil
	case len(errs) > 0:
		return nil, errors.Join(errs...)
	}
	return nil, refuse(-32601, "method %q: no server offers %s", req.Method, capability)
}

// owners remembers which server a resource or task is of. It is a memory, not
// a truth: what it forgets is found again by asking.
type owners struct {
	mu        sync.Mutex
	by        map[string]string
	templates map[string]string // by what stands before the first variable
	asked     time.Time
}

const maxOwners = 50_000

func (o *owners) set(what, prefix string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.by == nil || len(o.by) >= maxOwners {
		o.by = map[string]string{}
	}
	o.by[what] = prefix
}

// claim is set, unless another has it: who comes first in the configuration.
func (o *owners) claim(what, prefix string) {
	o.mu.Lock()
	_, taken := o.by[what]
	o.mu.Unlock()
	if !taken {
		o.set(what, prefix)
	}
}

// template remembers whose resources begin like a template.
func (o *owners) template(uri, prefix string) {
	head, _, _ := strings.Cut(uri, "{")
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.templates == nil || len(o.templates) >= 1000 {
		o.templates = map[string]string{}
	}
	if _, taken := o.templates[head]; !taken && head != "" {
		o.templates[head] = prefix
	}
}

// ask says whether it is time to have all lists read again.
func (o *owners) ask(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Sub(o.asked) < 10*time.Second {
		return false
	}
	o.asked = now
	return true
}

// of returns the prefix, or what is no prefix.
func (o *owners) of(what string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if prefix, ok := o.by[what]; ok {
		return prefix
	}
	best, owner := "", "\x00"
	for head, prefix := range o.templates {
		if strings.HasPrefix(what, head) && len(head) > len(best) {
			best, owner = head, prefix
		}
	}
	return owner
}
