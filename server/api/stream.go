package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Stream is an event stream to one reader. Sending fails once the reader is
// gone or too slow.
type Stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	ctx     context.Context
	cancel  context.CancelFunc
	ended   <-chan struct{}
	turn    chan struct{} // held while writing
	done    chan struct{}
}

const (
	keepAlive = 15 * time.Second
	slowest   = 10 * time.Second // how long a reader may take to accept an event
)

// OpenStream begins an event stream and keeps it alive until Close, until its
// reader goes, or until ended is closed.
func OpenStream(w http.ResponseWriter, r *http.Request, ended <-chan struct{}) *Stream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	e := &Stream{w: w, control: http.NewResponseController(w), ended: ended, turn: make(chan struct{}, 1), done: make(chan struct{})}
	e.ctx, e.cancel = context.WithCancel(r.Context())
	go e.alive()
	return e
}

func (e *Stream) alive() {
	defer close(e.done)
	t := time.NewTicker(keepAlive)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if !e.write([]byte(": keep-alive\n\n")) {
				return
			}
		case <-e.ended:
			e.cancel()
			return
		case <-e.ctx.Done():
			return
		}
	}
}

// Send writes one event; false means that the reader is gone.
func (e *Stream) Send(name, id string, v any) bool {
	text, err := json.Marshal(v)
	if err != nil {
		return false
	}
	b := make([]byte, 0, len(text)+64)
	if id != "" {
		b = fmt.Appendf(b, "id: %s\n", id)
	}
	b = fmt.Appendf(b, "event: %s\ndata: %s\n\n", name, text)
	return e.write(b)
}

func (e *Stream) write(b []byte) bool {
	e.turn <- struct{}{}
	defer func() { <-e.turn }()
	_ = e.control.SetWriteDeadline(time.Now().Add(slowest)) // in process there is none
	if _, err := e.w.Write(b); err != nil {
		e.cancel()
		return false
	}
	_ = e.control.Flush()
	return e.ctx.Err() == nil
}

// Context ends with the stream.
func (e *Stream) Context() context.Context { return e.ctx }

// Close ends the stream's own goroutine.
func (e *Stream) Close() {
	e.cancel()
	<-e.done
}
