package server

import (
	"encoding/json"
	"net/http"
	"runtime"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/server/report"
	"paygate/store/journal"
)

// counters are the metrics that grow with events. They begin at 0 with the
// process, as Prometheus expects.
type counters struct {
	registry                                 *prometheus.Registry
	lab                                      *prometheus.Registry // what candidates do; for admins only
	calls, charged, denied, limited, refunds *prometheus.CounterVec
	traffic                                  *traffic
	took                                     *prometheus.HistogramVec
	gate                                     prometheus.Histogram

	mu    sync.Mutex
	tools map[string]bool
}

// mostLabels bounds the label sets of a metric: tools beyond are "other".
const mostLabels = 5000

func newCounters(s *Server) *counters {
	c := &counters{registry: prometheus.NewRegistry(), lab: s.labRoutes.Metrics(), tools: map[string]bool{}}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		c.registry.MustRegister(v)
		return v
	}
	c.calls = vec("paygate_tool_calls_total", "Calls by tool and status (allowed, denied).", "tool", "status")
	c.charged = vec("paygate_credits_charged_total", "Credits charged by tool.", "tool")
	c.denied = vec("paygate_denials_total", "Calls refused by reason.", "reason")
	c.limited = vec("paygate_rate_limit_hits_total", "Calls refused by a rate limit, by tool.", "tool")
	c.refunds = vec("paygate_refunds_total", "Calls that failed and were not charged what they had promised, by tool.", "tool")
	c.traffic = newTraffic(vec("paygate_http_requests_total", "HTTP requests.", "method", "path", "status"))
	c.took = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "paygate_call_seconds", Help: "How long calls took, by outcome.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)}, []string{"outcome"})
	c.gate = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "paygate_gate_seconds", Help: "What the gateway itself added.", Buckets: prometheus.ExponentialBuckets(0.00005, 2, 14)})
	c.registry.MustRegister(c.took, c.gate)
	gauge := func(name, help string, value func() float64) {
		c.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("paygate_goroutines", "Goroutines of the gateway.", func() float64 { return float64(runtime.NumGoroutine()) })
	gauge("paygate_uptime_seconds", "Since start.", func() float64 { return s.opts.Now().Sub(s.started).Seconds() })
	gauge("paygate_active_keys_total", "Keys that are not revoked.", func() float64 { _, n := s.keys.Count(); return float64(n) })
	gauge("paygate_active_sessions_total", "MCP sessions.", func() float64 { return float64(s.endpoint.Sessions()) })
	gauge("paygate_total_credits_available", "Credits that can be spent.", func() float64 { return float64(s.book.Totals().Spendable) })
	gauge("paygate_admin_keys_total", "Admin keys that are not revoked.", func() float64 { return float64(s.keys.Admins()) })
	gauge("paygate_held_credits", "Credits promised to calls and reservations.", func() float64 { return float64(s.book.Totals().Held) })
	gauge("paygate_calls_in_flight", "Calls admitted and not ended.", func() float64 { return float64(s.book.Totals().Open) })
	return c
}

// event counts what has happened since start.
func (c *counters) event(e *journal.Event) {
	switch {
	case e.Call != nil:
		c.call(e.Call)
	case e.Type == journal.TypeDropped: // a flood of refusals, counted and not recorded one by one
		var byReason map[string]float64
		if json.Unmarshal(e.Data, &byReason) == nil {
			for reason, n := range byReason {
				c.denied.WithLabelValues(report.Identifier(reason)).Add(n)
			}
		}
	}
}

// call counts a call of the journal that has happened since start.
func (c *counters) call(call *journal.Call) {
	tool, status := c.tool(call.Tool), "allowed"
	if call.Outcome == pricing.Denied {
		status = "denied"
		if len(call.Findings) > 0 {
			reason := report.Identifier(call.Findings[0])
			c.denied.WithLabelValues(reason).Inc()
			if reason == "rate_limited" || reason == "tool_rate_limited" {
				c.limited.WithLabelValues(tool).Inc()
			}
		}
	}
	c.calls.WithLabelValues(tool, status).Inc()
	if call.Charged > 0 {
		c.charged.WithLabelValues(tool).Add(float64(call.Charged))
	}
	if (call.Outcome == pricing.Failed || call.Outcome == pricing.Lost) && call.Quote > 0 && call.Charged == 0 && !call.Observed {
		c.refunds.WithLabelValues(tool).Inc()
	}
	c.took.WithLabelValues(call.Outcome.String()).Observe(call.Took.Seconds())
	c.gate.Observe(call.Gate.Seconds())
}

func (c *counters) tool(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.tools[name] {
		if len(c.tools) >= mostLabels {
			return "other"
		}
		c.tools[name] = true
	}
	return name
}

// metrics serves them; it needs no key unless the configuration says so.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) error {
	admin := s.scraper(r)
	if s.settings.Load().MetricsNeedKey && !admin {
		return api.Unauthorized("Invalid admin key")
	}
	from := prometheus.Gatherers{s.counters.registry}
	if admin {
		from = append(from, s.counters.lab)
	}
	promhttp.HandlerFor(from, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	return nil
}

// scraper says whether a request for metrics comes with an admin key, in the
// header of ours or in the one that Prometheus sends.
func (s *Server) scraper(r *http.Request) bool {
	secret := r.Header.Get("X-Admin-Key")
	if secret == "" {
		secret = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	_, role, ok := s.keys.AdminKey(secret)
	return ok && role >= api.Viewer
}
