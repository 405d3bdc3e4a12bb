package server_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"paygate/testdata/fake"
)

func TestReservedCreditsCannotBeSpentAndSurviveAKill(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(map[string]any{"credits": 10})
	var made struct{ ID string }
	g.do("POST", "/keys/reserve", map[string]any{"key": k.Key, "credits": 9}, &made, http.StatusCreated)
	g.restart()
	if got := g.call(k.Key, "echo", nil).reason(); got != "insufficient_credits" {
		t.Errorf("a call spent what was reserved: %q", got)
	}
	g.do("POST", "/keys/reserve/commit", map[string]any{"reservationId": made.ID}, nil, http.StatusOK)
	g.do("POST", "/keys/reserve/commit", map[string]any{"reservationId": made.ID}, nil, http.StatusNotFound)
	if got := g.account(k); got.Credits != 1 || got.Held != 0 || got.Spent != 9 {
		t.Errorf("after the commit: %+v", got)
	}
	g.prove()
}

func TestMoneyOperationsHappenOncePerIdempotencyKey(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(map[string]any{"credits": 10})
	for range 3 {
		g.do("POST", "/topup", map[string]any{"key": k.ID, "credits": 5}, nil, http.StatusOK, "Idempotency-Key", "once")
	}
	g.do("POST", "/topup", map[string]any{"key": k.ID, "credits": 6}, nil, http.StatusUnprocessableEntity, "Idempotency-Key", "once")
	g.restart()
	g.do("POST", "/topup", map[string]any{"key": k.ID, "credits": 5}, nil, http.StatusOK, "Idempotency-Key", "once")
	if got := g.account(k).Credits; got != 15 {
		t.Errorf("%d credits after one top-up asked five times", got)
	}
	g.prove()
}

func TestRotationKeepsEverythingButTheSecret(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(nil)
	g.call(k.Key, "echo", nil)
	var rotated struct{ NewKey string }
	g.do("POST", "/keys/rotate", map[string]any{"key": k.ID}, &rotated, http.StatusOK)
	if got := g.call(k.Key, "echo", nil).reason(); got != "invalid_api_key" {
		t.Errorf("the old secret: %q", got)
	}
	if got := g.account(key{Key: rotated.NewKey}); got.Credits != 98 || got.Calls != 1 {
		t.Errorf("the new one: %+v", got)
	}
	var db []byte
	for _, name := range []string{"paygate.db", "paygate.wal"} {
		file, err := os.ReadFile(filepath.Join(g.dir, ".paygate", name))
		if err != nil {
			t.Fatal(err)
		}
		db = append(db, file...)
	}
	for _, secret := range []string{k.Key, rotated.NewKey, adminKey} {
		if strings.Contains(string(db), secret) {
			t.Errorf("%s… is in the file in the clear", secret[:8])
		}
	}
}

func TestRolesAndTheOrderOfChecks(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	var viewer struct{ Key string }
	g.do("POST", "/admin/keys", map[string]any{"name": "eve", "role": "viewer"}, &viewer, http.StatusCreated)
	g.do("GET", "/keys", nil, nil, http.StatusOK, "X-Admin-Key", viewer.Key)
	g.do("POST", "/keys", map[string]any{"name": "x"}, nil, http.StatusForbidden, "X-Admin-Key", viewer.Key)
	g.do("POST", "/keys", map[string]any{"name": "x"}, nil, http.StatusUnauthorized, "X-Admin-Key", "wrong")
	g.do("PUT", "/keys", nil, nil, http.StatusMethodNotAllowed)
	g.do("POST", "/keys", map[string]any{"name": "x"}, nil, http.StatusUnsupportedMediaType, "Content-Type", "text/plain")
	g.do("GET", "/no/such/path", nil, nil, http.StatusNotFound)
	var audit struct{ Events []struct{ Type string } }
	g.do("GET", "/audit?types=admin.auth_failed", nil, &audit, http.StatusOK)
	if len(audit.Events) != 2 {
		t.Errorf("%d failed logins on record, want 2", len(audit.Events))
	}
	for _, path := range []string{"/", "/health", "/ready", "/info", "/pricing", "/robots.txt", "/openapi.json", "/metrics", "/.well-known/mcp.json", "/.well-known/mcp-payment",
		"/status", "/usage", "/requests", "/requests/export?format=csv", "/tools/stats", "/audit", "/audit/export?format=csv", "/audit/stats", "/config", "/maintenance",
		"/admin/mode", "/admin/prices", "/admin/servers", "/admin/ledger", "/admin/logs", "/admin/calls", "/keys/stats", "/admin/keys", "/admin/backup"} {
		g.do("GET", path, nil, nil, http.StatusOK)
	}
}

func TestTwoServersBehindPrefixesAndOneThatIsDown(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server := func(prefix string) map[string]any {
		return map[string]any{"prefix": prefix, "serverCommand": self, "env": fake.Env("legacy")}
	}
	g := start(t, map[string]any{"serverCommand": "", "env": "", "isolation": "", "servers": []any{server("a"), server("b"),
		map[string]any{"prefix": "down", "serverCommand": "false"}}})
	k := g.key(nil)
	for _, tool := range []string{"a:echo", "b:echo"} {
		if a := g.call(k.Key, tool, map[string]any{"text": tool}); a.Error != nil || !strings.Contains(string(a.Result), tool) {
			t.Errorf("%s: %+v", tool, a.Error)
		}
	}
	for _, tool := range []string{"down:echo", "echo", "c:echo"} {
		if a := g.call(k.Key, tool, nil); a.Error == nil {
			t.Errorf("%s was answered", tool)
		}
	}
	if got := g.account(k); got.Spent != 4 {
		t.Errorf("two good calls of five: %+v", got)
	}
}

