package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"paygate/server/api"
	"paygate/server/config"
	"paygate/server/lane"
	"paygate/server/mcp"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// front stands before every path: it names the request, answers for all in one
// shape, and gives each route the same order of checks.
type front struct {
	config  func() *config.Config // of the world that serves now
	auth    authenticator
	book    *ledger.Book
	now     func() time.Time
	log     *slog.Logger
	version string
	perIP   *limiter
	sending time.Duration // how long a client may take to send a body
	fixed   *lane.Fixed   // what every answer says
}

// fixedHeaders are those that every answer has.
func fixedHeaders(version string, demo bool) *lane.Fixed {
	fixed := &lane.Fixed{}
	for _, h := range [][2]string{{"X-Paygate-Version", version}, {"X-Content-Type-Options", "nosniff"}, {"X-Frame-Options", "DENY"}, {"X-Xss-Protection", "0"},
		{"Referrer-Policy", "strict-origin-when-cross-origin"}, {"Cache-Control", "no-store"}, {"Content-Security-Policy", "default-src 'none'"}} {
		fixed.Add(h[0], h[1])
	}
	if demo {
		fixed.Add(api.DemoHeader, "made-up data")
	}
	return fixed
}

// authenticator knows credentials; package keys implements it.
type authenticator interface {
	// AdminKey gives the role of an admin key and a name for the audit trail.
	AdminKey(secret string) (id string, role api.Role, ok bool)
	// Holder gives the stable id of an API key that may look at its own account.
	Holder(secret string) (id string, ok bool)
	// Failed records a failed admin login.
	Failed(actor, method, path string, role *api.Role, needed api.Role)
}

const (
	mostBody     = 1 << 20
	mostSnapshot = 64 << 20
	requestIDs   = "req_"
	idRandBytes  = 8
)

// wrap is the outermost handler: headers that every answer has.
func (f *front) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := f.config()
		h := w.Header()
		id := r.Header.Get("X-Request-Id")
		if !saneID(id) {
			id = f.newID()
		}
		named := []string{id}
		r.Header["X-Request-Id"], h["X-Request-Id"] = named, named
		f.fixed.Set(w)
		for name, value := range c.CustomHeaders {
			h.Set(name, value)
		}
		if len(r.TransferEncoding) > 0 { // a proxy before us may have believed a length instead
			h.Set("Connection", "close")
		}
		f.cors(c, h, r)
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		defer f.recover(w, r)
		next.ServeHTTP(w, r)
	})
}

// recover turns a bug in one request into its error, not everybody's.
func (f *front) recover(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	f.fail(w, r, fmt.Errorf("panic: %v at %s", p, debug.Stack()))
}

