package upstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"paygate/server/mcp"
	"paygate/server/upstream"
	"paygate/testdata/fake"
)

func TestWhoSharesAProcess(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, spec(t, "both"))
	pid := func(d mcp.Dial) int { return call(t, open(t, s, d), "echo", fake.Args{}).Pid }
	shared := pid(mcp.Dial{Modern: true, Caller: "a"})
	for name, c := range map[string]struct {
		dial mcp.Dial
		same bool
	}{
		"another modern caller":        {mcp.Dial{Modern: true, Caller: "b"}, true},
		"a bare call":                  {mcp.Dial{Shared: true, Caller: "b"}, true},
		"a session of the old era":     {mcp.Dial{Caller: "a"}, false},
		"a keyless session of the old": {mcp.Dial{}, false},
	} {
		if (pid(c.dial) == shared) != c.same {
			t.Errorf("%s: shares the modern process: %t, want %t", name, !c.same, c.same)
		}
	}
	if lobby := pid(mcp.Dial{}); lobby != pid(mcp.Dial{}) {
		t.Error("keyless callers have processes of their own")
	}
	if one, other := pid(mcp.Dial{Caller: "a"}), pid(mcp.Dial{Caller: "a"}); one == other {
		t.Error("two sessions share a process")
	}
}

func TestBareCallsShareByPrincipalOnAnOldServer(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, spec(t, "legacy"))
	pid := func(caller string) int {
		return call(t, open(t, s, mcp.Dial{Caller: caller, Shared: true}), "echo", fake.Args{}).Pid
	}
	a, again, b, nobody := pid("a"), pid("a"), pid("b"), pid("")
	if a != again || a == b || a == nobody || b == nobody {
		t.Error("bare calls must share a process with those of their own key, and no other")
	}
	got := call(t, open(t, s, mcp.Dial{Caller: "a", Shared: true}), "state", fake.Args{})
	if got.Inited != 1 || !strings.Contains(string(got.Hello), `"paygate"`) {
		t.Errorf("the pooled server was greeted %+v", got)
	}
}

func TestIsolationShared(t *testing.T) {
	t.Parallel()
	sp := spec(t, "legacy")
	sp.Isolation = upstream.IsolationShared
	s := start(t, upstream.Options{}, sp)
	if call(t, dial(t, s, "a"), "echo", fake.Args{}).Pid != call(t, dial(t, s, "b"), "echo", fake.Args{}).Pid {
		t.Error("two processes")
	}
}

// A question in a process that all share goes to the caller whose calls alone
// run there; where others' run too it is nobody's, and the server is told why.
func TestAQuestionOnASharedProcessIsTheOnlyCallers(t *testing.T) {
	t.Parallel()
	for name, sleeper := range map[string]string{"the same caller's calls": "a", "another's call": "b"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sp := spec(t, "legacy")
			sp.Isolation = upstream.IsolationShared
			s := start(t, upstream.Options{}, sp)
			asker, other := dial(t, s, "a"), dial(t, s, sleeper)
			runs, over := make(chan struct{}), make(chan struct{})
			ctx, stop := context.WithCancel(t.Context())
			go func() {
				defer close(over)
				m := request("1", "sleep", fake.Args{Ms: 60_000})
				m.Params = json.RawMessage(strings.TrimSuffix(string(m.Params), "}") + `,"_meta":{"progressToken":1}}`)
				_, _ = other.Call(ctx, m, func(n *mcp.Message) {
					switch {
					case n.Method == "notifications/progress":
						close(runs)
					case sleeper == "a": // a guess may show it here: the same caller is asked
						_ = other.Send(ctx, &mcp.Message{ID: n.ID, Result: json.RawMessage(`{"action":"accept"}`)})
					default:
						t.Errorf("another caller was asked %s", n.Params)
					}
				})
			}()
			<-runs
			res, err := asker.Call(t.Context(), request("2", "ask", fake.Args{Who: "mine"}), func(n *mcp.Message) {
				_ = asker.Send(t.Context(), &mcp.Message{ID: n.ID, Result: json.RawMessage(`{"action":"accept"}`)})
			})
			if err != nil {
				t.Fatal(err)
			}
			if answer := string(said(t, res).Answer); sleeper == "a" && !strings.Contains(answer, "accept") || sleeper == "b" && !strings.Contains(answer, "isolation: session") {
				t.Errorf("the server was answered %s", answer)
			}
			stop()
			<-over
		})
	}
}

