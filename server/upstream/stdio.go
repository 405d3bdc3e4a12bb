package upstream

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"paygate/server/mcp"
)

// stdio is a link to a child over its standard input and output. One goroutine
// reads, one writes.
type stdio struct {
	child *child
	limit int
	*routes
	out   *outbox
	met   atomic.Bool   // the handshake is done
	over  chan struct{} // closed when all calls have heard of the end
	loops sync.WaitGroup
}

// errExited is wrapped by the errors of calls whose child ended.
var errExited = errors.New("the server exited")

func newStdio(c *child, opt *Options, shared bool) *stdio {
	s := &stdio{child: c, limit: opt.Limits.Message, routes: newRoutes(opt.Limits.PendingBytes, shared), out: newOutbox(), over: make(chan struct{})}
	s.loops.Go(func() { s.out.pump(c.in, s.over) })
	s.loops.Go(s.read)
	return s
}

func (s *stdio) table() *routes        { return s.routes }
func (s *stdio) done() <-chan struct{} { return s.over }

func (s *stdio) post(ctx context.Context, c *call, m *mcp.Message, params json.RawMessage) error {
	return s.out.put(ctx, func(buf []byte) []byte {
		return appendMessage(buf, &mcp.Message{Method: m.Method, Params: params}, c.own)
	})
}

func (s *stdio) send(ctx context.Context, m *mcp.Message, id json.RawMessage) error {
	return s.out.put(ctx, func(buf []byte) []byte { return appendMessage(buf, m, id) })
}

// cancel tells the server that nobody waits for c any more. Nobody may cancel
// the handshake.
func (s *stdio) cancel(c *call, reason string) {
	s.mu.Lock()
	told := c.cancelled || c.method == "initialize" || c.method == "server/discover"
	c.cancelled = true
	s.mu.Unlock()
	if told {
		return
	}
	ctx, stop := context.WithTimeout(until(s.over), time.Second) // the caller's is over
	defer stop()
	_ = s.send(ctx, &mcp.Message{Method: "notifications/cancelled", Params: cancelParams(c.own, reason)}, nil) // a server that is gone needs no telling
}

func cancelParams(id []byte, reason string) json.RawMessage {
	p := struct {
		RequestID json.RawMessage `json:"requestId"`
		Reason    string          `json:"reason,omitempty"`
	}{id, reason}
	return marshal(p)
}

// read takes what the server writes until it stops, and then says why it did.
func (s *stdio) read() {
	gone := make(chan struct{})
	s.loops.Go(func() { // what still holds the pipe after the child is gone must not keep us reading
		select {
		case <-s.child.done:
		case <-gone:
			return
		}
		select {
		case <-time.After(500 * time.Millisecond):
			_ = s.child.out.Close() // ends the Read below
		case <-gone:
		}
	})
	br := bufio.NewReaderSize(s.child.out, 64<<10)
	for {
		line, err := readLine(br, s.limit)
		var long *tooLong
		if errors.As(err, &long) {
			s.refuse(long)
			continue
		}
		if len(line) > 0 {
			s.take(line)
		}
		if err != nil {
			break
		}
	}
	close(gone)
	s.farewell()
}

// take delivers one line.
func (s *stdio) take(line []byte) {
	msgs, err := parse(line)
	if err != nil {
		s.child.tail.add(Line{Pid: s.child.pid(), Text: string(line[:min(len(line), maxLine)]), Out: true})
		return
	}
	for _, m := range msgs {
		if reply := s.deliver(m, nil); reply != nil {
			// A server that asks but does not read must not stop the reader.
			ctx, stop := context.WithTimeout(until(s.over), time.Second)
			_ = s.send(ctx, reply, reply.ID)
			stop()
		}
	}
}

// refuse fails the call whose answer was too long.
func (s *stdio) refuse(long *tooLong) {
	text := fmt.Sprintf("%s: the server sent a message of more than %d bytes, which is the limit", s.child.name, s.limit)
	s.child.tail.add(Line{Pid: s.child.pid(), Text: text, Out: true})
	id, ok := long.id()
	s.mu.Lock()
	c := s.calls[id]
	if !ok && len(s.calls) == 1 {
		for _, only := range s.calls {
			c = only
		}
	}
	s.mu.Unlock()
	if c != nil {
		c.finish(nil, &lostError{text: text})
	}
}

// farewell ends the link: the child has closed its output or is gone. The
// gateway may have wanted it so; then the calls still open hear that.
func (s *stdio) farewell() {
	asked := false
	select {
	case <-s.child.asked:
		asked = true
	default:
	}
	s.out.end()
	if !asked {
		s.child.end()
	}
	<-s.child.done
	_ = s.child.out.Close() // only read from; perhaps closed already
	when := " while the call ran"
	if !s.met.Load() {
		when = " before it said hello"
	}
	text, more := s.child.name+": the server "+s.child.state+when, ""
	switch {
	case asked:
		text = s.child.name + ": the server was stopped while the call ran"
	default:
		if last := s.child.tail.last(s.child.pid()); last != "" {
			more = "; its last words: " + cut(last, 200)
		}
	}
	s.lose(&lostError{text: text, more: more, cause: errExited}, s.over)
}

// close ends the child and waits until nothing of the link runs.
func (s *stdio) close() {
	s.child.end()
	s.loops.Wait()
}

// tooLong is a line beyond the limit: what is left of it is enough to find
// out whose answer it was.
type tooLong struct{ head, tail []byte }

func (e *tooLong) Error() string { return "the line is too long" }

// id finds the id of an answer near the beginning or at the end of its line.
func (e *tooLong) id() (uint64, bool) {
	for key, at := range mcp.Members(e.head) {
		if string(key) == "id" && at.To < len(e.head) {
			return number(e.head[at.From:at.To])
		}
	}
	return lastID(e.tail)
}

// readLine reads one line without its newline. The line belongs to the caller.
func readLine(br *bufio.Reader, limit int) ([]byte, error) {
	part, err := br.ReadSlice('\n')
	if err == nil && len(part) <= limit {
		return append(make([]byte, 0, len(part)-1), part[:len(part)-1]...), nil
	}
	line := append([]byte(nil), part...)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(line) > limit {
			return nil, skipLine(br, line)
		}
		part, err = br.ReadSlice('\n')
		line = append(line, part...)
	}
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if len(line) > limit {
		return nil, &tooLong{head: line[:min(len(line), 4<<10)], tail: line[len(line)-min(len(line), 256):]}
	}
	return line, err
}

// skipLine reads a line that is too long to its end and keeps its two ends.
func skipLine(br *bufio.Reader, line []byte) error {
	long := &tooLong{head: append([]byte(nil), line[:min(len(line), 4<<10)]...)}
	for {
		part, err := br.ReadSlice('\n')
		long.tail = append(long.tail, part...)
		if n := len(long.tail); n > 256 {
			long.tail = append(long.tail[:0], long.tail[n-256:]...)
		}
		if err == nil || !errors.Is(err, bufio.ErrBufferFull) {
			return long // at the end of the stream the next read says so
		}
	}
}

// lastID reads the id out of the end of an answer, such as …,"id":7}.
func lastID(tail []byte) (uint64, bool) {
	i := bytes.LastIndex(tail, []byte(`"id":`))
	if i < 0 {
		return 0, false
	}
	rest := bytes.TrimRight(tail[i+len(`"id":`):], " \r\n\t")
	end := bytes.IndexAny(rest, ",}")
	if end < 0 {
		return 0, false
	}
	return number(bytes.TrimSpace(rest[:end]))
}
