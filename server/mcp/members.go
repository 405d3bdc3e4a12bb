package mcp

import (
	"bytes"
	"encoding/json"
	"iter"
)

// Span is where a value stands in its text.
type Span struct{ From, To int }

// Members yields the members of a valid JSON object, or of the beginning of
// one: the key without its quotes, escapes kept, and where the value stands.
// Nothing is copied, so it is the cheapest way to what is needed of a message
// that has been checked.
func Members(obj []byte) iter.Seq2[[]byte, Span] {
	return func(yield func([]byte, Span) bool) {
		i := blank(obj, 0)
		if i >= len(obj) || obj[i] != '{' {
			return
		}
		for i = blank(obj, i+1); i < len(obj) && obj[i] == '"'; i = blank(obj, i+1) {
			end := skip(obj, i)
			from := blank(obj, blank(obj, end)+1)
			if from >= len(obj) {
				return // cut off: only the head of a message is here
			}
			key := obj[i+1 : end-1]
			to := skip(obj, from)
			if !yield(key, Span{from, to}) {
				return
			}
			if i = blank(obj, to); i >= len(obj) || obj[i] != ',' {
				return
			}
		}
	}
}

// Elements yields the elements of a valid JSON array that are objects.
func Elements(list []byte) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		if len(list) == 0 || list[0] != '[' {
			return
		}
		for i := blank(list, 1); i < len(list) && list[i] != ']'; i = blank(list, i) {
			end := skip(list, i)
			if list[i] == '{' && !yield(list[i:end:end]) {
				return
			}
			if i = blank(list, end); i < len(list) && list[i] == ',' {
				i++
			}
		}
	}
}

func blank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skip returns where the value that begins at i ends.
func skip(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // a number or a word ended here
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return len(b)
}

func skipString(b []byte, i int) int {
	for i++; i < len(b); {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return len(b)
		}
		end := i + n
		slashes := 0
		for end-1-slashes >= i && b[end-1-slashes] == '\\' {
			slashes++
		}
		i = end + 1
		if slashes%2 == 0 {
			return i
		}
	}
	return len(b)
}

// Field is the raw value of a member of a valid JSON object, whose names are
// unique; nil where there is none. It is part of obj.
func Field(obj []byte, name string) []byte {
	for key, at := range Members(obj) {
		if named(key, name) {
			return obj[at.From:at.To:at.To]
		}
	}
	return nil
}

// named compares a key as it was written with a name.
func named(key []byte, name string) bool {
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key) == name
	}
	return unescape(key) == name
}

func unescape(key []byte) string {
	name, _ := Text(append(append([]byte{'"'}, key...), '"'))
	return name
}

// Text is the string that a raw JSON value is; false if it is none.
func Text(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	if inside := raw[1 : len(raw)-1]; bytes.IndexByte(inside, '\\') < 0 {
		return string(inside), true
	}
	var text string
	err := json.Unmarshal(raw, &text) // half a surrogate pair becomes U+FFFD
	return text, err == nil
}
