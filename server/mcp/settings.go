package mcp

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/tidwall/gjson"
)

// settings are what a legacy client has told its server once and for all: a
// conversation that is begun again, because a process has ended on either side
// of it, is told it anew.
type settings struct {
	level *Message            // the last logging/setLevel
	subs  map[string]*Message // resources/subscribe, by URI
}

// mostSubs bounds what of a client's subscriptions outlives a conversation.
const mostSubs = 1000

// setting says whether a request sets something for its session.
func setting(method string) bool {
	return method == "logging/setLevel" || method == "resources/subscribe" || method == "resources/unsubscribe"
}

// keep remembers a setting that the server has taken.
func (k *settings) keep(m *Message) {
	uri := gjson.GetBytes(m.Params, "uri").Str
	m = &Message{ID: m.ID, Method: m.Method, Params: bytes.Clone(m.Params)} // not the whole body that it came in
	switch m.Method {
	case "logging/setLevel":
		k.level = m
	case "resources/subscribe":
		if k.subs == nil {
			k.subs = map[string]*Message{}
		}
		if len(k.subs) < mostSubs {
			k.subs[uri] = m
		}
	case "resources/unsubscribe":
		delete(k.subs, uri)
	}
}

// all are the requests that say it again.
func (k *settings) all() []*Message {
	var all []*Message
	if k.level != nil {
		all = append(all, k.level)
	}
	for _, m := range k.subs {
		all = append(all, m)
	}
	return all
}

// append writes an initialize request and what was set after it, as Parse reads
// them again.
func (k *settings) append(init *Message) []byte {
	all := k.all()
	if len(all) == 0 {
		return init.Append(nil)
	}
	text := init.Append([]byte{'['})
	for _, m := range all {
		text = m.Append(append(text, ','))
	}
	return append(text, ']')
}

// set notes what the client has set.
func (s *session) set(m *Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings.keep(m)
	s.save()
}

// tell repeats the settings on a new conversation. A server that takes them no
// more ends nothing: what it announces will be missing, as if it had not.
func (s *session) tell(ctx context.Context, conn Conn, all []*Message) {
	for i, m := range all {
		again := *m
		again.ID = json.RawMessage(`"again"`)
		if res, err := conn.Call(ctx, &again, nil); err != nil || res.Error != nil {
			s.e.log.Debug("a setting was not taken again", "session", s.id, "setting", i, "method", m.Method)
		}
	}
}
