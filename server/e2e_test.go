package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"paygate/testdata/fake"
)

// These tests speak to the gateway as its users do: over HTTP, to a program of
// its own, before a real child.

func TestMain(m *testing.M) {
	fake.Main()
	code := m.Run()
	_ = os.RemoveAll(filepath.Dir(binary()))
	os.Exit(code)
}

// binary is the gateway, built once.
var binary = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "paygate-e2e")
	if err != nil {
		panic(err)
	}
	path := filepath.Join(dir, "paygate")
	if out, err := exec.Command("go", "build", "-o", path, "paygate").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v\n%s", err, out))
	}
	return path
})

const adminKey = "admin_00112233445566778899aabbccddeeff"

// gateway is a running program and the folder it keeps its state in.
type gateway struct {
	t    *testing.T
	dir  string
	port string
	url  string
	cmd  *exec.Cmd
	log  logged
	done chan error
}

// logged is what a gateway has logged so far.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// config is a configuration with the fake server; more adds settings.
func config(t *testing.T, more map[string]any) map[string]any {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := map[string]any{"serverCommand": self, "env": fake.Env("legacy"), "globalRateLimitPerMin": 0, "defaultCreditsPerCall": 2, "isolation": "shared",
		"adminRateLimit": 0} // a test asks until something has happened
	maps.Copy(c, more)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == "" })
	return c
}

// start writes the configuration and starts a gateway on it.
func start(t *testing.T, more map[string]any) *gateway {
	t.Helper()
	g := &gateway{t: t, dir: t.TempDir(), port: freePort(t)}
	g.url = "http://127.0.0.1:" + g.port
	g.configure(config(t, more))
	g.run()
	t.Cleanup(g.kill)
	return g
}

func (g *gateway) file() string { return filepath.Join(g.dir, "paygate.json") }

func (g *gateway) configure(c map[string]any) {
	g.t.Helper()
	text, err := json.Marshal(c)
	if err == nil {
		err = os.WriteFile(g.file(), text, 0o600)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) run() {
	g.t.Helper()
	g.cmd = exec.Command(binary(), "wrap", "--headless", "--config", g.file(), "--port", g.port, "--admin-key", adminKey)
	g.cmd.Stderr = &g.log
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.done = make(chan error, 1)
	go func() { g.done <- g.cmd.Wait() }()
	ctx, cancel := context.WithTimeout(g.t.Context(), 20*time.Second)
	defer cancel()
	for {
		var ready struct{ Ready bool }
		if g.try("GET", "/ready", nil, &ready) == http.StatusOK {
			return
		}
		select {
		case <-ctx.Done():
			g.t.Fatalf("not ready:\n%s", g.log.String())
		case err := <-g.done:
			g.t.Fatalf("ended: %v\n%s", err, g.log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// kill ends it as a crash would.
func (g *gateway) kill() {
	_ = g.cmd.Process.Kill()
	<-g.done
	g.done <- nil
}

func (g *gateway) restart() {
	g.kill()
	g.run()
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// try sends a request as an admin and gives the status; 0 when nobody answers.
func (g *gateway) try(method, path string, in, out any, headers ...string) int {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			g.t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Admin-Key", adminKey)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && out != nil {
		_ = json.Unmarshal(text, out) // a test looks at what it expects
	}
	return res.StatusCode
}

// do is try that must end with a status.
func (g *gateway) do(method, path string, in, out any, want int, headers ...string) {
	g.t.Helper()
	var raw json.RawMessage
	if got := g.try(method, path, in, &raw, headers...); got != want {
		g.t.Fatalf("%s %s: HTTP %d, want %d: %s", method, path, got, want, raw)
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			g.t.Fatalf("%s %s: %v: %s", method, path, err, raw)
		}
	}
}

// key is an API key as it was made.
type key struct {
	ID  string `json:"id"`
	Key string `json:"key"`
}

func (g *gateway) key(more map[string]any) key {
	g.t.Helper()
	body := map[string]any{"name": "agent", "credits": 100}
	maps.Copy(body, more)
	var k key
	g.do("POST", "/keys", body, &k, http.StatusCreated)
	return k
}

// answer is how a call ended.
type answer struct {
	Status int
	Header http.Header
	Result json.RawMessage
	Error  *struct {
		Code    int
		Message string
		Data    json.RawMessage
	}
}

// reason is why a call was refused, or empty.
func (a answer) reason() string {
	if a.Error == nil {
		return ""
	}
	_, reason, _ := strings.Cut(a.Error.Message, "Payment required: ")
	return reason
}

func (g *gateway) rpc(secret, method string, params any, headers ...string) answer {
	text, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		g.t.Fatal(err)
	}
	return g.raw(secret, string(text), headers...)
}

// raw sends whatever it is given.
func (g *gateway) raw(secret, body string, headers ...string) answer {
	return g.at(http.MethodPost, secret, body, headers...)
}

func (g *gateway) at(method, secret, body string, headers ...string) answer {
	req, err := http.NewRequestWithContext(g.t.Context(), method, g.url+"/mcp", strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if secret != "" {
		req.Header.Set("X-API-Key", secret)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	req.Host = req.Header.Get("Host") // empty: the address's
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}
	}
	defer res.Body.Close()
	a := answer{Status: res.StatusCode, Header: res.Header}
	_ = json.NewDecoder(res.Body).Decode(&a)
	return a
}

func (g *gateway) call(secret, tool string, args any) answer {
	return g.rpc(secret, "tools/call", map[string]any{"name": tool, "arguments": args})
}

// account is what a key sees of itself.
type account struct {
	Credits int64
	Held    int64
	Spent   int64 `json:"totalSpent"`
	Calls   int64 `json:"totalCalls"`
}

func (g *gateway) account(k key) account {
	g.t.Helper()
	var a account
	g.do("GET", "/balance", nil, &a, http.StatusOK, "X-API-Key", k.Key)
	return a
}

// command runs another command of the program in the gateway's folder.
func (g *gateway) command(args ...string) (out string, code int) {
	cmd := exec.Command(binary(), args...)
	cmd.Dir = g.dir
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(text), exit.ExitCode()
	}
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text), 0
}

// prove stops the gateway hard and lets doctor fold the books anew.
//
// The shadow of the live prices agrees with all that was charged, too.
func (g *gateway) prove() {
	g.t.Helper()
	if len(g.done) == 0 {
		var lab struct{ SelfDifference int }
		if g.do("GET", "/admin/shadow", nil, &lab, http.StatusOK); lab.SelfDifference != 0 {
			g.t.Errorf("the shadow of the live prices differs in %d decisions", lab.SelfDifference)
		}
	}
	g.kill()
	if out, code := g.command("doctor", "--config", g.file()); code != 0 {
		g.t.Errorf("doctor: exit %d\n%s", code, out)
	}
}

// stop ends it as ctrl+c does.
func (g *gateway) stop() {
	g.t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		g.t.Fatal(err)
	}
	select {
	case <-g.done:
		g.done <- nil
	case <-time.After(20 * time.Second):
		g.t.Fatal("it did not end")
	}
}