// cors tells browsers which pages may read the answers.
func (f *front) cors(c *config.Config, h http.Header, r *http.Request) {
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Max-Age", strconv.Itoa(c.CORSMaxAge))
		h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Content-Type, Accept, Authorization, X-API-Key, X-Admin-Key, Idempotency-Key, X-Idempotency-Key, Last-Event-ID, Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, Mcp-Name, X-Request-Id"+paramHeaders(r))
	}
	origin := r.Header.Get("Origin")
	if origin == "" || len(c.CORSOrigin) == 0 {
		return
	}
	h.Add("Vary", "Origin")
	if !allowedOrigin(c, origin) {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate, X-Credits-Remaining, X-Output-Surcharge, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id, X-Idempotent-Replay, Retry-After")
	if c.CORSCredentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// paramHeaders are those of the headers a page wants to send that repeat the
// arguments of a tool: their names are the server's.
func paramHeaders(r *http.Request) string {
	var out strings.Builder
	for name := range strings.SplitSeq(r.Header.Get("Access-Control-Request-Headers"), ",") {
		if name = strings.TrimSpace(name); strings.HasPrefix(strings.ToLower(name), "mcp-param-") {
			out.WriteString(", " + name)
		}
	}
	return out.String()
}

func allowedOrigin(c *config.Config, origin string) bool {
	return slices.Contains(c.CORSOrigin, "*") || slices.Contains(c.CORSOrigin, origin)
}

func saneID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	return strings.IndexFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

func (f *front) newID() string {
	var raw [idRandBytes]byte
	_, _ = rand.Read(raw[:]) // never fails; the program ends if the system has no randomness
	return requestID(raw)
}

// requestID is "req_" and 16 hex digits, made at once.
func requestID(raw [idRandBytes]byte) string {
	var id [len(requestIDs) + 2*idRandBytes]byte
	copy(id[:], requestIDs)
	hex.Encode(id[len(requestIDs):], raw[:])
	return string(id[:])
}

// ClientIP is the address that a request comes from. A proxy's word counts
// only when the proxy is configured.
func (f *front) ClientIP(r *http.Request) netip.Addr {
	addr := remote(r)
	trusted := f.config().TrustedProxies
	if len(trusted) == 0 {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && inRanges(addr, trusted); i-- { // from the nearest proxy outwards
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = next.Unmap()
	}
	return addr
}

// remote is the address at the other end of the connection.
func remote(r *http.Request) netip.Addr {
	if both, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return both.Addr().Unmap()
	}
	addr, err := netip.ParseAddr(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}

func inRanges(addr netip.Addr, ranges []string) bool {
	for _, r := range ranges {
		if p, err := netip.ParsePrefix(r); err == nil && p.Contains(addr) {
			return true
		}
		if a, err := netip.ParseAddr(r); err == nil && a.Unmap() == addr {
			return true
		}
	}
	return false
}

// serve gives a path's routes the one order of checks: method, rate, key,
// role, content type, size, JSON, fields.
func (f *front) serve(routes []api.Route) http.Handler {
	byMethod, allow := map[string]api.Route{}, []string{}
	for _, r := range routes {
		byMethod[r.Method] = r
		allow = append(allow, r.Method)
	}
	slices.Sort(allow)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		route, ok := byMethod[method]
		if get := byMethod[http.MethodGet]; !ok && get.AnyMethod {
			route, ok = get, true
		}
		if !ok {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			f.fail(w, r, &api.Error{Status: http.StatusMethodNotAllowed, Message: "Method not allowed: use " + strings.Join(allow, " or ")})
			return
		}
		actor, err := f.admit(route, r)
		if err != nil {
			f.fail(w, r, err)
			return
		}
		f.answer(w, r, route, actor)
	})
}

// admit checks rate, credential and role.
func (f *front) admit(route api.Route, r *http.Request) (api.Actor, error) {
	c, ip := f.config(), f.ClientIP(r).String()
	actor := api.Actor{ID: "anonymous", IP: ip, Request: r.Header.Get("X-Request-Id"), Once: r.Header.Get("Idempotency-Key"),
		Endpoint: route.Method + " " + route.Path, At: f.now()}
	if owner, ok := ownerOf(r); ok {
		actor.ID, actor.Role = owner, api.Super
		return actor, nil
	}
	kind, limit := "admin ", c.AdminRateLimit
	if route.Role < api.Viewer {
		kind, limit = "public ", c.PublicRateLimit
	}
	if wait := f.perIP.take(kind+vicinity(f.ClientIP(r)), limit); wait > 0 {
		return actor, &api.Error{Status: http.StatusTooManyRequests, Message: "Too many requests from this address; wait and try again", RetryAfter: wait}
	}
	switch {
	case route.Role == api.Public:
		return actor, nil
	case route.Role == api.Key:
		return f.holder(actor, r)
	}
	id, role, ok := f.auth.AdminKey(r.Header.Get("X-Admin-Key"))
	if !ok {
		f.auth.Failed("unknown", r.Method, r.URL.Path, nil, route.Role)
		return actor, api.Unauthorized("Invalid admin key")
	}
	actor.ID, actor.Role = id, role
	if role < route.Role {
		f.auth.Failed(id, r.Method, r.URL.Path, &role, route.Role)
		return actor, api.Forbidden("Insufficient permissions").With("requiredRole", route.Role.String()).With("currentRole", role.String())
	}
	return actor, nil
}

