package mcp

import (
	"context"
	"errors"
	"net/http"
)

// Caller is who sent an HTTP request, as far as sessions care: a session
// belongs to its caller and to nobody else.
type Caller struct {
	ID     string // stable id of the principal ("key_…"); empty for a keyless request
	Barred bool   // it is suspended: no stream is opened for it, and what it has open ends
	Terms  any    // what the Handler found out while identifying, handed back to it in the Exchange
}

// Exchange is one client request on its way through the gateway.
type Exchange struct {
	Caller   Caller
	Revision string        // protocol revision the client speaks, such as "2025-11-25"
	Modern   bool          // revision 2026-07-28 or later: stateless
	Session  string        // id of the legacy session, empty for modern and bare calls
	Request  *Message      // the client's own id and params
	HTTP     *http.Request // headers and address; its body has been read

	// SetHeader sets a header of the HTTP answer, if its headers have not left.
	SetHeader func(name, value string)

	// Forward sends a request to the server behind the gateway and returns
	// its answer. Messages the server sends meanwhile (progress, logs,
	// questions) reach the client at once. It may be called with a changed
	// copy of Request, and never after Handle has returned.
	// An error that is ErrLost means that no answer came: never charge it.
	Forward func(ctx context.Context, m *Message) (*Message, error)

	// Resumes is the token that Carry was given when an earlier round of this
	// call ended with input_required; empty for a first round. It is sealed on
	// its way over the client and belongs to this caller and these arguments.
	Resumes string
	// Carry puts a token into the request state of an input_required answer.
	Carry func(token string)

	// Streaming says whether the answer's HTTP headers have left already, so
	// that figures must travel in the result's _meta instead of in Header.
	Streaming func() bool
}

// Handler decides what happens to a request: the gate stands behind it.
type Handler interface {
	// Identify finds out who sent r. It never refuses: a request with a wrong
	// key is keyless here and is refused, with its reason, by Handle.
	Identify(r *http.Request) Caller

	// Handle answers one request. What it returns is what the client gets: a
	// message with Result or Error (the id is set by the endpoint), an *Error,
	// or any other error, which the client sees as -32603 without its text.
	Handle(ctx context.Context, x *Exchange) (*Message, error)
	// Refused is told of a request that the endpoint has refused itself; m is
	// nil when it could not be read as one message.
	Refused(c Caller, r *http.Request, m *Message, err *Error)
}

// ErrLost is wrapped by the errors of a Forward or Conn.Call that got no
// answer: the server exited, the connection broke, the call was cancelled or
// timed out. A lost call is never charged.
var ErrLost = errors.New("no answer from the MCP server")

// ErrUnsent is wrapped, beside ErrLost, where nothing was sent at all, because
// the conversation had ended: another one may be opened for the same request.
var ErrUnsent = errors.New("the conversation with the MCP server has ended")
