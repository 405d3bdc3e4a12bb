package mcp

import (
	"slices"
	"time"
)

// JSON-RPC and MCP error codes.
const (
	CodeParse          = -32700
	CodeInvalidRequest = -32600
	CodeNoMethod       = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603

	codeBusy = -32005 // too much at once; the contract's, not the protocol's

	// «Error Codes», 2026-07-28.
	CodeHeaderMismatch     = -32020
	CodeMissingCapability  = -32021
	CodeUnsupportedVersion = -32022
)

// Revisions of the protocol.
const (
	Rev2024 = "2024-11-05"
	Rev0326 = "2025-03-26" // assumed when a client names none; has batches
	Rev0618 = "2025-06-18"
	Rev1125 = "2025-11-25"
	Modern  = "2026-07-28" // stateless: no initialize, no sessions
)

// IsLegacy says whether a revision is one of those with sessions.
func IsLegacy(rev string) bool {
	return slices.Contains([]string{Rev2024, Rev0326, Rev0618, Rev1125}, rev)
}

// Limits bound what clients can cost. Zero values take the defaults in
// brackets.
type Limits struct {
	Body      int64         // largest request body in bytes (1 MiB)
	Send      time.Duration // how long a client may take to send a request's body (30 s)
	Depth     int           // deepest nesting of a message (128)
	Sessions  int           // sessions at a time; beyond, the longest idle one goes (1,000)
	Pending   int           // requests of a session under way at a time (1,000)
	Streams   int           // streams that a session may open by GET at a time (3)
	Idle      time.Duration // when a session that nobody uses ends (30 min)
	KeepAlive time.Duration // between two comments on a quiet stream (15 s)
	Write     time.Duration // how long a client may take to accept an event (30 s)
	Resumable time.Duration // how long a finished stream can be asked for again (1 min)
	LogEvents int           // events kept of one stream (1,000)
	LogBytes  int           // bytes kept of one stream (8 MiB)
	Kept      int64         // bytes kept of all streams together (64 MiB)
	State     time.Duration // how long an input_required answer may be answered (10 min)
}

func (l Limits) withDefaults() Limits {
	or(&l.Body, 1<<20)
	or(&l.Send, 30*time.Second)
	or(&l.Depth, 128)
	or(&l.Sessions, 1000)
	or(&l.Pending, 1000)
	or(&l.Streams, 3)
	or(&l.Idle, 30*time.Minute)
	or(&l.KeepAlive, 15*time.Second)
	or(&l.Write, 30*time.Second)
	or(&l.Resumable, time.Minute)
	or(&l.LogEvents, 1000)
	or(&l.LogBytes, 8<<20)
	or(&l.State, 10*time.Minute)
	or(&l.Kept, 64<<20)
	return l
}

func or[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}
