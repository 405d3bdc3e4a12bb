package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

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
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	values := 0
	for {
		t, err := d.ReadToken()
		if err != nil {
			if values == 1 && d.StackDepth() == 0 && errors.Is(err, io.EOF) {
				return nil
			}
			if errors.Is(err, io.EOF) {
				return errors.New("it is empty or ends too early")
			}
			return err
		}
		switch t.Kind() {
		case '{', '[':
			if d.StackDepth() > depth {
				return fmt.Errorf("it is nested deeper than %d levels at %s", depth, d.StackPointer())
			}
			continue
		}
		if d.StackDepth() == 0 {
			if values++; values > 1 {
				return errors.New("there is more than one value")
			}
		}
	}
}

// envelope reads one message that check has passed.
func envelope(text []byte) (*Message, error) {
	var e struct {
		JSONRPC *string          `json:"jsonrpc"`
		ID      json.RawMessage  `json:"id"`
		Method  *json.RawMessage `json:"method"`
		Params  json.RawMessage  `json:"params"`
		Result  json.RawMessage  `json:"result"`
		Error   json.RawMessage  `json:"error"`
	}
	bad := func(text string) error { return &Error{Code: CodeInvalidRequest, Message: text} }
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, bad(`a message must be an object such as {"jsonrpc":"2.0","id":1,"method":"ping"}`)
	}
	if e.JSONRPC == nil || *e.JSONRPC != "2.0" {
		return nil, bad(`"jsonrpc" must be "2.0"`)
	}
	m := &Message{ID: e.ID, Params: e.Params, Result: e.Result}
	if m.ID != nil && !validID(m.ID) {
		return nil, bad(`"id" must be a string or a number, and not null`)
	}
	if e.Error != nil && string(e.Error) != "null" {
		m.Error = new(Error)
		if err := json.Unmarshal(e.Error, m.Error); err != nil {
			return nil, bad(`"error" must be an object with "code" and "message"`)
		}
	}
	if e.Method != nil {
		if err := json.Unmarshal(*e.Method, &m.Method); err != nil || m.Method == "" {
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
	out, err := jsontext.AppendQuote(b, strings.ToValidUTF8(text, "\uFFFD"))
	if err != nil {
		return append(b, `""`...)
	}
	return out
}
