package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"paygate/server/mcp"
)

// What a client has set once and for all is told again to a server whose
// process was started anew, and to one that was down when it was set.

// mostKept bounds the subscriptions that are told again, of one conversation.
const mostKept = 1000

// setting is a request that set something, and for which server.
type setting struct {
	prefix string // empty: for all
	req    *mcp.Message
}

// about is what a setting is about: a later one about the same takes its place.
func (s setting) about() string { return s.prefix + " " + text(s.req.Params, "uri") }

// keep remembers what a server has taken.
func (m *many) keep(srv *server, req *mcp.Message) {
	prefix := srv.spec.Prefix
	switch req.Method {
	case "logging/setLevel":
		prefix = ""
	case "resources/subscribe", "resources/unsubscribe":
	default:
		return
	}
	s := setting{prefix, &mcp.Message{ID: json.RawMessage(`"again"`), Method: req.Method, Params: bytes.Clone(req.Params)}}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settings = slices.DeleteFunc(m.settings, func(old setting) bool { return old.about() == s.about() })
	if req.Method != "resources/unsubscribe" && len(m.settings) < mostKept {
		m.settings = append(m.settings, s)
	}
}

// tell repeats to a new conversation with a server what was set for it. What
// it takes no more will be missing, as if it had not been set.
func (m *many) tell(ctx context.Context, srv *server, o *mcp.Opened) {
	m.mu.Lock()
	all := slices.Clone(m.settings)
	m.mu.Unlock()
	for _, s := range all {
		if s.prefix != "" && s.prefix != srv.spec.Prefix || s.prefix == "" && !has(o.Init.Result, "logging") {
			continue
		}
		if res, err := o.Call(ctx, s.req, nil); err != nil || res.Error != nil {
			m.all.opt.Log.Debug("a setting was not taken again", "server", srv.spec.Prefix, "method", s.req.Method)
		}
	}
}
