package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paygate/server/config"
)

// load writes a file and reads it, with variables and flags.
func load(t *testing.T, name, text string, env []string, flags map[string]string) (*config.All, []config.Diagnostic) {
	t.Helper()
	src := config.Source{Env: env, Flags: flags}
	if name != "" {
		src.File = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(src.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config.Load(src)
}

// said are the findings without their file, one a line.
func said(found []config.Diagnostic) string {
	var b strings.Builder
	for _, d := range found {
		d.File = ""
		fmt.Fprintln(&b, d)
	}
	return b.String()
}

func TestNothingSetMeansTheDefaults(t *testing.T) {
	t.Parallel()
	a, found := load(t, "", "", nil, nil)
	if len(found) > 0 {
		t.Fatal(said(found))
	}
	if a.Port != 3402 || a.Host != "127.0.0.1" || a.DefaultCredits != 1 || a.GlobalRateLimit != 60 || a.AdminRateLimit != 120 || a.SessionRateLimit != 60 ||
		a.PublicRateLimit != 300 || a.RequestTimeout != 30*time.Second || a.HeaderTimeout != 10*time.Second || a.KeepAlive != 65*time.Second ||
		a.MaxConnections != 10000 || a.CORSMaxAge != 86400 || a.RetentionDays != 90 || a.RetentionBytes != 10_000_000_000 || a.ShadowMode || a.RefundOnFailure {
		t.Errorf("the defaults are %+v", a)
	}
}

func TestFlagsWinOverVariablesOverTheFile(t *testing.T) {
	t.Parallel()
	file := `{"port": 1, "name": "file", "defaultCreditsPerCall": 1, "globalRateLimitPerMin": 1}`
	a, found := load(t, "c.json", file, []string{"PAYGATE_PORT=2", "PAYGATE_PRICE=2", "PAYGATE_RATE_LIMIT=2", "OTHER=x"}, map[string]string{"port": "3", "globalRateLimitPerMin": "3"})
	if len(found) > 0 {
		t.Fatal(said(found))
	}
	if a.Port != 3 || a.GlobalRateLimit != 3 || a.DefaultCredits != 2 || a.Name != "file" {
		t.Errorf("port %d, rate %d, price %d, name %q", a.Port, a.GlobalRateLimit, a.DefaultCredits, a.Name)
	}
	if want := filepath.Join(filepath.Dir(a.File), ".paygate"); a.StateDir != want {
		t.Errorf("the state is in %s, want %s", a.StateDir, want)
	}
}

func TestJSONAndYAMLSayTheSame(t *testing.T) {
	t.Parallel()
	json := `{"name":"x","serverCommand":"a","serverArgs":["b"],"toolPricing":{"t":{"creditsPerCall":5,"creditsPerKbInput":1,"rateLimitPerMin":7,"timeoutMs":1500}},
"globalQuota":{"dailyCallLimit":9},"cors":{"origin":"https://a.example"},"customHeaders":{"X-A":"b"},"shadowMode":true,"requestTimeoutMs":1500,"importKeys":{"pg_a":5}}`
	yaml := `# the same
name: x
serverCommand: a
serverArgs: [b]
toolPricing:
  t: {creditsPerCall: 5, creditsPerKbInput: 1, rateLimitPerMin: 7, timeoutMs: 1500}
globalQuota: {dailyCallLimit: 9}
cors: {origin: https://a.example}
customHeaders: {X-A: b}
shadowMode: true
requestTimeoutMs: 1500
importKeys: {pg_a: 5}
`
	a, one := load(t, "c.json", json, nil, nil)
	b, two := load(t, "c.yaml", yaml, nil, nil)
	a.File, b.File, a.StateDir, b.StateDir = "", "", "", ""
	if len(one)+len(two) > 0 || fmt.Sprintf("%+v", a) != fmt.Sprintf("%+v", b) {
		t.Errorf("%s%s\n%+v\n%+v", said(one), said(two), a, b)
	}
	if tool := a.Tools["t"]; tool.Price.PerCall != 5 || tool.RateLimit != 7 || tool.Timeout != 1500*time.Millisecond || a.ImportKeys["pg_a"] != 5 || a.Servers[0].Args[0] != "b" {
		t.Errorf("%+v", a)
	}
}

func TestEveryMistakeIsSaidAtOnceWithItsPlace(t *testing.T) {
	t.Parallel()
	_, found := load(t, "c.yaml", `prot: 1
port: 70000
shadowMode: "yes"
toolPricing: {x: {creditsPerCall: -1, creditPerCall: 2}, y: 3}
logLevel: loud
trustedProxies: [10.0.0.0/99]
redisUrl: redis://x
retentionDays: 1.5
servers: [{serverCommand: a}, {prefix: p, serverCommand: a, remoteUrl: "http://x"}, {prefix: p}]
importKeys: {secret: 1}
`, []string{"PAYGATE_PROT=1", "PAYGATE_WEBHOOK_URL=x", "PAYGATE_MAX_CONNECTIONS=many"}, map[string]string{"port": "x"})
	got := said(found)
	for _, want := range []string{`1:1: prot: there is no such setting; did you mean "port"?`, "2:7: port: must be a whole number from 0 to 65535", "3:13: shadowMode: must be true or false, not text",
		"4:35: toolPricing.x.creditsPerCall: must be a whole number", `toolPricing.x.creditPerCall: there is no such setting; did you mean "creditsPerCall"?`, "toolPricing.y: must be an object, not a number",
		"logLevel: must be one of debug, info, warn, error", "trustedProxies", "redisUrl: this version has no Redis mode yet", "retentionDays: must be a whole number",
		"servers[0]: needs a prefix", "servers[1]: has both serverCommand and remoteUrl", "servers[2]: needs serverCommand or remoteUrl", "servers[2]: has the prefix \"p\"", `importKeys: a key must begin with "pg_"`,
		"PAYGATE_PROT: there is no such setting", "PAYGATE_WEBHOOK_URL: this version has no webhooks yet", "PAYGATE_MAX_CONNECTIONS: must be a whole number", "--port: must be a whole number"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if t.Failed() {
		t.Log("\n" + got)
	}
	if !config.Failed(found) {
		t.Error("it would start")
	}
	if strings.Contains(got, "secret") {
		t.Error("a secret is shown")
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"a.json": "{", "b.json": `{"port":1,"port":2}`, "c.yaml": "port: 1\nport: 2\n", "d.yaml": "a: [", "e.json": "[]", "f.json": `{"port":1} x`} {
		_, found := load(t, name, text, nil, nil)
		if !config.Failed(found) || found[0].Line == 0 || found[0].File == "" {
			t.Errorf("%s: %s", name, said(found))
		}
	}
	if _, found := config.Load(config.Source{File: filepath.Join(t.TempDir(), "none.json")}); !config.Failed(found) || !strings.Contains(said(found), "there is no such file") {
		t.Errorf("a file that is not there: %s", said(found))
	}
}

func TestWhatIsShownHoldsNoSecret(t *testing.T) {
	t.Parallel()
	a, _ := load(t, "c.json", `{"adminKey":"hush-admin","importKeys":{"pg_hush":1},"servers":[{"prefix":"a","serverCommand":"hush-command","serverArgs":["hush-arg"],"env":{"K":"hush-env"}},
{"prefix":"b","remoteUrl":"https://user:hush@host.example/hush-path?k=hush","headers":{"Authorization":"hush-header"}}]}`, nil, nil)
	text := fmt.Sprint(a.Masked())
	if strings.Contains(text, "hush") {
		t.Errorf("shown: %s", text)
	}
	if !strings.Contains(text, "https://host.example/***") {
		t.Errorf("without the host of a URL: %s", text)
	}
}

func TestTheNamesOfSettings(t *testing.T) {
	t.Parallel()
	for field, want := range map[string]string{"Port": "port", "GlobalRateLimit": "globalRateLimit", "CORSOrigin": "corsOrigin", "URL": "url"} {
		if got := config.FieldName(field); got != want {
			t.Errorf("%s is called %s, want %s", field, got, want)
		}
	}
}

// FuzzLoad holds that whatever a file and a variable say, loading ends with
// findings or a configuration within its bounds.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{"{}", `{"port":1}`, "port: 1\nservers: [{prefix: a}]", "toolPricing: {a: {creditsPerCall: 1}}", "cors: {origin: [a, b]}", "- 1", "a: *b", "\xff\x00"} {
		f.Add(seed, "1")
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text, value string) {
		file := filepath.Join(dir, fmt.Sprintf("%x.yaml", len(text)))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		a, found := config.Load(config.Source{File: file, Env: []string{"PAYGATE_PORT=" + value}, Flags: map[string]string{"globalRateLimitPerMin": value}})
		if !config.Failed(found) && (a.Port < 0 || a.Port > 65535 || a.DefaultCredits < 0 || a.GlobalRateLimit < 0) {
			t.Fatalf("out of bounds: %+v", a)
		}
		_ = a.Masked()
		for _, d := range found {
			if d.Message == "" {
				t.Fatal("a finding that says nothing")
			}
		}
	})
}
