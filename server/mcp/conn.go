package mcp

import "context"

// Conn is one conversation with one MCP server, in the server's own era. It is
// safe for concurrent use. The two transports of package upstream are Conns,
// and so are the adapters of the bridge, which wrap them.
type Conn interface {
	// Call sends a request under an id of the connection's own and waits for
	// its answer; the answer comes back under the caller's id. What the server
	// sends while the call runs and what belongs to it (progress, logs,
	// requests to the client) goes to during. Cancelling ctx tells the server.
	// An error wraps ErrLost where no answer came.
	Call(ctx context.Context, m *Message, during func(*Message)) (*Message, error)

	// Send sends a notification, or the client's answer to a request that the
	// server made: such an answer carries the id that the request had when it
	// was handed out.
	Send(ctx context.Context, m *Message) error

	// Done is closed when the conversation has ended, for whatever reason.
	Done() <-chan struct{}

	// Close ends the conversation and waits until nothing of it runs.
	Close() error
}

// Dial describes the conversation that a Backend is asked for.
type Dial struct {
	Caller string         // principal; empty for keyless callers
	Modern bool           // the era wanted; the backend says in Opened.Modern which one it got
	Init   *Message       // the client's initialize request, for a legacy conversation; nil: the backend makes one up
	Shared bool           // a pooled conversation is enough: a stateless or bare call
	Other  func(*Message) // gets what belongs to no call: list changes, resource updates, server requests outside calls
}

// Opened is a conversation and what its server said when it began.
type Opened struct {
	Conn
	Modern bool     // the era spoken on Conn
	Init   *Message // the server's answer to initialize or server/discover
}

// Backend gives conversations with the servers behind the gateway. Package
// upstream implements it; a Backend may stand for several servers as one.
type Backend interface {
	Open(ctx context.Context, d Dial) (*Opened, error)
}
