package upstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"paygate/server/mcp"
	"paygate/server/upstream"
	"paygate/testdata/fake"
)

func TestCallPassesBytesThrough(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, spec(t, "legacy"))
	c := dial(t, s, "key_a")
	if got := string(c.Init.Result); !strings.Contains(got, `"2025-06-18"`) {
		t.Errorf("initialize answered %s", got)
	}
	text := "ü 😀 \u2028 </script> \\ \" \n end"
	got := call(t, c, "echo", fake.Args{Text: text, Who: "a"})
	if got.Text != text {
		t.Errorf("said %q, want %q", got.Text, text)
	}
	if string(got.Hello) != hello {
		t.Errorf("the server got initialize %s, want the client's own %s", got.Hello, hello)
	}
	m := request(`"own id"`, "echo", fake.Args{})
	m.Params = json.RawMessage("{\n  \"name\": \"echo\",\r\n  \"arguments\": {\"text\": \"many lines\"}\n}")
	res, err := c.Call(context.Background(), m, nil)
	if err != nil || string(res.ID) != `"own id"` || said(t, res).Text != "many lines" {
		t.Errorf("pretty printed params: %v %v", res, err)
	}
}

// Fifty callers use one process with the same ids and progress tokens; each
// gets what is its own and nothing else.
func TestCallersNeverMeet(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, spec(t, "modern"))
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			who := fmt.Sprintf("caller %d", i)
			c, err := s.Open(context.Background(), mcp.Dial{Caller: who, Modern: true})
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = c.Close() }()
			for range 10 {
				m := request("1", "progress", fake.Args{Who: who, N: 3})
				m.Params = json.RawMessage(strings.TrimSuffix(string(m.Params), "}") + `,"_meta":{"progre\u0073sToken":"same"}}`)
				var heard []string
				res, err := c.Call(context.Background(), m, func(n *mcp.Message) { heard = append(heard, string(n.Params)) })
				if err != nil || string(res.ID) != "1" || said(t, res).Who != who {
					t.Errorf("%s: %v %v", who, res, err)
					return
				}
				if len(heard) != 3 {
					t.Errorf("%s heard %d times of its progress", who, len(heard))
				}
				for _, p := range heard {
					if !strings.Contains(p, `"`+who+`"`) || !strings.Contains(p, `"progressToken":"same"`) {
						t.Errorf("%s heard %s", who, p)
					}
				}
			}
		})
	}
	wg.Wait()
	if st := s.Status()[0]; len(st.Pids) > 2 {
		t.Errorf("a modern server runs in %d processes, want one and a spare", len(st.Pids))
	}
}

func TestCrashFailsItsCallClearlyAndIsRepaired(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, spec(t, "modern"))
	c := open(t, s, mcp.Dial{Modern: true})
	first := call(t, c, "echo", fake.Args{}).Pid
	_, err := c.Call(context.Background(), request("1", "crash", fake.Args{Code: 7}), nil)
	if !errors.Is(err, mcp.ErrLost) || !strings.Contains(err.Error(), "exited with code 7 while the call ran") || strings.Contains(err.Error(), "fall over") || !strings.Contains(upstream.Detail(err), "; its last words: about to fall over") {
		t.Errorf("error %v", err)
	}
	<-c.Done()
	if _, err := c.Call(context.Background(), request("1", "echo", fake.Args{}), nil); !errors.Is(err, upstream.ErrEnded) || !errors.Is(err, mcp.ErrLost) {
		t.Errorf("a call on what has ended: %v", err)
	}
	began := time.Now()
	again := open(t, s, mcp.Dial{Modern: true})
	if pid := call(t, again, "echo", fake.Args{}).Pid; pid == first {
		t.Error("the same process answers")
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("healthy again after %s", took)
	}
	if st := s.Status()[0]; st.Restarts != 1 || st.State != upstream.Ready || !strings.Contains(st.LastError, "code 7") {
		t.Errorf("status %+v", st)
	}
}

