package lane

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
)

// What a request may have to be ordinary; more is for net/http.
const (
	mostHead    = 8 << 10
	mostFields  = 40
	mostBody    = 32 << 10
	mostRequest = mostHead + mostBody
)

// verdict is what the bytes of a connection are.
type verdict int

const (
	ordinary verdict = iota // a whole request
	partial                 // the beginning of what may be one
	other                   // not for us
)

// request is an ordinary one, as it was sent.
type request struct {
	header http.Header
	host   string
	body   []byte
	size   int // of all of it
}

// parse takes the first request off b. Every rule is narrower than what
// net/http accepts, and where both accept, they read the same.
func parse(b []byte, line string) (request, verdict) {
	if n := min(len(b), len(line)); string(b[:n]) != line[:n] {
		return request{}, other
	}
	end := bytes.Index(b, []byte("\r\n\r\n"))
	switch {
	case end < 0 && len(b) < mostHead:
		return request{}, partial
	case end < 0 || end > mostHead || end < len(line):
		return request{}, other
	}
	r := request{header: make(http.Header)}
	length, ok := r.fields(string(b[len(line) : end+2]))
	if !ok {
		return request{}, other
	}
	r.size = end + 4 + length
	if len(b) < r.size {
		return request{}, partial
	}
	r.body = b[end+4 : r.size : r.size]
	return r, ordinary
}

// fields reads the header fields, which all end in CRLF, and gives the length
// of the body.
func (r *request) fields(head string) (length int, ok bool) {
	values := make([]string, 0, 8)
	for n := 0; head != ""; n++ {
		name, value, rest, good := field(head)
		if !good || n == mostFields {
			return 0, false
		}
		head = rest
		switch name {
		case "Host":
			if r.host != "" || !isHost(value) {
				return 0, false
			}
			r.host = value
			continue
		case "Content-Length":
			if r.header[name] != nil {
				return 0, false
			}
			if length = digits(value); length == 0 {
				return 0, false
			}
		case "Connection":
			if value != "keep-alive" {
				return 0, false
			}
		case "Transfer-Encoding", "Content-Encoding", "Expect", "Upgrade", "Te", "Trailer", "Pragma", "Proxy-Connection", "Keep-Alive", "Http2-Settings":
			return 0, false
		}
		if r.header[name] != nil {
			r.header[name] = append(r.header[name], value)
			continue
		}
		if len(values) == cap(values) {
			values = make([]string, 0, 8)
		}
		values = append(values, value)
		r.header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	return length, r.host != "" && length > 0
}

// field takes one header field off: a name of token characters, a colon,
// blanks, a value of visible ASCII and blanks, CRLF.
func field(head string) (name, value, rest string, ok bool) {
	colon := 0
	for colon < len(head) && isToken(head[colon]) {
		colon++
	}
	if colon == 0 || colon == len(head) || head[colon] != ':' {
		return "", "", "", false
	}
	from := colon + 1
	for from < len(head) && head[from] == ' ' {
		from++
	}
	to := from
	for to < len(head) && head[to] >= ' ' && head[to] <= '~' {
		to++
	}
	if to+1 >= len(head) || head[to] != '\r' || head[to+1] != '\n' {
		return "", "", "", false
	}
	rest = head[to+2:]
	for to > from && head[to-1] == ' ' {
		to--
	}
	return textproto.CanonicalMIMEHeaderKey(head[:colon]), head[from:to], rest, true
}

func isToken(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// isHost says whether a Host is a plain name or address with a port.
func isHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isToken(c) && c != '.' && c != ':' && c != '[' && c != ']' {
			return false
		}
	}
	return s != ""
}

// digits is a length within bounds that is written in the one usual way; 0 is
// none.
func digits(s string) int {
	const most = len("32768")
	n := 0
	if len(s) > most || s == "" || s[0] == '0' {
		return 0
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0
		}
		n = 10*n + int(s[i]-'0')
	}
	if n > mostBody {
		return 0
	}
	return n
}

// http is the request as handlers know it.
func (r *request) http(c *conn) *http.Request {
	parts := &struct { // in one piece of memory
		request http.Request
		url     url.URL
		body    body
	}{*c.usual, url.URL{Path: c.lane.Path}, body{rest: r.body}}
	out := &parts.request
	out.URL, out.Header, out.Body, out.ContentLength, out.Host = &parts.url, r.header, &parts.body, int64(len(r.body)), r.host
	return out
}

// alike is what all requests of a connection have alike.
func (c *conn) alike() *http.Request {
	r := &http.Request{Method: http.MethodPost, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: c.remote, RequestURI: c.lane.Path}
	return r.WithContext(c.ctx)
}
