package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"paygate/server/api"
	"paygate/server/config"
	"paygate/server/keys"
	"paygate/server/upstream"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// operate are the routes that change how the gateway works.
func (s *Server) operate() []api.Route {
	return []api.Route{
		api.Handle("GET", "/config", api.Viewer, "Read the configuration, secrets masked", s.showConfig),
		api.Handle("POST", "/config/reload", api.Admin, "Read the configuration again", s.reload),
		api.Handle("GET", "/admin/mode", api.Viewer, "Read whether calls are charged", s.getMode),
		api.Handle("POST", "/admin/mode", api.Admin, "Charge calls, or only watch them (shadow mode)", s.postMode),
		api.Handle("GET", "/admin/prices", api.Viewer, "Read the live prices of all known tools", s.getPrices),
		api.Handle("POST", "/admin/prices", api.Admin, "Change prices", s.postPrices),
		api.Handle("GET", "/admin/servers", api.Viewer, "Read how the MCP servers are doing", s.listServers),
		api.Handle("POST", "/admin/servers", api.Admin, "Add an MCP server until the next restart", s.addServer).Created(),
		api.Handle("DELETE", "/admin/servers", api.Admin, "Remove an MCP server until the next restart", s.removeServer),
		api.Handle("POST", "/admin/servers/restart", api.Admin, "Restart an MCP server", s.restartServer),
		api.Handle("POST", "/admin/servers/drain", api.Admin, "Let an MCP server's calls finish, and send it no more", s.drainServer),
		api.Handle("GET", "/admin/servers/stderr", api.Viewer, "Read what an MCP server wrote to its standard error", s.serverStderr),
		api.Handle("GET", "/admin/backup", api.Admin, "Keys and balances as a snapshot, with hashes instead of secrets", s.snapshot),
		api.Handle("POST", "/admin/restore", api.Admin, "Make the keys of a snapshot", s.keys.Restore),
		api.RawRoute("GET", "/admin/backup/state", api.Admin, "Download a backup of the whole state", s.backup).As("application/zstd"),
	}
}

type modeIn struct {
	Mode string `json:"mode"`
}

func (s *Server) getMode(context.Context, api.None) (api.Mode, error) {
	out := api.Mode{Mode: modeName(s.world.Load().Way.Observe), Source: "file"}
	if s.settings.Load().ShadowMode != s.world.Load().Way.Observe {
		out.Source = "api"
	}
	def := s.world.Load().Way.Sheet.Default().PerCall
	s.book.Keys(func(id string, k ledger.Key) {
		if k.Available < max(1, def) {
			out.Broke++
		}
	})
	return out, nil
}

func (s *Server) postMode(ctx context.Context, in modeIn) (api.Mode, error) {
	if in.Mode != "live" && in.Mode != "shadow" {
		return api.Mode{}, api.BadRequest(`mode must be "live" or "shadow"`)
	}
	if err := s.SetMode(ctx, in.Mode == "shadow", api.ActorOf(ctx).ID); err != nil {
		return api.Mode{}, err
	}
	return s.getMode(ctx, api.None{})
}

type reloadOut struct {
	Reloaded    bool                `json:"reloaded"`
	Changed     []string            `json:"changed"`
	Skipped     []string            `json:"skipped"` // read only at start
	Diagnostics []config.Diagnostic `json:"diagnostics,omitempty"`
	Message     string              `json:"message"`
}

func (s *Server) reload(ctx context.Context, _ api.None) (reloadOut, error) {
	if s.opts.Static.File == "" || s.opts.Load == nil {
		return reloadOut{}, api.BadRequest("The gateway was started without a config file; there is nothing to read again")
	}
	changed, skipped, found, err := s.Reload(ctx, api.ActorOf(ctx).ID)
	if config.Failed(found) {
		return reloadOut{}, api.BadRequest("Config validation failed").With("diagnostics", found)
	}
	if err != nil {
		return reloadOut{}, err
	}
	return reloadOut{Reloaded: true, Changed: changed, Skipped: skipped, Diagnostics: found, Message: "Configuration reloaded"}, nil
}

type configOut struct {
	Config map[string]any `json:"config"`
}

// showConfig masks secrets, commands and arguments; URLs keep their host.
func (s *Server) showConfig(ctx context.Context, _ api.None) (configOut, error) {
	all := config.All{Static: s.opts.Static, Config: *s.settings.Load()}
	err := s.book.Apply(ctx, func(tx *ledger.Tx) error {
		return tx.Append(eventOf(ctx, "config.export", map[string]any{"requestId": api.ActorOf(ctx).Request}))
	})
	return configOut{all.Masked()}, err
}

type serversOut struct {
	Servers []api.Server `json:"servers"`
	Count   int          `json:"count"`
}

func (s *Server) listServers(context.Context, api.None) (serversOut, error) {
	list := s.serverList()
	return serversOut{list, len(list)}, nil
}

