package tui

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
)

// Client is the admin API as the dashboard uses it.
type Client interface {
	// Do sends in as JSON, when it is not nil, and reads the answer into out,
	// when that is not nil. A refusal's message is made for people.
	Do(ctx context.Context, method, path string, in, out any) error
	// Stream reads server-sent events until the stream, the context or the
	// function ends it.
	Stream(ctx context.Context, path string, on func(event, id string, data []byte) error) error
}

// Options is what a dashboard needs from outside.
type Options struct {
	Client  Client
	Input   io.Reader
	Output  io.Writer
	Env     []string         // NO_COLOR, TERM, locale, SSH_TTY, ACCESSIBLE
	ASCII   bool             // write no byte over 0x7F
	Theme   string           // "dark", "light", or empty to ask the terminal
	Now     func() time.Time // nil: time.Now
	Inside  bool             // the gateway runs in this process: q asks what shall become of it
	URL     string           // where the gateway listens, for commands to copy
	Version string
	View    string // the view to begin with, by name
	Filter  string // and its filter
}

// Exit is how a dashboard ended.
type Exit int

// The ends of a dashboard.
const (
	Quit     Exit = iota // the person is done; a gateway inside drains and stops
	Headless             // only the dashboard closes; the gateway inside goes on
)

// Run shows the dashboard until the person leaves it or ctx ends. It restores
// the terminal before it returns.
func Run(ctx context.Context, o Options) (Exit, error) {
	ctx, cancel := context.WithCancel(ctx)
	m := New(ctx, o)
	defer m.link.wait()
	defer cancel()
	if m.accessible {
		return m.speak(ctx)
	}
	options := []tea.ProgramOption{tea.WithContext(ctx), tea.WithEnvironment(o.Env), tea.WithFPS(30), tea.WithoutSignalHandler()}
	if o.Input != nil {
		options = append(options, tea.WithInput(o.Input))
	}
	switch out := o.Output.(type) {
	case nil:
	case *os.File:
		options = append(options, tea.WithOutput(&screenFile{File: out, gone: cancel}))
	default:
		// Nothing that could be asked for its size.
		options = append(options, tea.WithOutput(out), tea.WithWindowSize(80, 24))
	}
	_, err := tea.NewProgram(m, options...).Run()
	if errors.Is(err, tea.ErrInterrupted) || ctx.Err() != nil && errors.Is(err, tea.ErrProgramKilled) {
		err = nil
	}
	if errors.Is(err, syscall.EIO) || m.gone {
		err = ErrNoTerminal
	}
	return m.exit, err
}

// ErrNoTerminal means that the terminal is gone, or is another program's.
var ErrNoTerminal = errors.New("the terminal is gone; \"paygate attach\" opens the dashboard in another")

// screenFile is a terminal that says when it is gone: somebody has closed its
// window. The dashboard then ends, and does not draw for nobody for ever.
type screenFile struct {
	*os.File
	gone func()
}

func (f *screenFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	if err != nil {
		f.gone()
	}
	return n, err
}
