package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// mostInBatch bounds a batch: its messages are all under way at once.
const mostInBatch = 100

// Parse reads a request body: one message, or a batch of them. It is strict:
// duplicate members, invalid UTF-8, nesting deeper than depth and trailing
// data are errors. An error is an *Error to answer with HTTP 400.
func Parse(body []byte, depth int) (messages []*Message, batch bool, err error) {
	if err := check(body, depth); err != nil {
		return nil, false, &Error{Code: CodeParse, Message: "the body is not valid JSON: " + err.Error()}
	}
	body = bytes.TrimSpace(body)
	if body[0] != '[' {
		m, err := envelope(body)
		if err != nil {
			return nil, false, err
		}
		return []*Message{m}, false, nil
	}
	var items []json.RawMessage
	if err := json.Unmarshal(body, &items); err != nil || len(items) == 0 {
		return nil, true, &Error{Code: CodeInvalidRequest, Message: "an empty batch asks for nothing"}
	}
	if len(items) > mostInBatch {
		return nil, true, &Error{Code: CodeInvalidRequest, Message: fmt.Sprintf("the batch has %d messages; at most %d go in one", len(items), mostInBatch)}
	}
	for i, item := range items {
		m, err := envelope(item)
		if err != nil {
			return nil, true, &Error{Code: CodeInvalidRequest, Message: fmt.Sprintf("message %d of the batch: %v", i, err)}
		}
		messages = append(messages, m)
	}
	return messages, true, nil
}

// check goes through the text once, so that what follows can trust it.
func check(body []byte, depth int) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return errors.New("it is empty")
	}
	if deep, at := nesting(body, depth); deep {
		return fmt.Errorf("it is nested deeper than %d levels at byte %d", depth, at)
	}
	if !utf8.Valid(body) {
		return fmt.Errorf("invalid UTF-8 after byte %d", len(body)-len(bytes.TrimLeftFunc(body, func(r rune) bool { return r != utf8.RuneError })))
	}
	if jsontext.Value(body).IsValid(halfPairs()) {
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(body), halfPairs()) // once more, to say what is wrong
	if err := d.SkipValue(); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.New("it ends too early")
		}
		return err
	}
	return errors.New("there is more than one value")
}

// halfPairs lets an escape such as "\ud83d" stand, which is valid JSON and what
// JavaScript makes of half a surrogate pair. That the bytes are UTF-8 is
// checked before.
func halfPairs() jsontext.Options { return jsontext.AllowInvalidUTF8(true) }

// nesting says whether a text opens more than so many objects and lists in each
// other, and where. It looks at nothing else.
func nesting(body []byte, most int) (bool, int) {
	open, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if open++; open > most {
				return true, i
			}
		case c == '}' || c == ']':
			open--
		}
	}
	return false, 0
}

// members are the raw members of a message's envelope.
type members struct {
	jsonrpc, id, method, params, result, failure json.RawMessage
}

// envelopeOf cuts an object that check has passed into its members, which stay
// part of the text.
func envelopeOf(text []byte) (m members, ok bool) {
	if text[0] != '{' {
		return m, false
	}
	for key, at := range Members(text) {
		if bytes.IndexByte(key, '\\') >= 0 {
			key = []byte(unescape(key))
		}
		value := json.RawMessage(text[at.From:at.To:at.To])
		switch string(key) {
		case "jsonrpc":
			m.jsonrpc = value
		case "id":
			m.id = value
		case "method":
			m.method = value
		case "params":
			m.params = value
		case "result":
			m.result = value
		case "error":
			m.failure = value
		}
	}
	return m, true
}

// envelope reads one message that check has passed.
func envelope(text []byte) (*Message, error) {
	bad := func(text string) error { return &Error{Code: CodeInvalidRequest, Message: text} }
	e, ok := envelopeOf(text)
	if !ok {
		return nil, bad(`a message must be an object such as {"jsonrpc":"2.0","id":1,"method":"ping"}`)
	}
	if string(e.jsonrpc) != `"2.0"` {
		return nil, bad(`"jsonrpc" must be "2.0"`)
	}
	m := &Message{ID: e.id, Params: e.params, Result: e.result}
	if m.ID != nil && !validID(m.ID) {
		return nil, bad(`"id" must be a string or a number, and not null`)
	}
	if e.failure != nil && string(e.failure) != "null" {
		m.Error = new(Error)
		if err := json.Unmarshal(e.failure, m.Error); err != nil {
			return nil, bad(`"error" must be an object with "code" and "message"`)
		}
	}
	if e.method != nil {
		if m.Method, ok = Text(e.method); !ok || m.Method == "" {
			return nil, bad(`"method" must be a string`)
		}
	}
	switch {
	case m.Method == "" && m.Result == nil && m.Error == nil:
		return nil, bad(`a message needs "method", "result" or "error"`)
	case m.Method == "" && m.ID == nil:
		return nil, bad(`an answer needs the "id" of its question`)
	case m.Params != nil && m.Method != "" && m.Params[0] != '{' && m.Params[0] != '[':
		return nil, bad(`"params" must be an object`)
	}
	return m, nil
}

func validID(id json.RawMessage) bool {
	return len(id) > 0 && (id[0] == '"' || id[0] == '-' || id[0] >= '0' && id[0] <= '9') && len(id) <= 4096
}

// Append writes a message in one line, with its parts as they came.
func (m *Message) Append(b []byte) []byte {
	b = slices.Grow(b, 64+len(m.ID)+len(m.Method)+len(m.Params)+len(m.Result))
	b = append(b, `{"jsonrpc":"2.0"`...)
	if m.ID != nil {
		b = append(append(b, `,"id":`...), m.ID...)
	} else if m.Method == "" {
		b = append(b, `,"id":null`...)
	}
	if m.Method != "" {
		b = quote(append(b, `,"method":`...), m.Method)
	}
	if m.Params != nil {
		b = append(append(b, `,"params":`...), m.Params...)
	}
	switch {
	case m.Error != nil:
		b = m.Error.append(append(b, `,"error":`...))
	case m.Method == "" && m.Result == nil:
		b = append(b, `,"result":{}`...)
	case m.Result != nil:
		b = append(append(b, `,"result":`...), m.Result...)
	}
	return append(b, '}')
}

func (e *Error) append(b []byte) []byte {
	b = strconv.AppendInt(append(b, `{"code":`...), int64(e.Code), 10)
	b = quote(append(b, `,"message":`...), e.Message)
	if len(e.Data) > 0 {
		b = append(append(b, `,"data":`...), e.Data...)
	}
	return append(b, '}')
}

// quote appends text as a JSON string; invalid UTF-8 is replaced.
func quote(b []byte, text string) []byte {
	if isPlain(text) {
		return append(append(append(b, '"'), text...), '"')
	}
	out, err := jsontext.AppendQuote(b, strings.ToValidUTF8(text, "\uFFFD"))
	if err != nil {
		return append(b, `""`...)
	}
	return out
}

// isPlain says whether text is its own JSON form between quotes.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
