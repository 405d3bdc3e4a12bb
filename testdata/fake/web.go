package fake

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// Site is the server over Streamable HTTP: with sessions in the old era,
// without in the new one. Tools that end the process must not be called on it.
type Site struct {
	mode  string
	jobs  *jobs
	newer *visit // all of the new era

	mu       sync.Mutex
	visits   map[string]*visit // by session
	sessions int
}

// visit is a session, or all that have none.
type visit struct {
	*server
	mu    sync.Mutex
	sinks map[*message]chan *message // by request
	aside chan *message              // what belongs to no request
}

// Web makes one. Its mode is as for Env.
func Web(mode string) *Site {
	w := &Site{mode: mode, jobs: &jobs{byID: map[string]*job{}}, visits: map[string]*visit{}}
	w.newer = w.visit()
	w.newer.era = "modern"
	return w
}

func (w *Site) visit() *visit {
	v := &visit{server: newServer(w.mode), sinks: map[*message]chan *message{}, aside: make(chan *message, 1000)}
	v.jobs, v.route = w.jobs, v.send
	return v
}

// Forget ends all sessions without telling anybody, as a restart does.
func (w *Site) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.visits {
		close(v.aside)
	}
	w.visits = map[string]*visit{}
}

// Sessions is how many there are.
func (w *Site) Sessions() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.visits)
}

func (v *visit) send(during, m *message) {
	v.mu.Lock()
	sink := v.sinks[during]
	v.mu.Unlock()
	if during == nil {
		sink = v.aside
	}
	if sink != nil {
		defer func() { _ = recover() }() // the session was forgotten meanwhile
		sink <- m
	}
}

func (w *Site) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.other(rw, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var m message
	if json.Unmarshal(body, &m) != nil {
		http.Error(rw, "no message", http.StatusBadRequest)
		return
	}
	old, both := !w.newer.is("modern"), w.newer.is("both")
	newer := metaOf(&m).Version != "" || r.Header.Get("MCP-Protocol-Version") == "2026-07-28"
	switch {
	case newer && old && !both:
		refuse(rw, &m, http.StatusBadRequest, -32000, "Bad Request: no valid session id")
	case newer && r.Header.Get("Mcp-Method") != m.Method:
		refuse(rw, &m, http.StatusBadRequest, -32020, "the header Mcp-Method is not "+m.Method)
	case newer:
		w.newer.answerTo(rw, r, &m)
	case !old:
		refuse(rw, &m, http.StatusBadRequest, -32022, "unsupported protocol version")
	case m.Method == "initialize":
		w.mu.Lock()
		w.sessions++
		id := fmt.Sprint("session-", w.sessions)
		v := w.visit()
		w.visits[id] = v
		w.mu.Unlock()
		rw.Header().Set("Mcp-Session-Id", id)
		v.answerTo(rw, r, &m)
	default:
		if v := w.find(rw, r); v != nil {
			v.answerTo(rw, r, &m)
		}
	}
}

func (w *Site) find(rw http.ResponseWriter, r *http.Request) *visit {
	w.mu.Lock()
	v := w.visits[r.Header.Get("Mcp-Session-Id")]
	w.mu.Unlock()
	if v == nil {
		http.Error(rw, "no such session", http.StatusNotFound)
	}
	return v
}

func refuse(rw http.ResponseWriter, m *message, status, code int, text string) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(message{Version: "2.0", ID: m.ID, Error: &rpcError{code, text, nil}})
}

// answerTo answers one message with a stream; a request of the new era ends
// with its connection.
func (v *visit) answerTo(rw http.ResponseWriter, r *http.Request, m *message) {
	if m.ID == nil || m.Method == "" {
		v.take(m)
		rw.WriteHeader(http.StatusAccepted)
		return
	}
	sink := make(chan *message, 1000)
	v.mu.Lock()
	v.sinks[m] = sink
	v.mu.Unlock()
	ctx := r.Context()
	if !v.newEra(m) {
		ctx = context.WithoutCancel(ctx)
	}
	go func() {
		v.run(ctx, m)
		v.mu.Lock()
		delete(v.sinks, m)
		v.mu.Unlock()
		close(sink)
	}()
	stream(rw, r, sink)
}

func stream(rw http.ResponseWriter, r *http.Request, from <-chan *message) {
	rw.Header().Set("Content-Type", "text/event-stream")
	rw.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(rw).Flush
	_ = flush()
	for {
		select {
		case m, more := <-from:
			if !more {
				return
			}
			raw, _ := json.Marshal(m)
			_, _ = fmt.Fprintf(rw, "event: message\ndata: %s\n\n", raw)
			_ = flush()
		case <-r.Context().Done():
			return
		}
	}
}

func (w *Site) other(rw http.ResponseWriter, r *http.Request) {
	if w.newer.is("modern") {
		rw.Header().Set("Allow", "POST")
		rw.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	v := w.find(rw, r)
	switch {
	case v == nil:
	case r.Method == http.MethodGet:
		stream(rw, r, v.aside)
	case r.Method == http.MethodDelete:
		w.mu.Lock()
		delete(w.visits, r.Header.Get("Mcp-Session-Id"))
		w.mu.Unlock()
	}
}
