// Package server is the gateway: it puts the parts together, compiles them
// into a world that judges calls, and serves HTTP.
//
// way.go names what a call passes; world.go compiles and reloads; agents.go
// answers agents; front.go stands before the HTTP API. What a check does, how
// money moves, how a server is reached is in the packages below.
package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/server/config"
	"paygate/server/feature/dedup"
	"paygate/server/feature/live"
	"paygate/server/feature/maintenance"
	"paygate/server/gate"
	"paygate/server/keys"
	"paygate/server/lab"
	"paygate/server/lane"
	"paygate/server/mcp"
	"paygate/server/mcp/bridge"
	"paygate/server/report"
	"paygate/server/state"
	"paygate/server/upstream"
	"paygate/shadow"
	"paygate/store/ledger"
	"paygate/store/sheets"

	"golang.org/x/net/netutil"
)

// Options are what a Server needs from outside.
type Options struct {
	Static  config.Static
	Config  config.Config
	Load    func() (*config.All, []config.Diagnostic) // for a reload
	Now     func() time.Time
	Started time.Time // zero: now; a demo begins in the past
	Rand    io.Reader
	Log     *slog.Logger
	Logs    *Logs // what the log has said lately, for /admin/logs; nil: nothing
	Environ []string
	Version string
	AsLeft  bool // prices and mode stay as the state has them, whatever the configuration says
	Demo    bool // the data is made up; it is labelled wherever it shows
	// Fault is asked before every commit and its error fails it: a full disk in
	// tests. Nil never fails.
	Fault func() error
}

// Server is the gateway. Make it with New, serve with Run, end with Close.
type Server struct {
	opts        Options
	book        *ledger.Book
	keys        *keys.Directory
	servers     *upstream.Servers
	endpoint    *mcp.Endpoint
	tasks       *taskOwners
	gate        *gate.Gate
	front       *front
	others      *limiter // calls that are not charged
	follower    *live.Follower
	reports     *report.Reports
	rollup      *report.Rollup
	feed        *live.Feed
	counters    *counters
	dedup       *dedup.Dedup
	maintenance *maintenance.Maintenance
	runs        *runs
	lab         *shadow.Lab
	labRoutes   *lab.Lab
	document    func() ([]byte, error) // OpenAPI

	proving sync.Mutex
	proof   api.Proof // behind proving
	started time.Time
	handler http.Handler

	settings  atomic.Pointer[config.Config]
	world     atomic.Pointer[World]
	compiling sync.Mutex
	loops     sync.WaitGroup  // background readers
	ctx       context.Context // of the background; ends with Close
	ended     <-chan struct{} // closed when event streams must end
	stop      context.CancelFunc
	draining  atomic.Bool

	bootstrap string // admin key that was made at this start; shown once
}

// New opens the state, starts the servers and compiles the first world. The
// error wraps store.ErrLocked, store.ErrTooNew or store.ErrCorrupt where that
// is the matter.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Started.IsZero() {
		o.Started = o.Now()
	}
	s := &Server{opts: o, started: o.Started, others: newLimiter(o.Now), follower: live.New(o.Now), runs: newRuns()}
	s.settings.Store(&o.Config)
	state.CompactIfWorthIt(o.Static.StateDir, o.Log)
	var err error
	if s.book, err = state.Open(o.Static.StateDir, state.Options{Now: o.Now, Log: o.Log, Fault: o.Fault}); err != nil {
		return nil, err
	}
	s.maintenance = maintenance.New(s.book, s.Compile)
	if err := s.build(ctx); err != nil {
		return nil, errors.Join(err, s.book.Close())
	}
	return s, nil
}

