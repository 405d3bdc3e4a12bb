package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
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

func TestACanaryChargesSomeKeysAndCanBeTakenBackExactly(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	keys := make([]key, 20)
	for i := range keys {
		keys[i] = g.key(map[string]any{"name": fmt.Sprint("agent ", i)})
	}
	g.candidate("five", "defaults: {per_call: 5}")
	g.call(keys[0].Key, "echo", nil)
	var made struct {
		ConcernedKeys, KeptKeys int
		Waived                  []string
	}
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "five", "canary": 40, "override": []string{"all"}}, &made, http.StatusOK)
	if made.ConcernedKeys == 0 || made.KeptKeys == 0 || made.ConcernedKeys+made.KeptKeys != len(keys) || len(made.Waived) == 0 {
		t.Errorf("%+v", made)
	}
	dear := map[string]bool{}
	for _, k := range keys {
		switch got := g.cost(k); got {
		case 5:
			dear[k.ID] = true
		case 2:
		default:
			t.Errorf("a call costs %d", got)
		}
	}
	for _, k := range keys {
		if want := map[bool]int{true: 5, false: 2}[dear[k.ID]]; g.told(k, "echo") != want {
			t.Errorf("a key that pays %d is told %d", want, g.told(k, "echo"))
		}
	}
	if len(dear) != made.ConcernedKeys {
		t.Errorf("%d keys pay the new price, %d were announced", len(dear), made.ConcernedKeys)
	}
	g.restart()
	for _, k := range keys {
		if got := g.cost(k); (got == 5) != dear[k.ID] {
			t.Errorf("after a kill a key pays %d", got)
		}
	}
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "five"}, nil, http.StatusOK) // for all
	for _, k := range keys {
		if got := g.cost(k); got != 5 {
			t.Errorf("live, a call costs %d", got)
		}
	}
	g.takeBack(keys, int64(3*(2*len(dear)+len(keys))))
	if got := g.cost(keys[0]); got != 2 {
		t.Errorf("taken back, a call costs %d", got)
	}
	var r report
	g.do("GET", "/admin/shadow/report?name=five", nil, &r, http.StatusOK)
	if r.SelfDifference != 0 || r.Coverage != 1 {
		t.Errorf("two sheets at once, lived through again: %+v", r)
	}
	g.prove()
}

// told is the price of a tool as tools/list tells it to a key.
func (g *gateway) told(k key, tool string) int {
	g.t.Helper()
	var list struct {
		Tools []struct {
			Name    string
			Pricing struct{ CreditsPerCall int } `json:"_pricing"`
		}
	}
	if err := json.Unmarshal(g.rpc(k.Key, "tools/list", map[string]any{}).Result, &list); err != nil {
		g.t.Fatal(err)
	}
	for _, t := range list.Tools {
		if t.Name == tool {
			return t.Pricing.CreditsPerCall
		}
	}
	return -1
}

// takeBack rolls back with refunds, which are what was foretold and leave every
// key as if the old price had always been.
func (g *gateway) takeBack(keys []key, want int64) {
	g.t.Helper()
	before := map[string]int64{}
	for _, k := range keys {
		before[k.ID] = g.account(k).Credits
	}
	var foretold, done struct {
		Total int64
		Keys  []struct {
			ID      string
			Credits int64
			Calls   int
		}
	}
	g.do("GET", "/admin/shadow/rollback?makeGood=1", nil, &foretold, http.StatusOK)
	g.do("POST", "/admin/shadow/rollback", map[string]any{"makeGood": true}, &done, http.StatusOK)
	if foretold.Total != want || done.Total != want || len(done.Keys) != len(foretold.Keys) {
		g.t.Errorf("foretold %d, done %d, want %d", foretold.Total, done.Total, want)
	}
	for _, k := range done.Keys {
		before[k.ID] += k.Credits
	}
	for _, k := range keys {
		if got := g.account(k).Credits; got != before[k.ID] {
			g.t.Errorf("key %s has %d, want %d", k.ID, got, before[k.ID])
		}
	}
}

func TestACanaryThatDoesHarmIsTakenBackByItself(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"toolTimeoutMs": 100})
	keys := make([]key, 8)
	for i := range keys {
		keys[i] = g.key(map[string]any{"credits": 10000})
	}
	g.candidate("five", "defaults: {per_call: 5}")
	g.call(keys[0].Key, "echo", nil)
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "five", "canary": 50, "override": []string{"all"}}, nil, http.StatusOK)
	pays := map[string]bool{}
	for _, k := range keys {
		pays[k.ID] = g.cost(k) == 5
	}
	var work sync.WaitGroup
	for _, k := range keys {
		work.Go(func() {
			for range 15 {
				ms := 0
				if pays[k.ID] {
					ms = 1000 // longer than it may take
				}
				g.call(k.Key, "sleep", map[string]any{"ms": ms})
			}
		})
	}
	work.Wait()
	g.until("rolled back", func() bool { return g.state("five") == "rolled_back" })
	for _, k := range keys {
		if got := g.cost(k); got != 2 {
			t.Errorf("a call costs %d", got)
		}
	}
	var audit struct {
		Entries []struct {
			Type, Actor string
			Metadata    json.RawMessage
		}
		Events []struct{ Type, Actor string }
	}
	g.do("GET", "/audit?type=shadow.rolled_back", nil, &audit, http.StatusOK)
	if text := fmt.Sprintf("%+v", audit); !strings.Contains(text, "system") {
		t.Errorf("the audit trail says %s", text)
	}
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

func TestWhatACanaryTakesADayIsBounded(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	g.candidate("five", "defaults: {per_call: 5}")
	keys := make([]key, 6)
	for i := range keys {
		keys[i] = g.key(nil)
	}
	g.call(keys[0].Key, "echo", nil)
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "five", "canary": 90, "maxPerDay": 12, "override": []string{"all"}}, nil, http.StatusOK)
	for _, k := range keys[1:] {
		if g.told(k, "echo") != 5 {
			continue
		}
		g.bounded(k.Key, []string{"", "", "daily_credit_quota_exceeded"})
		g.restart()
		g.bounded(k.Key, []string{"daily_credit_quota_exceeded"})
		g.do("POST", "/admin/shadow/promote", map[string]any{"name": "five"}, nil, http.StatusOK)
		g.bounded(k.Key, []string{""}) // live for all: the bound was the canary's
		g.prove()
		return
	}
	t.Fatal("nine in ten keys pay, and none of five does")
}
