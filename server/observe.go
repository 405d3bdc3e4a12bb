package server

import "paygate/server/api"

// observe are the routes that tell what has happened.
func (s *Server) observe() []api.Route {
	return []api.Route{
		api.Handle("GET", "/status", api.Viewer, "Keys, prices and use at a glance", s.status),
		api.RawRoute("GET", "/usage", api.Viewer, "Every call, as JSON or CSV", s.usage),
		api.Handle("GET", "/requests", api.Viewer, "The request log, newest first", s.requests),
		api.RawRoute("GET", "/requests/export", api.Viewer, "The request log as JSON or CSV", s.exportRequests),
		api.Handle("POST", "/requests/dry-run", api.Viewer, "What a call would be answered now", s.dryRun),
		api.Handle("POST", "/requests/dry-run/batch", api.Viewer, "What several calls together would be answered now", s.dryRunBatch),
		api.Handle("GET", "/tools/stats", api.Viewer, "How tools are used", s.toolStats),
		api.Handle("GET", "/tools/available", api.Viewer, "Which tools a key can call and afford", s.toolsAvailable),
		api.Handle("GET", "/audit", api.Viewer, "The audit trail, newest first", s.audit),
		api.RawRoute("GET", "/audit/export", api.Viewer, "The audit trail as JSON or CSV", s.exportAudit),
		api.Handle("GET", "/audit/stats", api.Viewer, "How much of what the audit trail holds", s.auditStats),
		api.RawRoute("GET", "/admin/events", api.Viewer, "The audit trail as it grows (server-sent events)", s.auditEvents),
		api.RawRoute("GET", "/admin/live", api.Viewer, "What happens now (server-sent events)", s.live),
		api.Handle("GET", "/admin/calls", api.Viewer, "Calls, newest first, filtered", s.calls),
		api.Handle("GET", "/admin/calls/:id", api.Viewer, "One call in full", s.callDetail),
		api.Handle("GET", "/admin/ledger", api.Viewer, "Entries of the ledger, newest first", s.ledger),
		api.Handle("GET", "/admin/ledger/verify", api.Viewer, "How the last proof of the books ended", s.lastProof),
		api.Handle("POST", "/admin/ledger/verify", api.Viewer, "Prove the books now, beside the calls", s.verify),
		api.RawRoute("GET", "/admin/logs", api.Viewer, "The log, as JSON or as it grows", s.logLines),
		api.Handle("GET", "/admin/keys/use", api.Viewer, "Balance and use of one key over time", s.keyUse),
		api.Handle("POST", "/admin/prices/effect", api.Viewer, "What changed prices would have meant for the last hour", s.effect),
		api.RawRoute("GET", "/metrics", api.Public, "Metrics for Prometheus", s.metrics),
		api.RawRoute("GET", "/openapi.json", api.Public, "This API, as OpenAPI 3.1", s.openapi),
	}
}