func (s *Server) build(ctx context.Context) error {
	var err error
	s.keys, err = keys.Open(keys.Options{Book: s.book, Now: s.opts.Now, Rand: s.opts.Rand, Log: s.opts.Log, Limits: s.keyLimits, Plan: s.planOf, Plans: s.livePlans, Coming: s.planNames, Use: s.follower})
	if err != nil {
		return err
	}
	if s.bootstrap, err = s.keys.Bootstrap(ctx, s.opts.Static.AdminKey); err != nil {
		return err
	}
	if err := s.keys.Import(ctx, s.opts.Config.ImportKeys); err != nil {
		return err
	}
	s.ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.ended = s.ctx.Done()
	if s.rollup, err = report.NewRollup(s.book.DB(), s.book.Journal(), s.opts.Log, 0); err != nil {
		return err
	}
	s.reports = report.New(report.Options{Book: s.book, Keys: s.keys, Rollup: s.rollup, Now: s.opts.Now, Sheet: sheets.Of(s.book.DB()), Sheets: s.sheetTexts, Proof: s.proofNow, Ended: s.ended})
	if s.dedup, err = dedup.Open(s.book, s.opts.Now); err != nil {
		return err
	}
	s.gate = &gate.Gate{Book: s.book, Now: s.opts.Now, Log: s.opts.Log, Trace: s.reports.Inspector.See, Repeats: s.repeats}
	if err := s.Compile(ctx); err != nil {
		return err
	}
	s.front = &front{config: func() *config.Config { return s.settings.Load() }, auth: s.keys, book: s.book, now: s.opts.Now, log: s.opts.Log,
		version: s.opts.Version, perIP: newLimiter(s.opts.Now), sending: s.opts.Static.RequestTimeout, fixed: fixedHeaders(s.opts.Version, s.opts.Demo)}
	eras := bridge.New(bridge.Options{Now: s.opts.Now, Name: "paygate", Version: s.opts.Version})
	if s.servers, err = upstream.New(specs(s.opts.Static.Servers), upstream.Options{Now: s.opts.Now, Log: s.opts.Log, Environ: s.opts.Environ,
		Name: "paygate", Version: s.opts.Version, Separator: s.opts.Static.Separator, Adapt: eras.Adapt}); err != nil {
		return err
	}
	if err := s.openEndpoint(ctx, eras); err != nil {
		return err
	}
	s.lab = shadow.New(shadow.Options{Book: s.book, Now: s.opts.Now, Name: s.keys.Name, Changed: s.Compile,
		Dir: filepath.Dir(s.book.DB().Path()), Log: s.opts.Log, Demo: s.opts.Demo, Version: s.opts.Version})
	s.labRoutes = lab.New(lab.Options{Lab: s.lab, Keys: s.keys, DB: s.book.DB(), Now: s.opts.Now, Tools: s.toolNames,
		Live: func() *pricing.Sheet { return s.world.Load().prices.live }, Rollout: func() *sheets.Rollout { return s.world.Load().prices.rollout }})
	s.feed = live.NewFeed(live.Options{Follower: s.follower, Reports: s.reports, Book: s.book, Keys: s.keys, Now: s.opts.Now, Started: s.started,
		Separator: s.opts.Static.Separator, About: s.about, Sessions: s.endpoint.Sessions, Proof: s.proofNow, Differs: s.lab.Differences, Ended: s.ended})
	if err := s.recall(ctx); err != nil {
		return err
	}
	if _, err := s.lab.Due(ctx); err != nil { // what had its time while nothing ran
		return err
	}
	s.counters = newCounters(s)
	s.document = describe(s.routes(), "PayGate", s.opts.Version)
	s.handler = s.mount()
	s.watch()
	return nil
}

// openEndpoint makes what agents talk to.
func (s *Server) openEndpoint(ctx context.Context, eras *bridge.Bridge) error {
	sessions := &sessionStore{s.book, s.keys.Masked}
	s.tasks = &taskOwners{book: s.book}
	if err := errors.Join(sessions.Purge(ctx), s.tasks.purge(ctx)); err != nil {
		return err
	}
	secret, err := sealSecret(s.opts.Static.StateDir, s.opts.Rand)
	if err != nil {
		return err
	}
	s.endpoint, err = mcp.New(mcp.Options{Secret: secret, Store: sessions,
		Handler: &agents{s}, Backend: eras.Adapt(s.servers), Now: s.opts.Now, Rand: s.opts.Rand, Log: s.opts.Log,
		Origin: func(origin string) bool { return allowedOrigin(s.settings.Load(), origin) },
		NewSession: func(r *http.Request) time.Duration {
			return s.front.perIP.take("session "+vicinity(s.front.ClientIP(r)), s.settings.Load().SessionRateLimit)
		},
		Limits: mcp.Limits{Send: s.opts.Static.RequestTimeout}, Name: "paygate", Version: s.opts.Version})
	return err
}

// about is what the gateway says of itself in every frame of the feed.
func (s *Server) about() api.Live {
	w := s.world.Load()
	canary := 0.0
	if c := w.prices.rollout.Canary; c != nil {
		canary = c.Percent
	}
	return api.Live{Mode: modeName(w.Way.Observe), Canary: canary, Demo: s.opts.Demo, Name: w.Config.Name, Version: s.opts.Version, Servers: s.serverList()}
}

