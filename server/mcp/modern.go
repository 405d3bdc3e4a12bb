package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

const metaPrefix = "io.modelcontextprotocol/"

// modernRequest decides the era of a request: one that names its revision in
// _meta, or in a header a revision that is not one of the old ones.
func modernRequest(r *http.Request, m *Message) bool {
	if v := r.Header.Get(versionHeader); v != "" && !IsLegacy(v) {
		return true
	}
	return bytes.Contains(m.Params, []byte(metaPrefix)) && metaField(m, "protocolVersion").Exists()
}

// versionHeader, in the form that net/http keeps headers in.
const versionHeader = "Mcp-Protocol-Version"

func metaField(m *Message, name string) gjson.Result {
	return gjson.GetBytes(m.Params, "_meta."+gjson.Escape(metaPrefix+name))
}

// postModern answers one request of the stateless revision.
func (e *Endpoint) postModern(w http.ResponseWriter, r *http.Request, caller Caller, m *Message) {
	if m.ID == nil || m.Method == "" { // a notification; the revision has no answers of clients
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if err := checkModern(r, m); err != nil {
		e.refuse(w, r, caller, m, http.StatusBadRequest, err)
		return
	}
	if removed(m.Method) {
		e.refuse(w, r, caller, m, http.StatusNotFound, &Error{Code: CodeNoMethod, Message: m.Method + " is not part of revision " + Modern})
		return
	}
	p := e.newReply(w, r, nil, caller, m)
	x := &p.x
	x.Modern, x.Revision = true, Modern
	key := poolKey{caller: caller.ID, modern: true}
	dial := Dial{Caller: caller.ID, Modern: true, Shared: true}
	if err := e.checkParams(r, m, key, dial); err != nil {
		e.refuse(w, r, caller, m, http.StatusBadRequest, err)
		return
	}
	seal := &sealing{e: e, caller: caller.ID, request: m}
	opened, err := seal.open(x)
	if err != nil {
		e.refuse(w, r, caller, m, http.StatusBadRequest, err)
		return
	}
	x.Request, x.Carry = opened, func(token string) { seal.token = token }
	x.Forward = func(ctx context.Context, m *Message) (*Message, error) {
		return e.callModern(ctx, key, dial, m, p.emit)
	}
	ctx, done := e.underway(r)
	defer done()
	p.watch(m.Method, caller, done)
	res := e.handle(ctx, x)
	res.ID = m.ID
	if res, err = seal.close(res); err != nil {
		e.log.Error("a request state cannot be sealed", "error", err)
		res = &Message{ID: m.ID, Error: &Error{Code: CodeInternal, Message: "internal error"}}
	}
	p.end(res, modernStatus(res))
}

// callModern reaches a server that speaks the revision itself.
func (e *Endpoint) callModern(ctx context.Context, key poolKey, d Dial, m *Message, emit func(*Message)) (*Message, error) {
	return anew(func() (*Message, error) {
		p, err := e.borrow(ctx, key, d)
		if err != nil {
			return nil, err
		}
		defer e.giveBack(p)
		if !p.conn.Modern {
			return nil, unsupported(Modern, []string{Rev1125, Rev0618, Rev0326})
		}
		return p.conn.Call(ctx, m, emit)
	})
}

// unsupported is «UnsupportedProtocolVersion»: a client that knows an older
// revision goes on with that.
func unsupported(asked string, supported []string) *Error {
	data, err := json.Marshal(map[string]any{"supported": supported, "requested": asked})
	if err != nil {
		data = nil
	}
	return &Error{Code: CodeUnsupportedVersion, Message: "this server does not speak revision " + asked, Data: data}
}

// modernStatus is the HTTP status of an answer, «Status codes».
func modernStatus(m *Message) int {
	if m.Error == nil {
		return http.StatusOK
	}
	switch m.Error.Code {
	case CodeNoMethod:
		return http.StatusNotFound
	case CodeInvalidRequest, CodeInvalidParams, CodeParse, CodeHeaderMismatch, CodeMissingCapability, CodeUnsupportedVersion:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// removed are the methods of older revisions that this one has not.
func removed(method string) bool {
	return slices.Contains([]string{"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"}, method)
}

// checkModern checks what every request must say of itself: in _meta, and the
// same in its headers, «Request Metadata».
func checkModern(r *http.Request, m *Message) error {
	asked := metaField(m, "protocolVersion")
	header := r.Header.Get(versionHeader)
	mismatch := func(format string, args ...any) error {
		return &Error{Code: CodeHeaderMismatch, Message: fmt.Sprintf(format, args...)}
	}
	switch {
	case header != "" && header != Modern && !asked.Exists():
		return unsupported(header, []string{Modern, Rev1125, Rev0618, Rev0326})
	case asked.Type != gjson.String:
		return &Error{Code: CodeInvalidParams, Message: "params._meta must name the revision as " + metaPrefix + "protocolVersion"}
	case header == "":
		return mismatch("the header MCP-Protocol-Version is missing")
	case header != asked.Str:
		return mismatch("the header MCP-Protocol-Version says %s, _meta says %s", header, asked.Str)
	case asked.Str != Modern:
		return unsupported(asked.Str, []string{Modern, Rev1125, Rev0618, Rev0326})
	case !metaField(m, "clientCapabilities").IsObject():
		return &Error{Code: CodeInvalidParams, Message: "params._meta must hold the client's capabilities as " + metaPrefix + "clientCapabilities, an object"}
	}
	if h := r.Header.Get("Mcp-Method"); h != m.Method {
		return mismatch("the header Mcp-Method says %q, the body asks for %q", h, m.Method)
	}
	member := nameMember(m.Method)
	if member == "" {
		return nil
	}
	want := gjson.GetBytes(m.Params, member)
	have, present := headerValue(r, "Mcp-Name")
	if !present || have != want.Str {
		return mismatch("the header Mcp-Name says %q, the body names %q", have, want.Str)
	}
	return nil
}

// nameMember is the member of params that Mcp-Name repeats.
func nameMember(method string) string {
	switch method {
	case "tools/call", "prompts/get":
		return "name"
	case "resources/read":
		return "uri"
	case "tasks/get", "tasks/update", "tasks/cancel", "tasks/result":
		return "taskId"
	}
	return ""
}

// sealing takes the request state of an input_required answer out of the
// client's hands: it is encrypted, and bound to the caller, the request and a
// time, together with the token of the handler.
type sealing struct {
	e       *Endpoint
	caller  string
	request *Message
	token   string
}

// sealed is what a request state holds.
type sealed struct {
	State  *string `json:"s,omitempty"` // the server's own, if it gave one
	Token  string  `json:"t,omitempty"`
	Caller string  `json:"c"`
	What   string  `json:"w"` // method and parameters, but what a next round changes
	Until  int64   `json:"u"`
}

// open reads the state that a request brings back and gives the request as the
// server knows it.
func (s *sealing) open(x *Exchange) (*Message, error) {
	state := gjson.GetBytes(s.request.Params, "requestState")
	if !state.Exists() {
		return s.request, nil
	}
	refused := &Error{Code: CodeInvalidParams, Message: "requestState is not one that this gateway gave to this caller for this request, or its time is over"}
	var have sealed
	if state.Type != gjson.String || !s.e.seal.open(state.Str, &have) || have.Caller != s.caller || have.Until < s.e.now().Unix() || have.What != s.what() {
		return nil, refused
	}
	x.Resumes = have.Token
	m := *s.request
	var err error
	if have.State != nil {
		m.Params, err = sjson.SetBytes(m.Params, "requestState", *have.State)
	} else {
		m.Params, err = sjson.DeleteBytes(m.Params, "requestState")
	}
	if err != nil {
		return nil, refused
	}
	return &m, nil
}

// what identifies a request over its rounds.
func (s *sealing) what() string {
	return digest(s.request.Method, gjson.GetBytes(s.request.Params, "name").Raw, gjson.GetBytes(s.request.Params, "uri").Raw, gjson.GetBytes(s.request.Params, "arguments").Raw)
}

// close seals the state of an input_required answer.
func (s *sealing) close(res *Message) (*Message, error) {
	if res.Result == nil || KindOf(res.Result).Kind != InputRequired {
		return res, nil
	}
	next := sealed{Token: s.token, Caller: s.caller, What: s.what(), Until: s.e.now().Add(s.e.limits.State).Unix()}
	if state := gjson.GetBytes(res.Result, "requestState"); state.Type == gjson.String {
		next.State = &state.Str
	}
	text, err := s.e.seal.close(next)
	if err != nil {
		return nil, err
	}
	out := *res
	out.Result, err = sjson.SetBytes(res.Result, "requestState", text)
	return &out, err
}
