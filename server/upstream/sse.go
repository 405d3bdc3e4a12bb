package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"
)

// events reads a stream of server-sent events.
type events struct {
	br     *bufio.Reader
	limit  int
	lastID string        // where to resume; empty when the server gives no ids
	retry  time.Duration // how long the server asks to wait before that
}

// Buffers of streams: one that says little and stays open must be small, since
// a thousand of them may be.
const (
	wide   = 16 << 10
	narrow = 1 << 10
)

func newEvents(r io.Reader, limit, buffer int) *events {
	return &events{br: bufio.NewReaderSize(r, buffer), limit: limit, retry: time.Second}
}

var errEventTooLong = errors.New("the server sent an event that is longer than the limit")

// next returns the data of the next event that has any. The data belongs to
// the caller.
func (e *events) next() ([]byte, error) {
	var data []byte
	for {
		line, err := readLine(e.br, e.limit)
		var long *tooLong
		if errors.As(err, &long) || len(data) > e.limit {
			return nil, errEventTooLong
		}
		if err != nil {
			return nil, err // an event without its blank line is not one
		}
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			if len(data) > 0 {
				return data, nil
			}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "data":
			if data != nil {
				data = append(data, '\n')
			}
			data = append(data, value...)
		case "id":
			if bytes.IndexByte(value, 0) < 0 {
				e.lastID = string(value)
			}
		case "retry":
			if ms, err := strconv.Atoi(string(value)); err == nil && ms >= 0 && ms <= 5*60*1000 {
				e.retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
}