func (f *front) holder(actor api.Actor, r *http.Request) (api.Actor, error) {
	secret := r.Header.Get("X-API-Key")
	if secret == "" {
		return actor, api.Unauthorized("Missing X-API-Key header")
	}
	id, ok := f.auth.Holder(secret)
	if !ok {
		return actor, api.NotFound("Invalid or inactive API key")
	}
	actor.ID, actor.Role, actor.Key = id, api.Key, id
	return actor, nil
}

// answer reads the body, runs the route and writes what it gives.
func (f *front) answer(w http.ResponseWriter, r *http.Request, route api.Route, actor api.Actor) {
	if route.Raw != nil {
		if err := route.Raw(w, r.WithContext(api.WithActor(r.Context(), actor))); err != nil {
			f.fail(w, r, err)
		}
		return
	}
	in := &api.Request{Query: r.URL.Query(), HTTP: r}
	if before, _, ok := strings.Cut(route.Path, ":id"); ok {
		in.Query[":id"] = []string{strings.TrimPrefix(r.URL.Path, before)}
	}
	if route.Method != http.MethodGet {
		body, err := f.body(w, r, route)
		if err != nil {
			f.fail(w, r, err)
			return
		}
		in.Body, actor.Body = body, body
	}
	out, err := route.Do(api.WithActor(r.Context(), actor), in)
	if err != nil {
		f.fail(w, r, err)
		return
	}
	text, err := json.Marshal(out)
	if err != nil {
		f.fail(w, r, err)
		return
	}
	status := route.Status
	if own, ok := out.(interface{ HTTPStatus() int }); ok { // an answer that is good in part
		status = own.HTTPStatus()
	}
	api.WriteText(w, r, status, text)
}

func (f *front) body(w http.ResponseWriter, r *http.Request, route api.Route) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if (err != nil || kind != "application/json") && route.Method == http.MethodPost {
		return nil, &api.Error{Status: http.StatusUnsupportedMediaType, Message: "Content-Type must be application/json"}
	}
	most := int64(mostBody)
	if route.Path == "/admin/restore" { // what a snapshot gave must be taken back
		most = mostSnapshot
	}
	body, err := mcp.ReadBody(w, r, most, f.sending)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &api.Error{Status: http.StatusRequestEntityTooLarge, Message: fmt.Sprintf("Request body too large: at most %d MiB", most>>20)}
	case err != nil:
		return nil, &api.Error{Status: http.StatusRequestTimeout, Message: "The request body did not arrive in time or was cut off"}
	}
	return body, nil
}

// fail writes an error in the one shape. What is ours is logged and shown
// without its text.
func (f *front) fail(w http.ResponseWriter, r *http.Request, err error) {
	id := r.Header.Get("X-Request-Id")
	var e *api.Error
	switch {
	case errors.As(err, &e):
	case errors.Is(err, ledger.ErrUnavailable), errors.Is(err, ledger.ErrBusy):
		e = api.Unavailable("The gateway cannot write its books now (is the disk full?); nothing was changed, try again")
	default:
		f.log.Error("a request failed", "path", r.URL.Path, "request", id, "error", err)
		e = &api.Error{Status: http.StatusInternalServerError, Message: "Internal server error"}
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", seconds(e.RetryAfter))
	}
	out := map[string]any{"error": e.Message, "requestId": id}
	for name, value := range e.Extra {
		out[name] = value
	}
	text, merr := json.Marshal(out)
	if merr != nil {
		text = []byte(`{"error":"Internal server error"}`)
	}
	api.WriteText(w, r, e.Status, text)
}

// eventOf is an event of the request's actor, with its audit metadata.
func eventOf(ctx context.Context, kind string, metadata map[string]any) journal.Event {
	return journal.Event{Type: kind, Actor: api.ActorOf(ctx).ID, Data: data(metadata)}
}
