package fake

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Resources, prompts, completion, logs and subscriptions.

const pageSize = 2

// page cuts the part of a list that a request asks for.
func page[T any](m *message, name string, all []T) map[string]any {
	var p struct {
		Cursor string `json:"cursor"`
	}
	_ = json.Unmarshal(m.Params, &p)
	from, _ := strconv.Atoi(strings.TrimPrefix(p.Cursor, "from "))
	to := min(from+pageSize, len(all))
	out := map[string]any{name: all[min(from, to):to]}
	if to < len(all) {
		out["nextCursor"] = fmt.Sprint("from ", to)
	}
	return out
}

// finish adds what the new era wants in a result.
func (s *server) finish(m *message, result map[string]any, cached bool) {
	if s.newEra(m) {
		result["resultType"] = "complete"
		if cached {
			result["ttlMs"], result["cacheScope"] = 1000, "public"
		}
	}
	s.answer(m, result)
}

func (s *server) feature(m *message) bool {
	var p struct {
		URI      string            `json:"uri"`
		Name     string            `json:"name"`
		Level    string            `json:"level"`
		Args     map[string]string `json:"arguments"`
		Argument struct{ Value string }
	}
	_ = json.Unmarshal(m.Params, &p)
	switch m.Method {
	case "resources/list":
		var all []map[string]any
		for _, name := range []string{"a", "b", "c"} {
			all = append(all, map[string]any{"uri": "fake://" + name, "name": name})
		}
		s.finish(m, page(m, "resources", all), true)
	case "resources/templates/list":
		s.finish(m, map[string]any{"resourceTemplates": []any{map[string]any{"uriTemplate": "fake://item/{id}", "name": "item"}}}, true)
	case "resources/read":
		s.read(m, p.URI)
	case "prompts/list":
		s.finish(m, page(m, "prompts", []map[string]any{{"name": "greet"}, {"name": "thank"}, {"name": "leave"}}), true)
	case "prompts/get":
		s.finish(m, map[string]any{"messages": []any{map[string]any{"role": "user", "content": map[string]any{"type": "text", "text": p.Name + " " + p.Args["who"]}}}}, false)
	case "completion/complete":
		found := slices.DeleteFunc([]string{"ada", "alan", "grace"}, func(name string) bool { return !strings.HasPrefix(name, p.Argument.Value) })
		s.finish(m, map[string]any{"completion": map[string]any{"values": found}}, false)
	case "logging/setLevel", "resources/subscribe", "resources/unsubscribe":
		if s.is("modern") {
			return false
		}
		s.settle(m, p.Level, p.URI)
	default:
		return false
	}
	return true
}

func (s *server) read(m *message, uri string) {
	if !strings.HasPrefix(uri, "fake://") {
		code := -32002
		if s.newEra(m) {
			code = -32602
		}
		s.fail(m, code, "no resource "+uri, map[string]any{"uri": uri})
		return
	}
	s.finish(m, map[string]any{"contents": []any{map[string]any{"uri": uri, "text": "the text of " + uri}}}, true)
}

// settle keeps what a client of the old era sets once for its session.
func (s *server) settle(m *message, level, uri string) {
	s.mu.Lock()
	if m.Method == "logging/setLevel" {
		s.level = level
	} else {
		s.subs = append(s.subs, strings.TrimPrefix(m.Method, "resources/")+" "+uri)
	}
	s.mu.Unlock()
	s.answer(m, map[string]any{})
}

var severities = []string{"debug", "info", "notice", "warning", "error"}

// log sends a log line during a request, if its client wants to hear it.
func (s *server) log(m *message, level, text string) {
	want := metaOf(m).Level
	s.mu.Lock()
	if !s.is("modern") && s.era == "legacy" {
		if want = s.level; want == "" {
			want = "debug"
		}
	}
	s.mu.Unlock()
	if want != "" && slices.Index(severities, level) >= slices.Index(severities, want) {
		s.tell(m, "notifications/message", map[string]any{"level": level, "data": text})
	}
}

// listening is a subscriptions/listen that is open.
type listening struct {
	request *message
	want    map[string]any
}

// publish sends a notification that belongs to no call: in the new era on the
// subscriptions that are open.
func (s *server) publish(method string, params map[string]any) {
	s.mu.Lock()
	modern, listens := s.era == "modern" || s.is("modern"), slices.Clone(s.listens)
	watched := false
	for _, sub := range s.subs {
		what, uri, _ := strings.Cut(sub, " ")
		if uri == params["uri"] {
			watched = what == "subscribe"
		}
	}
	s.mu.Unlock()
	if !modern {
		if method != "notifications/resources/updated" || watched {
			s.tell(nil, method, params)
		}
		return
	}
	for _, l := range listens {
		mine := map[string]any{"_meta": map[string]any{"io.modelcontextprotocol/subscriptionId": l.request.ID}}
		for name, value := range params {
			mine[name] = value
		}
		if l.wants(method, params) {
			s.tell(l.request, method, mine)
		}
	}
}

func (l listening) wants(method string, params map[string]any) bool {
	flags := map[string]string{"notifications/tools/list_changed": "toolsListChanged", "notifications/prompts/list_changed": "promptsListChanged", "notifications/resources/list_changed": "resourcesListChanged"}
	if flag := flags[method]; flag != "" {
		return l.want[flag] == true
	}
	uris, _ := l.want["resourceSubscriptions"].([]any)
	return method != "notifications/resources/updated" || slices.Contains(uris, params["uri"])
}

// listen keeps, on stdio, one subscription a process, as the Go SDK does: a
// second one silences the first.
func (s *server) listen(ctx context.Context, m *message) {
	var p struct {
		Want map[string]any `json:"notifications"`
	}
	_ = json.Unmarshal(m.Params, &p)
	s.mu.Lock()
	if s.route == nil {
		s.listens = nil
	}
	s.listens = append(s.listens, listening{m, p.Want})
	s.mu.Unlock()
	s.tell(m, "notifications/subscriptions/acknowledged", map[string]any{"notifications": p.Want, "_meta": map[string]any{"io.modelcontextprotocol/subscriptionId": m.ID}})
	<-ctx.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listens = slices.DeleteFunc(s.listens, func(l listening) bool { return l.request == m })
}
