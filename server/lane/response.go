package lane

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// mostKept is how much of an answer is kept back, to go out in one piece and
// with its length; what is longer, or flushed, goes in chunks.
const mostKept = 64 << 10

// response is an http.ResponseWriter. Its header leaves with the first bytes.
type response struct {
	conn    *conn
	header  http.Header
	fixed   *Fixed // beside header; nil: none
	status  int    // 0: not said yet
	out     []byte // what has not left of the body
	head    []byte // made when the status was said, so that later changes count for nothing
	room    []byte // that heads are made in
	chunked bool   // the head has left, and pieces follow
	length  int64  // as the handler has said; -1: it has not
	sent    int64
	last    bool // nothing may follow on this connection
	err     error
}

// anew is the response to the connection's next request, in the memory of the
// one before: nobody may use that after its handler has returned.
func (w *response) anew(c *conn) *response {
	header, out, room := w.header, w.out[:0], w.room[:0]
	if header == nil {
		header, room = make(http.Header, 16), make([]byte, 0, 1<<10)
	}
	clear(header)
	if cap(out) > mostKept/8 {
		out = nil // a rare giant is not kept
	}
	*w = response{conn: c, header: header, out: out, room: room}
	return w
}

// Header is sent with the first bytes.
func (w *response) Header() http.Header { return w.header }

// WriteHeader says the status; only the first one counts.
func (w *response) WriteHeader(status int) {
	if w.status != 0 || status < 200 { // nobody here sends interim answers
		return
	}
	w.status, w.length = status, -1
	w.head = append(append(append(append(w.room, "HTTP/1.1 "...), strconv.Itoa(status)...), ' '), http.StatusText(status)...)
	w.head = append(w.head, "\r\n"...)
	for name, values := range w.header {
		switch name {
		case "Content-Length":
			if n, err := strconv.ParseInt(values[0], 10, 64); err == nil && n >= 0 {
				w.length = n
			}
			continue
		case "Connection":
			w.last = w.last || strings.EqualFold(values[0], "close")
			continue
		case "Transfer-Encoding", "Trailer":
			continue
		}
		for _, value := range values {
			w.head = appendField(w.head, name, value)
		}
	}
	if w.fixed != nil {
		w.head = w.fixed.append(w.head, w.header)
	}
	if w.header["Date"] == nil {
		w.head = append(w.head, w.conn.lane.date()...)
	}
	if w.conn.lane.ending.Load() {
		w.last = true
	}
	if w.last {
		w.head = append(w.head, "Connection: close\r\n"...)
	}
}

// appendField adds a header field. A value cannot begin another field.
func appendField(head []byte, name, value string) []byte {
	for i := range len(name) {
		if !isToken(name[i]) {
			return head
		}
	}
	if strings.ContainsAny(value, "\r\n") {
		value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
	}
	return append(append(append(append(head, name...), ": "...), value...), "\r\n"...)
}

func (w *response) bodyless() bool {
	return w.status == http.StatusNoContent || w.status == http.StatusNotModified
}

// Write adds to the body.
func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		if w.header["Content-Type"] == nil {
			w.header.Set("Content-Type", http.DetectContentType(b))
		}
		w.WriteHeader(http.StatusOK)
	}
	if w.bodyless() {
		return 0, http.ErrBodyNotAllowed
	}
	if w.length >= 0 && w.sent+int64(len(b)) > w.length {
		return 0, http.ErrContentLength
	}
	w.sent += int64(len(b))
	w.out = append(w.out, b...)
	if len(w.out) > mostKept {
		w.push()
	}
	return len(b), w.err
}

// push sends what there is, before the end of the answer is known.
func (w *response) push() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	var piece []byte
	if w.head != nil {
		w.chunked = w.length < 0 && !w.bodyless()
		piece, w.head = w.top(w.length), nil
	}
	switch {
	case w.chunked && len(w.out) > 0:
		piece = append(strconv.AppendInt(piece, int64(len(w.out)), 16), "\r\n"...)
		piece = append(append(piece, w.out...), "\r\n"...)
	default:
		piece = append(piece, w.out...)
	}
	w.out = w.out[:0]
	w.send(piece)
}

// top is the head with how the body ends.
func (w *response) top(length int64) []byte {
	head := w.head
	switch {
	case w.bodyless():
	case w.chunked:
		head = append(head, "Transfer-Encoding: chunked\r\n"...)
	default:
		head = append(strconv.AppendInt(append(head, "Content-Length: "...), length, 10), "\r\n"...)
	}
	return append(head, "\r\n"...)
}

func (w *response) send(b []byte) {
	if w.err != nil || len(b) == 0 {
		return
	}
	if _, w.err = w.conn.rwc.Write(b); w.err != nil {
		w.conn.gone()
	}
}

// finish sends what is left; it says whether the answer went out whole.
func (w *response) finish() bool {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.head != nil && (w.length < 0 || w.length == w.sent):
		w.send(append(w.top(w.sent), w.out...))
		return w.err == nil
	case w.length >= 0 && w.length != w.sent: // cut short: only the end of the connection says so
		w.push()
		return false
	}
	w.push()
	if w.chunked {
		w.send([]byte("0\r\n\r\n"))
	}
	return w.err == nil
}

// Flush sends what was written so far.
func (w *response) Flush() { w.push() }

// FlushError is Flush for http.ResponseController.
func (w *response) FlushError() error {
	w.push()
	return w.err
}

// SetReadDeadline has nothing to do: the body has arrived.
func (w *response) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline is for http.ResponseController.
func (w *response) SetWriteDeadline(t time.Time) error { return w.conn.rwc.SetWriteDeadline(t) }