func TestAnswerCutOffByTheEnd(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, spec(t, "modern"))
	c := open(t, s, mcp.Dial{Modern: true})
	if _, err := c.Call(context.Background(), request("1", "half", fake.Args{}), nil); !errors.Is(err, mcp.ErrLost) {
		t.Errorf("error %v", err)
	}
}

func TestLastMessageNeedsNoNewline(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{Limits: upstream.Limits{NoSpare: true}}, spec(t, "legacy,noend"))
	c := dial(t, s, "key_a")
	if got := call(t, c, "echo", fake.Args{Text: "bye"}).Text; got != "bye" {
		t.Errorf("said %q", got)
	}
}

func TestGarbageIsKeptAside(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, spec(t, "legacy,noisy"))
	c := dial(t, s, "key_a")
	for range 3 {
		call(t, c, "echo", fake.Args{Text: "x"})
	}
	lines, err := s.Stderr("")
	if err != nil || len(lines) == 0 || !lines[0].Out || lines[0].Text != "Server listening…" {
		t.Errorf("lines %v, %v", lines, err)
	}
}

func TestLongLines(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{Limits: upstream.Limits{Message: 1 << 20}}, spec(t, "modern"))
	c := open(t, s, mcp.Dial{Modern: true})
	const around = len(`{"result":{"content":[{"type":"text","text":""}]},"jsonrpc":"2.0","id":10}`)
	res, err := c.Call(context.Background(), request("1", "big", fake.Args{N: 1<<20 - around}), nil)
	if err != nil || len(res.Result) < 1<<20-100 {
		t.Fatalf("just within the limit: %v", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { call(t, c, "sleep", fake.Args{Ms: 300}) }) // others go on
	_, err = c.Call(context.Background(), request("1", "big", fake.Args{N: 50 << 20}), nil)
	if !errors.Is(err, mcp.ErrLost) || !strings.Contains(err.Error(), "more than 1048576 bytes") {
		t.Errorf("beyond the limit: %v", err)
	}
	wg.Wait()
	call(t, c, "echo", fake.Args{})
}

func TestFiftyMegabytes(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, spec(t, "modern"))
	c := open(t, s, mcp.Dial{Modern: true})
	res, err := c.Call(context.Background(), request("1", "big", fake.Args{N: 50 << 20}), nil)
	if err != nil || len(res.Result) < 50<<20 {
		t.Fatal(err)
	}
}

func TestStderrFloodIsBounded(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{Limits: upstream.Limits{StderrLines: 20}}, spec(t, "modern"))
	c := open(t, s, mcp.Dial{Modern: true})
	call(t, c, "flood", fake.Args{N: 20000})
	until(t, "the last line", func() bool {
		lines, err := s.Stderr("")
		return err == nil && len(lines) == 20 && strings.HasPrefix(lines[19].Text, "line 19999 ")
	})
}

func TestGivingUpTellsTheServer(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, spec(t, "legacy"))
	c := dial(t, s, "key_a")
	ctx, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	_, err := c.Call(ctx, request("1", "sleep", fake.Args{Ms: 60000}), nil)
	if !errors.Is(err, mcp.ErrLost) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if got := call(t, c, "state", fake.Args{}); len(got.Ended) != 1 {
		t.Errorf("the server was told of %v", got.Ended)
	}
	if n := s.Status()[0].InFlight; n != 0 {
		t.Errorf("%d in flight", n)
	}
}

func TestServerAsksAndIsAnswered(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, spec(t, "legacy"))
	c := dial(t, s, "key_a")
	res, err := c.Call(context.Background(), request("5", "ask", fake.Args{Who: "me"}), func(m *mcp.Message) {
		if m.Method != "elicitation/create" || !strings.Contains(string(m.Params), "me") {
			t.Errorf("asked %s %s", m.Method, m.Params)
		}
		if err := c.Send(context.Background(), &mcp.Message{ID: m.ID, Result: json.RawMessage(`{"action":"accept"}`)}); err != nil {
			t.Error(err)
		}
		if err := c.Send(context.Background(), &mcp.Message{ID: m.ID, Result: json.RawMessage(`{}`)}); err == nil {
			t.Error("a second answer was taken")
		}
	})
	if err != nil || !strings.Contains(string(said(t, res).Answer), `"accept"`) {
		t.Errorf("%v %v", res, err)
	}
}

