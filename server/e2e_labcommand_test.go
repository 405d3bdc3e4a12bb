package server_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// lab runs a command of the lab that must end with a code, and gives what it
// printed.
func (g *gateway) lab(want int, args ...string) string {
	g.t.Helper()
	out, code := g.command(append(append([]string{"shadow"}, args...), "--url", g.url, "--admin-key", adminKey)...)
	if code != want {
		g.t.Errorf("shadow %s: exit %d, want %d\n%s", strings.Join(args, " "), code, want, out)
	}
	return out
}

func TestTheLabFromTheCommandLine(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"shadowMode": true})
	file := func(name, text string) string {
		path := filepath.Join(g.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bad, good := file("bad.yaml", "defaults:\n  per_cal: 2\nrules: [{match: {tol: x}}]\n"), file("good.yaml", "name: five\ndefaults: {per_call: 5}\n")
	if out := g.lab(2, "new", "five", "--sheet", bad); !strings.Contains(out, "bad.yaml:2:3") || !strings.Contains(out, "bad.yaml:3:18") {
		t.Errorf("not every mistake has its line:\n%s", out)
	}
	g.lab(2, "new", "five")
	g.lab(2, "nonsense")
	if hash := strings.TrimSpace(g.lab(0, "new", "five", "--sheet", good)); len(hash) != 64 {
		t.Errorf("new prints %q, want the sheet's hash", hash)
	}
	g.lab(0, "start", "five")
	g.lab(1, "start", "five")
	keys := []key{g.key(nil), g.key(map[string]any{"credits": 20})}
	for range 8 {
		for _, k := range keys {
			g.call(k.Key, "echo", nil)
		}
	}
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{0, "per_call|perCall", []string{"diff", "five"}},
		{0, "\"selfDifference\": 0", []string{"status", "five", "--json"}},
		{0, "change +28", []string{"report", "five"}},
		{0, "| potential |", []string{"report", "five", "--markdown"}},
		{0, "stop-run", []string{"what-if", "five", "--grant", "5"}},
		{0, "top-up", []string{"what-if", "--sheet", good, "--policy", "top-up"}},
		{0, "keys have called", []string{"power", "five"}},
		{0, "candidate", []string{"replay", "live", "--set", "echo=7"}},
		{0, "id,name,live,candidate", []string{"export", "five"}},
		{3, "newlyDeniedAttempts", []string{"check", "five"}},
		{3, "newlyDeniedAttempts", []string{"check", "--sheet", good}},
		{2, "bad.yaml:2:3", []string{"check", "--sheet", bad}},
		{2, "which candidate", []string{"check"}},
		{3, "guardrails stand against it", []string{"promote", "five"}},
		{2, "more than 0 and less than 100", []string{"promote", "five", "--canary", "100%"}},
		{2, "is not a guardrail", []string{"promote", "five", "--override", "nonsense"}},
		{0, "goes live at", []string{"promote", "five", "--at", "+1h", "--override", "all", "--keep", "existing"}},
		{0, "goes live at", []string{"rollout"}},
		{0, "five is reviewed", []string{"cancel", "five"}},
		{1, "nothing to roll back", []string{"rollback", "--make-good"}},
	} {
		out := g.lab(c.code, c.args...)
		if !saysOne(out, c.says) {
			t.Errorf("shadow %s does not say %q:\n%s", strings.Join(c.args, " "), c.says, out)
		}
		for line := range strings.Lines(out) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 && c.code != 2 && forPeople(c.args) && !strings.HasPrefix(line, "paygate:") {
				t.Errorf("shadow %s prints %d columns: %s", strings.Join(c.args, " "), n, line)
			}
		}
	}
	raw := g.lab(0, "report", "five", "--json")
	if !json.Valid([]byte(raw)) {
		t.Errorf("no JSON: %s", raw)
	}
	g.lab(0, "verify", file("report.json", raw))
	g.lab(1, "verify", file("forged.json", strings.Replace(raw, `"attempts":16`, `"attempts":17`, 1)))
}

// forPeople says whether a command prints for somebody at 80 columns.
func forPeople(args []string) bool {
	last := args[len(args)-1]
	return args[0] != "export" && last != "--json" && last != "--markdown"
}

