package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The contract with clients of the HTTP API, asked of the running program: the
// fields of every answer, the words and statuses of every refusal.

// contract reads the fields of every answer, by "METHOD /path status".
func contract(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "house", "contract.txt"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 3 && f[0] != "#" {
			out[strings.Join(f[:3], " ")] = f[3:]
		}
	}
	return out
}

// wrong says what an answer lacks of its fields.
func wrong(answer json.RawMessage, fields []string) (faults []string) {
	var v any
	if err := json.Unmarshal(answer, &v); err != nil {
		return []string{err.Error()}
	}
	for _, f := range fields {
		i := strings.LastIndexByte(f, ':')
		name, kinds := f[:i], strings.Split(f[i+1:], "|")
		path := strings.TrimSuffix(name, "?")
		for _, found := range at(v, strings.Split(strings.ReplaceAll(path, "[]", ".[]"), ".")) {
			switch is := kindOf(found); {
			case is == "missing" && strings.HasSuffix(name, "?"):
			case is == "text" && slices.Contains(kinds, "time") && isTime(found):
			case !slices.Contains(kinds, is):
				faults = append(faults, fmt.Sprintf("%s is %s, want %s", path, is, strings.Join(kinds, " or ")))
			}
		}
	}
	return faults
}

type missing struct{}

// at is every value at a path: many, where the path goes through a list.
func at(v any, path []string) []any {
	if len(path) == 0 {
		return []any{v}
	}
	if path[0] == "" {
		return at(v, path[1:])
	}
	if path[0] == "[]" {
		list, _ := v.([]any)
		var out []any
		for _, item := range list {
			out = append(out, at(item, path[1:])...)
		}
		return out
	}
	switch o := v.(type) {
	case map[string]any:
		if value, ok := o[path[0]]; ok {
			return at(value, path[1:])
		}
	case nil: // a member of what is null
		return nil
	}
	return []any{missing{}}
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "text"
	case float64:
		return "number"
	case bool:
		return "bool"
	case []any:
		return "list"
	case map[string]any:
		return "object"
	}
	return "missing"
}

func isTime(v any) bool {
	text, _ := v.(string)
	_, err := time.Parse(time.RFC3339Nano, text)
	return err == nil
}

// asked is one request of the contract and what it must be answered.
type asked struct {
	method, path string
	body         any
	status       int
	form         string   // which of several answers of the path
	headers      []string // instead of the admin key
}

// contractRig is a gateway with keys that have done and suffered something.
type contractRig struct {
	*gateway
	a, b, c  key
	admin    string
	snapshot any
	heldA    string
	heldB    string
}

func newContractRig(t *testing.T) *contractRig {
	t.Helper()
	r := &contractRig{gateway: start(t, map[string]any{"adminRateLimit": 0, "publicRateLimit": 0, "globalRateLimitPerMin": 1000, "globalQuota": map[string]any{"dailyCallLimit": 5000},
		"toolPricing": map[string]any{"echo": map[string]any{"creditsPerCall": 3, "rateLimitPerMin": 100}}, "cors": map[string]any{"origin": "https://a.example"}})}
	r.a = r.key(map[string]any{"name": "one", "tags": map[string]any{"env": "prod"}, "expiresAt": "2090-01-01T00:00:00Z", "quota": map[string]any{"dailyCallLimit": 100},
		"allowedTools": []string{"echo", "fail"}, "ipAllowlist": []string{"127.0.0.1"}, "spendingLimit": 90})
	r.b = r.key(map[string]any{"name": "two", "credits": 4, "deniedTools": []string{"fail"}})
	r.c = r.key(map[string]any{"name": "three", "namespace": "Acme Corp!"})
	r.call(r.a.Key, "echo", map[string]any{"text": "x"})
	r.call(r.a.Key, "fail", nil)
	r.call(r.a.Key, "sleep", nil) // not on its list
	r.call(r.b.Key, "echo", nil)
	r.call(r.b.Key, "echo", nil) // cannot pay
	r.call("", "echo", nil)
	var made struct{ ID, Key string }
	r.do("POST", "/keys/reserve", map[string]any{"key": r.a.Key, "credits": 5, "memo": "job"}, &made, http.StatusCreated)
	r.heldA = made.ID
	r.do("POST", "/keys/reserve", map[string]any{"key": r.a.Key, "credits": 5}, &made, http.StatusCreated)
	r.heldB = made.ID
	r.do("POST", "/admin/keys", map[string]any{"name": "other", "role": "admin"}, &made, http.StatusCreated)
	r.admin = made.Key
	r.do("GET", "/admin/backup", nil, &r.snapshot, http.StatusOK)
	return r
}

