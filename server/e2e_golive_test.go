package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"paygate/testdata/fake"
)

// candidate keeps a sheet of one price and lets it shadow.
func (g *gateway) candidate(name, sheet string) {
	g.t.Helper()
	g.do("POST", "/admin/shadow", map[string]any{"name": name, "sheet": sheet}, nil, http.StatusCreated)
	g.do("POST", "/admin/shadow/start", map[string]any{"name": name}, nil, http.StatusOK)
}

// cost is what one call takes from a key.
func (g *gateway) cost(k key) int64 {
	g.t.Helper()
	before := g.account(k).Credits
	if a := g.call(k.Key, "echo", nil); a.Error != nil {
		g.t.Fatalf("%+v", a.Error)
	}
	return before - g.account(k).Credits
}

// until waits for something that happens by itself.
func (g *gateway) until(what string, done func() bool) {
	g.t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(end) {
			g.t.Fatalf("it did not happen: %s", what)
		}
	}
}

func (g *gateway) state(name string) string {
	g.t.Helper()
	var out struct{ Experiments []struct{ State string } }
	g.do("GET", "/admin/shadow?name="+name, nil, &out, http.StatusOK)
	return out.Experiments[0].State
}

// forecast is what is said of prices that are coming.
type forecast struct {
	Sheet       string
	EffectiveAt time.Time
	Tools       []struct {
		Name           string
		CreditsPerCall int
	}
}

func TestPricesGoLiveAtTheirTimeAndAreAnnouncedUntilThen(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(nil)
	g.candidate("five", "defaults: {per_call: 5}")
	at := time.Now().Add(2500 * time.Millisecond).UTC()
	promote := map[string]any{"name": "five", "at": at.Format(time.RFC3339Nano)}
	g.do("POST", "/admin/shadow/promote", promote, nil, http.StatusConflict) // few calls: not without anybody there
	promote["override"] = []string{"all"}
	g.do("POST", "/admin/shadow/promote", promote, nil, http.StatusOK)
	g.do("POST", "/admin/shadow/promote", promote, nil, http.StatusConflict)
	if got := g.cost(k); got != 2 {
		t.Errorf("before its time a call costs %d, want 2", got)
	}
	var public struct{ Next *forecast }
	g.do("GET", "/pricing", nil, &public, http.StatusOK)
	if n := public.Next; n == nil || n.EffectiveAt.Sub(at).Abs() > time.Millisecond || len(n.Tools) == 0 || n.Tools[0].CreditsPerCall != 5 {
		t.Errorf("/pricing says %+v", public.Next)
	}
	var payment struct{ NextPrices *forecast }
	g.do("GET", "/.well-known/mcp-payment", nil, &payment, http.StatusOK)
	if payment.NextPrices == nil {
		t.Error("/.well-known/mcp-payment does not announce")
	}
	var listed struct {
		Meta struct {
			Paygate struct{ NextPrices *forecast }
		} `json:"_meta"`
	}
	if err := json.Unmarshal(g.rpc(k.Key, "tools/list", map[string]any{}).Result, &listed); err != nil || listed.Meta.Paygate.NextPrices == nil {
		t.Errorf("tools/list does not announce: %v", err)
	}
	g.kill()
	<-time.After(time.Until(at))
	g.run() // it was down at the time
	if got := g.cost(k); got != 5 {
		t.Errorf("after its time a call costs %d, want 5", got)
	}
	if got := g.state("five"); got != "live" {
		t.Errorf("it is %s", got)
	}
	g.prove()
}

