package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const admin = "admin_bench_0123456789abcdef"

// bench owns the processes it has started.
type bench struct {
	bin    string
	rounds int
	length time.Duration
	conns  int
	keys   int

	dir      string
	children []*exec.Cmd
}

func (b *bench) stop() {
	for _, c := range b.children {
		c.Process.Kill()
		c.Wait()
	}
	b.children = nil
	os.RemoveAll(b.dir)
	b.dir = ""
}

func (b *bench) start(name string, args ...string) *exec.Cmd {
	return b.startOn(nil, name, args...)
}

// startOn starts a process on a terminal, if there is one.
func (b *bench) startOn(on *screen, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	if on != nil {
		on.give(cmd)
	}
	if err := cmd.Start(); err != nil {
		b.stop()
		log.Fatalf("%s: %v", name, err)
	}
	b.children = append(b.children, cmd)
	return cmd
}

func (b *bench) self() string {
	path, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	return path
}

// bare starts the HTTP echo that everything is compared with.
func (b *bench) bare() target {
	addr := "127.0.0.1:" + freePort()
	cmd := b.start(b.self(), "serve-http", addr)
	t := target{name: "bare HTTP echo", url: "http://" + addr + "/mcp", pid: cmd.Process.Pid}
	b.ready(t.url)
	return t
}

// gateway starts a gateway over the stdio echo. When free, tools/call is one
// of its free methods: it pipes and neither charges nor records.
func (b *bench) gateway(name string, free bool) (target, *exec.Cmd) {
	return b.gatewayOn(nil, name, free)
}

// gatewayOn starts a gateway with its dashboard on a terminal, or headless.
func (b *bench) gatewayOn(on *screen, name string, free bool) (target, *exec.Cmd) {
	if b.dir == "" {
		dir, err := os.MkdirTemp("", "bench")
		if err != nil {
			log.Fatal(err)
		}
		b.dir = dir
	}
	port := freePort()
	file := filepath.Join(b.dir, port+".json")
	config := map[string]any{"serverCommand": b.self(), "serverArgs": []string{"serve-stdio"}, "globalRateLimitPerMin": 0,
		"adminRateLimit": 0, "publicRateLimit": 0, "sessionRateLimit": 0,
		"isolation": "shared"} // one child for all keys: what a child for each costs is the system's, not ours
	if free {
		config["freeMethods"] = []string{"tools/call"}
	}
	text, err := json.Marshal(config)
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		log.Fatal(err)
	}
	args := []string{"wrap", "--config", file, "--port", port, "--admin-key", admin, "--state-dir", filepath.Join(b.dir, port), "--log-level", "error"}
	if on == nil {
		args = append(args, "--headless")
	}
	cmd := b.startOn(on, b.bin, args...)
	base := "http://127.0.0.1:" + port
	b.ready(base + "/health")
	t := target{name: name, url: base + "/mcp", pid: cmd.Process.Pid}
	for i := range b.keys {
		t.keys = append(t.keys, b.key(base, i))
	}
	return t, cmd
}

func (b *bench) key(base string, i int) string {
	body := fmt.Sprintf(`{"name":"bench%d","credits":1000000000}`, i)
	req, err := http.NewRequest(http.MethodPost, base+"/keys", strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Admin-Key", admin)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.stop()
		log.Fatal(err)
	}
	defer res.Body.Close()
	var out struct{ Key, Error string }
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || out.Key == "" {
		b.stop()
		log.Fatalf("no key: HTTP %d %s %v", res.StatusCode, out.Error, err)
	}
	return out.Key
}

func (b *bench) ready(url string) {
	for range 200 {
		if res, err := http.Get(url); err == nil {
			res.Body.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.stop()
	log.Fatalf("%s does not answer after 10 s", url)
}

// anonymous is a process's anonymous memory in bytes: bbolt's map of the file
// is not counted, because the kernel may drop it at any time.
func anonymous(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		log.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("RssAnon:")); ok {
			kb, err := strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
			if err != nil {
				log.Fatal(err)
			}
			return kb << 10
		}
	}
	log.Fatal("this system does not say how much anonymous memory a process has")
	return 0
}

func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}
