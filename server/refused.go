package server

import (
	"errors"
	"net/http"
	"strings"

	"paygate/server/gate"
	"paygate/server/mcp"
)

// Refused records what the endpoint refused before the gate saw it: a header
// that contradicts the body, an unknown session, what is no message at all. The
// owner of the gateway sees it among the calls, with its cause, also where no
// key came: the book lists so many of them, and counts a flood.
func (a *agents) Refused(caller mcp.Caller, r *http.Request, m *mcp.Message, err *mcp.Error) {
	who, _ := caller.Terms.(identity)
	a.reject(a.s.world.Load(), who, askedFor(r, m), cause(err)+": "+err.Message)
}

// malformed records a request whose parameters say nothing that could be done,
// and gives the error on.
func (a *agents) malformed(x *mcp.Exchange, err error) error {
	var bad *mcp.Error
	if errors.As(err, &bad) {
		a.Refused(x.Caller, x.HTTP, x.Request, bad)
	}
	return err
}

// reject records a request that was refused for a reason, under what it asks for.
func (a *agents) reject(w *World, who identity, asked, reason string) {
	const mostReason = 200 // of what may be the caller's own words
	c := &gate.Call{Terms: who.terms, Refused: who.refused, Addr: who.addr}
	c.ID, c.IP, c.Tool = a.s.callID(), who.addr.String(), asked
	if t := who.terms; t != nil {
		c.Key, c.Payer, c.Group, c.Plan, c.Tags = t.ID, t.Payer, t.Group, t.Plan, t.Tags
	}
	a.s.gate.Reject(&w.Way, c, strings.ToValidUTF8(reason[:min(len(reason), mostReason)], ""))
}

// askedFor is what a refused request is listed as: the tool or the method that
// it asks for, or what came instead of a message.
func askedFor(r *http.Request, m *mcp.Message) string {
	const mostMethod = 20
	switch {
	case m == nil && r.Method != http.MethodPost:
		return "(" + r.Method[:min(len(r.Method), mostMethod)] + ")"
	case m == nil:
		return "(no message)"
	}
	name, ok := mcp.Text(mcp.Field(m.Params, "name"))
	if m.Method == "tools/call" && ok && name != "" && len(name) <= mostName {
		return name
	}
	return strings.ToValidUTF8(m.Method[:min(len(m.Method), 100)], "")
}

// cause names an error of the protocol in one word.
func cause(err *mcp.Error) string {
	switch err.Code {
	case mcp.CodeParse:
		return "parse_error"
	case mcp.CodeNoMethod:
		return "unknown_method"
	case mcp.CodeInvalidParams:
		return "invalid_params"
	case mcp.CodeHeaderMismatch:
		return "header_mismatch"
	case mcp.CodeMissingCapability:
		return "missing_capability"
	case mcp.CodeUnsupportedVersion:
		return "unsupported_version"
	}
	return "invalid_request"
}