func TestSessionsAreGreetedOnce(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, spec(t, "legacy"))
	c := dial(t, s, "a")
	if err := c.Send(context.Background(), &mcp.Message{Method: "notifications/initialized"}); err != nil {
		t.Fatal(err)
	}
	if got := call(t, c, "state", fake.Args{}); got.Inited != 1 {
		t.Errorf("initialized came %d times", got.Inited)
	}
	if got := call(t, dial(t, s, "a"), "state", fake.Args{}); got.Inited != 1 {
		t.Errorf("to one that was not told it came %d times", got.Inited)
	}
}

func TestLongestIdleSessionMakesRoom(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second)
		return now
	}
	s := start(t, upstream.Options{Now: clock, Limits: upstream.Limits{PerKey: 2, Children: 3}}, spec(t, "legacy"))
	first, second := dial(t, s, "a"), dial(t, s, "a")
	call(t, first, "echo", fake.Args{})
	call(t, second, "echo", fake.Args{})
	call(t, first, "echo", fake.Args{}) // now the second is the longest idle
	third := dial(t, s, "a")
	<-second.Done()
	if _, err := second.Call(context.Background(), request("1", "echo", fake.Args{}), nil); !errors.Is(err, upstream.ErrEnded) {
		t.Errorf("the evicted session: %v", err)
	}
	call(t, first, "echo", fake.Args{})
	call(t, third, "echo", fake.Args{})
	dial(t, s, "b") // fills the gateway
	dial(t, s, "c") // and makes room in it
	<-first.Done()
}

func TestNoRoomIsSaidClearly(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{Limits: upstream.Limits{PerKey: 1, Children: 2}}, spec(t, "legacy"))
	busy := func(caller string) {
		c := dial(t, s, caller)
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = c.Call(ctx, request("1", "sleep", fake.Args{Ms: 60000}), nil) })
		t.Cleanup(func() { stop(); wg.Wait() })
	}
	busy("a")
	until(t, "the call", func() bool { return s.Status()[0].InFlight == 1 })
	if _, err := s.Open(context.Background(), mcp.Dial{Caller: "a"}); !errors.Is(err, upstream.ErrBusy) || !strings.Contains(err.Error(), "all 1 of this key") {
		t.Errorf("error %v", err)
	}
	busy("b")
	until(t, "the call", func() bool { return s.Status()[0].InFlight == 2 })
	if _, err := s.Open(context.Background(), mcp.Dial{Caller: "c"}); !errors.Is(err, upstream.ErrBusy) || !strings.Contains(err.Error(), "all 2 of this gateway") {
		t.Errorf("error %v", err)
	}
}

func TestCapsHoldWhenManyComeAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{Limits: upstream.Limits{PerKey: 4, Children: 6, NoSpare: true}}, spec(t, "legacy"))
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			o, err := s.Open(context.Background(), mcp.Dial{Caller: fmt.Sprint("key", i%3)})
			if err != nil && !errors.Is(err, upstream.ErrBusy) {
				t.Error(err)
			}
			if err == nil {
				t.Cleanup(func() { _ = o.Close() })
			}
		})
	}
	wg.Wait()
	until(t, "six children and the lobby", func() bool { return len(s.Status()[0].Pids) <= 7 })
	if n := s.Status()[0].Sessions; n > 6 {
		t.Errorf("%d sessions are open", n)
	}
}

func TestIdlePooledProcessEnds(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{Limits: upstream.Limits{Idle: 50 * time.Millisecond, NoSpare: true}}, spec(t, "legacy"))
	c := open(t, s, mcp.Dial{Caller: "a", Shared: true})
	call(t, c, "echo", fake.Args{})
	<-c.Done()
	until(t, "only the lobby", func() bool { return len(s.Status()[0].Pids) == 1 })
}

