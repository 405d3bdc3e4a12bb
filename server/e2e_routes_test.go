package server_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"paygate/testdata/fake"
)

var update = flag.Bool("update", false, "write the golden list of routes anew")

// route is an operation as the gateway's own document tells it.
type route struct{ method, path, role string }

func (r route) String() string { return r.method + " " + r.path + " " + r.role }

// routes reads what the gateway says it serves.
func (g *gateway) routes() []route {
	g.t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			Description string
			Security    []map[string][]string
		}
	}
	g.do("GET", "/openapi.json", nil, &doc, http.StatusOK)
	var out []route
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			op := doc.Paths[path][method]
			r := route{strings.ToUpper(method), path, "public"}
			for _, security := range op.Security {
				if _, ok := security["key"]; ok {
					r.role = "key"
				}
			}
			if rest, ok := strings.CutPrefix(op.Description, "Needs the role "); ok {
				r.role = strings.TrimSuffix(rest, ".")
			}
			out = append(out, r)
		}
	}
	return out
}

// knock asks for a route with one credential and tells how it was received. It
// reads no more of a good answer than its status: some are streams.
func (g *gateway) knock(r route, header, secret string) (status int, problem string) {
	g.t.Helper()
	url := g.url + strings.ReplaceAll(r.path, "{id}", "none")
	req, err := http.NewRequestWithContext(g.t.Context(), r.method, url, strings.NewReader("{}"))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if secret != "" {
		req.Header.Set(header, secret)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode < http.StatusBadRequest {
		return res.StatusCode, ""
	}
	var told struct{ Error, RequestID string }
	if err := json.NewDecoder(res.Body).Decode(&told); err != nil || told.Error == "" || told.RequestID == "" {
		problem = fmt.Sprintf("an error without {error, requestId}: %v", err)
	}
	return res.StatusCode, problem
}

// refusal is what the front must answer to a caller of a role: 0 lets it in.
func refusal(needed, has string) int {
	order := []string{"viewer", "admin", "super_admin"}
	switch {
	case needed == "public", needed == "key" && has == "key":
		return 0
	case needed == "key", has == "", has == "key":
		return http.StatusUnauthorized
	case slices.Index(order, has) < slices.Index(order, needed):
		return http.StatusForbidden
	}
	return 0
}

func TestTheRoutesAndTheirRolesAreTheOnesOnTheList(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	var got strings.Builder
	got.WriteString("# Every operation but /mcp, and who may use it: method, path, role.\n# go test ./server -run TestTheRoutes -update writes it anew.\n")
	for _, r := range g.routes() {
		fmt.Fprintln(&got, r)
	}
	golden := filepath.Join("..", "testdata", "house", "routes.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(got.String()) {
		if !strings.Contains(string(want), line) {
			t.Errorf("served and not on the list: %s", line)
		}
	}
	for line := range strings.Lines(string(want)) {
		if !strings.Contains(got.String(), line) {
			t.Errorf("on the list and not served: %s", line)
		}
	}
}

func TestEveryRouteLetsInWhoItShouldAndNobodyElse(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	g := start(t, map[string]any{"adminRateLimit": 0, "publicRateLimit": 0, "serverCommand": "", "env": "", "isolation": "",
		"servers": []any{map[string]any{"prefix": "a", "serverCommand": self, "env": fake.Env("legacy")}}}) // an empty body names no server
	secrets := map[string]string{"": "", "key": g.key(nil).Key}
	for _, role := range []string{"viewer", "admin", "super_admin"} {
		var made struct{ Key string }
		g.do("POST", "/admin/keys", map[string]any{"name": role, "role": role}, &made, http.StatusCreated)
		secrets[role] = made.Key
	}
	for _, has := range []string{"", "key", "viewer", "admin", "super_admin"} {
		header := "X-Admin-Key"
		if has == "key" {
			header = "X-API-Key"
		}
		for _, r := range g.routes() {
			got, problem := g.knock(r, header, secrets[has])
			want := refusal(r.role, has)
			refused := got == http.StatusUnauthorized || got == http.StatusForbidden
			if problem != "" || got >= http.StatusInternalServerError || refused && got != want || !refused && want != 0 {
				t.Errorf("%s with credentials of %q: HTTP %d, want refusal %d %s", r, has, got, want, problem)
			}
		}
	}
	g.prove() // and empty bodies broke nothing
}
