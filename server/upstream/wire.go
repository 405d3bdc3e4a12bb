package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"paygate/server/mcp"
)

// errNotMessage says that a line is no JSON-RPC message.
var errNotMessage = errors.New("not a JSON-RPC message")

// parse reads one message, or the messages of a batch. What it returns points
// into line, which therefore belongs to the messages from now on.
func parse(line []byte) ([]*mcp.Message, error) {
	if !utf8.Valid(line) {
		line = bytes.ToValidUTF8(line, []byte("\uFFFD"))
	}
	line = bytes.TrimSpace(line)
	if len(line) == 0 || !json.Valid(line) {
		return nil, errNotMessage
	}
	switch line[0] {
	case '{':
		m, err := parseOne(line)
		if err != nil {
			return nil, err
		}
		return []*mcp.Message{m}, nil
	case '[':
		return parseBatch(line)
	}
	return nil, errNotMessage
}

func parseBatch(line []byte) ([]*mcp.Message, error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(line, &raws); err != nil {
		return nil, errNotMessage
	}
	msgs := make([]*mcp.Message, 0, len(raws))
	for _, raw := range raws {
		m, err := parseOne(raw)
		if err != nil {
			return nil, err
		}
		msgs = append(msgs, m)
	}
	return msgs, nil
}

// parseOne takes the members of a valid JSON object apart.
func parseOne(obj []byte) (*mcp.Message, error) {
	m := &mcp.Message{}
	for key, at := range mcp.Members(obj) {
		val := obj[at.From:at.To:at.To]
		switch string(key) {
		case "id":
			if string(val) != "null" {
				m.ID = val
			}
		case "method":
			if json.Unmarshal(val, &m.Method) != nil {
				return nil, errNotMessage
			}
		case "params":
			m.Params = val
		case "result":
			m.Result = val
		case "error":
			if string(val) == "null" {
				continue
			}
			m.Error = &mcp.Error{}
			if json.Unmarshal(val, m.Error) != nil {
				m.Error = &mcp.Error{Code: -32603, Message: "the server answered with an error that is not one: " + cut(string(val), 200)}
			}
		}
	}
	if m.Method == "" && (m.ID == nil || m.Result == nil && m.Error == nil) {
		return nil, errNotMessage
	}
	return m, nil
}

// is compares a key as a lenient server might: escapes and letter case do not
// count. Only so can no caller smuggle in a progress token that is not its own.
func is(key []byte, name string) bool {
	if bytes.IndexByte(key, '\\') < 0 {
		return len(key) == len(name) && strings.EqualFold(string(key), name)
	}
	var s string
	return json.Unmarshal(append(append([]byte{'"'}, key...), '"'), &s) == nil && strings.EqualFold(s, name)
}

// splice replaces every value at path within the object obj and returns the
// object as it then is, and the last value replaced; nil when there was none.
// All other bytes stay as they are.
func splice(obj json.RawMessage, value []byte, path ...string) (out, old json.RawMessage) {
	var cuts []mcp.Span
	find(obj, 0, path, &cuts)
	if len(cuts) == 0 {
		return obj, nil
	}
	buf := make([]byte, 0, len(obj)+len(value)*len(cuts))
	at := 0
	for _, c := range cuts {
		buf = append(append(buf, obj[at:c.From]...), value...)
		at = c.To
		old = obj[c.From:c.To:c.To]
	}
	return append(buf, obj[at:]...), old
}

func find(obj []byte, base int, path []string, cuts *[]mcp.Span) {
	for key, at := range mcp.Members(obj) {
		if !is(key, path[0]) {
			continue
		}
		if len(path) == 1 {
			*cuts = append(*cuts, mcp.Span{From: base + at.From, To: base + at.To})
			continue
		}
		if obj[at.From] == '{' {
			find(obj[at.From:at.To], base+at.From, path[1:], cuts)
		}
	}
}

// lookup returns the value at path, or nil.
func lookup(obj json.RawMessage, path ...string) json.RawMessage {
	for _, name := range path {
		var val []byte
		for key, at := range mcp.Members(obj) {
			if is(key, name) {
				val = obj[at.From:at.To]
			}
		}
		if val == nil {
			return nil
		}
		obj = val
	}
	return obj
}

// text returns the string at path, or "".
func text(obj json.RawMessage, path ...string) string {
	var s string
	if raw := lookup(obj, path...); raw == nil || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// appendMessage writes m on one line, under id, ending in a newline.
func appendMessage(dst []byte, m *mcp.Message, id json.RawMessage) []byte {
	dst = append(dst, `{"jsonrpc":"2.0"`...)
	if id != nil {
		dst = appendLine(append(dst, `,"id":`...), id)
	}
	if m.Method != "" {
		dst = appendString(append(dst, `,"method":`...), m.Method)
		if m.Params != nil {
			dst = appendLine(append(dst, `,"params":`...), m.Params)
		}
		return append(dst, "}\n"...)
	}
	if m.Error != nil {
		dst = append(dst, `,"error":`...)
		dst = appendError(dst, m.Error)
		return append(dst, "}\n"...)
	}
	dst = append(dst, `,"result":`...)
	if m.Result == nil {
		dst = append(dst, "{}"...)
	}
	return append(appendLine(dst, m.Result), "}\n"...)
}

// appendLine appends raw JSON on one line: a newline inside can only be blank
// space between tokens, and would end the message early.
func appendLine(dst, raw []byte) []byte {
	n := len(dst)
	dst = append(dst, raw...)
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return dst
	}
	for i := n; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return append(dst, marshal(s)...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

func appendError(dst []byte, e *mcp.Error) []byte {
	dst = strconv.AppendInt(append(dst, `{"code":`...), int64(e.Code), 10)
	dst = appendString(append(dst, `,"message":`...), e.Message)
	if e.Data != nil {
		dst = appendLine(append(dst, `,"data":`...), e.Data)
	}
	return append(dst, '}')
}

// marshal encodes what we made ourselves, without escaping for HTML.
func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("upstream: a value of our own cannot be encoded: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// number reads an id or token of ours, which some servers send back as text.
func number(raw json.RawMessage) (uint64, bool) {
	s := strings.Trim(string(raw), `"`)
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
