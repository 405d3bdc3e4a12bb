package server_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// report is as much of a shadow report as clients may lean on.
type report struct {
	Attempts       int
	Coverage       float64
	SelfDifference int
	Exact          struct {
		Live, Candidate struct{ Potential, Collectable, Admitted, Denied int }
		Change          struct{ Total, Rate, AccessWon, AccessLost, Refunds int }
		NewlyDenied     struct {
			Attempts, Keys int
			ByReason       map[string]int
		}
	}
}

func TestTheLabSaysWhatOtherPricesWouldHaveMeant(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"shadowMode": true})
	keys := make([]key, 5)
	for i := range keys {
		keys[i] = g.key(map[string]any{"credits": 20})
	}
	g.do("POST", "/admin/shadow", map[string]any{"name": "five", "sheet": "defaults: {per_call: 5}"}, nil, http.StatusCreated)
	g.do("POST", "/admin/shadow", map[string]any{"name": "bad", "sheet": "defalts: {}"}, nil, http.StatusBadRequest)
	g.do("POST", "/admin/shadow/start", map[string]any{"name": "five"}, nil, http.StatusOK)
	for range 4 {
		for _, k := range keys {
			g.call(k.Key, "echo", nil)
		}
	}
	g.restart() // the lab lives through the journal again
	for range 4 {
		for _, k := range keys {
			g.call(k.Key, "echo", nil)
		}
	}
	var r report
	g.do("GET", "/admin/shadow/report?name=five", nil, &r, http.StatusOK)
	e := r.Exact
	if r.Attempts != 40 || r.Coverage != 1 || r.SelfDifference != 0 || e.Live.Collectable != 80 || e.Candidate.Potential != 200 || e.Candidate.Collectable != 100 ||
		e.Change.Total != 20 || e.Change.Rate != 60 || e.Change.AccessLost != -40 || e.NewlyDenied.Attempts != 20 || e.NewlyDenied.Keys != 5 || e.NewlyDenied.ByReason["insufficient_credits"] != 20 {
		t.Errorf("%+v", r)
	}
	for _, k := range keys {
		if got := g.account(k); got.Credits != 20 || got.Spent != 0 {
			t.Errorf("a shadow moved credits: %+v", got)
		}
	}
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "five"}, nil, http.StatusConflict)
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "five", "override": []string{"all"}}, nil, http.StatusOK)
	g.do("POST", "/admin/mode", map[string]any{"mode": "live"}, nil, http.StatusOK)
	g.call(keys[0].Key, "echo", nil)
	if got := g.account(keys[0]).Credits; got != 15 {
		t.Errorf("under the promoted price: %d credits left, want 15", got)
	}
	g.do("POST", "/admin/shadow/rollback", map[string]any{"makeGood": true}, nil, http.StatusOK)
	if got := g.account(keys[0]).Credits; got != 18 {
		t.Errorf("after the rollback: %d credits, want 18: what 5 took more than 2 is back", got)
	}
	g.prove()
}

// sheets is as much of the lab's columns as the test reads.
type sheets struct {
	Sheets []struct {
		Name, State string
		Tools       map[string]struct {
			PerCall  string `json:"per_call"`
			PerKBOut string `json:"per_kb_out"`
		}
	}
}

func TestCandidatesAreListedToolByToolBesideTheLivePrices(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	half := map[string]any{"name": "half", "sheet": "defaults: {per_call: 2.5}"}
	g.do("POST", "/admin/shadow", half, nil, http.StatusCreated)
	half["name"] = "live"
	g.do("POST", "/admin/shadow", half, nil, http.StatusBadRequest)
	g.restart()
	var s sheets
	g.do("GET", "/admin/shadow/sheets", nil, &s, http.StatusOK)
	if len(s.Sheets) != 2 || s.Sheets[0].Name != "live" || s.Sheets[0].Tools["echo"].PerCall != "2" || s.Sheets[1].Name != "half" || s.Sheets[1].State != "validated" || s.Sheets[1].Tools["echo"].PerCall != "2.5" {
		t.Errorf("%+v", s)
	}
}

