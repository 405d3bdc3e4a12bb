package mcp

import (
	"io"
	"net/http"
	"time"
)

// shortBody is how long a body may say it is and be given its room at once.
// What is longer grows as it comes: a promise alone costs no memory.
const shortBody = 32 << 10

// ReadBody reads a request's body, of at most so many bytes and within a time
// (0: any): who sends slower only occupies a connection.
func ReadBody(w http.ResponseWriter, r *http.Request, most int64, within time.Duration) ([]byte, error) {
	from := http.MaxBytesReader(w, r.Body, most)
	if within <= 0 {
		return readAll(from, r.ContentLength)
	}
	control := http.NewResponseController(w)
	// A server that cannot set deadlines (a test recorder) has none.
	_ = control.SetReadDeadline(time.Now().Add(within))
	body, err := readAll(from, r.ContentLength)
	if err == nil {
		_ = control.SetReadDeadline(time.Time{}) // what is read from now on only tells that the client has gone
	}
	return body, err
}

func readAll(from io.Reader, length int64) ([]byte, error) {
	if length <= 0 || length > shortBody {
		return io.ReadAll(from)
	}
	body := make([]byte, length)
	n, err := io.ReadFull(from, body)
	return body[:n], err
}
