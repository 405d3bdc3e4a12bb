package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
)

// document is the gateway's own description of its API.
type document struct {
	OpenAPI    string
	Info       struct{ Title, Version string }
	Paths      map[string]map[string]operation
	Components struct {
		Schemas         map[string]json.RawMessage
		SecuritySchemes map[string]json.RawMessage
	}
}

type operation struct {
	OperationID, Summary string
	Parameters           []struct{ Name, In string }
	RequestBody          *struct{ Content map[string]media }
	Responses            map[string]struct {
		Description string
		Content     map[string]media
	}
	Security []map[string][]string
}

type media struct{ Schema json.RawMessage }

func (g *gateway) document() *document {
	g.t.Helper()
	var d document
	g.do("GET", "/openapi.json", nil, &d, http.StatusOK)
	return &d
}

// schema resolves one schema of the document, with all that it refers to.
func (d *document) schema(raw json.RawMessage) (*jsonschema.Resolved, error) {
	all, err := json.Marshal(d.reached(raw))
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`{"$defs":%s,"allOf":[%s]}`, all, raw)
	var s jsonschema.Schema
	if err := json.Unmarshal([]byte(strings.ReplaceAll(text, "#/components/schemas/", "#/$defs/")), &s); err != nil {
		return nil, err
	}
	return s.Resolve(nil)
}

// reached are the schemas that one refers to, and those that these refer to: to
// resolve all of them each time would take minutes.
func (d *document) reached(raw json.RawMessage) map[string]json.RawMessage {
	all, reference := map[string]json.RawMessage{}, regexp.MustCompile(`#/components/schemas/([^"]+)`)
	for next := []json.RawMessage{raw}; len(next) > 0; next = next[1:] {
		for _, m := range reference.FindAllSubmatch(next[0], -1) {
			if name := string(m[1]); all[name] == nil && d.Components.Schemas[name] != nil {
				all[name] = d.Components.Schemas[name]
				next = append(next, all[name])
			}
		}
	}
	return all
}

// holds says what an answer has that the document does not describe.
func (d *document) holds(method, path string, status int, answer json.RawMessage) error {
	op, ok := d.Paths[path][strings.ToLower(method)]
	if !ok {
		return fmt.Errorf("%s %s is not described", method, path)
	}
	r, ok := op.Responses[fmt.Sprint(status)]
	if status >= http.StatusBadRequest {
		r, ok = op.Responses["default"]
	}
	if !ok {
		return fmt.Errorf("%d is not described", status)
	}
	if len(r.Content["application/json"].Schema) == 0 { // a raw answer
		return nil
	}
	s, err := d.schema(r.Content["application/json"].Schema)
	if err != nil {
		return err
	}
	var v any
	if err := json.Unmarshal(answer, &v); err != nil {
		return err
	}
	return s.Validate(v)
}

func TestTheDescriptionOfTheAPIIsWholeAndValid(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	d := g.document()
	if !strings.HasPrefix(d.OpenAPI, "3.1.") || d.Info.Title == "" || d.Info.Version == "" {
		t.Errorf("it begins with %q %+v", d.OpenAPI, d.Info)
	}
	for name, raw := range d.Components.Schemas {
		if _, err := d.schema(raw); err != nil {
			t.Errorf("schema %s: %v", name, err)
		}
	}
	for _, wrong := range []string{`{"name":3}`, `[]`, `{}`} { // what this test can tell apart
		if d.holds("GET", "/balance", http.StatusOK, json.RawMessage(wrong)) == nil {
			t.Errorf("%s passes for a balance", wrong)
		}
	}
	braces, ids := regexp.MustCompile(`\{(\w+)\}`), map[string]string{}
	for path, methods := range d.Paths {
		for method, op := range methods {
			where := method + " " + path
			if before := ids[op.OperationID]; op.OperationID == "" || before != "" {
				t.Errorf("%s has the operationId %q of %s", where, op.OperationID, before)
			}
			if ids[op.OperationID] = where; op.Summary == "" {
				t.Errorf("%s says nothing", where)
			}
			declared := map[string]int{}
			for _, p := range op.Parameters {
				if declared[p.In+" "+p.Name]++; declared[p.In+" "+p.Name] > 1 {
					t.Errorf("%s has the parameter %s twice", where, p.Name)
				}
			}
			for _, m := range braces.FindAllStringSubmatch(path, -1) {
				if declared["path "+m[1]] == 0 {
					t.Errorf("%s does not declare {%s}", where, m[1])
				}
			}
			good := false
			for status, r := range op.Responses {
				good = good || status[0] == '2'
				if r.Description == "" || len(r.Content) == 0 {
					t.Errorf("%s: the answer %s is not described", where, status)
				}
				for kind, m := range r.Content {
					if kind == "application/json" && len(m.Schema) > 0 {
						if _, err := d.schema(m.Schema); err != nil {
							t.Errorf("%s %s: %v", where, status, err)
						}
					}
				}
			}
			if _, ok := op.Responses["default"]; !good || !ok {
				t.Errorf("%s has no good answer or no refusal", where)
			}
			for _, s := range op.Security {
				for scheme := range s {
					if d.Components.SecuritySchemes[scheme] == nil {
						t.Errorf("%s wants %s, which is not described", where, scheme)
					}
				}
			}
		}
	}
	if len(ids) < 90 {
		t.Errorf("only %d operations are described", len(ids))
	}
}
