package server

import "context"

type statusIn struct {
	Namespace string `query:"namespace"`
}

// status is everything at a glance, as clients of the older gateway know it.
func (s *Server) status(ctx context.Context, in statusIn) (map[string]any, error) {
	use, err := s.reports.Totals(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	cfg, world := s.settings.Load(), s.world.Load()
	all, active := s.keys.Count()
	rows, truncated := s.keys.Rows(in.Namespace, 1000)
	out := map[string]any{"name": cfg.Name, "shadowMode": world.Way.Observe, "activeKeys": active, "eventCount": use.Events, "namespaces": s.keys.NamespaceSums(), "keys": rows,
		"config": map[string]any{"defaultCreditsPerCall": cfg.DefaultCredits, "globalRateLimitPerMin": cfg.GlobalRateLimit, "refundOnFailure": cfg.RefundOnFailure, "toolPricing": toolCredits(cfg), "webhookUrl": nil},
		"usage":  map[string]any{"totalCalls": use.Calls, "totalDenied": use.Denied, "totalCreditsSpent": use.Credits, "perTool": use.PerTool, "perKey": use.PerKey, "denyReasons": use.Reasons}}
	if in.Namespace != "" {
		out["filteredNamespace"] = in.Namespace
	}
	if truncated {
		out["keysTruncated"], out["totalKeyCount"] = true, all
	}
	return out, nil
}