// good are requests that succeed, in an order in which they can.
func (r *contractRig) good() []asked {
	a, b, c := map[string]any{"key": r.a.Key}, map[string]any{"key": r.b.Key}, map[string]any{"key": r.c.Key}
	with := func(m map[string]any, name string, value any) map[string]any {
		m = maps.Clone(m)
		m[name] = value
		return m
	}
	own := []string{"X-API-Key", r.a.Key, "X-Admin-Key", ""}
	get := func(path string) asked { return asked{method: "GET", path: path, status: 200} }
	post := func(path string, body any) asked { return asked{method: "POST", path: path, body: body, status: 200} }
	return []asked{get("/"), get("/health"), get("/ready"), get("/info"), get("/pricing"), get("/.well-known/mcp-payment"), get("/.well-known/mcp.json"),
		get("/status"), get("/status?namespace=acmecorp"), post("/status", nil), get("/config"), get("/maintenance"),
		post("/maintenance", map[string]any{"enabled": true}), get("/maintenance"), post("/maintenance", map[string]any{"enabled": false}),
		get("/keys?limit=2&sortBy=credits&order=asc"), {method: "GET", path: "/keys", status: 200, form: "array"}, {method: "GET", path: "/keys?namespace=acmecorp", status: 200, form: "array"},
		get("/keys?limit=0&group="), get("/keys/stats"), post("/keys/search", map[string]any{"tags": map[string]any{"env": "prod"}}),
		post("/keys/acl", with(a, "allowedTools", []string{"echo"})), post("/keys/expiry", with(a, "expiresIn", 3600)), post("/keys/expiry", with(b, "expiresAt", nil)),
		post("/keys/tags", with(a, "tags", map[string]any{"env": nil, "team": "x"})), post("/keys/ip", with(a, "ips", []string{})), post("/keys/quota", with(a, "monthlyCallLimit", "7")),
		post("/keys/alias", with(a, "alias", "first")), post("/keys/alias", with(a, "alias", nil)), post("/limits", with(a, "spendingLimit", 1000)),
		{method: "POST", path: "/keys/notes", body: with(a, "text", " hello "), status: 201}, get("/keys/notes?key=" + r.a.Key), {method: "DELETE", path: "/keys/notes?index=0&key=" + r.a.Key, status: 200},
		get("/keys/usage?key=" + r.a.Key), get("/keys/usage?key=" + r.b.ID), get("/keys/credit-history?key=" + r.a.Key), get("/keys/rate-limit-status?key=" + r.a.Key), get("/keys/quota-status?key=" + r.a.Key),
		{method: "GET", path: "/balance", status: 200, headers: own}, {method: "GET", path: "/balance/history?limit=1", status: 200, headers: own},
		get("/requests?limit=9999"), get("/requests?status=denied"), get("/requests/export"), get("/usage"), get("/tools/stats"), {method: "GET", path: "/tools/stats?tool=echo", status: 200, form: "tool"},
		{method: "GET", path: "/tools/stats?tool=nonexistent", status: 200, form: "tool"}, get("/tools/available?key=" + r.a.Key), get("/audit"), get("/audit/export?limit=3"), get("/audit/stats"),
		post("/requests/dry-run", with(a, "tool", "echo")), post("/requests/dry-run", with(b, "tool", "echo")),
		post("/requests/dry-run/batch", with(a, "tools", []any{map[string]any{"name": "echo"}, map[string]any{"name": "fail"}})),
		get("/keys/reserve?key=" + r.a.Key), get("/keys/reserve"), {method: "POST", path: "/keys/reserve", body: with(c, "credits", 0.5), status: 201},
		post("/keys/reserve/commit", map[string]any{"reservationId": r.heldA}), post("/keys/reserve/release", map[string]any{"reservationId": r.heldB}),
		post("/topup", with(a, "credits", 0.5)), post("/topup", with(a, "credits", "12")), post("/keys/transfer", map[string]any{"from": r.a.Key, "to": r.b.Key, "credits": 2, "memo": "m"}),
		post("/keys/suspend", with(b, "reason", "why")), post("/keys/resume", b), post("/keys/rotate", c), post("/keys/revoke", b), post("/keys/revoke", b),
		{method: "POST", path: "/keys", body: map[string]any{"credits": 1.9, "expiresIn": "60", "tags": map[string]any{"n": 1}}, status: 201},
		get("/admin/backup"), post("/admin/restore", map[string]any{"snapshot": r.snapshot}), post("/config/reload", map[string]any{}),
		get("/admin/keys"), {method: "POST", path: "/admin/keys", body: map[string]any{"name": "v", "role": "viewer"}, status: 201}, post("/admin/keys/revoke", map[string]any{"key": r.admin}),
		post("/admin/keys/rotate-bootstrap", map[string]any{})}
}

