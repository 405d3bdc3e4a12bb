// Package filetree reads a file that people write, JSON or YAML, into one kind
// of tree that knows where in the file each value stands, so that whoever
// reads the tree can say every mistake with its place. It knows no names and no
// types: what a value means is its reader's business.
package filetree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"
)

// Kind is what a value is.
type Kind uint8

// The kinds of values.
const (
	Null Kind = iota
	Text
	Number
	Boolean
	List
	Object
)

func (k Kind) String() string {
	return [...]string{"nothing", "text", "a number", "true or false", "a list", "an object"}[k]
}

// Node is a value with its place: the same for JSON and YAML.
type Node struct {
	Kind         Kind
	Text         string // of text, numbers and booleans
	Items        []*Node
	Members      []Member
	Line, Column int // from 1
}

// Member is a named value of an object.
type Member struct {
	Name         string
	Line, Column int // of the name
	Value        *Node
}

// Fault is what keeps a file from being read, with its place.
type Fault struct {
	Line, Column int
	Field        string // where a member is set twice
	Message      string
}

// Values may be nested so deep and there may be so many: far more than any
// file needs, and no alias can blow up beyond it.
const (
	deepest = 20
	most    = 200_000
)

type deepError struct{}

func (deepError) Error() string {
	return fmt.Sprintf("values are nested more than %d deep, or there are too many", deepest)
}

// Parse reads a file's text: as JSON when its name ends in .json or its first
// character is a brace, as YAML otherwise. Without a tree there is a fault.
func Parse(name string, raw []byte) (*Node, []Fault) {
	trimmed := bytes.TrimSpace(raw)
	if strings.HasSuffix(name, ".json") || len(trimmed) > 0 && trimmed[0] == '{' {
		return JSON(raw)
	}
	return parseYAML(raw)
}

// JSON reads one JSON value.
func JSON(raw []byte) (*Node, []Fault) {
	r := &jsonReader{d: jsontext.NewDecoder(bytes.NewBuffer(raw)), raw: raw}
	n, err := r.value(0)
	if err == nil {
		if _, err = r.d.ReadToken(); err == nil {
			err = errors.New("there is more after the end of the value")
		} else if errors.Is(err, io.EOF) {
			return n, nil
		}
	}
	offset, message := r.d.InputOffset(), err.Error()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		offset = syntax.ByteOffset
		if syntax.Err != nil {
			message = syntax.Err.Error()
		}
	}
	line, column := place(raw, offset)
	return nil, []Fault{{Line: line, Column: column, Message: "not valid JSON: " + message}}
}

type jsonReader struct {
	d   *jsontext.Decoder
	raw []byte
}

func (r *jsonReader) value(depth int) (*Node, error) {
	if depth > deepest {
		return nil, deepError{}
	}
	before := r.d.InputOffset()
	t, err := r.d.ReadToken()
	if err != nil {
		return nil, err
	}
	n := new(Node)
	n.Line, n.Column = place(r.raw, start(r.raw, before))
	switch t.Kind() {
	case 't', 'f':
		n.Kind, n.Text = Boolean, t.String()
	case '"':
		n.Kind, n.Text = Text, t.String()
	case '0':
		n.Kind, n.Text = Number, t.String()
	case '[':
		n.Kind = List
		for r.d.PeekKind() != ']' {
			item, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, item)
		}
		_, err = r.d.ReadToken()
	case '{':
		n.Kind = Object
		err = r.members(n, depth)
	}
	return n, err
}

func (r *jsonReader) members(n *Node, depth int) error {
	for r.d.PeekKind() != '}' {
		at := start(r.raw, r.d.InputOffset())
		name, err := r.d.ReadToken()
		if err != nil {
			return err
		}
		m := Member{Name: name.String()}
		m.Line, m.Column = place(r.raw, at)
		if m.Value, err = r.value(depth + 1); err != nil {
			return err
		}
		n.Members = append(n.Members, m)
	}
	_, err := r.d.ReadToken()
	return err
}

// start is where the next value begins: after blanks and punctuation.
func start(raw []byte, offset int64) int64 {
	for offset < int64(len(raw)) && strings.IndexByte(" \t\r\n,:", raw[offset]) >= 0 {
		offset++
	}
	return offset
}

func place(raw []byte, offset int64) (line, column int) {
	before := raw[:min(offset, int64(len(raw)))]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}

func parseYAML(raw []byte) (*Node, []Fault) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, yamlFaults(err)
	}
	if len(doc.Content) == 0 {
		return &Node{Kind: Object, Line: 1, Column: 1}, nil
	}
	w := &yamlReader{}
	n := w.value(doc.Content[0], 0)
	if w.deep {
		return nil, w.found
	}
	return n, w.found
}

func yamlFaults(err error) []Fault {
	var many *yaml.LoadErrors
	if !errors.As(err, &many) {
		return []Fault{{Line: 1, Column: 1, Message: "not valid YAML: " + err.Error()}}
	}
	var out []Fault
	for _, e := range many.Errors {
		out = append(out, Fault{Line: e.Mark.Line, Column: e.Mark.Column, Message: "not valid YAML: " + e.Message})
	}
	return out
}

// yamlReader turns the library's nodes into ours.
type yamlReader struct {
	found []Fault
	seen  int
	deep  bool
}

func (w *yamlReader) value(y *yaml.Node, depth int) *Node {
	n := &Node{Line: y.Line, Column: y.Column}
	if w.seen++; depth > deepest || w.seen > most {
		if !w.deep {
			w.deep = true
			w.found = append(w.found, Fault{Line: y.Line, Column: y.Column, Message: deepError{}.Error()})
		}
		return n
	}
	switch y.Kind {
	case yaml.AliasNode:
		return w.value(y.Alias, depth+1)
	case yaml.SequenceNode:
		n.Kind = List
		for _, item := range y.Content {
			n.Items = append(n.Items, w.value(item, depth+1))
		}
	case yaml.MappingNode:
		n.Kind = Object
		w.members(n, y.Content, depth)
	default:
		if n.Kind = scalar(y.ShortTag()); n.Kind != Null {
			n.Text = y.Value
		}
	}
	return n
}

func (w *yamlReader) members(n *Node, pairs []*yaml.Node, depth int) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(pairs) && !w.deep; i += 2 {
		k := pairs[i]
		if seen[k.Value] {
			w.found = append(w.found, Fault{Line: k.Line, Column: k.Column, Field: k.Value, Message: "is set twice"})
		}
		seen[k.Value] = true
		n.Members = append(n.Members, Member{Name: k.Value, Line: k.Line, Column: k.Column, Value: w.value(pairs[i+1], depth+1)})
	}
}

func scalar(tag string) Kind {
	switch tag {
	case "!!null":
		return Null
	case "!!bool":
		return Boolean
	case "!!int", "!!float":
		return Number
	}
	return Text
}
