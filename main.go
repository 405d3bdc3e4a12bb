// PayGate puts a price on any MCP server.
//
// One process is an HTTP gateway that agents call at /mcp with an API key, and
// beside it a dashboard in the terminal. This file is where the outside world
// (arguments, environment, clock, standard streams, signals, the exit code) is
// touched, and where the parts are put together:
//
//	pricing  what a call costs; pure
//	store    the file; store/journal what happened; store/ledger who has how much
//	server   the gateway: gate, keys, MCP, the servers behind it, the HTTP API
//	tui      the dashboard and the command line, which see only the API
//
// ARCHITECTURE.md follows one call through them.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"paygate/server"
	"paygate/server/api/client"
	"paygate/server/config"
	"paygate/server/state"
	"paygate/server/upstream"
	"paygate/store"
	"paygate/tui"
	"paygate/tui/cli"
	"paygate/tui/demo"
)

// version is set by the release build.
var version = ""

func main() {
	// Memory that is never touched takes none: it only makes the collector wait
	// until so much was allocated, where the small live heap would keep it busy.
	ballast := make([]byte, 32<<20)
	server.Calm()
	ctx, stop := interruptible()
	w := &cli.World{Args: os.Args[1:], Env: os.Environ(), In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Now: time.Now, Version: versionOf(),
		Terminal: term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd())),
		Split:    upstream.ParseCommand, Exit: exitCode,
		Find: func(program string) error { return upstream.FindCommand(upstream.Spec{Command: program}) }}
	home, _ := os.UserConfigDir() // there is none without a home
	p := &program{world: w, userDir: home}
	w.StateDir, w.Offline = p.stateDir, p.offline
	w.Wrap, w.Validate, w.Doctor, w.Attach = p.wrap, p.validate, p.doctor, p.attach
	w.Backup, w.Restore, w.Compact, w.Reset = p.backup, p.restore, p.compact, p.reset
	w.Demo = p.demo
	w.DemoTool = func(ctx context.Context) error { return demo.Serve(ctx, os.Stdin, os.Stdout) }
	code := cli.Run(ctx, w)
	stop()
	runtime.KeepAlive(ballast)
	os.Exit(code)
}

// interruptible ends its context at the first signal to stop, and the process
// at the second.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(cli.ExitInterrupted)
	}()
	return ctx, func() { signal.Stop(signals); cancel() }
}

func versionOf() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") {
		return info.Main.Version
	}
	return "dev"
}

func exitCode(err error) int {
	var findings config.Errors
	switch {
	case errors.Is(err, store.ErrLocked), errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrTooNew):
		return cli.ExitState
	case errors.As(err, &findings):
		return cli.ExitUsage
	}
	return cli.ExitError
}

// program does what the commands cannot do through the API.
type program struct {
	world   *cli.World
	userDir string // the user's own configuration folder
}

// load reads the configuration that a command names.
func (p *program) load(w cli.Wrap) (*config.All, []config.Diagnostic) {
	file := w.File
	if file == "" {
		file = os.Getenv("PAYGATE_CONFIG")
	}
	return config.Load(config.Source{File: file, Env: p.world.Env, Flags: w.Flags, UserDir: p.userDir})
}

// offline answers the API's questions about a state that no gateway serves.
func (p *program) offline(ctx context.Context, w cli.Wrap) (*client.Client, func() error, error) {
	all, _ := p.load(w) // prices and mode are the state's; servers are not needed
	if _, err := os.Stat(filepath.Join(all.StateDir, store.FileName)); err != nil {
		return nil, nil, fmt.Errorf("no gateway runs on %s, and there is no state; start one with \"paygate wrap\", or name one with --url", all.StateDir)
	}
	all.Servers, all.AdminKey, all.ImportKeys = nil, "", nil
	log := server.NewLogger(p.world.Err, "warn", all.LogFormat, server.NewLogs(), false)
	s, err := server.New(ctx, server.Options{Static: all.Static, Config: all.Config, Now: time.Now, Rand: rand.Reader, Log: log, Version: p.world.Version, AsLeft: true})
	if err != nil {
		return nil, nil, explain(ctx, err, all)
	}
	return client.InProcess(s.Owner()), func() error { return s.Close(context.WithoutCancel(ctx)) }, nil
}

// stateDir is where the state of a gateway is that is started so.
func (p *program) stateDir(w cli.Wrap) string {
	all, _ := p.load(w) // what else is wrong is said when it starts
	return all.StateDir
}

// wrap serves until it is told to stop.
func (p *program) wrap(ctx context.Context, w cli.Wrap) error {
	return p.serve(ctx, gateway{Wrap: w, load: func() (*config.All, []config.Diagnostic) { return p.load(w) }, now: time.Now})
}

