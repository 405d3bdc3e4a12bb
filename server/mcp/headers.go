package mcp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Arguments that a tool's schema marks with x-mcp-header travel in Mcp-Param-*
// headers too, «Request Metadata»; a header that says another thing than the
// body is refused.

// headerValue reads a header that may be written as =?base64?…?=.
func headerValue(r *http.Request, name string) (string, bool) {
	values, ok := r.Header[http.CanonicalHeaderKey(name)]
	if !ok || len(values) == 0 {
		return "", false
	}
	v := values[0]
	if coded, found := strings.CutPrefix(v, "=?base64?"); found && strings.HasSuffix(coded, "?=") {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(coded, "?="))
		if err != nil {
			return v, true
		}
		return string(raw), true
	}
	return v, true
}

// marked are the arguments of one tool that have headers: path → header.
type marked map[string]string

// toolHeaders are the marked arguments of a server's tools, kept for a while.
type toolHeaders struct {
	tools map[string]marked
	at    time.Time
}

const toolHeadersTTL = 30 * time.Second

// checkParams compares the Mcp-Param-* headers of a tools/call with its
// arguments.
func (e *Endpoint) checkParams(r *http.Request, m *Message, key poolKey, d Dial) error {
	if m.Method != "tools/call" {
		return nil
	}
	tools, err := e.headersOf(r.Context(), key, d)
	if err != nil { // the call itself says what is wrong with the server
		return nil
	}
	args := gjson.GetBytes(m.Params, "arguments")
	for path, name := range tools[gjson.GetBytes(m.Params, "name").Str] {
		want, there := argument(args, path)
		have, present := headerValue(r, "Mcp-Param-"+name)
		switch {
		case present && !there:
			return &Error{Code: CodeHeaderMismatch, Message: fmt.Sprintf("the header Mcp-Param-%s is there, the argument %s is not", name, path)}
		case there && !present:
			return &Error{Code: CodeHeaderMismatch, Message: fmt.Sprintf("the header Mcp-Param-%s is missing for the argument %s", name, path)}
		case there && !sameValue(want, have):
			return &Error{Code: CodeHeaderMismatch, Message: fmt.Sprintf("the header Mcp-Param-%s says %q, the argument %s is %s", name, have, path, want.Raw)}
		}
	}
	return nil
}

// argument finds a value by its path of names, which may hold any character.
func argument(args gjson.Result, path string) (gjson.Result, bool) {
	for _, name := range strings.Split(path, "\x00") {
		args = args.Get(gjson.Escape(name))
	}
	return args, args.Exists() && args.Type != gjson.Null
}

// sameValue compares numbers as numbers and all else as text.
func sameValue(v gjson.Result, header string) bool {
	if v.Type != gjson.Number {
		return v.String() == header
	}
	a, ok := new(big.Rat).SetString(v.Raw)
	b, ok2 := new(big.Rat).SetString(strings.TrimSpace(header))
	return ok && ok2 && a.Cmp(b) == 0
}

// headersOf lists the tools of the server and keeps which arguments they mark.
func (e *Endpoint) headersOf(ctx context.Context, key poolKey, d Dial) (map[string]marked, error) {
	e.pool.Lock()
	kept, ok := e.pool.headers[key]
	e.pool.Unlock()
	if ok && e.now().Sub(kept.at) < toolHeadersTTL {
		return kept.tools, nil
	}
	tools, cursor := map[string]marked{}, ""
	const mostPages = 100
	for range mostPages {
		params := map[string]any{"_meta": map[string]any{metaPrefix + "protocolVersion": Modern, metaPrefix + "clientCapabilities": map[string]any{}}}
		if cursor != "" {
			params["cursor"] = cursor
		}
		text, err := json.Marshal(params)
		if err != nil {
			return nil, err
		}
		res, err := e.callModern(ctx, key, d, &Message{ID: json.RawMessage(`"paygate"`), Method: "tools/list", Params: text}, func(*Message) {})
		if err != nil {
			return nil, err
		}
		if res.Error != nil {
			return nil, res.Error
		}
		for _, tool := range gjson.GetBytes(res.Result, "tools").Array() {
			found := marked{}
			mark(tool.Get("inputSchema"), "", found)
			if len(found) > 0 {
				tools[tool.Get("name").Str] = found
			}
		}
		if cursor = gjson.GetBytes(res.Result, "nextCursor").Str; cursor == "" {
			break
		}
	}
	e.pool.Lock()
	e.pool.headers[key] = toolHeaders{tools: tools, at: e.now()}
	e.pool.Unlock()
	return tools, nil
}

// mark collects the marked properties of a schema, nested ones too.
func mark(schema gjson.Result, path string, found marked) {
	schema.Get("properties").ForEach(func(name, property gjson.Result) bool {
		at := name.Str
		if path != "" {
			at = path + "\x00" + at
		}
		if header := property.Get("x-mcp-header"); header.Type == gjson.String && header.Str != "" {
			found[at] = header.Str
		}
		mark(property, at, found)
		return true
	})
}