func TestOutsideCalls(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, spec(t, "legacy"))
	heard := make(chan string, 10)
	c := open(t, s, mcp.Dial{Caller: "key_a", Other: func(m *mcp.Message) { heard <- m.Method }})
	call(t, c, "notify", fake.Args{Text: "notifications/tools/list_changed"})
	if got := <-heard; got != "notifications/tools/list_changed" {
		t.Errorf("heard %s", got)
	}
}

func TestSecretsAreNotInherited(t *testing.T) {
	t.Parallel()
	sp := spec(t, "modern")
	sp.Env["EXTRA"] = "yes"
	sp.Dir = t.TempDir()
	s := start(t, upstream.Options{Environ: []string{"PAYGATE_ADMIN_KEY=secret", "KEPT=1", "EXTRA=no"}}, sp)
	c := open(t, s, mcp.Dial{Modern: true})
	for name, want := range map[string]string{"PAYGATE_ADMIN_KEY": "", "KEPT": "1", "EXTRA": "yes", "PWD": sp.Dir} {
		if got := call(t, c, "env", fake.Args{Text: name}).Text; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, spec(t, "legacy"))
	c := dial(t, s, "key_a")
	pids := []int{call(t, c, "fork", fake.Args{}).Child, call(t, c, "fork", fake.Args{}).Child}
	pids = append(pids, s.Status()[0].Pids...)
	if len(pids) < 5 {
		t.Errorf("processes %v, want two grandchildren, a child, the lobby and a spare", pids)
	}
	if _, err := c.Call(context.Background(), request("1", "crash", fake.Args{}), nil); err == nil {
		t.Error("no crash")
	}
	until(t, "the end of the crashed child's children", func() bool { return !alive(pids[0]) && !alive(pids[1]) })
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
}

func TestStubbornServerIsKilled(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{Limits: upstream.Limits{Grace: 200 * time.Millisecond}}, spec(t, "legacy,stubborn"))
	c := dial(t, s, "a")
	call(t, c, "echo", fake.Args{})
	pids := s.Status()[0].Pids
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	if _, err := c.Call(context.Background(), request("1", "echo", fake.Args{}), nil); !errors.Is(err, upstream.ErrEnded) {
		t.Errorf("a call afterwards: %v", err)
	}
}

func TestClosingInAHurryKills(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{Limits: upstream.Limits{Grace: time.Hour}}, spec(t, "modern,stubborn"))
	open(t, s, mcp.Dial{Modern: true})
	ctx, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// A caller that does not read its progress holds up nobody, and no memory
// beyond its bound; its answer is not lost.
func TestSlowReaderHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{Limits: upstream.Limits{PendingBytes: 10_000}}, spec(t, "modern"))
	c := open(t, s, mcp.Dial{Modern: true})
	hold, heard := make(chan struct{}), 0
	ended := make(chan error, 1)
	go func() {
		m := request("1", "progress", fake.Args{N: 5000})
		m.Params = json.RawMessage(strings.TrimSuffix(string(m.Params), "}") + `,"_meta":{"progressToken":1}}`)
		_, err := c.Call(context.Background(), m, func(*mcp.Message) { <-hold; heard++ })
		ended <- err
	}()
	for range 20 {
		call(t, c, "sleep", fake.Args{Ms: 10})
	}
	close(hold)
	if err := <-ended; err != nil || heard == 0 || heard == 5000 {
		t.Errorf("heard %d of 5000: %v", heard, err)
	}
}
