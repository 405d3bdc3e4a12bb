package oracle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Compare says where a report's JSON is not what the figures say: whole numbers
// must be the same, others to a thousand-millionth.
func Compare(want Figures, report []byte) []string {
	d := json.NewDecoder(bytes.NewReader(report))
	d.UseNumber()
	var got any
	if err := d.Decode(&got); err != nil {
		return []string{err.Error()}
	}
	var out []string
	compare("", map[string]any(want), got, &out)
	return out
}

func compare(at string, want, got any, out *[]string) {
	differ := func() { *out = append(*out, fmt.Sprintf("%s: %v, computed %v", at, got, want)) }
	switch want := want.(type) {
	case map[string]any:
		object(at, want, got, out)
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			differ()
			return
		}
		for i := range want {
			compare(fmt.Sprintf("%s[%d]", at, i), want[i], list[i], out)
		}
	case change:
		row, _ := got.(map[string]any)
		if n := whole(row["candidate"]) - whole(row["live"]); n != int64(want) {
			*out = append(*out, fmt.Sprintf("%s: a change of %d, computed %d", at, n, want))
		}
	case int64:
		if n, ok := got.(json.Number); !ok || n.String() != fmt.Sprint(want) {
			differ()
		}
	case float64:
		n, ok := got.(json.Number)
		f, err := n.Float64()
		if !ok || err != nil || math.Abs(f-want) > 1e-9*max(1, math.Abs(want)) {
			differ()
		}
	default:
		if got != want {
			differ()
		}
	}
}

func whole(v any) int64 {
	n, _ := v.(json.Number)
	i, _ := n.Int64()
	return i
}

// object compares what is wanted of an object. A list of rows may be wanted by
// what they are called.
func object(at string, want map[string]any, got any, out *[]string) {
	if rows, ok := got.([]any); ok {
		by := map[string]any{}
		for _, row := range rows {
			r, _ := row.(map[string]any)
			for _, name := range []string{"reason", "tool", "sheet", "id"} {
				if id, ok := r[name].(string); ok {
					by[id] = row
					break
				}
			}
		}
		if len(rows) != len(want) && at != "projected.runway.soonest" {
			*out = append(*out, fmt.Sprintf("%s: %d rows, computed %d: %v", at, len(rows), len(want), slices.Sorted(maps.Keys(want))))
		}
		for id, row := range by {
			compare(at+"."+id, want[id], row, out)
		}
		return
	}
	have, ok := got.(map[string]any)
	if !ok {
		*out = append(*out, fmt.Sprintf("%s: %v, computed %v", at, got, want))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		path := name
		if at != "" {
			path = at + "." + name
		}
		compare(path, want[name], have[name], out)
	}
	if at == "exact.newlyDenied.byReason" || at == "exact.deniedByReason" {
		for name := range have {
			if _, ok := want[name]; !ok {
				*out = append(*out, at+"."+name+": not computed")
			}
		}
	}
}
