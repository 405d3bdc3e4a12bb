package server

import (
	"cmp"
	"context"
	"encoding/json"

	"paygate/server/api"
	"paygate/server/gate"
)

type dryRunIn struct {
	Key       string          `json:"key"`
	Tool      string          `json:"tool"`
	Arguments json.RawMessage `json:"arguments"`
}

type rateOut struct {
	Limit     int   `json:"limit"`
	Used      int   `json:"used"`
	Remaining int   `json:"remaining"`
	ResetInMs int64 `json:"resetInMs"`
}

type dryRunOut struct {
	Allowed   bool     `json:"allowed"`
	Reason    string   `json:"reason,omitempty"`
	Reasons   []string `json:"reasons"` // of every failing check
	Tool      string   `json:"tool"`
	Required  int64    `json:"creditsRequired"`
	Available int64    `json:"creditsAvailable"`
	After     int64    `json:"creditsAfter"`
	Rate      rateOut  `json:"rateLimit"`
}

// askCall is a call that is only asked about, with all the checks of a real one
// but where it comes from.
func (s *Server) askCall(id, tool string, args json.RawMessage) *gate.Call {
	t := s.keys.Terms(id)
	c := &gate.Call{Terms: t, Args: args, Header: func(string) string { return "" }}
	if k := s.keys.Get(id); k == nil || k.Revoked {
		c.Terms, c.Refused = nil, "invalid_api_key"
	} else if !t.ExpiresAt.IsZero() && !s.opts.Now().Before(t.ExpiresAt) {
		c.Terms, c.Refused = nil, "api_key_expired"
	}
	c.ID, c.Tool, c.In, c.Key = s.callID(), tool, int64(len(args)), id
	c.Dims = s.world.Load().prices.dims.read(tool, args)
	if t != nil {
		c.Payer, c.Group, c.Plan, c.Tags = t.Payer, t.Group, t.Plan, t.Tags
	}
	return c
}

func (s *Server) dryRun(_ context.Context, in dryRunIn) (dryRunOut, error) {
	switch {
	case in.Key == "":
		return dryRunOut{}, api.BadRequest("Missing key")
	case in.Tool == "":
		return dryRunOut{}, api.BadRequest("Missing tool")
	}
	out := dryRunOut{Tool: in.Tool, Reasons: []string{}}
	id, ok := s.keys.Resolve(in.Key)
	if !ok {
		out.Reason, out.Reasons = "invalid_api_key", []string{"invalid_api_key"}
		return out, nil
	}
	c := s.askCall(id, in.Tool, in.Arguments)
	d, err := s.gate.Ask(&s.world.Load().Way, c)
	if err != nil {
		return out, err
	}
	out.Required, out.Available, out.Rate = int64(c.Quote), int64(s.book.Key(id).Available), s.rate(id)
	if out.Allowed = d == nil; !out.Allowed {
		out.Reason = d.Reason
	}
	for _, r := range c.Denials {
		out.Reasons = append(out.Reasons, r.Reason)
	}
	out.After = out.Available
	if out.Allowed {
		out.After -= out.Required
	}
	return out, nil
}

func (s *Server) rate(id string) rateOut {
	limit := s.settings.Load().GlobalRateLimit
	if t := s.keys.Terms(id); t != nil {
		limit = t.PerMinute(limit)
	}
	used, frees := s.book.Window(id, "")
	return rateOut{Limit: limit, Used: used, Remaining: max(0, limit-used), ResetInMs: frees.Milliseconds()}
}

type dryBatchIn struct {
	Key   string `json:"key"`
	Tools []struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"tools"`
}

type dryBatchItem struct {
	Tool     string `json:"tool"`
	Allowed  bool   `json:"allowed"`
	Reason   string `json:"reason,omitempty"`
	Required int64  `json:"creditsRequired"`
}

type dryBatchOut struct {
	AllAllowed bool           `json:"allAllowed"`
	Reason     string         `json:"reason,omitempty"`
	Total      int64          `json:"totalCreditsRequired"`
	Available  int64          `json:"creditsAvailable"`
	After      int64          `json:"creditsAfter"`
	Rate       rateOut        `json:"rateLimit"`
	Results    []dryBatchItem `json:"results"`
}

func (s *Server) dryRunBatch(_ context.Context, in dryBatchIn) (dryBatchOut, error) {
	if in.Key == "" {
		return dryBatchOut{}, api.BadRequest("Missing key")
	}
	if len(in.Tools) == 0 || len(in.Tools) > mostInBatch {
		return dryBatchOut{}, api.BadRequest("tools must be a list of 1 to %d tools", mostInBatch)
	}
	out := dryBatchOut{AllAllowed: true, Results: []dryBatchItem{}}
	id, ok := s.keys.Resolve(in.Key)
	calls := make([]*gate.Call, len(in.Tools))
	for i, t := range in.Tools {
		if t.Name == "" {
			return out, api.BadRequest("tools[%d] missing name", i)
		}
		calls[i] = s.askCall(id, t.Name, t.Arguments)
	}
	if !ok {
		out.AllAllowed, out.Reason = false, "invalid_api_key"
		return out, nil
	}
	if err := s.gate.AskAll(&s.world.Load().Way, calls); err != nil {
		return out, err
	}
	for _, c := range calls {
		item := dryBatchItem{Tool: c.Tool, Allowed: len(c.Denials) == 0, Required: int64(c.Quote)}
		if !item.Allowed {
			item.Reason, out.AllAllowed = c.First().Reason, false
			out.Reason = cmp.Or(out.Reason, item.Reason)
		}
		out.Total += item.Required
		out.Results = append(out.Results, item)
	}
	out.Available, out.Rate = int64(s.book.Key(id).Available), s.rate(id)
	if out.After = out.Available; out.AllAllowed {
		out.After -= out.Total
	}
	return out, nil
}
