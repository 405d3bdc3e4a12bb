package fake

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Args are the arguments of the tools; each takes what it needs.
type Args struct {
	Text  string `json:"text,omitempty"`  // echo, fail, job: what to say; env: which variable; notify: which method; touch: which resource
	Who   string `json:"who,omitempty"`   // who calls; echoed back, and what is asked
	Ms    int    `json:"ms,omitempty"`    // sleep, progress, job: how long
	N     int    `json:"n,omitempty"`     // progress: how many; flood: how many lines; big: how many bytes; job: its ttl
	Code  int    `json:"code,omitempty"`  // crash: the exit code; job: anything but 0 fails it
	Level string `json:"level,omitempty"` // log: how severe; info if empty
	Split bool   `json:"split,omitempty"` // big: write it in pieces
}

// Said is what every tool says: its result's only text, as JSON.
type Said struct {
	Text   string          `json:"text,omitempty"`
	Who    string          `json:"who,omitempty"`
	Pid    int             `json:"pid"`
	Child  int             `json:"child,omitempty"`
	Hello  json.RawMessage `json:"hello,omitempty"`
	Inited int             `json:"inited"`
	Ended  []string        `json:"ended,omitempty"` // ids of calls that were cancelled
	Gone   []string        `json:"gone,omitempty"`  // who had made them
	Answer json.RawMessage `json:"answer,omitempty"`
	More   json.RawMessage `json:"more,omitempty"` // the answer to a second question
	Subs   []string        `json:"subs,omitempty"`
	Calls  int             `json:"calls"` // how many calls have come, this one included
}

func tools() []map[string]any {
	names := []string{"echo", "sleep", "crash", "fork", "flood", "big", "progress", "ask", "sample", "roots", "twice", "visit", "job", "log", "touch", "notify", "state", "env", "half", "fail"}
	list := make([]map[string]any, len(names))
	for i, name := range names {
		list[i] = map[string]any{"name": name, "description": "Does " + name + ".", "inputSchema": map[string]any{"type": "object"}}
	}
	return list
}

func (s *server) listTools(m *message) {
	if s.is("paged") {
		s.finish(m, page(m, "tools", tools()), true)
		return
	}
	s.finish(m, map[string]any{"tools": tools()}, true)
}

func (s *server) call(ctx context.Context, m *message) {
	var p struct {
		Name string `json:"name"`
		Args Args   `json:"arguments"`
	}
	_ = json.Unmarshal(m.Params, &p)
	a, said := p.Args, Said{Who: p.Args.Who, Pid: os.Getpid()}
	s.mu.Lock()
	s.calls++
	said.Calls = s.calls
	s.mu.Unlock()
	said.Child = misbehave(p.Name, a)
	switch p.Name {
	case "echo":
		said.Text = a.Text
	case "sleep":
		if token := metaOf(m).Token; token != nil { // so that a test knows that it sleeps
			s.tell(m, "notifications/progress", map[string]any{"progressToken": token, "progress": 0})
		}
		if s.cancelled(ctx, a) {
			return
		}
	case "big":
		s.big(m, a)
		return
	case "env":
		said.Text = os.Getenv(a.Text)
	case "progress", "log", "notify", "touch":
		s.announce(m, p.Name, a)
	case "ask", "sample", "roots", "twice":
		answers, ok := s.ask(ctx, m, questions(p.Name, a))
		if !ok {
			return
		}
		said.Answer = answers[0]
		if len(answers) > 1 {
			said.More = answers[1]
		}
	case "visit":
		if !s.visit(m, a) {
			return
		}
	case "job":
		if s.begin(m, a) {
			return
		}
		said.Text = a.Text
	case "fail":
		s.finish(m, map[string]any{"isError": true, "content": []any{map[string]any{"type": "text", "text": a.Text}}}, false)
		return
	case "state", "fork", "flood":
	case "unlisted": // as SDKs do that answer for a tool they do not have with a result
		s.finish(m, map[string]any{"isError": true, "content": []any{map[string]any{"type": "text", "text": "Tool unlisted not found"}}}, false)
		return
	default:
		s.fail(m, -32602, "unknown tool "+p.Name, nil)
		return
	}
	s.done(m, p.Name, said)
}

// done answers a call with what the server has seen so far.
func (s *server) done(m *message, tool string, said Said) {
	s.mu.Lock()
	if s.is("terse") {
		s.ended, s.gone = nil, nil
	} else {
		said.Hello, said.Inited, said.Ended, said.Gone, said.Subs = s.hello, s.inited, s.ended, s.gone, s.subs
	}
	s.mu.Unlock()
	s.say(m, said)
	if s.is("noend") && tool == "echo" {
		os.Exit(0)
	}
}

// announce is what a tool tells before its answer, or outside it.
func (s *server) announce(m *message, tool string, a Args) {
	switch tool {
	case "progress":
		token := metaOf(m).Token
		for i := range a.N {
			s.tell(m, "notifications/progress", map[string]any{"progressToken": token, "progress": i + 1, "total": a.N, "message": a.Who})
			time.Sleep(time.Duration(a.Ms) * time.Millisecond)
		}
	case "log":
		level := a.Level
		if level == "" {
			level = "info"
		}
		s.log(m, level, a.Who)
	case "notify":
		s.publish(a.Text, map[string]any{})
	case "touch":
		s.publish("notifications/resources/updated", map[string]any{"uri": a.Text})
	}
}

// misbehave is what concerns the process and not the protocol.
func misbehave(tool string, a Args) (child int) {
	switch tool {
	case "crash":
		fmt.Fprintln(os.Stderr, "about to fall over")
		os.Exit(a.Code)
	case "half": // the beginning of an answer, then the end
		_, _ = os.Stdout.WriteString(`{"jsonrpc":"2.0","id":`)
		os.Exit(1)
	case "fork":
		return spawn()
	case "flood":
		for i := range a.N {
			fmt.Fprintf(os.Stderr, "line %d %s\n", i, strings.Repeat("x", 100))
		}
	}
	return 0
}

func (s *server) say(m *message, said Said) {
	raw, _ := json.Marshal(said)
	result := map[string]any{"content": []any{map[string]any{"type": "text", "text": string(raw)}}}
	if !s.is("noend") {
		s.finish(m, result, false)
		return
	}
	last, _ := json.Marshal(message{Version: "2.0", ID: m.ID, Result: result})
	_, _ = s.out.Write(last)
}

// cancelled waits, and says whether the call was cancelled meanwhile.
func (s *server) cancelled(ctx context.Context, a Args) bool {
	select {
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		s.gone = append(s.gone, a.Who)
		return true
	case <-time.After(time.Duration(a.Ms) * time.Millisecond):
		return false
	}
}

// big answers with N bytes of text, its id at the end as some servers do.
func (s *server) big(m *message, a Args) {
	if s.route != nil {
		s.finish(m, map[string]any{"content": []any{map[string]any{"type": "text", "text": strings.Repeat("x", a.N)}}}, false)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.out.Write([]byte(`{"result":{"content":[{"type":"text","text":"`))
	piece := []byte(strings.Repeat("x", 64<<10))
	for left := a.N; left > 0; left -= len(piece) {
		_, _ = s.out.Write(piece[:min(left, len(piece))])
		if a.Split {
			time.Sleep(time.Millisecond)
		}
	}
	_, _ = s.out.Write([]byte(`"}]},"jsonrpc":"2.0","id":` + string(m.ID) + "}\n"))
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