func TestSubscriptionsOnASharedProcess(t *testing.T) {
	t.Parallel()
	sp := spec(t, "legacy")
	sp.Isolation = upstream.IsolationShared
	s := start(t, upstream.Options{}, sp)
	heard := make(chan string, 10)
	conns := map[string]*mcp.Opened{}
	for _, who := range []string{"a", "b"} {
		conns[who] = open(t, s, mcp.Dial{Caller: who, Other: func(m *mcp.Message) { heard <- who + " " + m.Method }})
	}
	ask(t, conns["a"], "resources/subscribe", `{"uri":"x://1"}`)
	call(t, conns["b"], "touch", fake.Args{Text: "x://1"})
	if got := <-heard; got != "a notifications/resources/updated" {
		t.Errorf("heard %s", got)
	}
	ask(t, conns["b"], "resources/subscribe", `{"uri":"x://1"}`)
	ask(t, conns["a"], "resources/unsubscribe", `{"uri":"x://1"}`)
	got := call(t, conns["b"], "touch", fake.Args{Text: "x://1"})
	if got := <-heard; got != "b notifications/resources/updated" {
		t.Errorf("heard %s", got)
	}
	if subs := strings.Join(got.Subs, ", "); strings.Contains(subs, "unsubscribe") {
		t.Errorf("the server was told: %s, though one is still subscribed", subs)
	}
}

// The fake server keeps one subscription a process, as the Go SDK's does.
func TestModernSubscriptionsAreSharedOut(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, spec(t, "modern"))
	c := open(t, s, mcp.Dial{Modern: true})
	type event struct{ who, method, params string }
	heard := make(chan event, 20)
	listen := func(who, want string) func() {
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			params := json.RawMessage(`{"notifications":` + want + `}`)
			_, err := c.Call(ctx, &mcp.Message{ID: json.RawMessage(`"` + who + `"`), Method: "subscriptions/listen", Params: params}, func(m *mcp.Message) {
				heard <- event{who, m.Method, string(m.Params)}
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", who, err)
			}
		})
		return func() { stop(); wg.Wait() }
	}
	expect := func(who, method, has string) {
		t.Helper()
		select {
		case got := <-heard:
			if got.who != who || got.method != "notifications/"+method || !strings.Contains(got.params, has) || !strings.Contains(got.params, `"`+who+`"`) {
				t.Errorf("heard %+v, want %s %s %s", got, who, method, has)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s did not hear %s", who, method)
		}
	}
	stopA := listen("a", `{"toolsListChanged":true,"resourceSubscriptions":["x://1"]}`)
	expect("a", "subscriptions/acknowledged", "x://1")
	stopB := listen("b", `{"resourceSubscriptions":["x://2"]}`)
	expect("b", "subscriptions/acknowledged", "x://2")
	call(t, c, "touch", fake.Args{Text: "x://1"})
	expect("a", "resources/updated", "x://1")
	call(t, c, "touch", fake.Args{Text: "x://2"})
	expect("b", "resources/updated", "x://2")
	stopB()
	call(t, c, "notify", fake.Args{Text: "notifications/tools/list_changed"})
	expect("a", "tools/list_changed", "subscriptionId")
	stopA()
	stopC := listen("c", `{"toolsListChanged":true}`)
	expect("c", "subscriptions/acknowledged", "toolsListChanged")
	stopC()
}

func TestEras(t *testing.T) {
	t.Parallel()
	limits := upstream.Limits{Probe: 200 * time.Millisecond, Handshake: 5 * time.Second}
	for _, c := range []struct{ mode, revision string }{
		{"legacy", "2025-11-25"}, {"modern", "2026-07-28"}, {"both", "2026-07-28"}, {"legacy,silent", "2025-11-25"}, {"legacy,touchy", "2025-11-25"},
		{"modern,slow", "2026-07-28"}, {"legacy,slow", "2025-11-25"},
	} {
		t.Run(c.mode, func(t *testing.T) {
			t.Parallel()
			s := start(t, upstream.Options{Limits: limits}, spec(t, c.mode))
			o := open(t, s, mcp.Dial{Caller: "a", Modern: true})
			call(t, o, "echo", fake.Args{})
			if got := s.Status()[0].Revision; got != c.revision || o.Modern != (c.revision == "2026-07-28") {
				t.Errorf("revision %s, modern %t", got, o.Modern)
			}
			old := dial(t, s, "a")
			if want := strings.HasPrefix(c.mode, "modern"); old.Modern != want {
				t.Errorf("an old client gets modern: %t", old.Modern)
			}
			call(t, old, "echo", fake.Args{})
		})
	}
}

