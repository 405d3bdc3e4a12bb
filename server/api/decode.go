package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// decode fills in from the body and the query. Unknown members of the body are
// not an error; their names come back.
func decode(r *Request, in any) (unknown []string, err error) {
	if r.Body != nil {
		if unknown, err = decodeBody(r.Body, in); err != nil {
			return nil, err
		}
	}
	if v := reflect.ValueOf(in).Elem(); v.Kind() == reflect.Struct {
		decodeQuery(r.Query, v)
	}
	return unknown, nil
}

func decodeQuery(query map[string][]string, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			decodeQuery(query, v.Field(i))
			continue
		}
		values := query[f.Tag.Get("query")]
		if len(values) == 0 || !f.IsExported() {
			continue
		}
		decodeText(v.Field(i), values[0])
	}
}

// decodeText fills a field in from a query's text: a list by its commas.
func decodeText(field reflect.Value, text string) {
	switch to := field.Addr().Interface().(type) {
	case interface{ SetText(string) }:
		to.SetText(text)
	case *string:
		*to = text
	case **string: // so that an empty one is told apart from none
		*to = &text
	case *bool:
		*to = text == "1" || text == "true"
	case *[]string:
		*to = strings.Split(text, ",")
	}
}

// decodeBody is strict about the text and lenient about what it holds.
func decodeBody(body []byte, in any) ([]string, error) {
	if len(strings.TrimSpace(string(body))) == 0 {
		body = []byte("{}")
	}
	value := jsontext.Value(body)
	if !value.IsValid() {
		return nil, BadRequest("Invalid JSON: %s", syntax(body))
	}
	if value.Kind() != '{' {
		return nil, BadRequest("Invalid JSON: the body must be an object")
	}
	if err := strict.Unmarshal(body, in); err != nil {
		var semantic *strict.SemanticError
		if errors.As(err, &semantic) {
			field := strings.ReplaceAll(strings.TrimPrefix(string(semantic.JSONPointer), "/"), "/", ".")
			return nil, BadRequest("%s: %s", field, wanted(semantic))
		}
		return nil, BadRequest("Invalid JSON: %v", err)
	}
	return unknownMembers(body, in), nil
}

func syntax(body []byte) string {
	_, err := jsontext.AppendFormat(nil, body)
	var at *jsontext.SyntacticError
	if !errors.As(err, &at) {
		return "it cannot be read"
	}
	line := 1 + strings.Count(string(body[:min(int(at.ByteOffset), len(body))]), "\n")
	return fmt.Sprintf("line %d: %v", line, at.Err)
}

func wanted(e *strict.SemanticError) string {
	if e.Err != nil {
		return e.Err.Error()
	}
	want := "another kind of value"
	if e.GoType != nil {
		switch e.GoType.Kind() {
		case reflect.String:
			want = "text"
		case reflect.Bool:
			want = "true or false"
		case reflect.Slice:
			want = "a list"
		case reflect.Map, reflect.Struct:
			want = "an object"
		}
	}
	return "must be " + want
}

func unknownMembers(body []byte, in any) []string {
	t := reflect.TypeOf(in).Elem()
	if t.Kind() != reflect.Struct {
		return nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return nil
	}
	known := map[string]bool{}
	fields(t, known)
	var out []string
	for name := range members {
		if !known[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func fields(t reflect.Type, known map[string]bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			fields(f.Type, known)
			continue
		}
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			known[name] = true
		}
	}
}

// withWarnings is an answer with the names of members that were not understood.
type withWarnings struct {
	out     any
	unknown []string
}

func (w withWarnings) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(w.out)
	if err != nil || len(text) < 2 || text[0] != '{' {
		return text, err
	}
	list := make([]string, len(w.unknown))
	for i, name := range w.unknown {
		list[i] = fmt.Sprintf("%q is not a known field and was ignored", name)
	}
	warnings, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	text = text[:len(text)-1]
	if len(text) > 1 {
		text = append(text, ',')
	}
	return append(append(append(text, `"warnings":`...), warnings...), '}'), nil
}

// Number is a number as clients send it: a JSON number, or one as text. It
// keeps whether it came at all, so that fields can be told apart from zeros.
type Number struct {
	Given bool // something came, even if it is no number
	Valid bool // it was a finite number
	Text  bool // it came in quotes
	value float64
}

// UnmarshalJSON takes anything: what is no number is Given and not Valid.
func (n *Number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	n.Text = len(b) > 0 && b[0] == '"'
	n.SetText(strings.Trim(string(b), `"`))
	return nil
}

// SetText reads a query's or a text's number.
func (n *Number) SetText(text string) {
	n.Given = true
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	n.Valid = err == nil && !math.IsInf(v, 0) && !math.IsNaN(v)
	if n.Valid {
		n.value = v
	}
}

// MarshalJSON writes the number, or null.
func (n Number) MarshalJSON() ([]byte, error) {
	if !n.Valid {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, n.value, 'f', -1, 64), nil
}

// Float is the number; 0 when there is none.
func (n Number) Float() float64 { return n.value }

// Positive says whether it is a number above 0.
func (n Number) Positive() bool { return n.Valid && n.value > 0 }

// Floor is the whole number at or below it, forced into least..most.
func (n Number) Floor(least, most int64) int64 {
	f := math.Floor(n.value)
	switch {
	case f <= float64(least):
		return least
	case f >= float64(most):
		return most
	}
	return int64(f)
}

// Or is Floor, or a default when no number came.
func (n Number) Or(def, least, most int64) int64 {
	if !n.Valid {
		return def
	}
	return n.Floor(least, most)
}

// Text is a text, or null, that can be told apart from one that was left out.
type Text struct {
	Given bool
	Value string // empty for null
}

// UnmarshalJSON reads null as no text.
func (t *Text) UnmarshalJSON(raw []byte) error {
	t.Given = true
	return json.Unmarshal(raw, &t.Value)
}
