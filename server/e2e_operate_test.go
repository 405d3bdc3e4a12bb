package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestEveryAnswerCarriesTheHeadersThatProtect(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"customHeaders": map[string]any{"X-Operator": "us", "X-Frame-Options": "SAMEORIGIN"}})
	for _, q := range []refused{{"GET", "/health", "", 0, "", nil}, {"GET", "/nothing", "", 0, "", nil}, {"POST", "/keys", "{", 0, "", nil}, {"POST", "/mcp", "{", 0, "", nil},
		{"GET", "/keys", "", 0, "", []string{"X-Admin-Key", "wrong"}}, {"OPTIONS", "/mcp", "", 0, "", nil}} {
		_, header, _ := g.ask(q)
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Xss-Protection": "0", "Referrer-Policy": "strict-origin-when-cross-origin",
			"Content-Security-Policy": "default-src 'none'", "X-Operator": "us", "X-Frame-Options": "SAMEORIGIN", "Cache-Control": "no-store"} {
			if got := header.Get(name); got != want {
				t.Errorf("%s %s: %s is %q, want %q", q.method, q.path, name, got, want)
			}
		}
		if header.Get("X-Request-Id") == "" || header.Get("X-Paygate-Version") == "" {
			t.Errorf("%s %s: no X-Request-Id or version", q.method, q.path)
		}
	}
	for id, kept := range map[string]bool{"mine-1": true, "with space": false, strings.Repeat("x", 200): false} {
		_, header, _ := g.ask(refused{"GET", "/health", "", 0, "", []string{"X-Request-Id", id}})
		if got := header.Get("X-Request-Id"); (got == id) != kept {
			t.Errorf("X-Request-Id %.20q was answered with %q", id, got)
		}
	}
}

func TestOnlyPagesOfAllowedOriginsMayReadAnswers(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"cors": map[string]any{"origin": []string{"https://good.example"}, "maxAge": 77, "credentials": true}})
	_, header, _ := g.ask(refused{"GET", "/health", "", 0, "", []string{"Origin", "https://good.example"}})
	if header.Get("Access-Control-Allow-Origin") != "https://good.example" || header.Get("Access-Control-Allow-Credentials") != "true" || !strings.Contains(header.Get("Vary"), "Origin") {
		t.Errorf("a good origin: %v", header)
	}
	_, header, _ = g.ask(refused{"GET", "/health", "", 0, "", []string{"Origin", "https://bad.example"}})
	if header.Get("Access-Control-Allow-Origin") != "" || !strings.Contains(header.Get("Vary"), "Origin") {
		t.Errorf("a bad origin: %v", header)
	}
	status, header, _ := g.ask(refused{"OPTIONS", "/no/such/path", "", 0, "", []string{"Origin", "https://good.example"}})
	if status != http.StatusNoContent || header.Get("Access-Control-Max-Age") != "77" || !strings.Contains(header.Get("Access-Control-Allow-Headers"), "X-API-Key") {
		t.Errorf("a preflight: HTTP %d %v", status, header)
	}
	if status, _, _ := g.ask(refused{"POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, 0, "", []string{"Origin", "https://bad.example"}}); status != http.StatusForbidden {
		t.Errorf("a page of another origin reached /mcp: HTTP %d", status)
	}
}

func TestAddressesAreLimitedAndProxiesBelievedOnlyWhenConfigured(t *testing.T) {
	t.Parallel()
	limits := map[string]any{"adminRateLimit": 5, "publicRateLimit": 1000, "sessionRateLimit": 2} // a busy machine asks often whether it is ready
	g := start(t, limits)
	from := func(g *gateway, path, forwarded string) (int, http.Header) {
		status, header, _ := g.ask(refused{"GET", path, "", 0, "", []string{"X-Forwarded-For", forwarded}})
		return status, header
	}
	last := 0
	var header http.Header
	for i := range 8 { // inventing addresses does not help
		last, header = from(g, "/keys", fmt.Sprintf("203.0.113.%d", i))
	}
	if wait, err := strconv.Atoi(header.Get("Retry-After")); last != http.StatusTooManyRequests || err != nil || wait < 1 || wait > 60 {
		t.Errorf("the eighth request of an address: HTTP %d, Retry-After %q", last, header.Get("Retry-After"))
	}
	for range 8 {
		if status, _ := from(g, "/metrics", ""); status == http.StatusTooManyRequests {
			last = 0
		}
	}
	g.ask(refused{"GET", "/keys", "", 0, "", []string{"X-Admin-Key", "wrong"}}) // bad keys count too, and are not told that they are bad
	if status, _, _ := g.ask(refused{"GET", "/keys", "", 0, "", []string{"X-Admin-Key", "wrong"}}); status != http.StatusTooManyRequests {
		t.Errorf("a guess beyond the limit: HTTP %d", status)
	}
	limits["trustedProxies"] = []string{"127.0.0.0/8", "10.0.0.0/8"}
	p := start(t, limits)
	for i := range 12 { // each has a limit of its own, whatever stands before it
		if status, _ := from(p, "/keys", fmt.Sprintf("198.51.100.1, 203.0.113.%d, 10.1.1.1", i)); status != http.StatusOK {
			t.Fatalf("the first request of 203.0.113.%d: HTTP %d", i, status)
		}
	}
	for range 6 {
		last, _ = from(p, "/keys", "203.0.113.77")
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the sixth request of one address behind the proxy: HTTP %d", last)
	}
	k := p.key(map[string]any{"ipAllowlist": []string{"192.0.2.0/24", "2001:db8::/32"}})
	for forwarded, want := range map[string]string{"192.0.2.7": "", "2001:db8::1": "", "192.0.3.7": "ip_not_allowed", "192.0.2.7, 192.0.3.7": "ip_not_allowed"} {
		if got := p.rpc(k.Key, "tools/call", map[string]any{"name": "echo"}, "X-Forwarded-For", forwarded).reason(); got != want {
			t.Errorf("a call from %s: %q, want %q", forwarded, got, want)
		}
	}
}

