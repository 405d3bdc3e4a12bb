package server_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The test that matters most: the same client does the same things to the same
// server, directly and through the gateway, and sees no difference but the
// prices.

// sameness is a server, and the clients that compare.
type sameness struct {
	plan   string // of testdata/clients/plans
	lines  []string
	direct reach
	config map[string]any   // the gateway's
	again  bool             // the server says the same several times, as often as it likes
	fresh  func(*testing.T) // puts back what the server has changed; nil: nothing
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
	files := t.TempDir()
	someFiles(t, files)
	stdio := func(command string, args ...string) (reach, map[string]any) {
		return reach{Command: command, Args: args, Cwd: files}, map[string]any{"serverCommand": command, "serverArgs": append([]string{}, args...), "cwd": files}
	}
	all := map[string]sameness{}
	add := func(plan, lines, command string, args ...string) {
		direct, config := stdio(command, args...)
		all[plan+" over stdio"] = sameness{plan: plan, lines: strings.Fields(lines), direct: direct, config: config, fresh: func(t *testing.T) { someFiles(t, files) }}
	}
	add("everything", "v1 v2 v2auto", npm(t, "mcp-server-everything"))
	add("filesystem", "v2", npm(t, "mcp-server-filesystem"), ".")
	add("thinking", "v2", npm(t, "mcp-server-sequential-thinking"))
	add("goeverything", "v1 v2auto", fromGoSDK(t, "examples/server/everything"))
	add("conformance", "v1 v2auto", fromGoSDK(t, "conformance/everything-server"))

	direct, config := stdio(npm(t, "mcp-server-memory"))
	here, there := filepath.Join(t.TempDir(), "memory.json"), filepath.Join(t.TempDir(), "memory.json")
	direct.Env = map[string]string{"MEMORY_FILE_PATH": here}
	config["env"] = map[string]string{"MEMORY_FILE_PATH": there}
	all["memory over stdio"] = sameness{plan: "memory", lines: []string{"v1"}, direct: direct, config: config, fresh: func(t *testing.T) {
		if err := errors.Join(os.Remove(here), os.Remove(there)); err != nil {
			t.Fatal(err)
		}
	}}

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

// someFiles fills a folder to be served, and nothing else is in it then.
func someFiles(t *testing.T, dir string) {
	old, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range old {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"ünï 研究 🙂.txt": "研究 🙂\r\nzwei\n\u2028", "big.txt": strings.Repeat("0123456789abcdé\n", 700_000/17), "dot.png": "\x89PNG\x00\xff", "sub/empty.txt": "", "written.txt": ""} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// compare lets a client work directly and through the gateway. What differs
// counts when it is there a second time, and when two clients without a gateway
// see the same there: servers do some things now so and now so.
func (s sameness) compare(t *testing.T) {
	s.config["isolation"] = ""
	if s.config["env"] == nil {
		s.config["env"] = ""
	}
	g := start(t, s.config)
	defer func() {
		if t.Failed() {
			t.Logf("%s", g.log.String())
		}
	}()
	first := s.sides(t, g)
	for i := range first {
		first[i].differ = differing(first[i].direct, first[i].through)
	}
	if !slices.ContainsFunc(first, func(b both) bool { return len(b.differ) > 0 }) {
		return
	}
	if s.fresh != nil {
		s.fresh(t)
	}
	for i, second := range s.sides(t, g) {
		one := first[i]
		own, again := differing(one.direct, second.direct), differing(second.direct, second.through)
		for path, what := range one.differ {
			if _, theirs := own[path]; !theirs && again[path] != "" {
				t.Errorf("%s: %s: %s", s.lines[i], path, what)
				continue
			}
			t.Logf("%s: a difference of the server's own: %s: %s", s.lines[i], path, what)
		}
	}
}

// both are what the clients of one line of the SDK saw.
type both struct{ direct, through, differ map[string]string }

// sides lets all lines of the SDK work at once: most of the time they wait.
func (s sameness) sides(t *testing.T, g *gateway) []both {
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
	out := make([]both, len(s.lines))
	for i, line := range s.lines {
		if s.again {
			direct[i].once()
			through[i].once()
		}
		out[i] = both{direct: direct[i].facts(line), through: through[i].facts(line)}
		if spent := g.account(keys[i]); spent.Spent == 0 || spent.Held != 0 || through[i].prices == 0 || direct[i].prices != 0 {
			t.Errorf("%s: %+v, %d prices seen through the gateway and %d directly", line, spent, through[i].prices, direct[i].prices)
		}
	}
	return out
}

// differing are the places where two transcripts are not the same.
func differing(direct, through map[string]string) map[string]string {
	out := map[string]string{}
	for path, was := range direct {
		if is, ok := through[path]; !ok || is != was {
			out[path] = fmt.Sprintf("directly %s, through the gateway %s", was, cmp.Or(is, "nothing"))
		}
	}
	for path, is := range through {
		if _, ok := direct[path]; !ok {
			out[path] = "directly nothing, through the gateway " + is
		}
	}
	return out
}

// A difference that is systematic is found, wherever it is; the order of what a
// server says of its own accord is none.
func TestDifferencesBetweenTranscriptsAreFound(t *testing.T) {
	t.Parallel()
	seen := func(text string) map[string]string {
		var s transcript
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		s.settle()
		return s.facts("v1")
	}
	const direct = `{"steps":[{"call":{"name":"a"},"gave":{"content":[{"type":"text","text":"hello"}],"list":[]}}],"answers":{"1":{"result":{"n":1,"none":null}}},"heard":{"notifications/message":[{"data":"x"},{"data":"y"},{"data":"y"}]}}`
	if got := differing(seen(direct), seen(strings.Replace(direct, `{"data":"x"},{"data":"y"}`, `{"data":"y"},{"data":"x"}`, 1))); len(got) != 0 {
		t.Errorf("another order: %v", got)
	}
	for was, is := range map[string]string{`"hello"`: `"hallo"`, `{"n":1,`: `{"n":"1",`, `,"none":null`: ``, `"list":[]`: `"list":{}`, `{"data":"x"},`: ``, `{"data":"y"},`: ``, `[{"type"`: `[{"type":"more"},{"type"`,
		`notifications/message`: `notifications/other`} {
		if got := differing(seen(direct), seen(strings.Replace(direct, was, is, 1))); len(got) == 0 {
			t.Errorf("%s became %s, and nobody noticed", was, is)
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