// demo serves the demo server to the demo's agents, in a folder that goes when
// it ends.
func (p *program) demo(ctx context.Context, w cli.Wrap, port string) error {
	dir, err := os.MkdirTemp("", "paygate-demo")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	settings, err := demo.Settings(self, dir, port)
	if err != nil {
		return err
	}
	show := demo.New(time.Now)
	defer show.Wait()
	return p.serve(ctx, gateway{Wrap: w, isDemo: true, now: show.Clock.Now,
		load: func() (*config.All, []config.Diagnostic) { return config.Load(config.Source{Flags: settings}) },
		ready: func(ctx context.Context, s *server.Server, url string) error {
			return show.Begin(ctx, demo.Gateway{Owner: client.InProcess(s.Owner()), MCP: url + "/mcp", Enact: s.Enact})
		}})
}

// gateway is what serve shall serve.
type gateway struct {
	cli.Wrap
	load   func() (*config.All, []config.Diagnostic)
	now    func() time.Time
	isDemo bool
	ready  func(ctx context.Context, s *server.Server, url string) error // once it listens; nil: nothing is to be done then
}

// serve runs the gateway, and the dashboard beside it unless headless.
func (p *program) serve(ctx context.Context, g gateway) error {
	all, found := g.load()
	if config.Failed(found) {
		return config.Errors(found)
	}
	if len(all.Servers) == 0 {
		return &cli.UsageError{Message: "there is no MCP server to serve: give --server COMMAND, --remote-url URL, or a file with --config"}
	}
	dashboard := !g.Headless && !g.DryRun && p.world.Terminal
	logs := server.NewLogs()
	log := server.NewLogger(p.world.Err, all.LogLevel, all.LogFormat, logs, dashboard)
	for _, s := range all.Servers {
		if err := upstream.FindCommand(upstream.Spec{Command: s.Command, Env: s.Env, Dir: s.Dir}); err != nil {
			return err
		}
	}
	for _, d := range found {
		log.Warn(d.String())
	}
	var l net.Listener
	var err error
	if g.DryRun { // nothing is to stay
		if all.StateDir, err = os.MkdirTemp("", "paygate-dry-run"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(all.StateDir) }()
	} else if l, err = server.Listen(ctx, all.Static); err != nil {
		return explain(ctx, err, all)
	}
	s, err := server.New(ctx, server.Options{Static: all.Static, Config: all.Config, Load: g.load,
		Now: g.now, Started: time.Now(), Rand: rand.Reader, Log: log, Logs: logs, Environ: p.world.Env, Version: p.world.Version, Demo: g.isDemo})
	if err != nil {
		if l != nil {
			_ = l.Close() // nobody has been served
		}
		return explain(ctx, err, all)
	}
	if err = cli.LeaveToken(all.StateDir, cmp.Or(s.Bootstrap(), all.AdminKey)); err == nil { // before anything else can fail: a made key is nowhere else
		err = p.run(ctx, s, l, all, g, dashboard, log)
	}
	ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, s.Close(ended))
}

func (p *program) run(ctx context.Context, s *server.Server, l net.Listener, all *config.All, g gateway, dashboard bool, log *slog.Logger) error {
	if g.DryRun {
		return s.PriceTable(ctx, p.world.Out)
	}
	url := "http://" + l.Addr().String()
	clean, err := cli.LeaveAddress(all.StateDir, url)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer clean()
	if !dashboard {
		p.greet(s, all, url, log)
	}
	ctx, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- s.Run(ctx, l) }()
	var hangups sync.WaitGroup
	hangups.Go(func() { p.onHangup(ctx, s, log) })
	defer hangups.Wait()
	defer stop()
	if g.ready != nil {
		if err := g.ready(ctx, s, url); err != nil {
			stop()
			return errors.Join(err, <-served)
		}
	}
	if dashboard {
		if !g.isDemo {
			if err := p.world.ShowReady(ctx, client.InProcess(s.Owner()), cli.Ready{URL: url, Admin: s.Bootstrap()}, g.First); err != nil {
				stop()
				return errors.Join(err, <-served)
			}
		}
		exit, err := tui.Run(ctx, tui.Options{Client: client.InProcess(s.Owner()), Input: os.Stdin, Output: os.Stdout, Env: p.world.Env, ASCII: g.ASCII, Theme: g.Theme,
			Inside: true, URL: url, Version: p.world.Version})
		if err != nil && ctx.Err() == nil {
			log.Error("the dashboard ended; the gateway serves on", "error", err)
			exit = tui.Headless
		} else if exit == tui.Quit {
			stop()
		}
		p.farewell(exit, url)
	}
	return <-served
}

