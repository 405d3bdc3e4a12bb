package server

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"paygate/pricing"
)

// dims reads out of a call's arguments what some sheet prices by: those that
// keys pay by, those that come next and those that shadow. So a fact is on
// record before a price depends on it, and nothing else of the arguments is.
type dims []dim

type dim struct {
	pricing.Dim
	path string // as gjson wants it
}

func (d *dims) add(sheet *pricing.Sheet) {
	for _, declared := range sheet.Dims() {
		if slices.ContainsFunc(*d, func(other dim) bool { return other.Name == declared.Name && other.Tool == declared.Tool }) {
			continue
		}
		parts := strings.Split(declared.Path(), ".")
		for i, p := range parts {
			parts[i] = gjson.Escape(p)
		}
		*d = append(*d, dim{declared, strings.Join(parts, ".")})
	}
}

// read gives the facts of a call; nil when there are none. An argument that is
// an object, a list or null is no fact.
func (d dims) read(tool string, args json.RawMessage) map[string]string {
	var out map[string]string
	for i := range d {
		dim := &d[i]
		if !dim.About(tool) || out[dim.Name] != "" {
			continue
		}
		value := gjson.GetBytes(args, dim.path)
		if !value.Exists() || value.Type == gjson.JSON || value.Type == gjson.Null {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[dim.Name] = dim.Record(value.String())
	}
	return out
}
