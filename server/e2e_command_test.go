package server_test

import (
	"bufio"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

func TestConnectIsAServerOnStandardInput(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(nil)
	cmd := exec.Command(binary(), "connect", g.url+"/mcp", "--key", k.Key)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	ask := func(line, want string) {
		t.Helper()
		if _, err := in.Write([]byte(line + "\n")); err != nil {
			t.Fatal(err)
		}
		if want != "" && (!lines.Scan() || !strings.Contains(lines.Text(), want)) {
			t.Fatalf("%s\nanswered %s, without %s", line, lines.Text(), want)
		}
	}
	ask(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`, "protocolVersion")
	ask(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, "")
	ask(`{"jsonrpc":"2.0","id":"two","method":"tools/call","params":{"name":"echo","arguments":{"text":"over stdio"}}}`, "over stdio")
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if got := g.account(k).Spent; got != 2 {
		t.Errorf("%d spent, want 2", got)
	}
}

func TestALostAdminKeyIsReplacedOffline(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	g.stop()
	out, code := g.command("admin", "reset", "--config", g.file())
	_, secret, found := strings.Cut(out, "admin_")
	if code != 0 || !found || len(strings.Fields(secret)) == 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	made := "admin_" + strings.Fields(secret)[0]
	if len(made) < 30 {
		t.Fatalf("a short key: %s", out)
	}
	g.run() // with the old key, which stays dead
	g.do("GET", "/keys", nil, nil, http.StatusOK, "X-Admin-Key", made)
	g.do("GET", "/keys", nil, nil, http.StatusUnauthorized)
}

func TestKeysAndModeAreManagedWhileNoGatewayRuns(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	g.kill() // its address stays behind
	made, code := g.command("keys", "create", "--name", "made offline", "--credits", "10")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, made)
	}
	secret, _, _ := strings.Cut(made, "\n")
	if out, code := g.command("mode", "shadow"); code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	if out, code := g.command("servers", "list"); code != 1 || !strings.Contains(out, "no gateway runs") {
		t.Errorf("exit %d: %s", code, out)
	}
	g.run()
	watched := key{Key: secret}
	if a := g.call(secret, "echo", map[string]any{"text": "hi"}); a.Error != nil || g.account(watched).Spent != 0 {
		t.Errorf("in shadow mode the call was %+v, %d spent", a, g.account(watched).Spent)
	}
	if out, code := g.command("mode", "live"); code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	if a := g.call(secret, "echo", map[string]any{"text": "hi"}); a.Error != nil || g.account(watched).Spent != 2 {
		t.Errorf("the charged call was %+v, %d spent", a, g.account(watched).Spent)
	}
	g.prove()
}

// A wrong key has no price: what `call` says of it is the refusal alone.
func TestACallByHandWithAWrongKeyIsOnlyRefused(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(nil)
	if out, code := g.command("call", "echo", `{"text":"by hand"}`, "--key", k.Key, "--url", g.url+"/mcp", "--admin-key", adminKey); code != 0 || !strings.Contains(out, "quote: 2 credits of 100") || !strings.Contains(out, "by hand") {
		t.Errorf("exit %d: %s", code, out)
	}
	out, code := g.command("call", "echo", "{}", "--key", "pg_"+strings.Repeat("0", 48), "--url", g.url, "--admin-key", adminKey)
	if code == 0 || strings.Contains(out, "quote") || !strings.Contains(out, "invalid_api_key") {
		t.Errorf("exit %d: %s", code, out)
	}
}
