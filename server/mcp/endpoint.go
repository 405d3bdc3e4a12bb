package mcp

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options are what an Endpoint needs.
type Options struct {
	Handler Handler
	Backend Backend      // speaks the era it is asked for; see bridge.Adapt
	Store   SessionStore // nil: sessions do not survive a restart
	Now     func() time.Time
	Rand    io.Reader // nil: crypto/rand
	Log     *slog.Logger
	Limits  Limits
	// Origin says whether a page of another origin may call; nil: none may.
	Origin func(origin string) bool
	// NewSession is asked before a session is begun: the limit per address.
	// It gives how long to wait, 0 to go on. Nil never limits.
	NewSession func(*http.Request) time.Duration
	// Secret seals what clients carry between the rounds of a call; with the
	// same one a call goes on after a restart. Nil: a new one for each process.
	Secret  []byte
	Name    string // of the gateway, where it speaks for itself
	Version string
}

// Endpoint serves /mcp: POST, GET and DELETE, for every revision at once. Stop
// it with Shutdown.
type Endpoint struct {
	handler Handler
	backend Backend
	store   SessionStore
	now     func() time.Time
	rand    io.Reader
	log     *slog.Logger
	limits  Limits
	origin  func(string) bool
	admit   func(*http.Request) time.Duration
	name    string
	version string

	life     context.Context // ends with the endpoint
	base     context.Context // ends when calls under way must end
	abort    context.CancelFunc
	stop     context.CancelFunc
	seal     *sealer
	sessions sessions
	shelf    shelf
	loops    sync.WaitGroup // background work
	calls    sync.WaitGroup // requests under way

	pool struct {
		sync.Mutex
		conns   map[poolKey]*pooled
		headers map[poolKey]toolHeaders
	}
}

// New makes an Endpoint.
func New(o Options) (*Endpoint, error) {
	e := &Endpoint{handler: o.Handler, backend: o.Backend, store: o.Store, now: o.Now, rand: o.Rand, log: o.Log,
		limits: o.Limits.withDefaults(), origin: o.Origin, admit: o.NewSession, name: o.Name, version: o.Version}
	if e.now == nil {
		e.now = time.Now
	}
	if e.rand == nil {
		e.rand = rand.Reader
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.sessions.byID, e.shelf.most = map[string]*session{}, e.limits.Kept
	e.pool.conns, e.pool.headers = map[poolKey]*pooled{}, map[poolKey]toolHeaders{}
	var err error
	if e.seal, err = newSealer(o.Secret, e.rand); err != nil {
		return nil, err
	}
	e.life, e.stop = context.WithCancel(context.Background())
	e.base, e.abort = context.WithCancel(context.WithValue(context.Background(), baseKey{}, e))
	e.loops.Go(e.tend)
	return e, nil
}

// tend ends what nobody uses.
func (e *Endpoint) tend() {
	t := time.NewTicker(min(15*time.Second, max(time.Second, e.limits.Idle/4)))
	defer t.Stop()
	for {
		select {
		case <-t.C:
			e.sweep()
			e.sweepPool()
		case <-e.life.Done():
			return
		}
	}
}

// Sessions is how many sessions there are.
func (e *Endpoint) Sessions() int {
	e.sessions.mu.Lock()
	defer e.sessions.mu.Unlock()
	return len(e.sessions.byID)
}

// Shutdown ends every session and stream, and waits for the calls under way
// until ctx ends; then they are cancelled.
func (e *Endpoint) Shutdown(ctx context.Context) error {
	e.sessions.mu.Lock()
	all := make([]*session, 0, len(e.sessions.byID))
	for _, s := range e.sessions.byID {
		all = append(all, s)
	}
	e.sessions.mu.Unlock()
	for _, s := range all {
		s.get.add(nil, true, e.now()) // its client may come back to the next process
	}
	drained := make(chan struct{})
	go func() {
		e.calls.Wait()
		close(drained)
	}()
	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		err = ctx.Err()
		e.abort()
	}
	e.stop()
	<-drained
	for _, s := range all {
		s.end(false)
	}
	e.closePool()
	e.loops.Wait()
	return err
}