func TestKeysThatWereThereKeepTheirPrices(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	old := g.key(map[string]any{"credits": 10000})
	g.candidate("five", "defaults: {per_call: 5}")
	g.call(old.Key, "echo", nil)
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "five", "keep": "whoever", "override": []string{"all"}}, nil, http.StatusBadRequest)
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "five", "keep": "existing", "override": []string{"all"}}, nil, http.StatusOK)
	young := g.key(map[string]any{"credits": 10000})
	if a, b := g.cost(old), g.cost(young); a != 2 || b != 5 {
		t.Errorf("the old key pays %d, the new one %d", a, b)
	}
	g.candidate("nine", "defaults: {per_call: 9}")
	g.call(young.Key, "echo", nil)
	g.restart()
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "nine", "keep": "until:" + time.Now().Add(2*time.Second).UTC().Format(time.RFC3339Nano), "override": []string{"all"}}, nil, http.StatusOK)
	if a, b, c := g.cost(old), g.cost(young), g.cost(g.key(nil)); a != 2 || b != 5 || c != 9 {
		t.Errorf("the keys pay %d, %d and %d", a, b, c)
	}
	g.until("the promise of five ends", func() bool { return g.cost(young) == 9 })
	if got := g.cost(old); got != 2 {
		t.Errorf("an earlier promise ended with a later one: %d", got)
	}
	g.do("POST", "/admin/shadow/rollback", map[string]any{}, nil, http.StatusOK)
	if a, b := g.cost(old), g.cost(young); a != 2 || b != 5 {
		t.Errorf("after the rollback the keys pay %d and %d", a, b)
	}
	g.prove()
}

func TestNoPriceRisesWithinARun(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(nil)
	in := func(run string) int64 {
		t.Helper()
		before := g.account(k).Credits
		if a := g.rpc(k.Key, "tools/call", map[string]any{"name": "echo", "arguments": map[string]any{}}, "X-Run-Id", run); a.Error != nil {
			t.Fatalf("%+v", a.Error)
		}
		return before - g.account(k).Credits
	}
	g.candidate("five", "defaults: {per_call: 5}")
	in("old")
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "five", "override": []string{"all"}}, nil, http.StatusOK)
	if a, b, c := in("old"), in("new"), g.cost(k); a != 2 || b != 5 || c != 5 {
		t.Errorf("the run that was open pays %d, a new one %d, a call without one %d", a, b, c)
	}
	g.restart()
	if a, b := in("old"), in("new"); a != 2 || b != 5 {
		t.Errorf("after a kill the run that was open pays %d, the new one %d", a, b)
	}
	g.do("POST", "/admin/shadow/rollback", map[string]any{}, nil, http.StatusOK)
	if got := in("new"); got != 2 {
		t.Errorf("when prices fall, a run pays %d", got)
	}
	g.prove()
}

// page is an answer's text.
func (g *gateway) page(path string, headers ...string) string {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.url+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

// Between the decision and its time a guardrail went bad: the prices stay, and
// whoever asks is told why, whatever was killed when.
func TestAPromotionThatIsNoLongerWellIsRefusedAtItsTime(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	rich := g.key(nil)
	g.candidate("three", "defaults: {per_call: 3}")
	g.call(rich.Key, "echo", nil)
	var seen struct{ Failing []struct{ Name string } }
	at := time.Now().Add(1500 * time.Millisecond).UTC()
	g.do("GET", "/admin/shadow/promote?name=three&at="+at.Format(time.RFC3339Nano), nil, &seen, http.StatusOK)
	var names []string
	for _, f := range seen.Failing {
		names = append(names, f.Name)
	}
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "three", "at": at.Format(time.RFC3339Nano), "override": names}, nil, http.StatusOK)
	poor := g.key(map[string]any{"credits": 8})
	for range 4 {
		if a := g.call(poor.Key, "echo", nil); a.Error != nil {
			t.Fatalf("%+v", a.Error)
		}
	}
	g.kill()
	<-time.After(time.Until(at))
	g.run()
	for range 2 {
		var out struct {
			Experiments []struct {
				State   string
				Refused *struct{ Why string }
			}
		}
		g.do("GET", "/admin/shadow?name=three", nil, &out, http.StatusOK)
		if e := out.Experiments[0]; e.State != "reviewed" || e.Refused == nil || !strings.Contains(e.Refused.Why, "newlyDeniedAttempts is 0.") {
			t.Fatalf("%+v %+v", e, e.Refused)
		}
		if got := g.cost(rich); got != 2 {
			t.Errorf("a call costs %d, want 2", got)
		}
		g.restart()
	}
	if text := g.page("/audit?types=shadow.refused", "X-Admin-Key", adminKey); strings.Count(text, `"type":"shadow.refused"`) != 1 || !strings.Contains(text, "newlyDeniedAttempts") {
		t.Errorf("the audit trail: %s", text)
	}
	if text := g.page("/pricing"); strings.Contains(text, `"next":{`) {
		t.Errorf("still announced: %s", text)
	}
	if out, code := g.command("shadow", "status", "--url", g.url, "--admin-key", adminKey); code != 0 || !strings.Contains(out, "three did not go live at") {
		t.Errorf("exit %d: %s", code, out)
	}
	g.prove()
}

