package server

import (
	"context"
	"net/http"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/server/config"
	"paygate/server/upstream"
)

// public are the routes that need no key.
func (s *Server) public() []api.Route {
	return []api.Route{
		api.Handle("GET", "/", api.Public, "What this gateway is and where its parts are", s.index).Any(),
		api.Handle("GET", "/health", api.Public, "Whether the gateway and its servers are well", s.health),
		api.RawRoute("GET", "/ready", api.Public, "Whether calls would be served now", s.ready).As("application/json").Any(),
		api.Handle("GET", "/info", api.Public, "How the gateway is set up", s.info),
		api.Handle("GET", "/pricing", api.Public, "What every tool costs", s.pricing).Any(),
		api.RawRoute("GET", "/robots.txt", api.Public, "Nothing here is for robots", s.robots).As("text/plain").Any(),
		api.Handle("GET", "/.well-known/mcp-payment", api.Public, "How calls are paid", s.payment).Any(),
		api.RawRoute("GET", "/.well-known/mcp.json", api.Public, "This server's card", s.card).As("application/json").Any(),
	}
}

type indexOut struct {
	Name           string            `json:"name"`
	Version        string            `json:"version"`
	ShadowMode     bool              `json:"shadowMode"`
	OAuth          bool              `json:"oauth"`
	Redis          bool              `json:"redis"`
	StripeCheckout bool              `json:"stripeCheckout"`
	Demo           bool              `json:"demo,omitempty"`
	Endpoints      map[string]string `json:"endpoints"`
}

// endpointNames are those that clients know and that a path alone does not give.
func endpointNames() map[string]string {
	return map[string]string{"GET /config": "configExport", "POST /admin/keys": "createAdminKey", "POST /keys": "createKey", "GET /keys/credit-history": "creditHistory",
		"POST /keys/reserve": "creditReservations", "POST /keys/alias": "keyAlias", "GET /keys/notes": "keyNotes", "GET /keys/stats": "keyStats", "GET /keys/usage": "keyUsage",
		"GET /keys": "listKeys", "GET /.well-known/mcp-payment": "mcpPayment", "GET /keys/quota-status": "quotaStatus", "GET /keys/rate-limit-status": "rateLimitStatus",
		"GET /requests": "requestLog", "GET /requests/export": "requestLogExport", "POST /keys/resume": "resumeKey", "POST /admin/keys/revoke": "revokeAdminKey",
		"POST /keys/revoke": "revokeKey", "POST /keys/rotate": "rotateKey", "POST /keys/search": "searchKeys", "POST /keys/acl": "setAcl", "POST /keys/expiry": "setExpiry",
		"POST /keys/ip": "setIpAllowlist", "POST /keys/quota": "setQuota", "POST /keys/tags": "setTags", "POST /keys/suspend": "suspendKey", "POST /topup": "topUp",
		"POST /keys/transfer": "transfer"}
}

// index names every path under the name that clients know it by.
func (s *Server) index(context.Context, api.None) (indexOut, error) {
	endpoints, known := map[string]string{"mcp": "POST /mcp"}, endpointNames()
	for _, r := range s.routes() {
		if name := known[r.Method+" "+r.Path]; name != "" {
			endpoints[name] = r.Method + " " + r.Path
		}
		name := endpointName(r.Path)
		if _, ok := endpoints[name]; !ok || r.Method == http.MethodGet {
			endpoints[name] = r.Method + " " + r.Path
		}
	}
	return indexOut{Name: s.settings.Load().Name, Version: s.opts.Version, ShadowMode: s.world.Load().Way.Observe, Demo: s.opts.Demo, Endpoints: endpoints}, nil
}

// endpointName turns /keys/credit-history into keysCreditHistory.
func endpointName(path string) string {
	var b strings.Builder
	for i, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '-' || r == '.' }) {
		if i > 0 {
			part = strings.ToUpper(part[:1]) + part[1:]
		}
		b.WriteString(part)
	}
	if b.Len() == 0 {
		return "index"
	}
	return b.String()
}

type healthOut struct {
	Status   string         `json:"status"`
	Uptime   int64          `json:"uptime"` // seconds
	Version  string         `json:"version"`
	InFlight int            `json:"inflight"`
	Mode     string         `json:"mode"`
	Servers  []serverHealth `json:"servers"`
	Books    string         `json:"books"` // "ok", or why they cannot be written
}

type serverHealth struct {
	Prefix string `json:"prefix"`
	State  string `json:"state"`
	Error  string `json:"error,omitempty"`
}