// watch starts the readers of the journal, which run until Close.
func (s *Server) watch() {
	j, begin := s.book.Journal(), s.book.Journal().Last()
	after := s.follower.After(j)
	s.loops.Go(func() { // what people watch: the sums of now, and metrics, which begin at 0 with the process
		for e := range j.Tail(s.ctx, after) {
			s.follower.See(e)
			if e.Seq > begin {
				s.counters.event(e)
			}
		}
	})
	s.loops.Go(func() {
		if err := s.follower.Earlier(s.ctx, j, after+1); err != nil && s.ctx.Err() == nil {
			s.opts.Log.Error("the dashboard's last 14 days begin a day ago; run paygate doctor", "error", err)
		}
	})
	s.loops.Go(func() {
		for e := range j.Tail(s.ctx, s.rollup.After()) {
			s.rollup.Add(e)
		}
	})
	s.loops.Go(func() { s.retention().Run(s.ctx) })
	s.loops.Go(func() { s.closeTasks(s.ctx) })
	s.loops.Go(func() { s.dedup.Run(s.ctx) })
	s.loops.Go(func() {
		if err := s.keys.KeepPlans(s.ctx); err != nil && s.ctx.Err() == nil {
			s.opts.Log.Error("grants of plans are not given any more; restart the gateway", "error", err)
		}
	})
	s.loops.Go(func() { s.lab.Keep(s.ctx) })
	s.loops.Go(func() {
		if err := s.lab.Run(s.ctx); err != nil && s.ctx.Err() == nil {
			s.opts.Log.Error("the pricing lab stopped; calls are not concerned", "error", err)
		}
	})
}

// Bootstrap is the admin key that this start has made, or empty: it is shown
// once, and only its hash is kept.
func (s *Server) Bootstrap() string { return s.bootstrap }

// Observes says whether the gateway is in shadow mode now.
func (s *Server) Observes() bool { return s.world.Load().Way.Observe }

// Handler serves everything the gateway serves.
func (s *Server) Handler() http.Handler { return s.handler }

// Owner serves the same to the owner in the same process, who needs no key.
func (s *Server) Owner() http.Handler { return asOwner(s.handler) }

// Servers are the MCP servers behind the gateway.
func (s *Server) Servers() *upstream.Servers { return s.servers }

// Keys are the API keys.
func (s *Server) Keys() *keys.Directory { return s.keys }

// Listen opens the configured address. It comes before New: a gateway that
// cannot be reached shall make no state, nor keys that are shown only once.
func Listen(ctx context.Context, c config.Static) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(c.Host, fmt.Sprint(c.Port)))
	if err != nil {
		return nil, err
	}
	most := c.MaxConnectionsPerAddress
	if most == 0 { // nobody alone may keep all others out
		most = (c.MaxConnections + 1) / 2
	}
	return netutil.LimitListener(limitPerAddress(l, most), c.MaxConnections), nil
}

// Run serves until ctx ends, then lets the calls under way finish. It returns
// when everything has ended.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: s.handler, BaseContext: func(net.Listener) context.Context { return s.endpoint.Base() }, ReadHeaderTimeout: s.opts.Static.HeaderTimeout,
		ReadTimeout: s.opts.Static.RequestTimeout, IdleTimeout: s.opts.Static.KeepAlive,
		ErrorLog: slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug), MaxHeaderBytes: 64 << 10}
	way := &lane.Lane{Path: "/mcp", Handler: s.handler, Base: s.endpoint.Base(), Rest: srv,
		First: s.opts.Static.HeaderTimeout, Idle: s.opts.Static.KeepAlive, Log: s.opts.Log}
	served := make(chan error, 1)
	go func() { served <- way.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.stop() // event streams end, and with them their connections
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.endpoint.Shutdown(drain) }()
	err := way.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // the endpoint says what was cut off
	}
	if e := <-ended; err == nil && e != nil {
		err = fmt.Errorf("calls still ran after %s and were cut off, uncharged: %w", drainTime, e)
	}
	if e := <-served; err == nil && !errors.Is(e, http.ErrServerClosed) {
		err = e
	}
	return err
}

// Close ends the servers and closes the state.
func (s *Server) Close(ctx context.Context) error {
	s.stop()
	s.loops.Wait()
	return errors.Join(s.endpoint.Shutdown(ctx), s.servers.Close(ctx), s.book.Close())
}

// callID is a new id for a call.
func (s *Server) callID() string {
	var raw [idRandBytes]byte
	if _, err := io.ReadFull(s.opts.Rand, raw[:]); err != nil {
		s.opts.Log.Error("no randomness", "error", err)
	}
	return requestID(raw)
}

func specs(servers []config.Server) []upstream.Spec {
	out := make([]upstream.Spec, len(servers))
	for i, c := range servers {
		out[i] = spec(c)
	}
	return out
}

// spec is a server of the configuration as it is reached.
func spec(c config.Server) upstream.Spec {
	return upstream.Spec{Prefix: c.Prefix, Command: c.Command, Args: c.Args, Env: c.Env, Dir: c.Dir, URL: c.URL, Headers: c.Headers, Isolation: upstream.Isolation(c.Isolation)}
}

func data(m map[string]any) json.RawMessage {
	raw, err := json.Marshal(m)
	if err != nil {
		return nil
	}
	return raw
}
