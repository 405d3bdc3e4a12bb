package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The test that matters most: the same client does the same things to the same
// server, directly and through the gateway, and sees no difference but the
// prices.

// sameness is a server, and the clients that compare.
type sameness struct {
	plan   string // of testdata/clients/plans
	lines  []string
	direct reach
	config map[string]any // the gateway's
	again  bool           // the server says the same several times, as often as it likes
}

func TestAClientSeesNoDifferenceButThePrices(t *testing.T) {
	t.Parallel()
	for name, s := range everyServer(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.compare(t)
		})
	}
}

func everyServer(t *testing.T) map[string]sameness {
	files := someFiles(t)
	stdio := func(command string, args ...string) (reach, map[string]any) {
		return reach{Command: command, Args: args, Cwd: files}, map[string]any{"serverCommand": command, "serverArgs": append([]string{}, args...), "cwd": files}
	}
	all := map[string]sameness{}
	add := func(plan, lines, command string, args ...string) {
		direct, config := stdio(command, args...)
		all[plan+" over stdio"] = sameness{plan: plan, lines: strings.Fields(lines), direct: direct, config: config}
	}
	add("everything", "v1 v2 v2auto", npm(t, "mcp-server-everything"))
	add("filesystem", "v2", npm(t, "mcp-server-filesystem"), ".")
	add("thinking", "v2", npm(t, "mcp-server-sequential-thinking"))
	add("goeverything", "v1 v2auto", fromGoSDK(t, "examples/server/everything"))
	add("conformance", "v1 v2auto", fromGoSDK(t, "conformance/everything-server"))

	direct, config := stdio(npm(t, "mcp-server-memory"))
	direct.Env = map[string]string{"MEMORY_FILE_PATH": filepath.Join(t.TempDir(), "memory.json")}
	config["env"] = map[string]string{"MEMORY_FILE_PATH": filepath.Join(t.TempDir(), "memory.json")}
	all["memory over stdio"] = sameness{plan: "memory", lines: []string{"v1"}, direct: direct, config: config}

	for _, r := range []struct {
		name, plan, line, port, command string
		args                            []string
	}{
		{"everything over HTTP", "everything", "v1", "PORT=%s", npm(t, "mcp-server-everything"), []string{"streamableHttp"}},
		{"conformance over HTTP, with sessions", "conformance", "v1", "", fromGoSDK(t, "conformance/everything-server"), []string{"-stateless=false", "-http"}},
		{"conformance over HTTP, without sessions", "conformance", "v2auto", "", fromGoSDK(t, "conformance/everything-server"), []string{"-http"}},
	} { // a process for each side: on one they would hear of each other
		direct, behind := remote(t, r.port, r.command, r.args...), remote(t, r.port, r.command, r.args...)
		all[r.name] = sameness{plan: r.plan, lines: []string{r.line}, direct: reach{URL: direct}, config: map[string]any{"serverCommand": "", "remoteUrl": behind}, again: r.plan == "everything"}
	}
	return all
}

// someFiles is a folder to be served.
func someFiles(t *testing.T) string {
	dir := t.TempDir()
	for name, text := range map[string]string{"ünï 研究 🙂.txt": "研究 🙂\r\nzwei\n\u2028", "big.txt": strings.Repeat("0123456789abcdé\n", 700_000/17), "dot.png": "\x89PNG\x00\xff", "sub/empty.txt": "", "written.txt": ""} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// compare lets all lines of the SDK work at once: most of the time they wait.
func (s sameness) compare(t *testing.T) {
	s.config["isolation"] = ""
	if s.config["env"] == nil {
		s.config["env"] = ""
	}
	g := start(t, s.config)
	keys := make([]key, len(s.lines))
	direct, through := make([]transcript, len(s.lines)), make([]transcript, len(s.lines))
	var all sync.WaitGroup
	for i, line := range s.lines {
		keys[i] = g.key(map[string]any{"credits": 100000})
		all.Go(func() { direct[i] = record(t, line, s.plan, s.direct) })
		all.Go(func() {
			through[i] = record(t, line, s.plan, reach{URL: g.url + "/mcp", Headers: map[string]string{"X-API-Key": keys[i].Key}})
		})
	}
	all.Wait()
	defer func() {
		if t.Failed() {
			t.Logf("%s", g.log.String())
		}
	}()
	for i, line := range s.lines {
		if s.again {
			direct[i].once()
			through[i].once()
		}
		if diff := cmp.Diff(direct[i].of(line), through[i].of(line)); diff != "" {
			t.Errorf("%s: - directly, + through the gateway:\n%s", line, diff)
		}
		if spent := g.account(keys[i]); spent.Spent == 0 || spent.Held != 0 || through[i].prices == 0 || direct[i].prices != 0 {
			t.Errorf("%s: %+v, %d prices seen through the gateway and %d directly", line, spent, through[i].prices, direct[i].prices)
		}
	}
}

// reach says where a client finds a server: an address, or a command.
type reach struct {
	URL     string            `json:"url,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Command string            `json:"command,omitempty"`
	Args    []string          `json:"args,omitempty"`
	Cwd     string            `json:"cwd,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
}

// record lets a client do what a plan says and gives what it saw.
func record(t *testing.T, line, plan string, to reach) transcript {
	target, err := json.Marshal(to)
	if err != nil {
		t.Error(err)
	}
	cmd := exec.Command("node", "record.mjs", line, filepath.Join("plans", plan+".json"), string(target))
	cmd.Dir = filepath.Join("..", "testdata", "clients")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	var seen transcript
	if err == nil {
		err = json.Unmarshal(out, &seen)
	}
	if err != nil {
		t.Errorf("%s %s: %v\n%s", line, target, err, complaints.String())
	}
	seen.settle()
	return seen
}

// fromGoSDK builds a server of the official Go SDK.
func fromGoSDK(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(binary()), strings.ReplaceAll(name, "/", "-"))
	if out, err := exec.Command("go", "build", "-o", path, "github.com/modelcontextprotocol/go-sdk/"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// remote starts a server that is reached over HTTP. Its port is said by the
// last argument, or by a variable.
func remote(t *testing.T, variable, command string, args ...string) string {
	port := freePort(t)
	if variable == "" {
		args = append(args, "127.0.0.1:"+port)
	}
	cmd := exec.Command(command, args...)
	if variable != "" {
		cmd.Env = append(cmd.Environ(), fmt.Sprintf(variable, port))
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
			return "http://127.0.0.1:" + port + "/mcp"
		}
		select {
		case <-t.Context().Done():
			t.Fatal("it did not start: " + command)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
