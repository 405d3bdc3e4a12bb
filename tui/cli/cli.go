// Package cli is what a person types: the command tree, a file per command. It
// speaks to a gateway through its API; what needs the state, the server or the
// configuration itself is a function that main hands it.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"charm.land/fang/v2"
	"github.com/spf13/cobra"

	"paygate/server/api/client"
)

// Exit codes.
const (
	ExitOK          = 0
	ExitError       = 1
	ExitUsage       = 2
	ExitGuardrail   = 3
	ExitState       = 6 // the state is locked, damaged or too new
	ExitInterrupted = 130
)

// World is everything outside that the commands touch, and what main does for
// them.
type World struct {
	Args     []string
	Env      []string
	In       io.Reader
	Out, Err io.Writer
	Terminal bool // In and Out are a terminal
	Now      func() time.Time
	Version  string

	Offline  func(ctx context.Context, w Wrap) (c *client.Client, end func() error, err error) // answers for a state that no gateway serves
	StateDir func(w Wrap) string                                                               // where the state of a gateway is that is started so
	Split    func(command string) ([]string, error)                                            // a command line, as a shell splits it
	Find     func(program string) error                                                        // whether a program can be started
	Wrap     func(ctx context.Context, w Wrap) error
	Validate func(file string) (findings []string, bad bool, err error)
	Doctor   func(ctx context.Context, w Wrap, asJSON bool) error
	Backup   func(ctx context.Context, w Wrap, to string) error
	Restore  func(ctx context.Context, w Wrap, from string) error
	Compact  func(ctx context.Context, w Wrap) error
	Reset    func(ctx context.Context, w Wrap) (adminKey string, err error)
	Attach   func(ctx context.Context, c *client.Client, ascii bool, theme string) error
	Demo     func(ctx context.Context, w Wrap, port string) error
	DemoTool func(ctx context.Context) error // the demo's MCP server, on stdio
	Exit     func(err error) int             // which code an error of main's means
}

// Wrap is what to start, or which state to work on.
type Wrap struct {
	File     string
	Flags    map[string]string // by setting
	Headless bool
	Detach   bool
	First    bool // the first run: show everything a newcomer needs
	DryRun   bool
	ASCII    bool
	Theme    string
}

// UsageError is a mistake in what was typed.
type UsageError struct{ Message string }

func (e *UsageError) Error() string { return e.Message }

func usage(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// Run runs what was typed and gives the exit code.
func Run(ctx context.Context, w *World) int {
	root := w.root()
	root.SetArgs(w.Args)
	root.SetIn(w.In)
	root.SetOut(w.Out)
	root.SetErr(w.Err)
	err := fang.Execute(ctx, root, fang.WithVersion(w.Version), fang.WithErrorHandler(func(out io.Writer, _ fang.Styles, err error) {
		if w.code(ctx, err) != ExitInterrupted || errors.Is(err, errLeft) { // who has pressed ctrl+c knows
			_, _ = fmt.Fprintln(out, "paygate: "+err.Error())
		}
	}), fang.WithoutManpage())
	return w.code(ctx, err)
}

func (w *World) code(ctx context.Context, err error) int {
	var bad *UsageError
	var rail *GuardrailError
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, context.Canceled) && ctx.Err() != nil, errors.Is(err, errLeft):
		return ExitInterrupted
	case errors.As(err, &rail):
		return ExitGuardrail
	case errors.As(err, &bad), strings.HasPrefix(err.Error(), "unknown "), strings.Contains(err.Error(), "flag"):
		return ExitUsage
	}
	return w.Exit(err)
}

func (w *World) version() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		_, err := fmt.Fprintln(w.Out, "paygate "+w.Version)
		return err
	}}
}

func (w *World) env(name string) string {
	for _, pair := range w.Env {
		if v, ok := strings.CutPrefix(pair, name+"="); ok {
			return v
		}
	}
	return ""
}

// remote is how the commands that speak to a gateway find it.
type remote struct {
	url, adminKey, stateDir string
	json                    bool
	running                 bool // the question has no answer while no gateway runs
}

func (r *remote) flags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVar(&r.url, "url", "", "the gateway (default the local one; also PAYGATE_URL)")
	f.StringVar(&r.adminKey, "admin-key", "", "admin key (default the local one's; also PAYGATE_ADMIN_KEY)")
	f.StringVar(&r.stateDir, "state-dir", "", "state folder of the local gateway (default that of the gateway started here)")
	f.BoolVar(&r.json, "json", false, "print JSON")
}

// client finds the gateway: what was typed, the environment, or the local one,
// which leaves its address and a key for its owner in its state folder. While
// none runs on that state, the files themselves answer until end is called.
func (w *World) client(ctx context.Context, r *remote) (c *client.Client, end func() error, err error) {
	url, key := first(r.url, w.env("PAYGATE_URL")), first(r.adminKey, w.env("PAYGATE_ADMIN_KEY"))
	where := Wrap{File: w.ownFile()}
	if r.stateDir != "" {
		where = Wrap{Flags: map[string]string{"stateDir": jsonOf(r.stateDir)}}
	}
	dir := w.StateDir(where)
	if url == "" {
		if url = Running(ctx, dir); url == "" {
			if r.running {
				return nil, nil, fmt.Errorf("no gateway runs on %s; start one with \"paygate wrap\", or name one with --url", dir)
			}
			return w.Offline(ctx, where)
		}
	}
	if key == "" {
		text, err := os.ReadFile(filepath.Join(dir, TokenFile))
		if err != nil {
			return nil, nil, fmt.Errorf("no admin key for %s; give one with --admin-key or PAYGATE_ADMIN_KEY", url)
		}
		key = strings.TrimSpace(string(text))
	}
	return client.New(url, key), func() error { return nil }, nil
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
