package fake

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
)

// race answers as fast as it can: it looks for nothing but the id, which
// stands where clients put it, and writes when it has read all there was.
func (s *server) race(br *bufio.Reader) {
	bw := bufio.NewWriterSize(s.out, 1<<20)
	for {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return
		}
		if bytes.Contains(line, []byte(`"initialize"`)) || bytes.Contains(line, []byte(`"server/discover"`)) {
			var m message
			if json.Unmarshal(line, &m) == nil {
				s.request(context.Background(), &m)
			}
			continue
		}
		if _, rest, ok := bytes.Cut(line, []byte(`"id":`)); ok {
			id := rest[:bytes.IndexByte(rest, ',')]
			_, _ = bw.WriteString(`{"jsonrpc":"2.0","id":`)
			_, _ = bw.Write(id)
			_, _ = bw.WriteString(`,"result":{"content":[{"type":"text","text":"hello hello hello hello hello hello"}]}}` + "\n")
		}
		if br.Buffered() == 0 && bw.Flush() != nil {
			return
		}
	}
}
