package api

import (
	"context"
	"net/http"
	"reflect"
	"time"
)

// Role is who may use a route.
type Role uint8

// The roles, from nobody in particular to the owner.
const (
	Public Role = iota // anybody
	Key                // who sends an API key
	Viewer             // any admin key
	Admin              // admin keys that may change things
	Super              // admin keys that may make admin keys
)

func (r Role) String() string {
	return [...]string{"public", "key", "viewer", "admin", "super_admin"}[r]
}

// RoleOf is the role that an admin key's record names.
func RoleOf(name string) (Role, bool) {
	switch name {
	case "viewer":
		return Viewer, true
	case "admin":
		return Admin, true
	case "super_admin":
		return Super, true
	}
	return Public, false
}

// Route is one operation of the HTTP API, as a value: it is served, listed and
// documented from here.
type Route struct {
	Method, Path string
	Role         Role
	Summary      string
	Status       int          // of a good answer
	In, Out      reflect.Type // nil for raw routes and where there is none
	Media        []string     // what a raw route answers with, for its description
	Params       []string     // what a raw route reads of the query, for its description
	AnyMethod    bool         // it answers whatever method it is asked with, as old clients do

	// Do answers with a value that becomes JSON. Raw answers by itself: event
	// streams, files, pages; an error is one that came before the answer began.
	// One of them is set.
	Do  func(ctx context.Context, r *Request) (any, error)
	Raw func(w http.ResponseWriter, r *http.Request) error
}

// Request is what a route's function gets before its body is decoded.
type Request struct {
	Query map[string][]string
	Body  []byte // nil for GET
	HTTP  *http.Request
}

// Handle makes a route of a function from what is asked to what is answered.
// The fields of In come from the query (tag "query") and, where the method has
// one, from the JSON body (tag "json").
func Handle[In, Out any](method, path string, role Role, summary string, fn func(context.Context, In) (Out, error)) Route {
	return Route{Method: method, Path: path, Role: role, Summary: summary, Status: http.StatusOK,
		In: reflect.TypeFor[In](), Out: reflect.TypeFor[Out](),
		Do: func(ctx context.Context, r *Request) (any, error) {
			var in In
			unknown, err := decode(r, &in)
			if err != nil {
				return nil, err
			}
			out, err := fn(ctx, in)
			if err != nil {
				return nil, err
			}
			if len(unknown) > 0 {
				return withWarnings{out, unknown}, nil
			}
			return out, nil
		}}
}

// Created makes a good answer of the route a 201.
func (r Route) Created() Route {
	r.Status = http.StatusCreated
	return r
}

// Any lets the route answer whatever method it is asked with. It must only read.
func (r Route) Any() Route {
	r.AnyMethod = true
	return r
}

// As says what a raw route answers with.
func (r Route) As(media ...string) Route {
	r.Media = media
	return r
}

// Reads says what a raw route reads of the query.
func (r Route) Reads(params ...string) Route {
	r.Params = params
	return r
}

// RawRoute makes a route that answers by itself.
func RawRoute(method, path string, role Role, summary string, fn func(http.ResponseWriter, *http.Request) error) Route {
	return Route{Method: method, Path: path, Role: role, Summary: summary, Status: http.StatusOK, Raw: fn}
}

// None is the In or Out of a route that takes or gives nothing.
type None struct{}

// Actor is who sends a request.
type Actor struct {
	ID       string // masked admin key, "owner" in process, or the stable id of an API key
	Role     Role
	Key      string // stable id of the API key, on routes of role Key
	IP       string
	Request  string // X-Request-Id
	Once     string // Idempotency-Key; empty: none
	Endpoint string // method and path
	Body     []byte
	At       time.Time
}

type actorKey struct{}

// WithActor puts the actor into a request's context.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf is who sends the request; nobody in particular outside of one.
func ActorOf(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}