func TestMaintenanceReloadAndPrices(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(nil)
	g.do("POST", "/maintenance", map[string]any{"enabled": true, "message": "back soon"}, nil, http.StatusOK)
	if a := g.call(k.Key, "echo", nil); a.Status != http.StatusServiceUnavailable {
		t.Errorf("under maintenance: HTTP %d", a.Status)
	}
	g.do("POST", "/maintenance", map[string]any{"enabled": false}, nil, http.StatusOK)
	g.configure(config(t, map[string]any{"defaultCreditsPerCall": 5}))
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	g.do("POST", "/config/reload", map[string]any{}, nil, http.StatusOK)
	g.call(k.Key, "echo", nil)
	if got := g.account(k).Spent; got != 5 {
		t.Errorf("after the reload a call costs %d, want 5", got)
	}
	g.configure(map[string]any{"prot": 1})
	g.do("POST", "/config/reload", map[string]any{}, nil, http.StatusBadRequest)
	g.do("POST", "/admin/prices", map[string]any{"changes": []any{map[string]any{"tool": "echo", "perCall": 9}}}, nil, http.StatusOK)
	g.configure(config(t, map[string]any{"defaultCreditsPerCall": 5}))
	g.restart() // a price that was set holds over the restart: the file says nothing new
	g.call(k.Key, "echo", nil)
	if got := g.account(k).Spent; got != 14 {
		t.Errorf("with the price set to 9: %d spent, want 14", got)
	}
}

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(nil)
	g.call(k.Key, "echo", nil)
	var snapshot map[string]any
	g.do("GET", "/admin/backup", nil, &snapshot, http.StatusOK)
	other := start(t, nil)
	other.do("POST", "/admin/restore", map[string]any{"snapshot": snapshot}, nil, http.StatusOK)
	if got := other.account(k); got.Credits != 98 {
		t.Errorf("the key in the other gateway: %+v", got)
	}
	other.prove()
	g.kill() // what it has not brought into its database yet is in its log
	if out, code := g.command("backup", "--config", g.file(), "--to", "b"); code != 0 {
		t.Fatal(out)
	}
	if out, code := g.command("restore", "--from", "b", "--state-dir", "again"); code != 0 {
		t.Fatal(out)
	}
	if out, code := g.command("doctor", "--state-dir", "again", "--json"); code != 0 || !strings.Contains(out, `"ok": true`) {
		t.Errorf("exit %d\n%s", code, out)
	}
	g.run()
	g.call(k.Key, "echo", nil)
	g.kill()
	if out, code := g.command("compact", "--config", g.file()); code != 0 {
		t.Fatal(out)
	}
	g.run()
	if got := g.account(k); got.Spent != 4 || got.Credits != 96 {
		t.Errorf("compacted after a kill: %+v", got)
	}
	g.prove()
}

func TestMistakesAreToldInOneLine(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	self := "\"" + binary() + "\" demo-server"
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"port in use", []string{"wrap", "--headless", "--server", self, "--port", g.port, "--state-dir", t.TempDir()}, 1, "is in use"},
		{"state locked", []string{"wrap", "--headless", "--server", self, "--port", "0", "--state-dir", filepath.Join(g.dir, ".paygate")}, 6, "another paygate"},
		{"no such command", []string{"wrap", "--headless", "--server", "no-such-program x", "--state-dir", t.TempDir()}, 1, "command not found"},
		{"nothing to wrap", []string{"wrap", "--headless", "--state-dir", t.TempDir()}, 2, "no MCP server"},
		{"unknown flag", []string{"wrap", "--prise", "3"}, 2, "unknown flag"},
		{"not built", []string{"wrap", "--server", self, "--redis-url", "redis://x"}, 2, "has no Redis mode yet"},
		{"bad price", []string{"wrap", "--headless", "--server", self, "--price", "2.5"}, 2, "whole number"},
	} {
		out, code := g.command(c.args...)
		if code != c.code || !strings.Contains(out, c.want) || strings.Count(strings.TrimSpace(out), "\n") > 1 {
			t.Errorf("%s: exit %d, want %d:\n%s", c.name, code, c.code, out)
		}
	}
	bad := filepath.Join(g.dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("prot: 1\ntoolPricing: {x: {creditsPerCall: -1}}\nredisUrl: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := g.command("validate", "--config", bad)
	for _, want := range []string{`1:1: prot: there is no such setting; did you mean "port"?`, "2:35: toolPricing.x.creditsPerCall: must be a whole number", "3:1: redisUrl: this version has no Redis mode"} {
		if code == 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, without %q:\n%s", code, want, out)
		}
	}
}

func TestItDrainsWhenToldToStop(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(nil)
	answered := make(chan answer, 1)
	go func() { answered <- g.call(k.Key, "sleep", map[string]any{"ms": 700}) }()
	deadline := time.Now().Add(5 * time.Second)
	for held := int64(0); held == 0 && time.Now().Before(deadline); held = g.account(k).Held {
	}
	g.stop()
	if a := <-answered; a.Error != nil || a.Result == nil {
		t.Errorf("the call under way: %+v", a)
	}
	g.run()
	if got := g.account(k); got.Spent != 2 {
		t.Errorf("after the drain: %+v", got)
	}
	if out, err := exec.Command("pgrep", "-P", "1", "-f", "PAYTEST").CombinedOutput(); err == nil {
		t.Errorf("children are left behind: %s", out)
	}
}