func TestEveryAnswerHasTheFieldsThatClientsRelyOn(t *testing.T) {
	t.Parallel()
	r := newContractRig(t)
	fields, seen, described := contract(t), map[string]bool{}, r.document()
	for _, q := range r.good() {
		var raw json.RawMessage
		if got := r.try(q.method, q.path, q.body, &raw, q.headers...); got != q.status {
			t.Errorf("%s %s: HTTP %d, want %d: %.300s", q.method, q.path, got, q.status, raw)
			continue
		}
		path, _, _ := strings.Cut(q.path, "?")
		if q.path != "/status" || q.method == "GET" {
			if err := described.holds(q.method, path, q.status, raw); err != nil {
				t.Errorf("%s %s is answered otherwise than /openapi.json says: %v\n%.300s", q.method, q.path, err, raw)
			}
		}
		if q.form != "" {
			path += "#" + q.form
		}
		name := fmt.Sprintf("%s %s %d", q.method, path, q.status)
		if fields[name] == nil && q.method == "POST" { // where any method will do
			name = fmt.Sprintf("GET %s %d", path, q.status)
		}
		if fields[name] == nil {
			t.Errorf("%s is not in the contract", name)
		}
		seen[name] = true
		for _, fault := range wrong(raw, fields[name]) {
			t.Errorf("%s %s: %s", q.method, q.path, fault)
		}
	}
	for name := range fields {
		if !seen[name] && !strings.Contains(name, " /mcp ") {
			t.Errorf("%s was not asked", name)
		}
	}
}

// trail are the types of the audit trail and what each must say.
func trail() map[string]string {
	return map[string]string{"key.created": "keyMasked name credits allowedTools deniedTools expiresAt", "key.revoked": "keyMasked", "key.suspended": "keyMasked reason",
		"key.resumed": "keyMasked", "key.rotated": "oldKeyMasked newKeyMasked", "key.acl_updated": "keyMasked allowedTools deniedTools", "key.expiry_updated": "keyMasked expiresAt",
		"key.quota_updated": "keyMasked quota", "key.tags_updated": "keyMasked tags", "key.ip_updated": "keyMasked ipAllowlist", "key.limit_updated": "keyMasked spendingLimit",
		"key.alias_set": "key alias", "key.note_added": "key text", "key.note_deleted": "key text index", "key.topup": "keyMasked creditsAdded newBalance",
		"key.credits_transferred": "fromKeyMasked toKeyMasked credits fromBalance toBalance memo", "credits.reserved": "reservationId key credits ttlSeconds",
		"credits.committed": "reservationId key credits remainingCredits", "credits.released": "reservationId key credits", "admin_key.created": "newKeyMasked role",
		"admin_key.revoked": "revokedKeyMasked", "admin_key.bootstrap_rotated": "newKeyMasked", "admin.backup_created": "checksum", "admin.backup_restored": "mode results warnings",
		"config.reloaded": "filePath changed skipped", "config.export": "requestId", "maintenance.enabled": "message", "maintenance.disabled": "since",
		"admin.auth_failed": "url method", "gate.allow": "requestId tool", "gate.deny": "requestId tool errorCode reason", "session.created": "sessionId", "session.destroyed": "sessionId"}
}

func TestEverythingThatIsDoneIsInTheAuditTrail(t *testing.T) {
	t.Parallel()
	r := newContractRig(t)
	r.try("GET", "/keys", nil, nil, "X-Admin-Key", "wrong")
	begun := r.rpc(r.a.Key, "initialize", map[string]any{"protocolVersion": "2025-06-18", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "t", "version": "1"}})
	var bye struct{ Message string }
	r.do("DELETE", "/mcp", nil, &bye, http.StatusOK, "X-API-Key", r.a.Key, "Mcp-Session-Id", begun.Header.Get("Mcp-Session-Id"))
	if bye.Message == "" {
		t.Error("the end of a session is answered without a message")
	}
	steps := r.good()
	rotate := steps[len(steps)-1] // the key that asks is another one afterwards
	for _, q := range steps[:len(steps)-1] {
		r.try(q.method, q.path, q.body, nil, q.headers...)
	}
	var made struct{ NewKey string }
	r.do(rotate.method, rotate.path, rotate.body, &made, http.StatusOK)
	seen := map[string]bool{}
	for kind, wants := range trail() {
		var page struct {
			Events []struct {
				ID          uint64
				Type, Actor string
				Message     string
				Timestamp   time.Time
				Metadata    map[string]any
			}
		}
		r.do("GET", "/audit?limit=1000&types="+kind, nil, &page, http.StatusOK, "X-Admin-Key", made.NewKey)
		for _, e := range page.Events {
			seen[e.Type] = true
			for _, name := range strings.Fields(wants) {
				if _, ok := e.Metadata[name]; !ok {
					t.Errorf("%s without %s: %v", e.Type, name, e.Metadata)
				}
			}
			for name, value := range e.Metadata { // secrets are never in it
				if text, ok := value.(string); ok && (strings.Contains(text, r.a.Key) || strings.Contains(text, adminKey) || strings.Contains(text, made.NewKey)) {
					t.Errorf("%s holds a secret in %s", e.Type, name)
				}
			}
			if e.Actor == "" || e.Timestamp.IsZero() || e.ID == 0 {
				t.Errorf("%s by %q at %s", e.Type, e.Actor, e.Timestamp)
			}
		}
		if !seen[kind] {
			t.Errorf("%s is not in the trail", kind)
		}
	}
}
