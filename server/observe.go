package server

import "paygate/server/api"

// observe are the routes that tell what has happened.
func (s *Server) observe() []api.Route {
	return []api.Route{
		api.Handle("GET", "/status", api.Viewer, "Keys, prices and use at a glance", s.status).Any(),
		api.Handle("POST", "/requests/dry-run", api.Viewer, "What a call would be answered now", s.dryRun),
		api.Handle("POST", "/requests/dry-run/batch", api.Viewer, "What several calls together would be answered now", s.dryRunBatch),
		api.Handle("GET", "/tools/available", api.Viewer, "Which tools a key can call and afford", s.toolsAvailable),
		api.Handle("GET", "/admin/ledger/verify", api.Viewer, "How the last proof of the books ended", s.lastProof),
		api.Handle("POST", "/admin/ledger/verify", api.Viewer, "Prove the books now, beside the calls", s.verify),
		api.RawRoute("GET", "/admin/logs", api.Viewer, "The log, as JSON or as it grows", s.logLines).As("application/json", "text/event-stream"),
		api.Handle("POST", "/admin/prices/effect", api.Viewer, "What changed prices would have meant for the last hour", s.effect),
		api.RawRoute("GET", "/metrics", api.Public, "Metrics for Prometheus", s.metrics).As("text/plain").Any(),
		api.RawRoute("GET", "/openapi.json", api.Public, "This API, as OpenAPI 3.1", s.openapi).As("application/json").Any(),
	}
}
