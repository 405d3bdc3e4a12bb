package server

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"paygate/server/api"
)

// openapi writes the routes as an OpenAPI 3.1 document. It is made once.
func (s *Server) openapi(w http.ResponseWriter, r *http.Request) error {
	text, err := s.document()
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "public, max-age=3600")
	api.WriteText(w, r, http.StatusOK, text)
	return nil
}

const (
	jsonMedia  = "application/json"
	schemaPath = "#/components/schemas/"
)

// describe makes the document of the routes.
func describe(routes []api.Route, name, version string) func() ([]byte, error) {
	return sync.OnceValues(func() ([]byte, error) {
		d := &description{schemas: huma.NewMapRegistry(schemaPath, schemaName), asked: map[string]bool{}}
		doc := &huma.OpenAPI{OpenAPI: "3.1.0", Info: &huma.Info{Title: name, Version: version, Description: "Everything but /mcp, where agents speak MCP."}, Paths: map[string]*huma.PathItem{},
			Components: &huma.Components{Schemas: d.schemas, SecuritySchemes: map[string]*huma.SecurityScheme{
				"admin": {Type: "apiKey", In: "header", Name: "X-Admin-Key"}, "key": {Type: "apiKey", In: "header", Name: "X-API-Key"}}}}
		for _, route := range routes {
			path := strings.ReplaceAll(route.Path, ":id", "{id}")
			if doc.Paths[path] == nil {
				doc.Paths[path] = &huma.PathItem{}
			}
			op := d.operation(route)
			switch route.Method {
			case http.MethodGet:
				doc.Paths[path].Get = op
			case http.MethodPost:
				doc.Paths[path].Post = op
			case http.MethodDelete:
				doc.Paths[path].Delete = op
			}
		}
		d.loosen()
		return doc.MarshalJSON()
	})
}

// description collects what the document says of types.
type description struct {
	schemas huma.Registry
	asked   map[string]bool // schemas of what is sent to us
}

// refusal is the one shape of errors.
type refusal struct {
	Error     string `json:"error"`
	RequestID string `json:"requestId"`
}

// schemaName tells types of one name in two packages apart.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := huma.DefaultSchemaNamer(t, hint)
	if t.PkgPath() == "" {
		return name
	}
	pkg := t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:]
	return strings.ToUpper(pkg[:1]) + pkg[1:] + name
}

func (d *description) operation(route api.Route) *huma.Operation {
	name := endpointName(route.Path)
	op := &huma.Operation{OperationID: strings.ToLower(route.Method) + strings.ToUpper(name[:1]) + name[1:], Summary: route.Summary,
		Parameters: parameters(route.In, route.Params), Responses: map[string]*huma.Response{
			strconv.Itoa(route.Status): {Description: "The answer", Content: d.content(route)},
			"default": {Description: "What is wrong, and with which request", Content: map[string]*huma.MediaType{
				jsonMedia: {Schema: d.schemas.Schema(reflect.TypeFor[refusal](), true, "")}}}}}
	switch {
	case route.Role == api.Key:
		op.Security = []map[string][]string{{"key": {}}}
	case route.Role > api.Key:
		op.Security = []map[string][]string{{"admin": {}}}
		op.Description = "Needs the role " + route.Role.String() + "."
	}
	if route.Method == http.MethodPost && route.In != nil && route.In.Kind() == reflect.Struct && hasBody(route.In) {
		schema := d.schemas.Schema(route.In, true, route.In.Name())
		d.asked[strings.TrimPrefix(schema.Ref, schemaPath)] = true
		op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{jsonMedia: {Schema: schema}}}
	}
	return op
}

// content is what a good answer holds.
func (d *description) content(route api.Route) map[string]*huma.MediaType {
	out := map[string]*huma.MediaType{}
	for _, media := range route.Media {
		out[media] = &huma.MediaType{}
	}
	if route.Raw != nil {
		return out
	}
	schema := &huma.Schema{} // of what has no type of its own: anything
	switch t := route.Out; {
	case t == nil:
	case t.Kind() == reflect.Map:
		schema.Type = huma.TypeObject
	case t.Kind() != reflect.Interface:
		schema = d.schemas.Schema(t, true, t.Name())
	}
	out[jsonMedia] = &huma.MediaType{Schema: schema}
	return out
}

// loosen corrects what the types alone cannot say: of what is sent nothing is
// required (the refusal says what is missing), answers may get more fields,
// numbers may come as text.
func (d *description) loosen() {
	all := d.schemas.Map()
	for name := range d.asked {
		d.sent(all, name, map[string]bool{})
	}
	for _, s := range all {
		if s.AdditionalProperties == false {
			s.AdditionalProperties = nil
		}
	}
	for name, s := range map[string]*huma.Schema{
		schemaName(reflect.TypeFor[api.Number](), ""): {Description: "A number, or one as text.", OneOf: []*huma.Schema{{Type: huma.TypeNumber}, {Type: huma.TypeString}}},
		schemaName(reflect.TypeFor[api.Text](), ""):   {Description: "A text, or null.", Type: huma.TypeString, Nullable: true},
	} {
		if all[name] != nil {
			*all[name] = *s
		}
	}
}

func (d *description) sent(all map[string]*huma.Schema, name string, seen map[string]bool) {
	s := all[name]
	if s == nil || seen[name] {
		return
	}
	seen[name] = true
	s.Required = nil
	for _, p := range s.Properties {
		for ; p != nil; p = p.Items {
			d.sent(all, strings.TrimPrefix(p.Ref, schemaPath), seen)
		}
	}
}

// hasBody says whether anything is read from a body.
func hasBody(t reflect.Type) bool {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct && hasBody(f.Type) || f.Tag.Get("json") != "" && f.Tag.Get("json") != "-" {
			return true
		}
	}
	return false
}

// parameters are the query fields of an In, and those of a raw route.
func parameters(t reflect.Type, raw []string) []*huma.Param {
	var out []*huma.Param
	for _, name := range raw {
		out = append(out, &huma.Param{Name: name, In: "query", Schema: &huma.Schema{Type: huma.TypeString}})
	}
	if t == nil || t.Kind() != reflect.Struct {
		return out
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			out = append(out, parameters(f.Type, nil)...)
			continue
		}
		if name := f.Tag.Get("query"); name != "" {
			in := "query"
			if strings.HasPrefix(name, ":") {
				in, name = "path", name[1:]
			}
			out = append(out, &huma.Param{Name: name, In: in, Required: in == "path", Schema: &huma.Schema{Type: huma.TypeString}})
		}
	}
	return out
}
