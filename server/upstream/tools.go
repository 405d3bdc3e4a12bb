package upstream

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"paygate/server/mcp"
)

// listTools asks the server for its tools over the main link.
func (s *server) listTools(ctx context.Context) ([]json.RawMessage, error) {
	m, err := s.await(ctx)
	if err != nil {
		return nil, err
	}
	tools, err := s.toolsOf(ctx, m)
	if err == nil {
		s.mu.Lock()
		s.tools = namesOf(tools)
		s.mu.Unlock()
	}
	return tools, err
}

func namesOf(tools []json.RawMessage) map[string]struct{} {
	names := make(map[string]struct{}, len(tools))
	for _, tool := range tools {
		names[text(tool, "name")] = struct{}{}
	}
	return names
}

// learning is how long a list of tools may take that is read because a call
// came before it was known.
const learning = 5 * time.Second

// Lacks says that no server has a tool of this name, as far as their lists
// tell. One that has not been read yet is read; where it cannot be, nothing is
// known.
func (s *Servers) Lacks(ctx context.Context, name string) bool {
	srv := s.only()
	if srv == nil {
		var err error
		if srv, name, err = s.split(name); err != nil {
			return true
		}
	}
	srv.mu.Lock()
	tools := srv.tools
	srv.mu.Unlock()
	if tools == nil {
		ctx, stop := context.WithTimeout(ctx, learning)
		defer stop()
		read, err := srv.listTools(ctx)
		if err != nil {
			return false
		}
		tools = namesOf(read)
	}
	_, has := tools[name]
	return !has
}

// only is the server that stands alone, without a prefix.
func (s *Servers) only() *server {
	if list := s.servers(); len(list) == 1 && list[0].spec.Prefix == "" {
		return list[0]
	}
	return nil
}

func (s *server) toolsOf(ctx context.Context, m *main) ([]json.RawMessage, error) {
	v := newView(m.link, nil, nil)
	if v == nil {
		return nil, ErrEnded
	}
	v.greeted = true
	defer v.end()
	var tools []json.RawMessage
	cursor := ""
	for range s.opt.Limits.ListPages {
		res, err := v.Call(ctx, &mcp.Message{ID: json.RawMessage("1"), Method: "tools/list", Params: s.page(m, cursor)}, nil)
		if err != nil {
			return nil, err
		}
		if res.Error != nil {
			return nil, fmt.Errorf("%s: tools/list: %w", s.spec.label(), res.Error)
		}
		var page struct {
			Tools  []json.RawMessage `json:"tools"`
			Cursor string            `json:"nextCursor"`
		}
		if err := json.Unmarshal(res.Result, &page); err != nil {
			return nil, fmt.Errorf("%s: tools/list: the answer is no list of tools: %w", s.spec.label(), err)
		}
		tools = append(tools, page.Tools...)
		if cursor = page.Cursor; cursor == "" {
			break
		}
	}
	return tools, nil
}

// subscribe listens for changes on a modern link, for as long as it lives. A
// server that does not offer it tells nothing, and that is all.
func (s *server) subscribe(ctx context.Context, v *view, hear func(*mcp.Message)) {
	params := struct {
		Meta ownMeta         `json:"_meta"`
		Want map[string]bool `json:"notifications"`
	}{s.meta(), map[string]bool{"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true}}
	_, err := v.Call(ctx, &mcp.Message{ID: json.RawMessage(`"changes"`), Method: listen, Params: marshal(params)}, hear)
	if err != nil && ctx.Err() == nil {
		s.log.Debug("no news of changed lists", "error", err)
	}
}

// page is the params of a list request in the era of m.
func (s *server) page(m *main, cursor string) json.RawMessage {
	p := struct {
		Meta   *ownMeta `json:"_meta,omitempty"`
		Cursor string   `json:"cursor,omitempty"`
	}{Cursor: cursor}
	if m.modern {
		meta := s.meta()
		p.Meta = &meta
	}
	return marshal(p)
}

// count counts the tools, and again whenever the server says that they
// changed.
func (s *server) count(ctx context.Context, m *main) {
	changed := make(chan struct{}, 1)
	changed <- struct{}{}
	hear := func(n *mcp.Message) {
		if strings.HasSuffix(n.Method, "/list_changed") {
			s.ring(s, n.Method)
		}
		if n.Method == "notifications/tools/list_changed" {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}
	v := newView(m.link, nil, hear)
	if v == nil {
		return
	}
	defer func() { _ = v.Close() }()
	v.greeted = true
	if m.modern {
		s.loops.Go(func() { s.subscribe(ctx, v, hear) })
	}
	for {
		select {
		case <-changed:
		case <-v.Done():
			return
		case <-ctx.Done():
			return
		}
		each, stop := context.WithTimeout(ctx, time.Minute)
		if tools, err := s.toolsOf(each, m); err == nil {
			s.mu.Lock()
			s.tools = namesOf(tools)
			s.mu.Unlock()
		}
		stop()
	}
}
