package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"paygate/server/mcp"
)

// httpLink is a link over Streamable HTTP. In the old era it holds a session,
// which it establishes anew when the server has forgotten it.
type httpLink struct {
	srv    *server
	client *http.Client
	modern bool
	*routes
	over    chan struct{}
	life    context.Context // ends with over; contexts under it cost no goroutine each
	stop    context.CancelFunc
	once    sync.Once
	loops   sync.WaitGroup
	telling sync.WaitGroup // cancellations on their way

	reviving sync.Mutex // one establishes a session anew, the others wait

	state struct { // guarded by routes.mu
		session  string
		revision string
		init     json.RawMessage            // the params of initialize
		level    json.RawMessage            // the params of the last logging/setLevel
		subs     map[string]json.RawMessage // by URI, the params of resources/subscribe
		gen      int                        // counts sessions
		hearing  bool                       // the GET stream has been begun
	}
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        1024,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     90 * time.Second,
		ReadBufferSize:      2 << 10, // a thousand sessions keep a stream open each
		WriteBufferSize:     2 << 10,
	}
}

func newHTTP(s *server, modern, shared bool) *httpLink {
	h := &httpLink{srv: s, modern: modern, routes: newRoutes(s.opt.Limits.PendingBytes, shared), over: make(chan struct{})}
	h.life, h.stop = context.WithCancel(until(nil))
	h.streams = true
	h.state.subs = map[string]json.RawMessage{}
	h.client = &http.Client{Transport: s.opt.Client, CheckRedirect: sameHost}
	return h
}

// sameHost follows a redirect only where our headers may go.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if len(via) > 3 || req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

func (h *httpLink) table() *routes        { return h.routes }
func (h *httpLink) done() <-chan struct{} { return h.over }

// stateless says whether a link of the old era has no session behind it.
func stateless(l link) bool {
	h, ok := l.(*httpLink)
	if !ok {
		return false
	}
	session, _, _ := h.session()
	return session == ""
}

func (h *httpLink) session() (id, revision string, gen int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state.session, h.state.revision, h.state.gen
}

// post sends a request in a goroutine of its own, which reads the answer's
// stream for as long as there is one.
func (h *httpLink) post(ctx context.Context, c *call, m *mcp.Message, params json.RawMessage) error {
	ctx, stop := context.WithCancel(ctx)
	h.mu.Lock()
	c.stop = stop
	h.mu.Unlock()
	h.loops.Go(func() {
		defer stop()
		h.exchange(ctx, c, &mcp.Message{Method: m.Method, Params: params})
	})
	return nil
}

// exchange sends one request and sees to its answer. A session that the server
// has forgotten is established anew, once, and the request sent again: a
// server that knows no session has not run it.
func (h *httpLink) exchange(ctx context.Context, c *call, m *mcp.Message) {
	body := appendMessage(nil, m, c.own)
	extra := h.headersFor(ctx, m)
	for try := 0; ; try++ {
		session, _, gen := h.session()
		res, err := h.do(ctx, http.MethodPost, body, extra, "")
		if err != nil {
			c.finish(nil, h.lost(err))
			return
		}
		if try == 0 && session != "" && m.Method != "initialize" && forgotten(res) {
			drop(res)
			if err := h.revive(ctx, gen); err != nil {
				c.finish(nil, h.lost(err))
				return
			}
			continue
		}
		if again := h.receive(ctx, c, m, res); again && try == 0 {
			extra = h.headersAnew(ctx, m)
			continue
		}
		return
	}
}

// receive reads what a POST was answered with. It returns true when the
// request had the wrong headers and may be sent again.
func (h *httpLink) receive(ctx context.Context, c *call, m *mcp.Message, res *http.Response) (again bool) {
	defer drop(res)
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if res.StatusCode/100 == 2 {
		if m.Method == "initialize" {
			h.opened(m.Params, res.Header.Get("Mcp-Session-Id"))
		}
		if kind == "text/event-stream" {
			h.stream(ctx, c, res.Body)
			return false
		}
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, int64(h.srv.opt.Limits.Message)+1))
	switch {
	case err != nil:
		c.finish(nil, h.lost(err))
		return false
	case len(raw) > h.srv.opt.Limits.Message:
		c.finish(nil, &lostError{text: fmt.Sprintf("%s: the server sent a message of more than %d bytes, which is the limit", h.srv.spec.label(), h.srv.opt.Limits.Message)})
		return false
	}
	msgs, err := parse(raw)
	if err != nil || res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden || res.StatusCode >= 500 {
		c.finish(nil, h.status(res, raw))
		return false
	}
	for _, one := range msgs {
		if one.Error != nil && one.Error.Code == -32020 && h.modern && m.Method == "tools/call" && h.srv.params.stale(h.srv.opt.Now()) {
			return true
		}
		if one.Method == "" && (one.ID == nil || res.StatusCode/100 != 2) {
			one.ID = c.own // an error may come without an id; it can only mean this request
		}
		h.hand(one, c)
	}
	c.finish(nil, &lostError{text: h.srv.spec.label() + ": the server answered " + res.Status + " without the answer to the call"})
	return false
}

