package server_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// refused is a request that must be refused: with which status, in words that
// hold which.
type refused struct {
	method, path string
	body         string // as it stands
	status       int
	says         string
	headers      []string // instead of the admin key and JSON
}

// ask sends a request exactly as given.
func (g *gateway) ask(q refused) (status int, header http.Header, body []byte) {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), q.method, g.url+q.path, bytes.NewReader([]byte(q.body)))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("X-Admin-Key", adminKey)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(q.headers); i += 2 {
		if req.Header.Del(q.headers[i]); q.headers[i+1] != "" {
			req.Header.Set(q.headers[i], q.headers[i+1])
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return res.StatusCode, res.Header, body
}

func TestEveryRefusalHasItsStatusAndSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"adminRateLimit": 0, "publicRateLimit": 0})
	live, poor, dead := g.key(map[string]any{"name": "live"}), g.key(map[string]any{"name": "poor", "credits": 3}), g.key(nil)
	slept, old := g.key(nil), g.key(map[string]any{"expiresAt": "2020-01-01"})
	g.do("POST", "/keys/revoke", map[string]any{"key": dead.Key}, nil, http.StatusOK)
	g.do("POST", "/keys/suspend", map[string]any{"key": slept.Key}, nil, http.StatusOK)
	g.do("POST", "/keys/alias", map[string]any{"key": live.Key, "alias": "taken"}, nil, http.StatusOK)
	g.do("POST", "/keys/reserve", map[string]any{"key": poor.Key, "credits": 2}, nil, http.StatusCreated)
	var viewer struct{ Key string }
	g.do("POST", "/admin/keys", map[string]any{"name": "v", "role": "viewer"}, &viewer, http.StatusCreated)
	text := strings.NewReplacer("LIVE", live.Key, "POOR", poor.Key, "DEAD", dead.Key, "SLEPT", slept.Key, "OLD", old.Key, "VIEWER", viewer.Key, "ADMIN", adminKey)
	asViewer, none := []string{"X-Admin-Key", viewer.Key}, []string{"X-Admin-Key", ""}
	for _, q := range []refused{
		// the order of checks: path, method, key, role, content type, JSON, fields
		{"GET", "/no/such/path", "", 404, "Not found", nil},
		{"GET", "/keys/", "", 404, "Not found", nil},
		{"GET", "/KEYS", "", 404, "Not found", nil},
		{"PUT", "/keys", "{", 405, "Method not allowed: use GET or POST", none},
		{"POST", "/keys", "{", 401, "Invalid admin key", none},
		{"POST", "/keys", "{", 401, "Invalid admin key", []string{"X-Admin-Key", "wrong", "Content-Type", "text/plain"}},
		{"POST", "/keys", "{", 403, "Insufficient permissions", []string{"X-Admin-Key", viewer.Key, "Content-Type", "text/plain"}},
		{"POST", "/keys", "", 415, "Content-Type must be application/json", []string{"Content-Type", ""}},
		{"POST", "/keys", "{", 415, "Content-Type must be application/json", []string{"Content-Type", "text/plain"}},
		{"POST", "/keys", strings.Repeat(" ", 1<<20+1), 413, "Request body too large", nil},
		{"POST", "/keys", "{", 400, "Invalid JSON", nil},
		{"POST", "/keys", "null", 400, "Invalid JSON", nil},
		{"POST", "/keys", "[]", 400, "Invalid JSON", nil},
		{"POST", "/keys", `{"name":"a","name":"b"}`, 400, "Invalid JSON", nil},
		{"POST", "/keys", "{\"name\":\"\xff\"}", 400, "Invalid JSON", nil},
		{"POST", "/keys", `{} {}`, 400, "Invalid JSON", nil},
		// keys
		{"POST", "/keys", `{"credits":0}`, 400, "Credits must be a positive integer", nil},
		{"POST", "/keys", `{"credits":0.5}`, 400, "Credits must be a positive integer", nil},
		{"POST", "/keys", `{"credits":-3}`, 400, "Credits must be a positive integer", nil},
		{"POST", "/keys", `{"credits":"many"}`, 400, "Credits must be a positive integer", nil},
		{"POST", "/keys", `{"expiresAt":"soon"}`, 400, "expiresAt must be a valid ISO 8601 date", nil},
		{"POST", "/keys", `{"template":"gold"}`, 400, "template", nil},
		{"POST", "/keys", `{"name":7}`, 400, "name: must be text", nil},
		{"POST", "/keys", `{"ipAllowlist":["10.0.0.0/99"]}`, 400, "10.0.0.0/99", nil},
		{"GET", "/keys?sortBy=color", "", 400, "Invalid sortBy field", nil},
		{"GET", "/keys?sortBy=name&order=random", "", 400, "Invalid order", nil},
		{"POST", "/keys/search", `{}`, 400, "Missing or invalid tags object", nil},
		{"POST", "/keys/search", `{"tags":[]}`, 400, "Missing or invalid tags object", nil},
		{"POST", "/keys/revoke", `{}`, 400, "Missing key", nil},
		{"POST", "/keys/revoke", `{"key":"pg_nobody"}`, 404, "Key not found", nil},
		{"POST", "/keys/suspend", `{"key":"DEAD"}`, 400, "revoked", nil},
		{"POST", "/keys/suspend", `{"key":"SLEPT"}`, 400, "Key is already suspended", nil},
		{"POST", "/keys/resume", `{"key":"LIVE"}`, 400, "not suspended", nil},
		{"POST", "/keys/resume", `{"key":"DEAD"}`, 400, "revoked", nil},
		{"POST", "/keys/rotate", `{"key":"DEAD"}`, 404, "Key not found or inactive", nil},
		{"POST", "/keys/acl", `{"key":"OLD","allowedTools":[]}`, 404, "Key not found or inactive", nil},
		{"POST", "/keys/acl", `{"key":"LIVE","allowedTools":"echo"}`, 400, "allowedTools", nil},
		{"POST", "/keys/expiry", `{"key":"LIVE","expiresAt":"whenever"}`, 400, "expiresAt must be a valid ISO 8601 date", nil},
		{"POST", "/keys/quota", `{"key":"DEAD"}`, 404, "Key not found", nil},
		{"POST", "/keys/tags", `{"key":"LIVE"}`, 400, "Missing or invalid tags object", nil},
		{"POST", "/keys/tags", `{"key":"LIVE","tags":3}`, 400, "tags", nil},
		{"POST", "/keys/ip", `{"key":"LIVE"}`, 400, "Missing or invalid ips array", nil},
		{"POST", "/keys/ip", `{"key":"LIVE","ips":["home"]}`, 400, "home", nil},
		{"POST", "/keys/alias", `{"key":"LIVE"}`, 400, "alias", nil},
		{"POST", "/keys/alias", `{"key":"LIVE","alias":"no spaces"}`, 400, "Alias", nil},
		{"POST", "/keys/alias", `{"key":"POOR","alias":"taken"}`, 400, "taken", nil},
		{"POST", "/limits", `{"key":"DEAD","spendingLimit":1}`, 404, "Key not found", nil},
		{"POST", "/limits", `{"key":"LIVE","spendingLimit":"x"}`, 400, "spendingLimit", nil},
		{"GET", "/keys/notes", "", 400, "Missing key", nil},
		{"POST", "/keys/notes", `{"key":"LIVE","text":"  "}`, 400, "text", nil},
		{"POST", "/keys/notes", `{"key":"LIVE","text":"` + strings.Repeat("x", 1001) + `"}`, 400, "1000", nil},
		{"DELETE", "/keys/notes?key=LIVE&index=0", "", 400, "Invalid index", nil},
		{"DELETE", "/keys/notes?key=LIVE&index=x", "", 400, "Invalid index", nil},
		{"GET", "/keys/usage", "", 400, "Missing key", nil},
		{"GET", "/keys/usage?key=pg_nobody", "", 404, "Key not found", nil},
		{"GET", "/keys/usage?key=LIVE&since=then", "", 400, "since", nil},
		{"GET", "/keys/credit-history?key=pg_nobody", "", 404, "Key not found", nil},
		{"GET", "/keys/rate-limit-status", "", 400, "Missing key", nil},
		{"GET", "/keys/quota-status?key=pg_nobody", "", 404, "Key not found", nil},
		// credits
		{"POST", "/topup", `{}`, 400, "Missing key or credits", nil},
		{"POST", "/topup", `{"key":"LIVE"}`, 400, "Missing key or credits", nil},
		{"POST", "/topup", `{"key":"LIVE","credits":-1}`, 400, "Credits must be a positive integer", nil},
		{"POST", "/topup", `{"key":"LIVE","credits":"x"}`, 400, "Credits must be a positive integer", nil},
		{"POST", "/topup", `{"key":"DEAD","credits":1}`, 404, "Key not found or inactive", nil},
		{"POST", "/topup", `{"key":"OLD","credits":1}`, 404, "Key not found or inactive", nil},
		{"POST", "/keys/transfer", `{"to":"LIVE","credits":1}`, 400, "from", nil},
		{"POST", "/keys/transfer", `{"from":"LIVE","to":"LIVE","credits":1}`, 400, "Cannot transfer credits to the same key", nil},
		{"POST", "/keys/transfer", `{"from":"LIVE","to":"taken","credits":1}`, 400, "Cannot transfer credits to the same key", nil},
		{"POST", "/keys/transfer", `{"from":"LIVE","to":"POOR"}`, 400, "Credits must be a positive integer", nil},
		{"POST", "/keys/transfer", `{"from":"DEAD","to":"POOR","credits":1}`, 404, "Source key not found", nil},
		{"POST", "/keys/transfer", `{"from":"POOR","to":"LIVE","credits":2}`, 400, "Insufficient credits: source has 1", nil},
		{"POST", "/keys/transfer", `{"from":"POOR","to":"DEAD","credits":2000}`, 400, "Insufficient credits: source has 1", nil},
		{"POST", "/keys/transfer", `{"from":"POOR","to":"DEAD","credits":1}`, 404, "Destination key not found", nil},
		{"POST", "/keys/reserve", `{"credits":1}`, 400, "Missing key", nil},
		{"POST", "/keys/reserve", `{"key":"LIVE"}`, 400, "Credits must be a positive integer", nil},
		{"POST", "/keys/reserve", `{"key":"LIVE","credits":"5"}`, 400, "Credits must be a positive integer", nil},
		{"POST", "/keys/reserve", `{"key":"pg_nobody","credits":1}`, 404, "Key not found", nil},
		{"POST", "/keys/reserve", `{"key":"DEAD","credits":1}`, 400, "revoked", nil},
		{"POST", "/keys/reserve", `{"key":"SLEPT","credits":1}`, 400, "suspended", nil},
		{"POST", "/keys/reserve", `{"key":"POOR","credits":2}`, 400, "Insufficient available credits", nil},
		{"POST", "/keys/reserve/commit", `{}`, 400, "Missing reservationId", nil},
		{"POST", "/keys/reserve/commit", `{"reservationId":"rsv_1"}`, 404, "Reservation not found (may have expired)", nil},
		{"POST", "/keys/reserve/release", `{"reservationId":"rsv_1"}`, 404, "Reservation not found (may have expired)", nil},
		{"POST", "/topup", `{"key":"LIVE","credits":1}`, 400, "Idempotency-Key", []string{"Idempotency-Key", strings.Repeat("x", 256)}},
		{"GET", "/balance", "", 401, "Missing X-API-Key header", none},
		{"GET", "/balance", "", 404, "Invalid or inactive API key", []string{"X-API-Key", "pg_nobody"}},
		{"GET", "/balance", "", 404, "Invalid or inactive API key", []string{"X-API-Key", dead.Key}},
		{"GET", "/balance", "", 404, "Invalid or inactive API key", []string{"X-API-Key", old.Key}},
		{"GET", "/balance/history?since=x", "", 400, "since", []string{"X-API-Key", live.Key}},
		// reports and operation
		{"POST", "/requests/dry-run", `{"tool":"echo"}`, 400, "Missing key", nil},
		{"POST", "/requests/dry-run", `{"key":"LIVE"}`, 400, "Missing tool", nil},
		{"POST", "/requests/dry-run/batch", `{"key":"LIVE"}`, 400, "tools must be a list of 1 to 100", nil},
		{"POST", "/requests/dry-run/batch", `{"key":"LIVE","tools":[{"name":"echo"},{}]}`, 400, "tools[1] missing", nil},
		{"GET", "/tools/available", "", 400, "Missing key", nil},
		{"GET", "/admin/events", "", 400, "text/event-stream", nil},
		{"GET", "/admin/calls?filter=~", "", 400, "filter", nil},
		{"GET", "/admin/calls/req_none", "", 404, "req_none", nil},
		{"GET", "/admin/ledger?key=nobody", "", 404, "Key not found", nil},
		{"POST", "/maintenance", `{"enabled":"yes"}`, 400, "enabled must be true or false", nil},
		{"POST", "/maintenance", `{}`, 400, "enabled must be true or false", nil},
		{"POST", "/maintenance", `{"enabled":true}`, 403, "Insufficient permissions", asViewer},
		{"POST", "/config/reload", `{}`, 403, "Insufficient permissions", asViewer},
		{"POST", "/admin/mode", `{"mode":"dark"}`, 400, `mode must be "live" or "shadow"`, nil},
		{"POST", "/admin/prices", `{"changes":[]}`, 400, "changes", nil},
		{"POST", "/admin/prices", `{"changes":[{"tool":"x","perCall":-1}]}`, 400, "changes[0]", nil},
		{"POST", "/admin/prices", `{"base":"old","changes":[{"tool":"x","perCall":1}]}`, 409, "Other prices", nil},
		{"POST", "/admin/servers/restart", `{"prefix":"none"}`, 404, "none", nil},
		{"POST", "/admin/restore", `{}`, 400, `Missing "snapshot" object`, nil},
		{"POST", "/admin/restore", `{"snapshot":{"version":"9"}}`, 400, "Invalid snapshot", nil},
		{"POST", "/admin/restore", `{"snapshot":{"version":"1.0","checksum":"x","data":{}}}`, 400, "Invalid snapshot", nil},
		{"GET", "/admin/keys", "", 403, "Insufficient permissions", asViewer},
		{"POST", "/admin/keys", `{}`, 400, "name", nil},
		{"POST", "/admin/keys", `{"name":"x","role":"root"}`, 400, "Invalid role", nil},
		{"POST", "/admin/keys/revoke", `{"key":"nobody"}`, 400, "not found", nil},
		{"POST", "/admin/keys/revoke", `{"key":"ADMIN"}`, 400, "Cannot revoke your own admin key", nil},
	} {
		q.path, q.body = text.Replace(q.path), text.Replace(q.body)
		status, header, body := g.ask(q)
		var told struct{ Error, RequestID, RequiredRole, CurrentRole string }
		if err := json.Unmarshal(body, &told); err != nil {
			t.Errorf("%s %s %.80s: %v: %.200s", q.method, q.path, q.body, err, body)
			continue
		}
		if status != q.status || !strings.Contains(told.Error, q.says) {
			t.Errorf("%s %s %.80s: HTTP %d %q, want %d and %q", q.method, q.path, q.body, status, told.Error, q.status, q.says)
		}
		if told.RequestID == "" || told.RequestID != header.Get("X-Request-Id") {
			t.Errorf("%s %s %.80s: requestId %q, X-Request-Id %q", q.method, q.path, q.body, told.RequestID, header.Get("X-Request-Id"))
		}
		if status == http.StatusForbidden && (told.CurrentRole != "viewer" || told.RequiredRole == "") {
			t.Errorf("%s %s: a refusal to a viewer that says %s", q.method, q.path, body)
		}
		if status == http.StatusMethodNotAllowed && header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", q.method, q.path)
		}
	}
	g.prove() // and nothing of it moved anything
}