func TestWhoSendsTooSlowlyIsCutOff(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"requestTimeoutMs": 700, "headersTimeoutMs": 400})
	k := g.key(nil)
	for name, sent := range map[string]string{
		"headers":         "POST /mcp HTTP/1.1\r\nHost: x\r\n",
		"an admin's body": "POST /keys HTTP/1.1\r\nHost: x\r\nX-Admin-Key: " + adminKey + "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"an agent's body": "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:" + g.port + "\r\nX-API-Key: " + k.Key + "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
	} {
		c, err := net.Dial("tcp", "127.0.0.1:"+g.port)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, _ = io.WriteString(c, sent)
		_ = c.SetReadDeadline(began.Add(10 * time.Second))
		answer, err := io.ReadAll(c)
		if took := time.Since(began); err != nil || took > 5*time.Second {
			t.Errorf("who stalls in %s was let go after %s, %v", name, took, err)
		}
		if len(answer) > 0 && !bytes.Contains(answer[:min(len(answer), 20)], []byte(" 408 ")) {
			t.Errorf("who stalls in %s is told %.60q", name, answer)
		}
		_ = c.Close()
	}
	if a := g.call(k.Key, "sleep", map[string]any{"ms": 1500}); a.Error != nil || a.Result == nil { // the time is for sending, not for the answer
		t.Errorf("a call that takes longer than a request may take to arrive: %+v", a.Error)
	}
}

func TestMetricsCountWhatHappens(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"refundOnFailure": true, "toolPricing": map[string]any{"echo": map[string]any{"creditsPerCall": 3, "rateLimitPerMin": 2}}})
	k := g.key(nil)
	for range 3 {
		g.call(k.Key, "echo", nil)
	}
	g.call(k.Key, "fail", nil)
	g.call("", "echo", nil)
	g.do("GET", "/nothing", nil, nil, http.StatusNotFound)
	want := []string{`paygate_tool_calls_total{status="allowed",tool="echo"} 2`, `paygate_tool_calls_total{status="denied",tool="echo"} 2`, `paygate_credits_charged_total{tool="echo"} 6`,
		`paygate_denials_total{reason="tool_rate_limited"} 1`, `paygate_denials_total{reason="missing_api_key"} 1`, `paygate_rate_limit_hits_total{tool="echo"} 1`,
		`paygate_refunds_total{tool="fail"} 1`, `paygate_http_requests_total{method="POST",path="/mcp",status="200"} 5`, `paygate_http_requests_total{method="GET",path="other",status="404"} 1`,
		`paygate_http_requests_total{method="POST",path="/keys",status="201"} 1`, "paygate_active_keys_total 1", "paygate_admin_keys_total 1", "paygate_total_credits_available 94",
		"paygate_active_sessions_total 0", "paygate_uptime_seconds ", `paygate_call_seconds_bucket{outcome="ok",le="0.0005"} `, "paygate_gate_seconds_count 5"}
	var missing []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); { // they are counted behind the calls
		_, _, text := g.ask(refused{"GET", "/metrics", "", 0, "", []string{"X-Admin-Key", ""}})
		missing = nil
		for _, line := range want {
			if !strings.Contains(string(text), line) {
				missing = append(missing, line)
			}
		}
		if len(missing) == 0 {
			return
		}
	}
	t.Errorf("metrics lack %q", missing)
}

func TestASecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(nil)
	go g.call(k.Key, "sleep", map[string]any{"ms": 20_000})
	for deadline := time.Now().Add(10 * time.Second); g.account(k).Held == 0 && time.Now().Before(deadline); {
	}
	children, _ := exec.Command("pgrep", "-P", strconv.Itoa(g.cmd.Process.Pid)).Output()
	began := time.Now()
	for range 2 {
		if err := g.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		<-time.After(100 * time.Millisecond)
	}
	select {
	case <-g.done:
		g.done <- nil
	case <-time.After(10 * time.Second):
		t.Fatal("it did not end")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if code := g.cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	for line := bufio.NewScanner(bytes.NewReader(children)); line.Scan(); {
		pid, _ := strconv.Atoi(line.Text())
		gone := false
		for deadline := time.Now().Add(5 * time.Second); !gone && time.Now().Before(deadline); {
			gone = syscall.Kill(pid, 0) != nil
			<-time.After(20 * time.Millisecond)
		}
		if !gone {
			t.Errorf("child %d outlives the gateway", pid)
		}
	}
	g.run()
	if got := g.account(k); got.Credits != 100 || got.Held != 0 {
		t.Errorf("the call that was cut off: %+v", got)
	}
}