// ServeHTTP answers one request.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if problem := e.foreign(r); problem != "" {
		e.refuse(w, r, e.handler.Identify(r), nil, http.StatusForbidden, &Error{Code: CodeInvalidRequest, Message: problem})
		return
	}
	switch r.Method {
	case http.MethodPost:
		e.post(w, r)
	case http.MethodGet:
		e.get(w, r)
	case http.MethodDelete:
		e.delete(w, r)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		e.refuse(w, r, e.handler.Identify(r), nil, http.StatusMethodNotAllowed, &Error{Code: CodeInvalidRequest, Message: "the MCP endpoint takes POST, GET and DELETE"})
	}
}

// underway is the context of a request that has no session: it ends with its
// client's connection, and with the endpoint.
func (e *Endpoint) underway(r *http.Request) (context.Context, func()) {
	if r.Context().Value(baseKey{}) == e {
		return r.Context(), func() {}
	}
	ctx, cancel := context.WithCancel(r.Context())
	free := context.AfterFunc(e.base, cancel)
	return ctx, func() {
		free()
		cancel()
	}
}

type baseKey struct{}

// Base is a context for the http.Server that serves the endpoint: where all
// requests are derived from it, none needs one of its own.
func (e *Endpoint) Base() context.Context { return e.base }

// foreign guards against DNS rebinding: a browser page of another origin, or a
// name that is not ours on a loopback address.
func (e *Endpoint) foreign(r *http.Request) string {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok && local.IP.IsLoopback() && !isLocalName(r.Host) {
		return "this gateway listens on a loopback address and answers only to localhost, not to the host " + r.Host
	}
	origin := r.Header.Get("Origin")
	if origin == "" || e.origin != nil && e.origin(origin) {
		return ""
	}
	if u, err := url.Parse(origin); err == nil && u.Host != "" && (strings.EqualFold(u.Host, r.Host) || isLocalName(u.Host) && isLocalName(r.Host)) {
		return ""
	}
	return "pages of the origin " + origin + " may not call this gateway; allow it with cors.origin"
}

func isLocalName(host string) bool {
	if strings.HasPrefix(host, "127.0.0.1:") || strings.HasPrefix(host, "localhost:") { // nearly always
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return strings.EqualFold(name, "localhost") || strings.HasSuffix(strings.ToLower(name), ".localhost")
}

// fail answers with an error outside any call.
func fail(w http.ResponseWriter, status int, id []byte, err error) {
	var rpc *Error
	if !errors.As(err, &rpc) {
		rpc = &Error{Code: CodeInternal, Message: "internal error"}
	}
	writeJSON(w, status, (&Message{ID: id, Error: rpc}).Append(nil))
}

// slow is how long a client may take to accept an answer that does not fit
// into what the system keeps for a connection.
const (
	slow     = 30 * time.Second
	buffered = 64 << 10
)

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error here means that the client has gone; there is nobody to tell.
	if len(body) <= buffered {
		_, _ = w.Write(body)
		return
	}
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(slow))
	_, _ = w.Write(body)
	_ = control.Flush()
	_ = control.SetWriteDeadline(time.Time{})
}

// writeLong is writeJSON for what may be long: a client that stops reading
// holds it no longer than one that stops reading a stream.
func (e *Endpoint) writeLong(w http.ResponseWriter, status int, body []byte) {
	const fits = 64 << 10 // into what the connection holds by itself
	if len(body) <= fits {
		writeJSON(w, status, body)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	control := http.NewResponseController(w)
	if err := patient(w, control, body, e.limits.Write); err != nil {
		e.log.Debug("an answer was not taken", "error", err)
	}
	_ = control.SetWriteDeadline(time.Time{}) // the connection may be used again
}
