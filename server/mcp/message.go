// Package mcp speaks the Model Context Protocol towards agents: JSON-RPC
// messages whose params stay raw, the protocol's revisions, sessions, event
// streams, and the bridge between the two eras of the protocol.
//
// It owns how a request arrives and how its answer leaves. It does not know
// what a call costs or who may make it: that is the Handler it is given, and
// it does not know how a server is started or reached: that is package
// upstream.
package mcp

import "encoding/json"

// Message is one JSON-RPC 2.0 message. Params and Result are the sender's own
// bytes: nothing on the way re-encodes them.
type Message struct {
	ID     json.RawMessage // a number or a string, as sent; nil for a notification
	Method string          // empty for an answer
	Params json.RawMessage
	Result json.RawMessage // nil for a request and for an error
	Error  *Error
	Wait   *Wait // of an input_required answer whose call waits in this process; nil: the client carries all
}

// Error is a JSON-RPC error object. It is also a Go error, so that a handler
// can return it to have it sent.
type Error struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

func (e *Error) Error() string { return e.Message }
