// Package fake is an MCP server for tests, well behaved or not as the test
// wishes. A test binary becomes one when its TestMain begins with Main and the
// environment of Env is set, so tests need no other program; Web is the same
// server over Streamable HTTP.
//
// It has everything the protocol has: tools, resources, prompts, completion,
// logs, progress, questions to the client, subscriptions, tasks. Every tool
// does one thing, or misbehaves in one way; its arguments say how much. The
// server speaks the eras named by its mode.
package fake

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
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
//	paged      lists its tools in pages
//	hangs      never answers a list
//	terse      forgets, and does not tell, who cancelled and subscribed
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
	s := newServer(mode)
	s.out = os.Stdout
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

// server is one process, or one session over HTTP.
type server struct {
	modes []string
	out   io.Writer
	route func(during, m *message) // over HTTP: where m goes; nil: to out

	mu      sync.Mutex
	era     string // which handshake came first
	asked   int
	calls   int // of tools, so far
	hello   json.RawMessage
	inited  int // how often initialized came
	level   string
	answers map[string]chan json.RawMessage
	cancels map[string]context.CancelFunc
	ended   []string // ids of calls that were cancelled
	gone    []string // and who had made them
	subs    []string
	listens []listening
	jobs    *jobs
}

func newServer(mode string) *server {
	return &server{modes: strings.Split(mode, ","), answers: map[string]chan json.RawMessage{}, cancels: map[string]context.CancelFunc{}, jobs: &jobs{byID: map[string]*job{}}}
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

// take takes one message of the client, without waiting for what it causes.
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
		go s.run(context.Background(), m)
	}
}

// run answers one request; notifications/cancelled ends its context.
func (s *server) run(ctx context.Context, m *message) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	s.cancels[string(m.ID)] = cancel
	s.mu.Unlock()
	s.request(ctx, m)
	s.mu.Lock()
	delete(s.cancels, string(m.ID))
	s.mu.Unlock()
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
		if cancel := s.cancels[string(p.ID)]; cancel != nil {
			cancel()
		}
	}
}

// write sends m, which belongs to the request during, or to none.
func (s *server) write(during, m *message) {
	m.Version = "2.0"
	if s.route != nil {
		s.route(during, m)
		return
	}
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

func (s *server) tell(during *message, method string, params any) {
	raw, _ := json.Marshal(params)
	s.write(during, &message{Method: method, Params: raw})
}

func (s *server) answer(m *message, result any) { s.write(m, &message{ID: m.ID, Result: result}) }

func (s *server) fail(m *message, code int, text string, data any) {
	s.write(m, &message{ID: m.ID, Error: &rpcError{code, text, data}})
}

// request answers one request in the era it is of.
func (s *server) request(ctx context.Context, m *message) {
	switch m.Method {
	case "server/discover":
		s.discover(m)
	case "initialize":
		if s.is("modern") || s.first("modern") == "modern" && s.is("both") {
			s.fail(m, -32022, "unsupported protocol version", map[string]any{"supported": []string{"2026-07-28"}})
			return
		}
		s.initialize(m)
	case "ping":
		s.answer(m, map[string]any{})
	case "tools/list":
		if !s.is("hangs") {
			s.listTools(m)
		}
	case "tools/call":
		s.call(ctx, m)
	case "subscriptions/listen":
		s.listen(ctx, m)
	default:
		if !s.feature(m) && !s.task(ctx, m) {
			s.fail(m, -32601, "unknown method "+m.Method, nil)
		}
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

// meta is what a request says of itself in the new era.
type meta struct {
	Token   json.RawMessage            `json:"progressToken"`
	Version string                     `json:"io.modelcontextprotocol/protocolVersion"`
	Caps    map[string]json.RawMessage `json:"io.modelcontextprotocol/clientCapabilities"`
	Level   string                     `json:"io.modelcontextprotocol/logLevel"`
}

func metaOf(m *message) meta {
	var p struct {
		Meta meta `json:"_meta"`
	}
	_ = json.Unmarshal(m.Params, &p)
	return p.Meta
}

// newEra says whether a request is to be answered in the new era: by what it
// says of itself, and by how the process was greeted.
func (s *server) newEra(m *message) bool {
	if s.is("modern") {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.is("both") && s.era != "legacy" && metaOf(m).Version != ""
}

func (s *server) capabilities(modern bool) map[string]any {
	caps := map[string]any{"tools": map[string]any{"listChanged": true}, "resources": map[string]any{"subscribe": true, "listChanged": true},
		"prompts": map[string]any{"listChanged": true}, "completions": map[string]any{}, "logging": map[string]any{}}
	if modern {
		caps["extensions"] = map[string]any{tasksExtension: map[string]any{}}
	} else {
		caps["tasks"] = map[string]any{"list": map[string]any{}, "cancel": map[string]any{}, "requests": map[string]any{"tools": map[string]any{"call": map[string]any{}}}}
	}
	return caps
}

func (s *server) discover(m *message) {
	if s.is("touchy") {
		os.Exit(0)
	}
	if s.is("silent") {
		return
	}
	if !s.is("modern") && !s.is("both") {
		s.fail(m, -32601, "Method not found", nil)
		return
	}
	s.mu.Lock()
	s.era = "modern"
	s.mu.Unlock()
	s.answer(m, map[string]any{"resultType": "complete", "supportedVersions": []string{"2026-07-28"}, "ttlMs": 0, "cacheScope": "private",
		"capabilities": s.capabilities(true), "instructions": "Ask nicely.", "_meta": map[string]any{"io.modelcontextprotocol/serverInfo": map[string]any{"name": "fake", "version": "1"}}})
}

func (s *server) initialize(m *message) {
	var p struct {
		Version string `json:"protocolVersion"`
	}
	_ = json.Unmarshal(m.Params, &p)
	s.mu.Lock()
	s.era, s.hello = "legacy", m.Params
	s.mu.Unlock()
	s.answer(m, map[string]any{"protocolVersion": p.Version, "serverInfo": map[string]any{"name": "fake", "version": "1"}, "instructions": "Ask nicely.", "capabilities": s.capabilities(false)})
}
