package upstream

import (
	"context"
	"io"
	"runtime"
	"sync"
)

// outbox gathers what many callers write and writes it in as few pieces as
// the reader's speed allows: while one piece is being written, the next grows.
type outbox struct {
	mu    sync.Mutex
	buf   []byte
	spare []byte
	wake  chan struct{}
	room  chan struct{} // closed when the buffer is empty again; nil: nobody waits
	ended bool
}

// maxOutbox is how many bytes may wait for a server that does not read. One
// message may be longer: it goes into an empty buffer.
const maxOutbox = 4 << 20

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// put appends a message; it waits while too much is waiting.
func (o *outbox) put(ctx context.Context, write func([]byte) []byte) error {
	o.mu.Lock()
	for len(o.buf) > maxOutbox && !o.ended {
		if o.room == nil {
			o.room = make(chan struct{})
		}
		room := o.room
		o.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
		o.mu.Lock()
	}
	defer o.mu.Unlock()
	if o.ended {
		return ErrEnded
	}
	first := len(o.buf) == 0
	o.buf = write(o.buf)
	if first {
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// pump writes what comes until done is closed or w breaks.
func (o *outbox) pump(w io.Writer, done <-chan struct{}) {
	defer o.end()
	for {
		select {
		case <-o.wake:
		case <-done:
			return
		}
		runtime.Gosched() // whoever is about to write does so first: one piece for all of them
		if _, err := w.Write(o.take()); err != nil {
			return // the reader hears of it too, and says why
		}
	}
}

func (o *outbox) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.buf
	o.buf, o.spare = o.spare[:0], b
	if cap(b) > 1<<20 {
		o.spare = nil // a rare giant is not kept
	}
	o.release()
	return b
}

// end refuses what comes from now on.
func (o *outbox) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended, o.buf = true, nil
	o.release()
}

func (o *outbox) release() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}