func TestDownIsSaidAtOnceWithTheNextTry(t *testing.T) {
	t.Parallel()
	s := start(t, upstream.Options{}, spec(t, "legacy,exits"))
	until(t, "down", func() bool { return s.Status()[0].State == upstream.Down })
	_, err := s.Open(context.Background(), mcp.Dial{Caller: "a"})
	if !errors.Is(err, mcp.ErrLost) || !strings.Contains(err.Error(), "the server is down; next try in") || !strings.HasSuffix(err.Error(), "(exited with code 3 before it said hello)") {
		t.Errorf("error %v", err)
	}
	if st := s.Status()[0]; st.NextTry.IsZero() || !strings.HasSuffix(st.LastError, "its last words: cannot go on: no configuration") {
		t.Errorf("status %+v", st)
	}
}

func TestMissingCommand(t *testing.T) {
	t.Parallel()
	for _, sp := range []upstream.Spec{{Command: "/no/such/program"}, {Command: "no-such-program"}} {
		err := upstream.FindCommand(sp)
		if !errors.Is(err, upstream.ErrCommandNotFound) || !strings.Contains(err.Error(), sp.Command) || !strings.Contains(err.Error(), "full path") {
			t.Errorf("error %v", err)
		}
	}
}

func TestSpecsThatCannotBe(t *testing.T) {
	t.Parallel()
	for want, specs := range map[string][]upstream.Spec{
		"neither a command nor a URL": {{}},
		"give only one":               {{Command: "x", URL: "http://x"}},
		"must begin with http":        {{URL: "ftp://x"}},
		"isolation \"none\"":          {{Command: "x", Isolation: "none"}},
		"needs a prefix":              {{Command: "x"}, {Command: "y", Prefix: "y"}},
		"two servers have":            {{Command: "x", Prefix: "y"}, {Command: "y", Prefix: "y"}},
	} {
		if _, err := upstream.New(specs, upstream.Options{Now: time.Now}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestSecretsAreMaskedInStatus(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, upstream.Options{}, upstream.Spec{Prefix: "a", Command: self, Args: []string{"--api-key", "s3cret", "--token=s3cret", "plain"}, Env: fake.Env("modern")},
		upstream.Spec{Prefix: "b", URL: "http://me:s3cret@127.0.0.1:4999/mcp?key=s3cret"})
	for _, st := range s.Status() {
		if strings.Contains(st.Target, "s3cret") {
			t.Errorf("target %s", st.Target)
		}
	}
	if got := s.Status()[0].Target; !strings.HasSuffix(got, "--api-key ••• --token=••• plain") {
		t.Errorf("target %s", got)
	}
}

func TestParseCommand(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		`npx -y x "a b"`:          {"npx", "-y", "x", "a b"},
		`a 'b "c' d\ e ""`:        {"a", `b "c`, "d e", ""},
		"  a\tb\n":                {"a", "b"},
		`a "say \"hi\" \n" b'c'd`: {"a", `say "hi" \n`, "bcd"},
		`a "x|y" '$HOME'`:         {"a", "x|y", "$HOME"},
	} {
		got, err := upstream.ParseCommand(line)
		if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%s: %q %v, want %q", line, got, err, want)
		}
	}
	for line, want := range map[string]string{"": "empty", "  ": "empty", `a "b`: "never closed", `a \`: "backslash", "a | b": "shell syntax", "a && b": "shell syntax"} {
		if _, err := upstream.ParseCommand(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", line, err)
		}
	}
}
