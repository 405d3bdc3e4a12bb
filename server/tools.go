package server

import (
	"cmp"
	"context"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/server/feature/access"
	"paygate/server/keys"
	"paygate/store/journal"
)

type toolStatsIn struct {
	Tool  string `query:"tool"`
	Since string `query:"since"`
}

type toolStat struct {
	Tool        string  `json:"tool"`
	Calls       int     `json:"totalCalls"`
	Allowed     int     `json:"allowed"`
	Denied      int     `json:"denied"`
	SuccessRate float64 `json:"successRate"` // percent of calls that were allowed
	Credits     int64   `json:"totalCredits"`
	Duration    int64   `json:"avgDurationMs"`

	took    []time.Duration
	reasons map[string]int
	keys    map[string]*consumer
}

type consumer struct {
	Key     string `json:"key"`
	Calls   int    `json:"calls"`
	Credits int64  `json:"credits"`
}

func (t *toolStat) count(c *journal.Call, key string) {
	t.Calls++
	t.Credits += int64(c.Charged)
	t.took = append(t.took, c.Took)
	if c.Outcome == pricing.Denied {
		t.Denied++
		if len(c.Findings) > 0 {
			t.reasons[identifier(c.Findings[0])]++
		}
	} else {
		t.Allowed++
	}
	k := t.keys[key]
	if k == nil {
		k = &consumer{Key: key}
		t.keys[key] = k
	}
	k.Calls++
	k.Credits += int64(c.Charged)
}

func (t *toolStat) finish() {
	sum := time.Duration(0)
	for _, d := range t.took {
		sum += d
	}
	if t.Calls > 0 {
		t.Duration = (sum / time.Duration(t.Calls)).Milliseconds()
		t.SuccessRate = float64(int(10000*t.Allowed/t.Calls)) / 100
	}
	slices.Sort(t.took)
}

func (s *Server) toolStats(ctx context.Context, in toolStatsIn) (map[string]any, error) {
	since, tools := dateOr(in.Since, time.Time{}), map[string]*toolStat{}
	if err := s.book.Flush(ctx); err != nil {
		return nil, err
	}
	err := s.scanCalls(ctx, 0, func(e *journal.Event) bool {
		c := e.Call
		if c.At.Before(since) {
			return false
		}
		if in.Tool != "" && c.Tool != in.Tool {
			return true
		}
		t := tools[c.Tool]
		if t == nil {
			t = &toolStat{Tool: c.Tool, reasons: map[string]int{}, keys: map[string]*consumer{}}
			tools[c.Tool] = t
		}
		t.count(c, s.shownKey(c.Key))
		return true
	})
	if err != nil {
		return nil, err
	}
	if in.Tool != "" {
		t := tools[in.Tool]
		if t == nil {
			t = &toolStat{Tool: in.Tool, reasons: map[string]int{}}
		}
		t.finish()
		top := []consumer{}
		for _, k := range t.keys {
			top = append(top, *k)
		}
		slices.SortFunc(top, func(a, b consumer) int { return cmp.Or(b.Calls-a.Calls, cmp.Compare(a.Key, b.Key)) })
		p95 := int64(0)
		if n := len(t.took); n > 0 {
			p95 = t.took[min(n-1, (n*95+99)/100-1)].Milliseconds()
		}
		return map[string]any{"tool": t.Tool, "totalCalls": t.Calls, "allowed": t.Allowed, "denied": t.Denied, "successRate": t.SuccessRate, "totalCredits": t.Credits,
			"avgDurationMs": t.Duration, "p95DurationMs": p95, "denyReasons": t.reasons, "topConsumers": top[:min(len(top), 10)]}, nil
	}
	list := []*toolStat{}
	for _, t := range tools {
		t.finish()
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b *toolStat) int { return cmp.Or(b.Calls-a.Calls, cmp.Compare(a.Tool, b.Tool)) })
	return map[string]any{"totalTools": len(list), "tools": list}, nil
}

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
	return map[string]any{"key": s.shownKey(id), "creditsAvailable": have, "globalRateLimit": s.rate(id), "tools": out, "totalTools": len(out), "accessibleTools": accessible}, nil
}

func (s *Server) available(w *World, terms *keys.Terms, name string, have int64) availableTool {
	t := availableTool{Tool: name, Accessible: true, Credits: int64(w.Way.Sheet.Tool(name).PerCall)}
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

type statusIn struct {
	Namespace string `query:"namespace"`
}

// status is everything at a glance, as clients of the older gateway know it.
func (s *Server) status(ctx context.Context, in statusIn) (map[string]any, error) {
	if err := s.book.Flush(ctx); err != nil {
		return nil, err
	}
	type use struct {
		Calls   int   `json:"calls"`
		Credits int64 `json:"credits"`
		Denied  int   `json:"denied"`
	}
	perTool, perKey, reasons := map[string]*use{}, map[string]*use{}, map[string]int{}
	total, events := use{}, 0
	at := func(m map[string]*use, name string) *use {
		if m[name] == nil {
			m[name] = &use{}
		}
		return m[name]
	}
	err := s.scanCalls(ctx, 0, func(e *journal.Event) bool {
		c := e.Call
		events++
		k := s.keys.Get(c.Key)
		if in.Namespace != "" && (k == nil || k.Namespace != in.Namespace) {
			return true
		}
		name := "none"
		if k != nil {
			name = k.Name
		}
		for _, u := range []*use{&total, at(perTool, c.Tool), at(perKey, name)} {
			u.Credits += int64(c.Charged)
			if c.Outcome == pricing.Denied {
				u.Denied++
			} else {
				u.Calls++
			}
		}
		if c.Outcome == pricing.Denied && len(c.Findings) > 0 {
			reasons[c.Findings[0]]++
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	cfg, world := s.settings.Load(), s.world.Load()
	all, active := s.keys.Count()
	rows, truncated := s.keys.Rows(in.Namespace, 1000)
	out := map[string]any{"name": cfg.Name, "shadowMode": world.Way.Observe, "activeKeys": active, "eventCount": events, "namespaces": s.keys.NamespaceSums(), "keys": rows,
		"config": map[string]any{"defaultCreditsPerCall": cfg.DefaultCredits, "globalRateLimitPerMin": cfg.GlobalRateLimit, "refundOnFailure": cfg.RefundOnFailure, "toolPricing": toolCredits(cfg), "webhookUrl": nil},
		"usage":  map[string]any{"totalCalls": total.Calls, "totalDenied": total.Denied, "totalCreditsSpent": total.Credits, "perTool": perTool, "perKey": perKey, "denyReasons": reasons}}
	if in.Namespace != "" {
		out["filteredNamespace"] = in.Namespace
	}
	if truncated {
		out["keysTruncated"], out["totalKeyCount"] = true, all
	}
	return out, nil
}