func (s *Server) serverList() []api.Server {
	out := []api.Server{}
	for _, st := range s.servers.Status() {
		row := api.Server{Prefix: st.Prefix, Transport: st.Transport, Target: st.Target, State: string(st.State), Since: latest(st.Since, s.started), Restarts: st.Restarts,
			LastError: st.LastError, Pids: st.Pids, Tools: st.Tools, InFlight: st.InFlight, Revision: st.Revision, P95: float64(st.P95) / float64(time.Millisecond)}
		if !st.NextTry.IsZero() {
			row.NextTry = &st.NextTry
		}
		out = append(out, row)
	}
	return out
}

func (s *Server) addServer(ctx context.Context, in api.ServerSpec) (serversOut, error) {
	spec := upstream.Spec{Prefix: in.Prefix, URL: in.URL, Env: in.Env, Dir: in.Cwd, Headers: in.Headers}
	if in.Command != "" {
		words, err := upstream.ParseCommand(in.Command)
		if err != nil {
			return serversOut{}, api.BadRequest("command: %v", err)
		}
		spec.Command, spec.Args = words[0], words[1:]
	}
	if err := upstream.FindCommand(spec); err != nil {
		return serversOut{}, api.BadRequest("%v", err)
	}
	if arg := (&config.Server{Args: spec.Args, Dir: spec.Dir}).Exposes(s.opts.Static.StateDir); arg != "" {
		return serversOut{}, api.BadRequest("its argument %q holds the gateway's state in %s: whoever calls the server could take the admin key; start the gateway with a --state-dir outside of it", arg, s.opts.Static.StateDir)
	}
	if err := s.servers.Add(spec); err != nil {
		return serversOut{}, api.BadRequest("%v", err)
	}
	return s.serverEvent(ctx, "server.added", in.Prefix)
}

type prefixIn struct {
	Prefix string `json:"prefix" query:"prefix"`
}

func (s *Server) removeServer(ctx context.Context, in prefixIn) (serversOut, error) {
	if err := s.servers.Remove(in.Prefix); err != nil {
		return serversOut{}, serverError(err)
	}
	return s.serverEvent(ctx, "server.removed", in.Prefix)
}

func (s *Server) restartServer(ctx context.Context, in prefixIn) (serversOut, error) {
	if err := s.servers.Restart(in.Prefix); err != nil {
		return serversOut{}, serverError(err)
	}
	return s.serverEvent(ctx, "server.restarted", in.Prefix)
}

func (s *Server) drainServer(ctx context.Context, in prefixIn) (serversOut, error) {
	if err := s.servers.Drain(ctx, in.Prefix); err != nil {
		return serversOut{}, serverError(err)
	}
	return s.serverEvent(ctx, "server.drained", in.Prefix)
}

func serverError(err error) error {
	if errors.Is(err, upstream.ErrUnknownServer) {
		return api.NotFound("%v", err)
	}
	return err
}

func (s *Server) serverEvent(ctx context.Context, kind, prefix string) (serversOut, error) {
	err := s.book.Apply(ctx, func(tx *ledger.Tx) error {
		return tx.Append(eventOf(ctx, kind, map[string]any{"prefix": prefix}))
	})
	if err != nil {
		return serversOut{}, err
	}
	return s.listServers(ctx, api.None{})
}

type linesOut struct {
	Lines []api.LogLine `json:"lines"`
}

func (s *Server) serverStderr(_ context.Context, in prefixIn) (linesOut, error) {
	lines, err := s.servers.Stderr(in.Prefix)
	if err != nil {
		return linesOut{}, serverError(err)
	}
	out := linesOut{Lines: []api.LogLine{}}
	for _, l := range lines {
		out.Lines = append(out.Lines, api.LogLine{At: l.At, Level: "info", Text: l.Text})
	}
	return out, nil
}

func (s *Server) snapshot(ctx context.Context, _ api.None) (keys.Snapshot, error) {
	events, calls, err := s.reports.Counts(ctx)
	if err != nil {
		return keys.Snapshot{}, err
	}
	return s.keys.TakeSnapshot(ctx, s.opts.Version, map[string]int{"totalAuditEntries": events, "totalUsageEvents": calls})
}

// backup streams the whole state as it is at one moment.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) error {
	now := s.opts.Now().UTC()
	w.Header().Set("Content-Type", "application/zstd")
	w.Header().Set("Content-Disposition", `attachment; filename="paygate-`+now.Format("2006-01-02T150405Z")+`.backup"`)
	if err := s.book.DB().Backup(r.Context(), w); err != nil {
		s.opts.Log.Error("a backup broke off", "error", err)
		return nil
	}
	err := s.book.Apply(context.WithoutCancel(r.Context()), func(tx *ledger.Tx) error {
		return tx.Append(journal.Event{Type: "admin.backup_created", Actor: api.ActorOf(r.Context()).ID})
	})
	if err != nil {
		s.opts.Log.Warn("a backup could not be recorded", "error", err)
	}
	return nil
}

// latest is the later of two times: what a demo's made-up past began is not
// older than the process.
func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
