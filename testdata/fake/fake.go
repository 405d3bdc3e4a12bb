// Package fake is an MCP server for tests, well behaved or not as the test
// wishes. A test binary becomes one when its TestMain begins with Main and the
// environment of Env is set: so tests need no other program.
//
// Every tool misbehaves in one way; its arguments say how much. The server
// speaks the eras named by its mode.
package fake

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Variable is the environment variable whose presence makes a test binary a
// server. Its value is the mode: words separated by commas.
//
//	legacy     knows only initialize (the default)
//	modern     knows only server/discover
//	both       knows either, in one process whichever came first
//	silent     says nothing to server/discover
//	touchy     exits on server/discover
//	exits      exits with code 3 at once
//	slow       takes 400 ms to start
//	noisy      writes lines that are no messages before each answer
//	noend      ends its last message without a newline
//	stubborn   ignores its closed input and SIGTERM
//	quick      answers everything but the handshake with one short text, as fast as it can
const Variable = "PAYTEST_FAKE_MCP"

// Env is what to add to a child's environment to make it a server. A binary
// with the race detector would otherwise rest a second before it exits.
func Env(mode string) map[string]string {
	return map[string]string{Variable: mode, "GORACE": "atexit_sleep_ms=0"}
}

// Main runs the server and exits, if the environment says so.
func Main() {
	mode, ok := os.LookupEnv(Variable)
	if !ok {
		return
	}
	s := &server{modes: strings.Split(mode, ","), out: os.Stdout, answers: map[string]chan json.RawMessage{}, cancels: map[string]chan struct{}{}}
	s.serve(os.Stdin)
	os.Exit(0)
}

type message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  any             `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

type server struct {
	modes []string
	out   io.Writer

	mu      sync.Mutex
	era     string // which handshake came first
	asked   int
	hello   json.RawMessage
	inited  int // how often initialized came
	answers map[string]chan json.RawMessage
	cancels map[string]chan struct{}
	ended   []string // ids of calls that were cancelled
	subs    []string
	listens []json.RawMessage
}

func (s *server) is(mode string) bool { return slices.Contains(s.modes, mode) }

func (s *server) serve(in io.Reader) {
	if s.is("exits") {
		fmt.Fprintln(os.Stderr, "cannot go on: no configuration")
		os.Exit(3)
	}
	if s.is("slow") {
		time.Sleep(400 * time.Millisecond)
	}
	if s.is("stubborn") {
		signal.Ignore(syscall.SIGTERM)
		defer time.Sleep(time.Hour)
	}
	br := bufio.NewReaderSize(in, 1<<20)
	if s.is("quick") {
		s.race(br)
		return
	}
	for {
		line, err := br.ReadBytes('\n')
		var m message
		if len(line) > 0 && json.Unmarshal(line, &m) == nil {
			s.take(&m)
		}
		if err != nil {
			return
		}
	}
}

func (s *server) take(m *message) {
	switch {
	case m.Method == "":
		s.mu.Lock()
		c := s.answers[string(m.ID)]
		s.mu.Unlock()
		if c != nil {
			raw, _ := json.Marshal(m)
			c <- raw
		}
	case m.ID == nil:
		s.told(m)
	default:
		go s.request(m)
	}
}

func (s *server) told(m *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m.Method {
	case "notifications/initialized":
		s.inited++
	case "notifications/cancelled":
		var p struct {
			ID json.RawMessage `json:"requestId"`
		}
		_ = json.Unmarshal(m.Params, &p)
		s.ended = append(s.ended, string(p.ID))
		if c := s.cancels[string(p.ID)]; c != nil {
			close(c)
			delete(s.cancels, string(p.ID))
		}
	}
}

func (s *server) write(m *message) {
	m.Version = "2.0"
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.is("noisy") {
		_, _ = io.WriteString(s.out, "Server listening…\n\n{\"half\": \n[1,2\n\"text\"\n")
	}
	_, _ = s.out.Write(append(raw, '\n'))
}

func (s *server) tell(method string, params any) {
	raw, _ := json.Marshal(params)
	s.write(&message{Method: method, Params: raw})
}

func (s *server) fail(m *message, code int, text string, data any) {
	s.write(&message{ID: m.ID, Error: &rpcError{code, text, data}})
}

func (s *server) request(m *message) {
	modern := s.is("modern") || s.is("both")
	legacy := !s.is("modern")
	switch m.Method {
	case "server/discover":
		s.discover(m, modern)
	case "initialize":
		if !legacy || s.first("modern") == "modern" && s.is("both") {
			s.fail(m, -32022, "unsupported protocol version", map[string]any{"supported": []string{"2026-07-28"}})
			return
		}
		s.initialize(m)
	case "ping":
		s.write(&message{ID: m.ID, Result: map[string]any{}})
	case "tools/list":
		s.write(&message{ID: m.ID, Result: map[string]any{"tools": tools(), "resultType": "complete"}})
	case "tools/call":
		s.call(m)
	case "resources/subscribe", "resources/unsubscribe":
		s.subscribe(m)
	case "subscriptions/listen":
		s.listen(m)
	default:
		s.fail(m, -32601, "unknown method "+m.Method, nil)
	}
}

// first notes the era of the first handshake and returns the one noted.
func (s *server) first(era string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.era == "" && era != "modern" {
		s.era = era
	}
	return s.era
}

func (s *server) discover(m *message, modern bool) {
	if s.is("touchy") {
		os.Exit(0)
	}
	if s.is("silent") {
		return
	}
	if !modern {
		s.fail(m, -32601, "Method not found", nil)
		return
	}
	s.mu.Lock()
	s.era = "modern"
	s.mu.Unlock()
	s.write(&message{ID: m.ID, Result: map[string]any{"resultType": "complete", "supportedVersions": []string{"2026-07-28"}, "ttlMs": 0, "cacheScope": "private",
		"capabilities": map[string]any{"tools": map[string]any{"listChanged": true}, "resources": map[string]any{"subscribe": true}}}})
}

func (s *server) initialize(m *message) {
	var p struct {
		Version string `json:"protocolVersion"`
	}
	_ = json.Unmarshal(m.Params, &p)
	s.mu.Lock()
	s.era, s.hello = "legacy", m.Params
	s.mu.Unlock()
	s.write(&message{ID: m.ID, Result: map[string]any{"protocolVersion": p.Version, "serverInfo": map[string]any{"name": "fake", "version": "1"},
		"capabilities": map[string]any{"tools": map[string]any{"listChanged": true}, "resources": map[string]any{"subscribe": true}, "logging": map[string]any{}}}})
}

func tools() []map[string]any {
	names := []string{"echo", "sleep", "crash", "fork", "flood", "big", "progress", "ask", "log", "touch", "notify", "state", "env", "half", "fail"}
	list := make([]map[string]any, len(names))
	for i, name := range names {
		list[i] = map[string]any{"name": name, "description": "Does " + name + ".", "inputSchema": map[string]any{"type": "object"}}
	}
	return list
}

// spawn starts a process that outlives its parent unless somebody ends it.
func spawn() int {
	cmd := exec.Command("sleep", "300")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr // it holds our pipes open
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	return cmd.Process.Pid
}
