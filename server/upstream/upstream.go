// Package upstream reaches the MCP servers behind the gateway: it starts them
// as children or calls them over HTTP, finds out which era of the protocol
// they speak, shares or separates their processes, restarts what crashed, and
// lets several servers stand behind prefixes as one.
//
// It promises that ids and progress tokens of different callers never meet,
// that params and results pass through as the sender's own bytes, that a call
// without an answer fails with an error that wraps mcp.ErrLost and says what
// happened, and that no child outlives the gateway.
//
// It gives conversations in the era that the server speaks and does not
// translate between eras (package mcp does), nor does it know what a call
// costs or who may make it.
package upstream

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"paygate/server/mcp"
)

// Options are what the package needs from outside. Zero values take defaults,
// but for Now.
type Options struct {
	Now     func() time.Time // required
	Log     *slog.Logger
	Environ []string          // environment that children inherit, without our own secrets
	Name    string            // name under which the gateway introduces itself; default "paygate"
	Version string            //
	Client  http.RoundTripper // nil: a pooled transport of the package's own

	// Adapt turns a backend that speaks its server's era into one that speaks
	// the era it is asked for. It is needed where several servers stand behind
	// prefixes and do not all speak the same era.
	Adapt func(mcp.Backend) mcp.Backend

	Separator string // between prefix and name; default ":"
	Limits    Limits
}

// Limits bound what servers can cost. Zero values take the defaults in brackets.
type Limits struct {
	Message      int           // longest message of a server in bytes (64 MiB)
	PerKey       int           // children of one key (16)
	Pooled       int           // pooled HTTP sessions of one server (256)
	Children     int           // children in all, the ones kept by the gateway itself not counted (64)
	Handshake    time.Duration // how long a server may take to say hello (60 s)
	Probe        time.Duration // how long silence means "old era" once the old era has answered (3 s)
	Grace        time.Duration // how long a child may take to end when asked (2 s)
	List         time.Duration // how long a merged list waits for one server (3 s); a tenth of it for one that was too slow lately
	Idle         time.Duration // when a pooled conversation that nobody uses ends (5 min)
	Backoff      time.Duration // longest wait between two starts (30 s)
	StderrLines  int           // lines kept of a server's standard error (500)
	NoSpare      bool          // keep no child warm
	ListPages    int           // most pages followed of one list (100)
	ResumeTries  int           // attempts to resume a broken stream (5)
	PendingBytes int           // bytes of messages a slow reader may have waiting (8 MiB)
}

// Errors of the package that callers decide on.
var (
	// ErrCommandNotFound: the program of a Spec cannot be found.
	ErrCommandNotFound = errors.New("command not found")
	// ErrBusy: all conversations that may be open are in use.
	ErrBusy = errors.New("too many conversations are open")
	// ErrUnknownServer: no server has this prefix.
	ErrUnknownServer = errors.New("no such server")
	// ErrClosed: the servers have been closed.
	ErrClosed = errors.New("the gateway is stopping")
	// ErrEnded: the conversation had ended before the message was sent, so
	// opening another one and sending it again is safe: it is mcp.ErrUnsent.
	ErrEnded error = &lostError{text: "the conversation with the MCP server has ended", cause: mcp.ErrUnsent}
)

// lostError is a call that got no answer. Its text stands alone, since it is
// what the agent reads; what only the owner may know is in more.
type lostError struct {
	text  string
	more  string
	cause error
}

// Detail is the text of an error with what is for the owner's eyes only: the
// server's last words, its address, what it answered.
func Detail(err error) string {
	var lost *lostError
	if !errors.As(err, &lost) || lost.more == "" || lost.Error() != err.Error() {
		return err.Error()
	}
	return lost.text + lost.more
}

func (e *lostError) Error() string { return e.text }

func (e *lostError) Unwrap() []error {
	if e.cause == nil {
		return []error{mcp.ErrLost}
	}
	return []error{mcp.ErrLost, e.cause}
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Name == "" {
		o.Name = "paygate"
	}
	if o.Version == "" {
		o.Version = "0"
	}
	if o.Separator == "" {
		o.Separator = ":"
	}
	if o.Client == nil {
		o.Client = newTransport()
	}
	l := &o.Limits
	or(&l.Message, 64<<20)
	or(&l.PerKey, 16)
	or(&l.Children, 64)
	or(&l.Pooled, 256)
	or(&l.Handshake, time.Minute)
	or(&l.Probe, 3*time.Second)
	or(&l.Grace, 2*time.Second)
	or(&l.List, 3*time.Second)
	or(&l.Idle, 5*time.Minute)
	or(&l.Backoff, 30*time.Second)
	or(&l.StderrLines, 500)
	or(&l.ListPages, 100)
	or(&l.ResumeTries, 5)
	or(&l.PendingBytes, 8<<20)
	return o
}

func or[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}
