package client

import (
	"io"
	"net/http"
	"sync"
)

// local is a transport to a handler in the same process: the same requests and
// answers, streams too, without a socket.
type local struct{ handler http.Handler }

// RoundTrip runs the handler and returns as soon as it has sent its headers.
func (l local) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	r.RequestURI = r.URL.RequestURI()
	out, in := io.Pipe()
	w := &answer{header: http.Header{}, pipe: in, begun: make(chan struct{})}
	go func() {
		l.handler.ServeHTTP(w, r)
		w.WriteHeader(http.StatusOK)
		_ = in.Close() // never fails
	}()
	select {
	case <-w.begun:
	case <-r.Context().Done():
		_ = out.CloseWithError(r.Context().Err())
		return nil, r.Context().Err()
	}
	go func() {
		<-r.Context().Done() // http.Client ends the context when the body is closed
		_ = out.CloseWithError(r.Context().Err())
	}()
	return &http.Response{Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: out, ContentLength: -1, Request: r}, nil
}

// answer is the handler's side.
type answer struct {
	header, sent http.Header
	status       int
	pipe         *io.PipeWriter
	once         sync.Once
	begun        chan struct{}
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	a.once.Do(func() {
		a.status, a.sent = status, a.header.Clone()
		close(a.begun)
	})
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.pipe.Write(p)
}

// Flush has nothing to do: a pipe keeps nothing back.
func (a *answer) Flush() { a.WriteHeader(http.StatusOK) }
