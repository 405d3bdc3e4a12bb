package pricing

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// Dim is a dimension of a tool's arguments that a sheet may price by: one
// argument whose value is recorded with every call as a fact. Arguments that
// no sheet declares are not recorded.
type Dim struct {
	Name     string   `json:"name"`
	Tool     string   `json:"tool,omitempty"`     // whose arguments; may have * and ?; empty: every tool's
	Argument string   `json:"argument,omitempty"` // where it is, such as "options.depth"; empty: as Name says
	Values   []string `json:"values,omitempty"`   // those that are told apart; others are DimOther; empty: all
}

// MostDims is how many dimensions a sheet may have.
const MostDims = 8

// What is recorded of values that are not recorded as they are: others than
// the declared ones, and long ones, by their hash.
const (
	DimOther  = "other"
	DimHashed = "sha256:"
	longest   = 64
)

// About says whether the dimension is one of a tool's arguments.
func (d *Dim) About(tool string) bool { return d.Tool == "" || glob(d.Tool, tool) }

// Path is where in the arguments the value is: names with dots between.
func (d *Dim) Path() string { return cmp.Or(d.Argument, d.Name) }

// Record is what is recorded of a value.
func (d *Dim) Record(value string) string {
	switch {
	case len(d.Values) > 0 && !slices.Contains(d.Values, value):
		return DimOther
	case len(value) > longest:
		sum := sha256.Sum256([]byte(value))
		return DimHashed + hex.EncodeToString(sum[:8])
	}
	return value
}

// Dims are the facts of arguments that the sheet's prices depend on: those it
// declares, and those that its rules ask for and take as the argument's name.
// They are in the order of their names.
func (s *Sheet) Dims() []Dim {
	if s.rules == nil {
		return nil
	}
	return slices.Clone(s.rules.dims)
}

func (s *Spec) dims() []Dim {
	out := slices.Clone(s.Dims)
	for _, r := range s.Rules {
		for name := range r.Match.Dims {
			if !slices.ContainsFunc(s.Dims, func(d Dim) bool { return d.Name == name }) && !slices.ContainsFunc(out, func(d Dim) bool { return d.Name == name && d.Tool == r.Match.Tool }) {
				out = append(out, Dim{Name: name, Tool: r.Match.Tool})
			}
		}
	}
	slices.SortFunc(out, func(a, b Dim) int { return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Tool, b.Tool)) })
	return out
}
