package server

import (
	"cmp"
	"net/http"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// traffic counts HTTP requests by method, path and status. Paths are those of
// the routes, so that nobody can make labels up.
type traffic struct {
	vec  *prometheus.CounterVec
	kept sync.Map  // request → prometheus.Counter: no label is hashed twice
	pool sync.Pool // of *watched
}

type request struct {
	method, path string
	status       int
}

func newTraffic(vec *prometheus.CounterVec) *traffic {
	return &traffic{vec: vec, pool: sync.Pool{New: func() any { return new(watched) }}}
}

// watched is an answer whose status is remembered.
type watched struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the status.
func (w *watched) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets event streams flush.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// count wraps the handler of a path.
func (t *traffic) count(path string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, _ := t.pool.Get().(*watched)
		to.ResponseWriter, to.status = w, 0
		defer func() { // also after a panic, which aborts an answer
			t.add(r.Method, path, cmp.Or(to.status, http.StatusOK))
			to.ResponseWriter = nil
			t.pool.Put(to)
		}()
		next.ServeHTTP(to, r)
	})
}

func (t *traffic) add(method, path string, status int) {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodOptions:
	default:
		method = "other"
	}
	key := request{method, path, status}
	if c, ok := t.kept.Load(key); ok {
		c.(prometheus.Counter).Inc()
		return
	}
	c := t.vec.WithLabelValues(method, path, strconv.Itoa(status))
	t.kept.Store(key, c)
	c.Inc()
}