// hand delivers one message and sends back what it calls for.
func (h *httpLink) hand(m *mcp.Message, c *call) {
	if m.Method == "" && c != nil && c.method == "initialize" && m.Result != nil {
		h.mu.Lock()
		h.state.revision = text(m.Result, "protocolVersion")
		h.mu.Unlock()
	}
	reply := h.deliver(m, c)
	if reply == nil {
		return
	}
	h.loops.Go(func() {
		ctx, stop := context.WithTimeout(h.life, 10*time.Second)
		defer stop()
		if err := h.send(ctx, reply, reply.ID); err != nil {
			h.srv.log.Debug("answer to the server lost", "error", err)
		}
	})
}

// opened remembers the session that an initialize began.
func (h *httpLink) opened(init json.RawMessage, session string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.session, h.state.init = session, init
	h.state.gen++
}

// send posts a notification, or an answer to the server.
func (h *httpLink) send(ctx context.Context, m *mcp.Message, id json.RawMessage) error {
	if h.modern && m.Method != "" && !strings.HasPrefix(m.Method, "notifications/cancelled") {
		return nil // the new era knows no other notification from a client
	}
	session, _, gen := h.session()
	body := appendMessage(nil, m, id)
	res, err := h.do(ctx, http.MethodPost, body, h.headersFor(ctx, m), "")
	if err != nil {
		return h.lost(err)
	}
	defer drop(res)
	if session != "" && m.Method != "" && forgotten(res) {
		return h.revive(ctx, gen) // what it had to say was about the session that is no more
	}
	if res.StatusCode/100 != 2 {
		return h.status(res, nil)
	}
	if m.Method == "notifications/initialized" {
		h.hear()
	}
	return nil
}

// cancel tells the server, and ends the request: in the new era that is the
// same thing.
func (h *httpLink) cancel(c *call, reason string) {
	h.mu.Lock()
	told, stop := c.cancelled || c.method == "initialize" || h.modern, c.stop
	c.cancelled = true
	h.mu.Unlock()
	if stop != nil {
		stop()
	}
	if told {
		return
	}
	h.telling.Go(func() {
		ctx, stop := context.WithTimeout(until(nil), 2*time.Second) // the server must hear it even if the link closes
		defer stop()
		if err := h.send(ctx, &mcp.Message{Method: "notifications/cancelled", Params: cancelParams(c.own, reason)}, nil); err != nil {
			h.srv.log.Debug("cancellation lost", "error", err)
		}
	})
}

// do sends one HTTP request with all headers that belong to the link.
func (h *httpLink) do(ctx context.Context, method string, body []byte, extra map[string]string, resume string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, h.srv.spec.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range h.srv.spec.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("User-Agent", h.srv.opt.Name+"/"+h.srv.opt.Version)
	req.Header.Set("Accept", "application/json, text/event-stream")
	switch method {
	case http.MethodPost:
		req.Header.Set("Content-Type", "application/json")
	case http.MethodGet:
		req.Header.Set("Accept", "text/event-stream")
	}
	session, revision, _ := h.session()
	if h.modern {
		revision = modernRevision
	}
	if extra["Mcp-Method"] == "initialize" {
		session, revision = "", ""
	}
	setIf(req.Header, "MCP-Protocol-Version", revision)
	setIf(req.Header, "Mcp-Session-Id", session)
	setIf(req.Header, "Last-Event-ID", resume)
	if h.modern {
		for name, value := range extra {
			setIf(req.Header, name, value)
		}
	}
	return h.client.Do(req)
}

func setIf(h http.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}

// close ends the session and everything that runs for the link.
func (h *httpLink) close() {
	first := false
	h.once.Do(func() {
		h.lose(&lostError{text: h.srv.spec.label() + ": the conversation was ended while the call ran"}, h.over)
		h.stop()
		first = true
	})
	h.mu.Lock()
	for _, c := range h.calls {
		if c.stop != nil {
			c.stop()
		}
	}
	h.mu.Unlock()
	h.telling.Wait()
	if session, _, _ := h.session(); first && session != "" {
		ctx, stop := context.WithTimeout(until(nil), 2*time.Second)
		defer stop()
		if res, err := h.do(ctx, http.MethodDelete, nil, nil, ""); err == nil {
			drop(res)
		}
	}
	h.loops.Wait()
}

// drop reads a little of what is left, so that the connection can be used
// again, and closes the body.
func drop(res *http.Response) {
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10) // an unread rest only costs the connection
	_ = res.Body.Close()
}
