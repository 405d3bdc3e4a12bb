package fake

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// Args are the arguments of the tools; each takes what it needs.
type Args struct {
	Text  string `json:"text,omitempty"`  // echo, fail: what to say; env: which variable; notify: which method
	Who   string `json:"who,omitempty"`   // who calls; echoed back
	Ms    int    `json:"ms,omitempty"`    // sleep, progress, ask: how long
	N     int    `json:"n,omitempty"`     // progress: how many; flood: how many lines; big: how many bytes
	Code  int    `json:"code,omitempty"`  // crash: the exit code
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
	Ended  []string        `json:"ended,omitempty"`
	Answer json.RawMessage `json:"answer,omitempty"`
	Subs   []string        `json:"subs,omitempty"`
}

func (s *server) call(m *message) {
	var p struct {
		Name string `json:"name"`
		Args Args   `json:"arguments"`
		Meta struct {
			Token json.RawMessage `json:"progressToken"`
		} `json:"_meta"`
	}
	_ = json.Unmarshal(m.Params, &p)
	a, said := p.Args, Said{Who: p.Args.Who, Pid: os.Getpid()}
	said.Child = misbehave(p.Name, a)
	switch p.Name {
	case "echo":
		said.Text = a.Text
	case "sleep":
		if s.cancelled(m, time.Duration(a.Ms)*time.Millisecond) {
			return
		}
	case "big":
		s.big(m, a)
		return
	case "env":
		said.Text = os.Getenv(a.Text)
	case "progress":
		for i := range a.N {
			s.tell("notifications/progress", map[string]any{"progressToken": p.Meta.Token, "progress": i + 1, "total": a.N, "message": a.Who})
			time.Sleep(time.Duration(a.Ms) * time.Millisecond)
		}
	case "log":
		s.tell("notifications/message", map[string]any{"level": "info", "data": a.Who})
	case "notify":
		s.publish(a.Text, map[string]any{})
	case "touch":
		s.publish("notifications/resources/updated", map[string]any{"uri": a.Text})
	case "ask":
		said.Answer = s.ask(a)
	case "fail":
		s.write(&message{ID: m.ID, Result: map[string]any{"isError": true, "content": []any{map[string]any{"type": "text", "text": a.Text}}}})
		return
	case "state", "fork", "flood":
	default:
		s.fail(m, -32602, "unknown tool "+p.Name, nil)
		return
	}
	s.mu.Lock()
	said.Hello, said.Inited, said.Ended, said.Subs = s.hello, s.inited, s.ended, s.subs
	s.mu.Unlock()
	s.say(m, said)
	if s.is("noend") && p.Name == "echo" {
		os.Exit(0)
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
		s.write(&message{ID: m.ID, Result: result})
		return
	}
	last, _ := json.Marshal(message{Version: "2.0", ID: m.ID, Result: result})
	_, _ = s.out.Write(last)
}

// cancelled waits, and says whether the call was cancelled meanwhile.
func (s *server) cancelled(m *message, d time.Duration) bool {
	c := make(chan struct{})
	s.mu.Lock()
	s.cancels[string(m.ID)] = c
	s.mu.Unlock()
	select {
	case <-c:
		return true
	case <-time.After(d):
		return false
	}
}

// big answers with N bytes of text, its id at the end as some servers do.
func (s *server) big(m *message, a Args) {
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

// ask asks the client and waits for what it says.
func (s *server) ask(a Args) json.RawMessage {
	s.mu.Lock()
	s.asked++
	id := fmt.Sprintf(`"ask-%d"`, s.asked)
	c := make(chan json.RawMessage, 1)
	s.answers[id] = c
	s.mu.Unlock()
	params, _ := json.Marshal(map[string]any{"message": a.Who})
	s.write(&message{ID: json.RawMessage(id), Method: "elicitation/create", Params: params})
	select {
	case raw := <-c:
		return raw
	case <-time.After(10 * time.Second):
		return nil
	}
}

func (s *server) subscribe(m *message) {
	var p struct {
		URI string `json:"uri"`
	}
	_ = json.Unmarshal(m.Params, &p)
	s.mu.Lock()
	s.subs = append(s.subs, strings.TrimPrefix(m.Method, "resources/")+" "+p.URI)
	s.mu.Unlock()
	s.write(&message{ID: m.ID, Result: map[string]any{}})
}

// publish sends a notification that belongs to no call: in the new era on the
// subscription, if there is one.
func (s *server) publish(method string, params map[string]any) {
	s.mu.Lock()
	modern, listens := s.era == "modern", s.listens
	s.mu.Unlock()
	if !modern {
		s.tell(method, params)
		return
	}
	for _, id := range listens {
		params["_meta"] = map[string]any{"io.modelcontextprotocol/subscriptionId": id}
		s.tell(method, params)
	}
}

// listen keeps one subscription a process, as the Go SDK does: a second one
// silences the first.
func (s *server) listen(m *message) {
	var p struct {
		Want map[string]any `json:"notifications"`
	}
	_ = json.Unmarshal(m.Params, &p)
	tag := map[string]any{"io.modelcontextprotocol/subscriptionId": m.ID}
	s.tell("notifications/subscriptions/acknowledged", map[string]any{"notifications": p.Want, "_meta": tag})
	s.mu.Lock()
	s.listens = []json.RawMessage{m.ID}
	s.mu.Unlock()
	if !s.cancelled(m, time.Hour) {
		return
	}
	s.mu.Lock()
	s.listens = nil
	s.mu.Unlock()
}
