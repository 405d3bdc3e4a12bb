//go:build unix

package upstream_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"paygate/server/mcp"
	"paygate/server/upstream"
	"paygate/testdata/fake"
)

const callers = 64

// BenchmarkStdio is calls over one child by 64 callers, with ids mapped and
// messages parsed; BenchmarkBarePipe is what the pipe and the child allow.
func BenchmarkStdio(b *testing.B) {
	s := start(b, upstream.Options{}, spec(b, "modern,quick"))
	c := open(b, s, mcp.Dial{Modern: true})
	m := request("1", "echo", fake.Args{Text: "hello", Who: "somebody"})
	measure(b, func() error {
		_, err := c.Call(context.Background(), m, func(*mcp.Message) {})
		return err
	})
}

func BenchmarkBarePipe(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), fake.Variable+"=modern,quick")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	p := newPipe(in, out)
	m := request("1", "echo", fake.Args{Text: "hello", Who: "somebody"})
	measure(b, func() error { return p.call(m.Params) })
	if err := in.Close(); err != nil {
		b.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		b.Error(err)
	}
}

func measure(b *testing.B, call func() error) {
	b.ReportAllocs()
	cpu := ownCPU(b)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64((ownCPU(b)-cpu).Nanoseconds())/float64(b.N)/1000, "µs-cpu/call")
}

func ownCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// pipe is the least that can carry concurrent calls.
type pipe struct {
	in   io.Writer
	mu   sync.Mutex
	next int
	wait map[int]chan struct{}
}

func newPipe(in io.Writer, out io.Reader) *pipe {
	p := &pipe{in: in, wait: map[int]chan struct{}{}}
	go func() {
		br := bufio.NewReaderSize(out, 1<<16)
		for {
			line, err := br.ReadSlice('\n')
			if err != nil {
				return
			}
			_, rest, _ := bytes.Cut(line, []byte(`"id":`))
			id, _ := strconv.Atoi(string(rest[:bytes.IndexByte(rest, ',')]))
			p.mu.Lock()
			c := p.wait[id]
			delete(p.wait, id)
			p.mu.Unlock()
			c <- struct{}{}
		}
	}()
	return p
}

func (p *pipe) call(params []byte) error {
	c := make(chan struct{}, 1)
	p.mu.Lock()
	p.next++
	id := p.next
	p.wait[id] = c
	line := append(append(append(append([]byte(`{"jsonrpc":"2.0","id":`), strconv.Itoa(id)...), `,"method":"tools/call","params":`...), params...), "}\n"...)
	_, err := p.in.Write(line)
	p.mu.Unlock()
	<-c
	return err
}

// BenchmarkHTTP is calls by 64 callers over one HTTP session; the server's own
// work is in it, since it lives in the same process.
func BenchmarkHTTP(b *testing.B) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if bytes.Contains(body, []byte(`"server/discover"`)) {
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}}`)
			return
		}
		_, rest, _ := bytes.Cut(body, []byte(`"id":`))
		id, _, _ := bytes.Cut(rest, []byte(`,`))
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":`+string(id)+`,"result":{"tools":[],"content":[{"type":"text","text":"hello"}]}}`)
	}))
	defer web.Close()
	s := start(b, upstream.Options{}, upstream.Spec{URL: web.URL})
	c := open(b, s, mcp.Dial{Modern: true})
	m := request("1", "echo", fake.Args{Text: "hello", Who: "somebody"})
	measure(b, func() error {
		_, err := c.Call(context.Background(), m, func(*mcp.Message) {})
		return err
	})
}
