package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
)

// pipe is a gateway that only pipes: HTTP on one side, a child on the other,
// and an id of its own in between. It is what a gateway cannot do without.
type pipe struct {
	mu      sync.Mutex
	in      io.Writer
	last    int
	waiting map[int]chan json.RawMessage
}

func servePipe(addr string) {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	child := exec.Command(self, "serve-stdio")
	in, err := child.StdinPipe()
	if err != nil {
		panic(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		panic(err)
	}
	if err := child.Start(); err != nil {
		panic(err)
	}
	p := &pipe{in: in, waiting: map[int]chan json.RawMessage{}}
	go p.read(out)
	http.ListenAndServe(addr, p)
}

func (p *pipe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	if err != nil || json.Unmarshal(body, &m) != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	answer := make(chan json.RawMessage, 1)
	p.mu.Lock()
	p.last++
	id := p.last
	p.waiting[id] = answer
	_, err = fmt.Fprintf(p.in, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`+"\n", id, m.Method, m.Params)
	p.mu.Unlock()
	if err != nil {
		http.Error(w, "no server", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, <-answer)
}

func (p *pipe) read(from io.Reader) {
	lines := bufio.NewReaderSize(from, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var m struct {
			ID     json.RawMessage `json:"id"`
			Result json.RawMessage `json:"result"`
		}
		if json.Unmarshal(bytes.TrimSpace(line), &m) != nil {
			continue
		}
		id, err := strconv.Atoi(string(m.ID))
		if err != nil {
			continue
		}
		p.mu.Lock()
		answer := p.waiting[id]
		delete(p.waiting, id)
		p.mu.Unlock()
		if answer != nil {
			answer <- m.Result
		}
	}
}
