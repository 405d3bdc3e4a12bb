package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"
)

// kind is what a value in a file is.
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
	return [...]string{"null", "text", "a number", "true or false", "a list", "an object"}[k]
}

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

// parse reads a file's text: JSON when its name or its first character says
// so, YAML otherwise.
func parse(name string, raw []byte) (*node, []Diagnostic) {
	trimmed := bytes.TrimSpace(raw)
	if strings.HasSuffix(name, ".json") || len(trimmed) > 0 && trimmed[0] == '{' {
		return parseJSON(raw)
	}
	return parseYAML(raw)
}

func parseJSON(raw []byte) (*node, []Diagnostic) {
	d := jsontext.NewDecoder(bytes.NewBuffer(raw))
	n, err := readJSON(d, raw)
	if err == nil {
		if _, err = d.ReadToken(); err == nil {
			err = errors.New("there is more after the end of the object")
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err == nil {
		return n, nil
	}
	offset := d.InputOffset()
	var syntax *jsontext.SyntacticError
	message := err.Error()
	if errors.As(err, &syntax) {
		offset = syntax.ByteOffset
		if syntax.Err != nil {
			message = syntax.Err.Error()
		}
	}
	line, column := place(raw, offset)
	return nil, []Diagnostic{{Line: line, Column: column, Level: Bad, Message: "not valid JSON: " + message}}
}

func readJSON(d *jsontext.Decoder, raw []byte) (*node, error) {
	before := d.InputOffset()
	t, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	n := new(node)
	n.line, n.column = place(raw, start(raw, before))
	switch t.Kind() {
	case 'n':
		n.kind = null
	case 't', 'f':
		n.kind, n.text = boolean, t.String()
	case '"':
		n.kind, n.text = text, t.String()
	case '0':
		n.kind, n.text = number, t.String()
	case '[':
		n.kind = list
		for d.PeekKind() != ']' {
			item, err := readJSON(d, raw)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		_, err = d.ReadToken()
	case '{':
		n.kind = object
		for d.PeekKind() != '}' {
			at := start(raw, d.InputOffset())
			name, err := d.ReadToken()
			if err != nil {
				return nil, err
			}
			m := member{name: name.String()}
			m.line, m.column = place(raw, at)
			if m.value, err = readJSON(d, raw); err != nil {
				return nil, err
			}
			n.members = append(n.members, m)
		}
		_, err = d.ReadToken()
	}
	return n, err
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
	line = bytes.Count(before, []byte("\n")) + 1
	return line, len(before) - (bytes.LastIndexByte(before, '\n') + 1) + 1
}

func parseYAML(raw []byte) (*node, []Diagnostic) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, yamlErrors(err)
	}
	if len(doc.Content) == 0 {
		return &node{kind: object, line: 1, column: 1}, nil
	}
	var found []Diagnostic
	return fromYAML(doc.Content[0], &found), found
}

func yamlErrors(err error) []Diagnostic {
	var many *yaml.LoadErrors
	if !errors.As(err, &many) {
		return []Diagnostic{{Line: 1, Column: 1, Level: Bad, Message: "not valid YAML: " + err.Error()}}
	}
	var out []Diagnostic
	for _, e := range many.Errors {
		out = append(out, Diagnostic{Line: e.Mark.Line, Column: e.Mark.Column, Level: Bad, Message: "not valid YAML: " + e.Message})
	}
	return out
}

func fromYAML(y *yaml.Node, found *[]Diagnostic) *node {
	n := &node{line: y.Line, column: y.Column}
	switch y.Kind {
	case yaml.AliasNode:
		return fromYAML(y.Alias, found)
	case yaml.SequenceNode:
		n.kind = list
		for _, item := range y.Content {
			n.items = append(n.items, fromYAML(item, found))
		}
	case yaml.MappingNode:
		n.kind = object
		seen := map[string]bool{}
		for i := 0; i+1 < len(y.Content); i += 2 {
			k := y.Content[i]
			if seen[k.Value] {
				*found = append(*found, Diagnostic{Line: k.Line, Column: k.Column, Level: Bad, Field: k.Value, Message: fmt.Sprintf("%q is set twice", k.Value)})
			}
			seen[k.Value] = true
			n.members = append(n.members, member{name: k.Value, line: k.Line, column: k.Column, value: fromYAML(y.Content[i+1], found)})
		}
	default:
		n.text = y.Value
		switch y.ShortTag() {
		case "!!null":
			n.kind = null
		case "!!bool":
			n.kind = boolean
		case "!!int", "!!float":
			n.kind = number
		default:
			n.kind = text
		}
	}
	return n
}
