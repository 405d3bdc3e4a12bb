package lane

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"reflect"
	"testing"
)

// Whatever is ordinary, net/http reads as the same request, and ends it at the
// same byte.
func FuzzOrdinary(f *testing.F) {
	const line = "POST /mcp HTTP/1.1\r\n"
	for _, head := range []string{"Host: a:1\r\nContent-Length: 2\r\n", "host: [::1]:1\r\nX-A: b \r\nx-a:  c\r\ncontent-length: 1\r\n",
		"Host: a\r\nContent-Length: 2\r\nConnection: keep-alive\r\nX_b: \r\n", "Host: a\r\nContent-Length: 02\r\n", "Host: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n",
		"Host: a\r\nContent-Length: 2\r\nX: a\r\n b\r\n", "Host: a\nContent-Length: 2\r\n", "Host: a..b:x\r\nContent-Length: 2\r\n"} {
		f.Add([]byte(line + head + "\r\nhiPOST"))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, is := parse(raw, line)
		if is != ordinary {
			return
		}
		in := bufio.NewReader(bytes.NewReader(raw))
		want, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("net/http: %v", err)
		}
		body, err := io.ReadAll(want.Body)
		if err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(in)
		if want.Method != http.MethodPost || want.RequestURI != "/mcp" || want.Host != r.host || want.ContentLength != int64(len(r.body)) || len(want.TransferEncoding) > 0 || want.Close {
			t.Fatalf("%+v, and here %+v", want, r)
		}
		if !bytes.Equal(body, r.body) || !bytes.Equal(rest, raw[r.size:]) || !reflect.DeepEqual(want.Header, r.header) {
			t.Fatalf("%q %q %v, and here %q %q %v", body, rest, want.Header, r.body, raw[r.size:], r.header)
		}
	})
}
