package server

import (
	"net/http"
	"reflect"
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

// describe makes the document of the routes.
func describe(routes []api.Route, name, version string) func() ([]byte, error) {
	return sync.OnceValues(func() ([]byte, error) {
		registry := huma.NewMapRegistry("#/components/schemas/", schemaName)
		doc := &huma.OpenAPI{OpenAPI: "3.1.0", Info: &huma.Info{Title: name, Version: version}, Paths: map[string]*huma.PathItem{},
			Components: &huma.Components{Schemas: registry, SecuritySchemes: map[string]*huma.SecurityScheme{
				"admin": {Type: "apiKey", In: "header", Name: "X-Admin-Key"}, "key": {Type: "apiKey", In: "header", Name: "X-API-Key"}}}}
		for _, route := range routes {
			path := strings.ReplaceAll(route.Path, ":id", "{id}")
			if doc.Paths[path] == nil {
				doc.Paths[path] = &huma.PathItem{}
			}
			op := operation(route, registry)
			switch route.Method {
			case http.MethodGet:
				doc.Paths[path].Get = op
			case http.MethodPost:
				doc.Paths[path].Post = op
			case http.MethodDelete:
				doc.Paths[path].Delete = op
			}
		}
		return doc.MarshalJSON()
	})
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

func operation(route api.Route, registry huma.Registry) *huma.Operation {
	op := &huma.Operation{OperationID: strings.ToLower(route.Method) + strings.ToUpper(endpointName(route.Path)[:1]) + endpointName(route.Path)[1:], Summary: route.Summary,
		Responses: map[string]*huma.Response{}}
	ok := &huma.Response{Description: "The answer"}
	if route.Out != nil && route.Out.Kind() == reflect.Struct {
		ok.Content = map[string]*huma.MediaType{"application/json": {Schema: registry.Schema(route.Out, true, route.Out.Name())}}
	}
	op.Responses[http.StatusText(route.Status)] = ok
	if route.Status == http.StatusCreated {
		op.Responses["201"] = ok
	} else {
		op.Responses["200"] = ok
	}
	delete(op.Responses, http.StatusText(route.Status))
	op.Responses["default"] = &huma.Response{Description: "An error: {error, requestId}"}
	switch {
	case route.Role == api.Key:
		op.Security = []map[string][]string{{"key": {}}}
	case route.Role > api.Key:
		op.Security = []map[string][]string{{"admin": {}}}
		op.Description = "Needs the role " + route.Role.String() + "."
	}
	if route.In == nil || route.In.Kind() != reflect.Struct || route.In.NumField() == 0 {
		return op
	}
	op.Parameters = parameters(route.In)
	if route.Method == http.MethodPost {
		op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": {Schema: registry.Schema(route.In, true, route.In.Name())}}}
	}
	return op
}

// parameters are the query fields of an In.
func parameters(t reflect.Type) []*huma.Param {
	var out []*huma.Param
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			out = append(out, parameters(f.Type)...)
			continue
		}
		if name := f.Tag.Get("query"); name != "" {
			in := "query"
			if strings.HasPrefix(name, ":") {
				in, name = "path", name[1:]
			}
			out = append(out, &huma.Param{Name: name, In: in, Required: in == "path", Schema: &huma.Schema{Type: "string"}})
		}
	}
	return out
}