// saysOne tells whether a text has one of several, with bars between.
func saysOne(text, any string) bool {
	if strings.Contains(text, any) {
		return true
	}
	for one := range strings.SplitSeq(any, "|") {
		if one != "" && strings.Contains(text, one) {
			return true
		}
	}
	return false
}

// A draft survives a kill, is refused wherever prices are wanted, and all of it
// works on the files while no gateway runs.
func TestADraftFromTheCommandLine(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"shadowMode": true})
	for name, text := range map[string]string{"bad.yaml": "defaults:\n  per_cal: 2\n", "good.yaml": "defaults: {per_call: 5}\n"} {
		if err := os.WriteFile(filepath.Join(g.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	steps := func(run func(want int, args ...string) string) {
		t.Helper()
		for _, c := range []struct {
			code int
			says string
			args []string
		}{
			{2, "bad.yaml:2:3", []string{"new", "pro", "--sheet", "bad.yaml"}},
			{0, "bad.yaml:2:3", []string{"new", "pro", "--sheet", "bad.yaml", "--draft"}},
			{0, "pro is a draft with a mistake", []string{"status"}},
			{0, "per_cal: 2", []string{"status", "pro"}},
			{2, "pro:2:3", []string{"validate", "pro"}},
			{1, "is a draft with a mistake and cannot be started; mend it", []string{"start", "pro"}},
			{1, "cannot be tried", []string{"replay", "pro"}},
			{0, "pro is a draft without mistakes", []string{"new", "pro", "--sheet", "good.yaml", "--draft"}},
			{0, "perCall", []string{"diff", "pro"}},
			{1, `"paygate shadow validate pro" first`, []string{"start", "pro"}},
			{0, "", []string{"validate", "pro"}},
			{1, "validated already", []string{"validate", "pro"}},
			{0, "pro is dropped", []string{"drop", "pro"}},
			{1, "no experiment of this name", []string{"drop", "pro"}},
			{0, "with a mistake", []string{"new", "pro", "--sheet", "bad.yaml", "--draft"}},
		} {
			out := run(c.code, c.args...)
			if !strings.Contains(out, c.says) {
				t.Errorf("shadow %s does not say %q:\n%s", strings.Join(c.args, " "), c.says, out)
			}
			for line := range strings.Lines(out) {
				if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 && c.code == 0 && !strings.Contains(line, ".yaml:") {
					t.Errorf("shadow %s prints %d columns: %s", strings.Join(c.args, " "), n, line)
				}
			}
		}
	}
	steps(g.lab)
	g.kill()
	g.run()
	if got := g.state("pro"); got != "draft" {
		t.Errorf("after a kill it is %s", got)
	}
	g.do("POST", "/admin/shadow", map[string]any{"name": "pro", "from": "live", "draft": true}, nil, 400)
	if text := g.page("/metrics", "X-Admin-Key", adminKey); !strings.Contains(text, `{experiment="pro",state="draft"}`) {
		t.Errorf("metrics:\n%s", text)
	}
	var all struct {
		Sheets []struct {
			Name, State string
			Mistakes    []string
			Tools       map[string]any
		}
	}
	g.do("GET", "/admin/shadow/sheets", nil, &all, 200)
	if s := all.Sheets; len(s) != 2 || s[1].State != "draft" || len(s[1].Mistakes) != 1 || !strings.HasPrefix(s[1].Mistakes[0], "2:3: ") || s[1].Tools != nil {
		t.Errorf("the lab's columns: %+v", s)
	}
	g.kill()
	steps(func(want int, args ...string) string {
		t.Helper()
		out, code := g.command(append(append([]string{"shadow"}, args...), "--state-dir", filepath.Join(g.dir, ".paygate"))...)
		if code != want {
			t.Errorf("without a gateway, shadow %s: exit %d, want %d\n%s", strings.Join(args, " "), code, want, out)
		}
		return out
	})
	g.run()
	g.lab(0, "new", "pro", "--sheet", filepath.Join(g.dir, "good.yaml"))
	g.lab(0, "start", "pro")
	g.prove()
}