func TestAgentsSeeNothingOfCandidatesAndOfSchedulesInShadowMode(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"shadowMode": true})
	k := g.key(nil)
	list := func() string { return string(g.rpc(k.Key, "tools/list", map[string]any{}).Result) }
	prices, tools := g.page("/pricing"), list()
	g.candidate("secret", "defaults: {per_call: 77}")
	g.call(k.Key, "echo", nil)
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "secret", "at": time.Now().Add(time.Hour).Format(time.RFC3339), "override": []string{"all"}}, nil, http.StatusOK)
	if now := g.page("/pricing"); now != prices {
		t.Errorf("/pricing changed to %s", now)
	}
	if now := list(); now != tools {
		t.Errorf("tools/list changed to %s", now)
	}
	if text := g.page("/metrics"); strings.Contains(text, "secret") || !strings.Contains(text, "paygate_uptime_seconds") {
		t.Errorf("metrics without a key:\n%s", text)
	}
	g.do("GET", "/admin/shadow", nil, nil, http.StatusOK) // it has caught up
	for _, header := range [][]string{{"X-Admin-Key", adminKey}, {"Authorization", "Bearer " + adminKey}} {
		if text := g.page("/metrics", header...); !strings.Contains(text, `paygate_shadow_collectable_credits{experiment="secret",sheet="candidate",state="scheduled"} 77`) {
			t.Errorf("metrics for an admin:\n%s", text)
		}
	}
	g.configure(config(t, map[string]any{"shadowMode": true, "announcePrices": true}))
	g.do("POST", "/config/reload", map[string]any{}, nil, http.StatusOK)
	if text := g.page("/pricing"); !strings.Contains(text, `"next":`) {
		t.Errorf("announced prices, and nothing of the next ones: %s", text)
	}
}

func TestWhatIsCachedDoesNotOutliveItsPrices(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"env": fake.Env("modern,features")})
	k := g.key(nil)
	ttl := func() int {
		t.Helper()
		var list struct {
			TTLMs      *int
			CacheScope string
		}
		if err := json.Unmarshal(g.modern(k.Key, "tools/list", "", nil).Result, &list); err != nil || list.TTLMs == nil || list.CacheScope != "private" {
			t.Fatalf("a list that is each key's own: %+v %v", list, err)
		}
		return *list.TTLMs
	}
	before := ttl()
	g.candidate("five", "defaults: {per_call: 5}")
	g.call(k.Key, "echo", nil)
	left := 900 * time.Millisecond
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "five", "at": time.Now().Add(left).Format(time.RFC3339Nano), "override": []string{"all"}}, nil, http.StatusOK)
	if now := ttl(); before <= 900 || now > 900 {
		t.Errorf("a list may be cached for %d ms, and %d ms before its prices change", before, now)
	}
}

func TestACallThatWaitsPaysThePriceItBeganWith(t *testing.T) {
	t.Parallel()
	g := before(t, "modern", "http", nil)
	k := g.key(nil)
	g.candidate("five", "defaults: {per_call: 5}")
	g.call(k.Key, "echo", nil)
	c := g.connect(t, newestRevision, k.Key)
	next := c.waiting("ask")
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "five", "override": []string{"all"}}, nil, http.StatusOK)
	g.restart()
	spent := g.account(k).Spent
	if a := c.round(t.Context(), "tools/call", next, nil); a.Error != nil {
		t.Fatalf("the second round: %+v", a.Error)
	}
	if got := g.account(k); got.Spent-spent != 2 || got.Held != 0 {
		t.Errorf("a call that began at 2 and ended when a call costs 5: %+v", got)
	}
	if got := g.cost(k); got != 5 {
		t.Errorf("the next call costs %d", got)
	}
	g.prove()
}
