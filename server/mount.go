package server

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"paygate/server/api"
)

// routes are every operation but /mcp.
func (s *Server) routes() []api.Route {
	return slices.Concat(s.keys.Routes(), s.reports.Routes(), s.feed.Routes(), s.dedup.Routes(), s.maintenance.Routes(), s.public(), s.operate(), s.observe(), s.labRoutes.Routes())
}

// mount gives every path its routes behind the front.
func (s *Server) mount() http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	nothing := s.counters.traffic.count("other", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.front.fail(w, r, api.NotFound("Not found"))
	}))
	e.HTTPErrorHandler = func(_ error, c echo.Context) { nothing.ServeHTTP(c.Response(), c.Request()) }
	byPath, order := map[string][]api.Route{}, []string{}
	for _, r := range s.routes() {
		if byPath[r.Path] == nil {
			order = append(order, r.Path)
		}
		byPath[r.Path] = append(byPath[r.Path], r)
	}
	for _, path := range order {
		e.Any(path, echo.WrapHandler(s.counters.traffic.count(path, s.front.serve(byPath[path]))))
	}
	agents := s.front.wrap(s.counters.traffic.count("/mcp", http.HandlerFunc(s.serveAgents)))
	others := s.front.wrap(e)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/mcp" {
			agents.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

// serveAgents is /mcp: nothing stands between the listener and the endpoint
// but the maintenance and the drain.
func (s *Server) serveAgents(w http.ResponseWriter, r *http.Request) {
	if message := s.world.Load().maintenance; message != "" {
		s.front.fail(w, r, api.Unavailable("%s", message))
		return
	}
	if s.draining.Load() {
		w.Header().Set("Connection", "close")
		s.front.fail(w, r, api.Unavailable("Server is shutting down"))
		return
	}
	s.endpoint.ServeHTTP(w, r)
}
