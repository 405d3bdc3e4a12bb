// Package sheetfile reads price sheets that people write, as YAML or JSON,
// strictly: every mistake at once, each with its place and what was meant. It
// also keeps the libraries for that out of package pricing.
package sheetfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"paygate/pricing"
	"paygate/pricing/filetree"
	"paygate/pricing/spelling"
)

// Diagnostic is one finding about a sheet's file. A Warning does not keep the
// sheet from being used.
type Diagnostic struct {
	Line       int    `json:"line"` // from 1
	Column     int    `json:"column"`
	Field      string `json:"field,omitempty"` // such as "rules[1].price.max"
	Message    string `json:"message"`
	Suggestion string `json:"suggestion,omitempty"`
	Warning    bool   `json:"warning,omitempty"`
}

func (d Diagnostic) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:%d: ", d.Line, d.Column)
	if d.Warning {
		b.WriteString("warning: ")
	}
	if d.Field != "" {
		b.WriteString(d.Field + ": ")
	}
	b.WriteString(d.Message)
	if d.Suggestion != "" {
		b.WriteString("; " + d.Suggestion)
	}
	return b.String()
}

// Invalid is the error of a file with mistakes: one a line.
type Invalid struct{ Found []Diagnostic }

func (e *Invalid) Error() string {
	lines := make([]string, len(e.Found))
	for i, d := range e.Found {
		lines[i] = d.String()
	}
	return strings.Join(lines, "\n")
}

// MaxBytes is the longest file that is read.
const MaxBytes = 1 << 20

// File is what a sheet's file says.
type File struct {
	Name     string // what the file calls the sheet; may be empty
	Sheet    *pricing.Sheet
	Warnings []Diagnostic
}

// Parse reads a sheet. The error is an *Invalid with every mistake.
func Parse(raw []byte) (*File, error) {
	if len(raw) > MaxBytes {
		return nil, &Invalid{[]Diagnostic{{Line: 1, Column: 1, Message: fmt.Sprintf("a price sheet has at most %d bytes, this has %d", MaxBytes, len(raw))}}}
	}
	root, faults := filetree.Parse("", raw)
	r := &reader{}
	for _, f := range faults {
		r.found = append(r.found, Diagnostic{Line: f.Line, Column: f.Column, Field: f.Field, Message: f.Message})
	}
	f := &File{}
	if root != nil {
		spec := r.sheet(root, f)
		if !r.failed() {
			var err error
			if f.Sheet, err = pricing.Compile(spec); err != nil {
				r.bad(root, "", "%s", err)
			}
		}
	}
	slices.SortStableFunc(r.found, func(a, b Diagnostic) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	if r.failed() {
		return nil, &Invalid{r.found}
	}
	f.Warnings = r.found
	return f, nil
}

// reader collects what is wrong.
type reader struct{ found []Diagnostic }

func (r *reader) failed() bool {
	return slices.ContainsFunc(r.found, func(d Diagnostic) bool { return !d.Warning })
}

func (r *reader) bad(n *filetree.Node, field, format string, args ...any) {
	r.found = append(r.found, Diagnostic{Line: max(1, n.Line), Column: max(1, n.Column), Field: field, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) warn(n *filetree.Node, field, message, suggestion string) {
	r.found = append(r.found, Diagnostic{Line: max(1, n.Line), Column: max(1, n.Column), Field: field, Message: message, Suggestion: suggestion, Warning: true})
}

// fields reads an object whose members are known. Each reader gets the value
// and its full name.
type fields map[string]func(n *filetree.Node, field string)

func (r *reader) object(n *filetree.Node, field string, known fields) {
	if n.Kind != filetree.Object {
		r.bad(n, field, "must be an object, not %s", n.Kind)
		return
	}
	for _, m := range n.Members {
		name := join(field, m.Name)
		if read := known[m.Name]; read != nil {
			read(m.Value, name)
			continue
		}
		names := make([]string, 0, len(known))
		for k := range known {
			names = append(names, k)
		}
		slices.Sort(names)
		d := Diagnostic{Line: m.Line, Column: m.Column, Field: name, Message: "there is no such field", Suggestion: "it may be " + strings.Join(names, ", ")}
		if near := spelling.Nearest(m.Name, names); near != "" {
			d.Suggestion = fmt.Sprintf("did you mean %q?", near)
		}
		r.found = append(r.found, d)
	}
}

func join(field, name string) string {
	if field == "" {
		return name
	}
	return field + "." + name
}
