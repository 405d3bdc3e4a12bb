package server

import (
	"context"

	"paygate/server/api"
	"paygate/server/feature/access"
	"paygate/server/keys"
)

type availableIn struct {
	Key string `query:"key"`
}

type availableTool struct {
	Tool       string  `json:"tool"`
	Accessible bool    `json:"accessible"`
	CanAfford  bool    `json:"canAfford"`
	Credits    int64   `json:"creditsPerCall"`
	Reason     string  `json:"denyReason,omitempty"`
	Rate       rateOut `json:"rateLimit"`
}

func (s *Server) toolsAvailable(ctx context.Context, in availableIn) (map[string]any, error) {
	if in.Key == "" {
		return nil, api.BadRequest("Missing key")
	}
	id, ok := s.keys.Resolve(in.Key)
	if !ok {
		return map[string]any{"error": "invalid_api_key", "tools": []any{}, "totalTools": 0, "accessibleTools": 0}, nil
	}
	terms, have := s.keys.Terms(id), int64(s.book.Key(id).Available)
	out, accessible := []availableTool{}, 0
	w := s.world.Load()
	for _, name := range s.toolNames(ctx) {
		t := s.available(w, terms, name, have)
		if t.Accessible {
			accessible++
		}
		out = append(out, t)
	}
	return map[string]any{"key": s.keys.Masked(id), "creditsAvailable": have, "globalRateLimit": s.rate(id), "tools": out, "totalTools": len(out), "accessibleTools": accessible}, nil
}

func (s *Server) available(w *World, terms *keys.Terms, name string, have int64) availableTool {
	t := availableTool{Tool: name, Accessible: true, Credits: int64(w.prices.of(terms, s.opts.Now()).ToolFor(asker(terms, name)).PerCall)}
	t.CanAfford = have >= t.Credits
	switch access.Refusal(terms, name) {
	case "tool_not_allowed":
		t.Accessible, t.Reason = false, "not_in_allowed_list"
	case "tool_denied":
		t.Accessible, t.Reason = false, "denied_by_acl"
	}
	if limit := w.Config.Tools[name].RateLimit; limit > 0 {
		used, frees := s.book.Window(terms.ID, name)
		t.Rate = rateOut{Limit: limit, Used: used, Remaining: max(0, limit-used), ResetInMs: frees.Milliseconds()}
	}
	return t
}