func (s *Server) health(context.Context, api.None) (healthOut, error) {
	w, totals := s.world.Load(), s.book.Totals()
	out := healthOut{Status: "healthy", Uptime: int64(s.opts.Now().Sub(s.started).Seconds()), Version: s.opts.Version, InFlight: totals.Open, Mode: modeName(w.Way.Observe), Books: "ok", Servers: []serverHealth{}}
	for _, st := range s.servers.Status() {
		out.Servers = append(out.Servers, serverHealth{st.Prefix, string(st.State), st.LastError})
		if st.State == upstream.Down || st.State == upstream.Slow {
			out.Status = "degraded"
		}
	}
	if s.book.Trouble() != nil {
		out.Status, out.Books = "degraded", "cannot be written (is the disk full?): new calls are refused until they can"
	}
	if w.maintenance != "" {
		out.Status = "maintenance"
	}
	if s.draining.Load() {
		out.Status = "draining"
	}
	return out, nil
}

func modeName(observe bool) string {
	if observe {
		return "shadow"
	}
	return "live"
}

type readyOut struct {
	Ready     bool            `json:"ready"`
	Timestamp time.Time       `json:"timestamp"`
	Checks    map[string]bool `json:"checks"`
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	connected := false
	for _, st := range s.servers.Status() {
		connected = connected || st.State == upstream.Ready || st.State == upstream.Slow
	}
	out := readyOut{Timestamp: s.opts.Now().UTC(), Checks: map[string]bool{"backendConnected": connected,
		"notDraining": !s.draining.Load(), "notMaintenance": s.world.Load().maintenance == "", "booksWritable": s.book.Trouble() == nil}}
	out.Ready = true
	for _, ok := range out.Checks {
		out.Ready = out.Ready && ok
	}
	status := http.StatusOK
	if !out.Ready {
		status = http.StatusServiceUnavailable
	}
	return api.WriteJSON(w, r, status, out)
}

// toolCredits is what a call of each tool with a price of its own costs.
func toolCredits(c *config.Config) map[string]any {
	out := map[string]any{}
	for name, t := range c.Tools {
		out[name] = map[string]any{"creditsPerCall": t.Price.PerCall}
	}
	return out
}

func (s *Server) info(context.Context, api.None) (map[string]any, error) {
	c, st := s.settings.Load(), s.opts.Static
	shown := !s.world.Load().Way.Observe || c.AnnouncePrices
	prices := map[string]any{}
	if shown {
		prices = map[string]any{"defaultCreditsPerCall": c.DefaultCredits, "toolPricing": toolCredits(c)}
	}
	transport := "stdio"
	if len(st.Servers) > 0 && st.Servers[0].URL != "" {
		transport = "http"
	}
	no := false
	return map[string]any{"name": c.Name, "version": s.opts.Version, "port": st.Port, "transport": transport, "auth": []string{"api_key"},
		"pricing": prices, "rateLimit": map[string]any{"globalPerMin": c.GlobalRateLimit},
		"serverLimits": map[string]any{"requestTimeoutMs": st.RequestTimeout.Milliseconds(), "headersTimeoutMs": st.HeaderTimeout.Milliseconds(),
			"keepAliveTimeoutMs": st.KeepAlive.Milliseconds(), "maxRequestsPerSocket": 0, "maxConnections": st.MaxConnections},
		"features": map[string]any{"shadowMode": s.world.Load().Way.Observe, "refundOnFailure": c.RefundOnFailure, "multiServer": len(s.servers.Status()) > 1,
			"quotas": true, "trustedProxies": len(c.TrustedProxies) > 0, "customHeaders": len(c.CustomHeaders) > 0, "corsRestricted": len(c.CORSOrigin) > 0,
			"alerts": no, "expiryScanner": no, "oauth": no, "plugins": no, "redis": no, "teams": no, "templates": no, "webhooks": no, "webhookFilters": no, "webhookSignatures": no},
		"endpoints": map[string]string{"mcp": "/mcp", "info": "/info", "health": "/health", "pricing": "/pricing", "status": "/status", "keys": "/keys",
			"audit": "/audit", "config": "/config", "metrics": "/metrics"}}, nil
}

type paymentOut struct {
	SpecVersion    string           `json:"specVersion"`
	ServerName     string           `json:"serverName"`
	BillingModel   string           `json:"billingModel"`
	Default        *pricing.Credits `json:"defaultCreditsPerCall"`
	RateLimit      int              `json:"globalRateLimitPerMin"`
	Quota          any              `json:"globalQuota"`
	PricingURL     string           `json:"pricingEndpoint"`
	ErrorCode      int              `json:"paymentErrorCode"`
	AuthMethods    []string         `json:"authMethods"`
	OAuthSupported bool             `json:"oauthSupported"`
	ShadowMode     bool             `json:"shadowMode"`
	X402           bool             `json:"x402Compatible"`
	ToolCount      int              `json:"toolCount"`
	FreeTools      int              `json:"freeToolCount"`
	Next           *nextDefault     `json:"nextPrices,omitempty"` // coming; /pricing has them by tool
}