func (p *program) farewell(exit tui.Exit, url string) {
	if exit == tui.Headless {
		_, _ = fmt.Fprintf(p.world.Err, "serving on at %s/mcp; ctrl+c drains and stops, \"paygate attach\" opens the dashboard again\n", url)
	}
}

// explain says what to do about errors of the start.
func explain(ctx context.Context, err error, all *config.All) error {
	isTaken := errors.Is(err, syscall.EADDRINUSE)
	if isLocked := errors.Is(err, store.ErrLocked); isLocked || isTaken {
		if url := cli.Running(ctx, all.StateDir); url != "" {
			return fmt.Errorf("this gateway runs already, at %s: \"paygate attach\" shows it (%w)", url, err)
		}
	}
	switch {
	case errors.Is(err, store.ErrLocked):
		return fmt.Errorf("%w; stop it, or give this one another --state-dir", err)
	case errors.Is(err, store.ErrCorrupt):
		return fmt.Errorf("%w; restore a backup with \"paygate restore\"", err)
	case isTaken:
		return fmt.Errorf("%s is in use: stop what listens there, or choose another --port", net.JoinHostPort(all.Host, fmt.Sprint(all.Port)))
	}
	return err
}

// greet says once where everything is.
func (p *program) greet(s *server.Server, all *config.All, url string, log *slog.Logger) {
	mode := "live: calls are charged"
	if s.Observes() {
		mode = "shadow: nothing is charged"
	}
	log.Info("serving", "mcp", url+"/mcp", "state", all.StateDir, "mode", mode)
	if made := s.Bootstrap(); made != "" {
		_, _ = fmt.Fprintf(p.world.Err, "admin key, shown only now: %s\nmake a first API key:  paygate keys create --name first --credits 100 --state-dir %s\n", made, all.StateDir)
	}
}

// onHangup reads the configuration again at SIGHUP.
func (p *program) onHangup(ctx context.Context, s *server.Server, log *slog.Logger) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		}
		changed, skipped, found, err := s.Reload(ctx, "SIGHUP")
		switch {
		case config.Failed(found):
			log.Error("the configuration has mistakes; the old one stays", "mistakes", config.Errors(found).Error())
		case err != nil:
			log.Error("the configuration was not taken; the old one stays", "error", err)
		default:
			log.Info("configuration read again", "changed", strings.Join(changed, " "), "needs a restart", strings.Join(skipped, " "))
		}
	}
}

func (p *program) attach(ctx context.Context, c *client.Client, ascii bool, theme string) error {
	if err := c.Do(ctx, "GET", "/admin/mode", nil, nil); err != nil {
		return err
	}
	_, err := tui.Run(ctx, tui.Options{Client: c, Input: os.Stdin, Output: os.Stdout, Env: p.world.Env, ASCII: ascii, Theme: theme, URL: c.URL(), Version: p.world.Version})
	return err
}

func (p *program) validate(file string) (lines []string, bad bool, err error) {
	_, found := config.Load(config.Source{File: file, UserDir: p.userDir})
	for _, d := range found {
		lines = append(lines, d.String())
	}
	return lines, config.Failed(found), nil
}

// onState runs an offline command on the state folder it names.
func (p *program) onState(ctx context.Context, w cli.Wrap, run func(all *config.All) error) error {
	all, found := p.load(w)
	if config.Failed(found) {
		return config.Errors(found)
	}
	if _, err := os.Stat(filepath.Join(all.StateDir, store.FileName)); err != nil {
		return fmt.Errorf("there is no state in %s; name its folder with --state-dir", all.StateDir)
	}
	return explain(ctx, run(all), all)
}

func (p *program) doctor(ctx context.Context, w cli.Wrap, asJSON bool) error {
	return p.onState(ctx, w, func(all *config.All) error {
		return state.Doctor(ctx, all.StateDir, time.Now, p.world.Out, p.world.Err, asJSON)
	})
}

func (p *program) backup(ctx context.Context, w cli.Wrap, to string) error {
	return p.onState(ctx, w, func(all *config.All) error { return state.Backup(ctx, all.StateDir, to) })
}

func (p *program) restore(ctx context.Context, w cli.Wrap, from string) error {
	all, found := p.load(w)
	if config.Failed(found) {
		return config.Errors(found)
	}
	return state.Restore(ctx, all.StateDir, from)
}

func (p *program) compact(ctx context.Context, w cli.Wrap) error {
	return p.onState(ctx, w, func(all *config.All) error { return state.Compact(all.StateDir, p.world.Out) })
}

func (p *program) reset(ctx context.Context, w cli.Wrap) (key string, err error) {
	err = p.onState(ctx, w, func(all *config.All) error {
		if key, err = state.ResetAdmin(ctx, all.StateDir, time.Now, rand.Reader); err != nil {
			return err
		}
		return cli.LeaveToken(all.StateDir, key)
	})
	return key, err
}