// What somebody sees who turns a price: sums at once, exact figures after.
func TestAStagedPriceIsSummedAndReplayed(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(map[string]any{"credits": 40})
	for range 5 {
		g.call(k.Key, "echo", nil)
	}
	staged := map[string]any{"name": "live", "set": map[string]any{"echo": map[string]any{"per_call": 9}}}
	var sums struct {
		Calls   int
		Exact   bool
		Credits []int
		Tools   []struct {
			Tool    string
			Calls   int
			Credits []int
		}
	}
	g.do("POST", "/admin/shadow/sums", map[string]any{"sheets": []any{map[string]any{"name": ""}, staged}}, &sums, http.StatusOK)
	if sums.Calls != 5 || sums.Exact || sums.Credits[0] != 10 || sums.Credits[1] != 45 || sums.Tools[0].Tool != "echo" || sums.Tools[0].Credits[1] != 45 {
		t.Errorf("%+v", sums)
	}
	var replay struct{ Reports []report }
	staged["id"] = "r1"
	g.do("POST", "/admin/shadow/replay", staged, &replay, http.StatusOK)
	if e := replay.Reports[0].Exact; e.Candidate.Potential != 45 || e.Candidate.Collectable != 36 || e.NewlyDenied.Attempts != 1 {
		t.Errorf("%+v", e)
	}
	g.do("DELETE", "/admin/shadow/replay?id=r1", nil, nil, http.StatusNotFound)
	g.do("POST", "/admin/shadow/sums", map[string]any{"sheets": []any{map[string]any{"set": map[string]any{"echo": map[string]any{"per_call": -1}}}}}, nil, http.StatusBadRequest)
}

func TestAPriceFileCanGateAPullRequest(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	sheet := filepath.Join(g.dir, "dear.yaml")
	if err := os.WriteFile(sheet, []byte("name: dear\ndefaults: {per_call: 50}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := g.key(nil)
	for _, args := range [][]string{{"new", "dear", "--sheet", sheet}, {"start", "dear"}} {
		if out, code := g.command(append([]string{"shadow", "--url", g.url, "--admin-key", adminKey}, args...)...); code != 0 {
			t.Fatalf("%v: exit %d\n%s", args, code, out)
		}
	}
	for range 5 {
		g.call(k.Key, "echo", nil)
	}
	out, code := g.command("shadow", "check", "dear", "--url", g.url, "--admin-key", adminKey)
	if code != 3 || !strings.Contains(out, "newlyDeniedAttempts") {
		t.Errorf("exit %d, want 3:\n%s", code, out)
	}
}

// Agents see nothing of candidates: not a byte of an answer or a header differs.
func TestAgentsSeeNothingOfCandidates(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"shadowMode": true})
	k := g.key(map[string]any{"credits": 20})
	before := []string{g.exchange(k.Key, "tools/list", `{}`), g.exchange(k.Key, "tools/call", `{"name":"big","arguments":{"size":100}}`)}
	for _, name := range []string{"dear", "free"} {
		g.do("POST", "/admin/shadow", map[string]any{"name": name, "sheet": "defaults: {per_call: " + map[string]string{"dear": "50", "free": "0"}[name] + "}"}, nil, http.StatusCreated)
		g.do("POST", "/admin/shadow/start", map[string]any{"name": name}, nil, http.StatusOK)
	}
	after := []string{g.exchange(k.Key, "tools/list", `{}`), g.exchange(k.Key, "tools/call", `{"name":"big","arguments":{"size":100}}`)}
	for i := range before {
		if before[i] != after[i] {
			t.Errorf("without candidates\n%s\nwith candidates\n%s", before[i], after[i])
		}
	}
}

// exchange is an answer to an agent as it is on the wire, but for what names
// this one request.
func (g *gateway) exchange(secret, method, params string) string {
	g.t.Helper()
	body := `{"jsonrpc":"2.0","id":7,"method":"` + method + `","params":` + params + `}`
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, g.url+"/mcp", strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("X-API-Key", secret)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	res.Header.Del("Date")
	res.Header.Del("X-Request-Id")
	var headers strings.Builder
	if err := res.Header.Write(&headers); err != nil {
		g.t.Fatal(err)
	}
	return headers.String() + string(answer)
}
