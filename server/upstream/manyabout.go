package upstream

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// known is a server that is up.
type known struct {
	srv  *server
	main *main
}

// abouts says which servers are up, in the order of the configuration, and
// why the others are not. It waits for those that are starting, but not long.
func (s *Servers) abouts(ctx context.Context) ([]known, map[string]string) {
	list := s.servers()
	mains := make([]*main, len(list))
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	for i, srv := range list {
		wg.Go(func() {
			ctx, stop := context.WithTimeout(ctx, srv.patience(""))
			defer stop()
			mains[i], errs[i] = srv.await(ctx)
		})
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

// patience is how long what all servers answer together waits for this one; the
// method is that of a list, or empty for the handshake.
func (s *server) patience(method string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.opt.Limits.List
	late, ok := s.late[method]
	if ok && s.opt.Now().Before(late.until) || s.state != Ready && s.opt.Now().Sub(s.since) > most {
		return most / 10
	}
	return most
}

// lateness is a list that the server was too slow for: why, and until when
// nobody waits for it as long again.
type lateness struct {
	why   string
	until time.Time
}

// notAgain is how long a slow server is hardly waited for. Then it gets its
// time once more: it may have been slow only once.
const notAgain = 30 * time.Second

// tardy remembers that the server was too slow for a list, which waited so
// long, or that it was not: why is empty.
func (s *server) tardy(method, why string, waited time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case why == "":
		delete(s.late, method)
	case waited < s.opt.Limits.List: // that it did not make the short time either says nothing new
	default:
		if s.late == nil {
			s.late = map[string]lateness{}
		}
		s.late[method] = lateness{why, s.opt.Now().Add(notAgain)}
	}
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
