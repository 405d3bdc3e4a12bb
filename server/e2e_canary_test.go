package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

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
	keys := make([]key, 24) // a hash puts them on one side or the other: two on each are enough to compare
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

// Credits that come while a key is in the canary, by hand or by its plan, change
// neither what goes back to it nor what the guard of top-ups sees.
func TestCreditsThatComeDuringACanaryDoNotConfuseIt(t *testing.T) {
	t.Parallel()
	g := start(t, map[string]any{"adminRateLimit": 0})
	const plan = "plans: {auto: {auto_topup: {below: 5, add: 10, max: 2/day}}}"
	g.candidate("two", "defaults: {per_call: 2}\n"+plan) // live
	g.call(g.key(nil).Key, "echo", nil)
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "two", "override": []string{"all"}}, nil, http.StatusOK)
	keys, given := make([]key, 40), map[string]int64{}
	for i := range keys {
		keys[i] = g.key(map[string]any{"plan": "auto", "credits": 10})
		given[keys[i].ID] = 10
	}
	g.candidate("five", "defaults: {per_call: 5}\n"+plan)
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "five", "canary": 50, "override": []string{"all"}}, nil, http.StatusOK)
	calls, dear, dry := map[string]int64{}, map[string]bool{}, 0
	for i, k := range keys {
		dear[k.ID] = g.told(k, "echo") == 5
		if i%4 == 0 {
			g.do("POST", "/topup", map[string]any{"key": k.ID, "credits": 50}, nil, http.StatusOK)
			given[k.ID] += 50
		}
	}
	if g.state("five") != "canary" {
		t.Fatal("it is taken back though nothing has happened")
	}
	for range 8 {
		for _, k := range keys {
			switch a := g.call(k.Key, "echo", nil); a.reason() {
			case "":
				calls[k.ID]++
			case "insufficient_credits":
				dry++
			default:
				t.Fatalf("%+v", a)
			}
		}
	}
	g.until("the keys whose top-ups are used up are seen", func() bool { return g.state("five") == "rolled_back" })
	if text := g.page("/audit?types=shadow.rolled_back", "X-Admin-Key", adminKey); dry == 0 || !strings.Contains(text, "topUpFailures is 0.") {
		t.Errorf("%d refusals; why: %s", dry, text)
	}
	var trail struct {
		Events []struct {
			Metadata struct{ KeyMasked string }
		}
	}
	g.do("GET", "/audit?types=key.auto_topup&limit=200", nil, &trail, http.StatusOK)
	topped := int64(10 * len(trail.Events))
	want, before := int64(0), int64(0)
	for _, k := range keys { // calls that came after the canary had ended cost as before
		a := g.account(k)
		more := a.Spent - 2*calls[k.ID]
		if before, want = before+a.Credits, want+more; more%3 != 0 || more > 3*calls[k.ID] || more > 0 != (dear[k.ID] && calls[k.ID] > 0) {
			t.Errorf("a key of the canary (%v) has spent %d in %d calls", dear[k.ID], a.Spent, calls[k.ID])
		}
	}
	g.takeBack(keys, want)
	have, spent, issued := int64(0), int64(0), topped
	for _, k := range keys {
		a := g.account(k)
		have, spent, issued = have+a.Credits, spent+a.Spent, issued+given[k.ID]
		if a.Spent != 2*calls[k.ID] {
			t.Errorf("after the make-good a key has spent %d in %d calls", a.Spent, calls[k.ID])
		}
	}
	if have+spent != issued || have != before+want {
		t.Errorf("%d with keys, %d spent, %d issued; %d before, %d given back", have, spent, issued, before, want)
	}
	g.prove()
}
