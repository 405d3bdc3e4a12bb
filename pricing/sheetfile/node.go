package sheetfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"
)

// node is a value in a file, with its place: the same for JSON and YAML.
type node struct {
	kind    kind
	text    string // of scalars
	items   []*node
	members []member
	line    int
	column  int
}

type member struct {
	name         string
	line, column int
	value        *node
}

type kind uint8

const (
	null kind = iota
	text
	number
	boolean
	list
	object
)

func (k kind) String() string {
	return [...]string{"nothing", "text", "a number", "true or false", "a list", "an object"}[k]
}

// deepest is how deep values may be nested, and most how many there may be:
// far more than any sheet needs, and no alias can blow up beyond it.
const (
	deepest = 20
	most    = 20_000
)

func parse(raw []byte) (*node, []Diagnostic) {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseJSON(raw)
	}
	return parseYAML(raw)
}

func parseJSON(raw []byte) (*node, []Diagnostic) {
	d := jsontext.NewDecoder(bytes.NewBuffer(raw))
	n, err := readJSON(d, raw, 0)
	if err == nil {
		if _, err = d.ReadToken(); err == nil {
			err = errors.New("there is more after the end of the object")
		} else if errors.Is(err, io.EOF) {
			return n, nil
		}
	}
	offset, message := d.InputOffset(), err.Error()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		offset = syntax.ByteOffset
		if syntax.Err != nil {
			message = syntax.Err.Error()
		}
	}
	line, column := place(raw, offset)
	return nil, []Diagnostic{{Line: line, Column: column, Message: "not valid JSON: " + message}}
}

func readJSON(d *jsontext.Decoder, raw []byte, depth int) (*node, error) {
	if depth > deepest {
		return nil, errDeep
	}
	before := d.InputOffset()
	t, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	n := new(node)
	n.line, n.column = place(raw, start(raw, before))
	switch t.Kind() {
	case 'n':
	case 't', 'f':
		n.kind, n.text = boolean, t.String()
	case '"':
		n.kind, n.text = text, t.String()
	case '0':
		n.kind, n.text = number, t.String()
	case '[':
		n.kind = list
		for d.PeekKind() != ']' {
			item, err := readJSON(d, raw, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		_, err = d.ReadToken()
	case '{':
		n.kind = object
		err = readMembers(n, d, raw, depth)
	}
	return n, err
}

func readMembers(n *node, d *jsontext.Decoder, raw []byte, depth int) error {
	for d.PeekKind() != '}' {
		at := start(raw, d.InputOffset())
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		m := member{name: name.String()}
		m.line, m.column = place(raw, at)
		if m.value, err = readJSON(d, raw, depth+1); err != nil {
			return err
		}
		n.members = append(n.members, m)
	}
	_, err := d.ReadToken()
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

func parseYAML(raw []byte) (*node, []Diagnostic) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, yamlErrors(err)
	}
	if len(doc.Content) == 0 {
		return &node{kind: object, line: 1, column: 1}, nil
	}
	w := &walk{}
	n := w.node(doc.Content[0], 0)
	return n, w.found
}

func yamlErrors(err error) []Diagnostic {
	var many *yaml.LoadErrors
	if !errors.As(err, &many) {
		return []Diagnostic{{Line: 1, Column: 1, Message: "not valid YAML: " + err.Error()}}
	}
	var out []Diagnostic
	for _, e := range many.Errors {
		out = append(out, Diagnostic{Line: e.Mark.Line, Column: e.Mark.Column, Message: "not valid YAML: " + e.Message})
	}
	return out
}

var errDeep = fmt.Errorf("values are nested more than %d deep", deepest)

// walk turns YAML's nodes into ours.
type walk struct {
	found []Diagnostic
	seen  int
}

func (w *walk) node(y *yaml.Node, depth int) *node {
	n := &node{line: y.Line, column: y.Column}
	if w.seen++; depth > deepest || w.seen > most {
		if len(w.found) == 0 || w.found[len(w.found)-1].Message != errDeep.Error() {
			w.found = append(w.found, Diagnostic{Line: y.Line, Column: y.Column, Message: errDeep.Error()})
		}
		return n
	}
	switch y.Kind {
	case yaml.AliasNode:
		return w.node(y.Alias, depth+1)
	case yaml.SequenceNode:
		n.kind = list
		for _, item := range y.Content {
			n.items = append(n.items, w.node(item, depth+1))
		}
	case yaml.MappingNode:
		n.kind = object
		seen := map[string]bool{}
		for i := 0; i+1 < len(y.Content); i += 2 {
			k := y.Content[i]
			if seen[k.Value] {
				w.found = append(w.found, Diagnostic{Line: k.Line, Column: k.Column, Field: k.Value, Message: "is set twice"})
			}
			seen[k.Value] = true
			n.members = append(n.members, member{name: k.Value, line: k.Line, column: k.Column, value: w.node(y.Content[i+1], depth+1)})
		}
	default:
		n.text = y.Value
		n.kind = map[string]kind{"!!null": null, "!!bool": boolean, "!!int": number, "!!float": number}[y.ShortTag()]
		if n.kind == null && y.ShortTag() != "!!null" {
			n.kind = text
		}
	}
	return n
}