// nextDefault says that other prices are coming.
type nextDefault struct {
	Sheet       string          `json:"sheet"`
	EffectiveAt time.Time       `json:"effectiveAt"`
	Default     pricing.Credits `json:"defaultCreditsPerCall"`
}

// payment says how calls are paid. In shadow mode it says only that it is
// shadow mode, so that agents behave as they would.
func (s *Server) payment(ctx context.Context, _ api.None) (paymentOut, error) {
	w := s.world.Load()
	out := paymentOut{SpecVersion: "1.0", ServerName: w.Config.Name, BillingModel: "credits", RateLimit: w.Config.GlobalRateLimit, PricingURL: "/pricing",
		ErrorCode: -32402, AuthMethods: []string{"X-API-Key", "Bearer"}, ShadowMode: w.Way.Observe, X402: true}
	if !w.announces() {
		out.BillingModel = "shadow"
		return out, nil
	}
	def := w.Way.Sheet.Default().PerCall
	out.Default = &def
	if q := w.Config.GlobalQuota; q.DailyCalls+q.MonthlyCalls+q.DailyCredits+q.MonthlyCredits > 0 {
		out.Quota = map[string]int64{"dailyCallLimit": q.DailyCalls, "monthlyCallLimit": q.MonthlyCalls, "dailyCreditLimit": q.DailyCredits, "monthlyCreditLimit": q.MonthlyCredits}
	}
	if next := w.nextPrices(nil, nil); next != nil {
		out.Next = &nextDefault{next.Sheet, next.EffectiveAt, next.Default}
	}
	for _, name := range s.toolNames(ctx) {
		out.ToolCount++
		if (w.Way.Sheet.Tool(name) == pricing.ToolPrice{}) {
			out.FreeTools++
		}
	}
	return out, nil
}

type toolPrice struct {
	Name     string          `json:"name"`
	PerCall  pricing.Credits `json:"creditsPerCall"`
	PerKBIn  pricing.Credits `json:"creditsPerKbInput"`
	PerKBOut pricing.Credits `json:"creditsPerKbOutput"`
	Free     bool            `json:"isFree"`
	Model    string          `json:"pricingModel"`
	Rate     int             `json:"rateLimitPerMin"`
}

type pricingOut struct {
	Server paymentOut  `json:"server"`
	Tools  []toolPrice `json:"tools"`
	Next   *nextOut    `json:"next,omitempty"` // prices that are coming
}

func (s *Server) pricing(ctx context.Context, _ api.None) (pricingOut, error) {
	w := s.world.Load()
	server, err := s.payment(ctx, api.None{})
	out := pricingOut{Server: server, Tools: []toolPrice{}}
	if err != nil || !w.announces() {
		return out, err
	}
	names := []string{}
	for _, name := range s.toolNames(ctx) {
		out.Tools = append(out.Tools, w.toolPrice(w.Way.Sheet.Tool(name), name))
		names = append(names, name)
	}
	out.Next = w.nextPrices(nil, names)
	return out, nil
}

func (s *Server) robots(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("User-agent: *\nDisallow: /\n"))
	return nil
}

func (s *Server) card(w http.ResponseWriter, r *http.Request) error {
	c, world := s.settings.Load(), s.world.Load()
	pay, err := s.payment(r.Context(), api.None{})
	if err != nil {
		return err
	}
	payment := map[string]any{"required": !world.Way.Observe, "model": pay.BillingModel, "currency": "credits", "x402Compatible": true, "toolCount": pay.ToolCount, "freeToolCount": pay.FreeTools}
	if pay.Default != nil {
		payment["defaultPrice"] = *pay.Default
	}
	w.Header().Set("Cache-Control", "public, max-age=3600")
	return api.WriteJSON(w, r, http.StatusOK, map[string]any{"name": c.Name, "version": s.opts.Version, "description": "MCP tools behind PayGate, priced per call",
		"protocol": "mcp", "transport": []string{"streamable-http"}, "auth": map[string]bool{"apiKey": true, "bearer": true, "oauth2": false},
		"capabilities": map[string]bool{"tools": true, "resources": true, "prompts": true, "elicitation": true, "tasks": true}, "payment": payment,
		"endpoints": map[string]string{"mcp": "/mcp", "pricing": "/pricing", "paymentMetadata": "/.well-known/mcp-payment", "health": "/health",
			"balance": "/balance", "metrics": "/metrics", "openapi": "/openapi.json"}, "links": map[string]string{}})
}
