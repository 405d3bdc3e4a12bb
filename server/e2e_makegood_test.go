package server_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// made counts what a test has called at which price, so that it can say for
// itself what a make-good must come to.
type made struct {
	*gateway
	mu   sync.Mutex
	more map[string]int64 // by key: what its calls cost more than at the old prices
	n    map[string]int   // by key: how many did
}

func newMade(t *testing.T, more map[string]any) *made {
	t.Helper()
	settings := map[string]any{"adminRateLimit": 0}
	for k, v := range more {
		settings[k] = v
	}
	return &made{gateway: start(t, settings), more: map[string]int64{}, n: map[string]int{}}
}

// spend calls so often with a key and writes down what it cost more than old.
func (m *made) spend(k key, tool string, times int, old int64) {
	m.t.Helper()
	before := m.account(k)
	for range times {
		if a := m.call(k.Key, tool, nil); a.Error != nil {
			m.t.Fatalf("%+v", a.Error)
		}
	}
	after := m.account(k)
	m.mu.Lock()
	defer m.mu.Unlock()
	if more := after.Spent - before.Spent - old*int64(times); more > 0 {
		m.more[k.ID] += more
		m.n[k.ID] += times
	}
}

// exact says whether every key got back what its calls cost more, by one entry
// for each of them, and no key more.
func (m *made) exact(keys []key) {
	m.t.Helper()
	got, calls, seen := map[string]int64{}, map[string]int{}, map[string]bool{}
	for before := uint64(0); ; {
		var page struct {
			Entries []struct {
				Amount      int64
				To, Ref, ID string
			}
			Before uint64
		}
		m.do("GET", fmt.Sprintf("/admin/ledger?kind=refund&limit=1000&before=%d", before), nil, &page, http.StatusOK)
		for _, e := range page.Entries {
			got[e.To] += e.Amount
			calls[e.To]++
			if e.Ref == "" || seen[e.Ref] {
				m.t.Errorf("entry %s names call %q, which was given back already", e.ID, e.Ref)
			}
			seen[e.Ref] = true
		}
		if before = page.Before; before == 0 {
			break
		}
	}
	for _, k := range keys {
		if to := "key:" + k.ID; got[to] != m.more[k.ID] || calls[to] != m.n[k.ID] {
			m.t.Errorf("key %s got %d back for %d calls, want %d for %d", k.ID, got[to], calls[to], m.more[k.ID], m.n[k.ID])
		}
		delete(got, "key:"+k.ID)
	}
	if len(got) > 0 {
		m.t.Errorf("others got %v", got)
	}
}

// whole waits until the make-good of an experiment has come to its end.
func (m *made) whole(name string) {
	m.t.Helper()
	m.until(name+" is made good to the last call", func() bool {
		var out struct{ Experiments []struct{ Settled bool } }
		m.do("GET", "/admin/shadow?name="+name, nil, &out, http.StatusOK)
		return out.Experiments[0].Settled
	})
}

// killIn asks for an act and kills the gateway so much later.
func (m *made) killIn(wait time.Duration, act string, in any) {
	m.t.Helper()
	var asking sync.WaitGroup
	asking.Go(func() { m.try("POST", "/admin/shadow/"+act, in, nil) })
	<-time.After(wait)
	m.kill()
	asking.Wait()
	m.run()
}

const dearer = "defaults: {per_call: 5}\nrules: [{match: {tool: env}, price: {per_call: 1}}]"

// Kills while prices go live, while they come back and while credits go back
// leave nothing half: afterwards, by itself, every key has exactly what it would
// have at the old prices.
func TestAMakeGoodIsExactWhateverIsKilled(t *testing.T) {
	t.Parallel()
	m := newMade(t, nil)
	keys := make([]key, 6)
	for i := range keys {
		keys[i] = m.key(map[string]any{"credits": 100_000})
	}
	m.candidate("dear", dearer)
	m.spend(keys[0], "echo", 1, 2)
	for wait := time.Millisecond; m.state("dear") != "live"; wait += wait {
		m.killIn(wait, "promote", map[string]any{"name": "dear", "override": []string{"all"}})
		if got := m.state("dear"); got != "live" && got != "shadowing" {
			t.Fatalf("a promotion that was killed leaves it %s", got)
		}
		m.spend(keys[1], "echo", 1, 2)
	}
	var work sync.WaitGroup
	for _, k := range keys[:5] {
		work.Go(func() { m.spend(k, "echo", 130, 2) })
	}
	work.Wait()
	m.spend(keys[5], "env", 3, 2) // cheaper: nothing goes back
	for wait := 2 * time.Millisecond; m.state("dear") != "rolled_back"; wait += wait {
		m.killIn(wait, "rollback", map[string]any{"makeGood": true, "name": "dear"})
	}
	m.spend(keys[2], "echo", 2, 2)
	m.restart()
	m.whole("dear")
	m.exact(keys)
	var again struct{ Total, Before int64 }
	m.do("POST", "/admin/shadow/rollback", map[string]any{"makeGood": true, "name": "dear"}, &again, http.StatusOK)
	if again.Total != 0 || again.Before != 3*(5*130)+m.more[keys[1].ID]-3*130 {
		t.Errorf("asked again: %+v", again)
	}
	m.exact(keys)
	m.prove()
}

// Keys that were promised the old price get nothing back, whoever else does: also
// who is suspended or revoked by then, or was made while the canary ran.
func TestAMakeGoodIsForWhoPaid(t *testing.T) {
	t.Parallel()
	m := newMade(t, nil)
	old := m.key(map[string]any{"credits": 1000})
	m.candidate("dear", dearer)
	m.spend(old, "echo", 1, 2)
	m.do("POST", "/admin/shadow/promote", map[string]any{"name": "dear", "canary": 60, "keep": "existing", "override": []string{"all"}}, nil, http.StatusOK)
	keys := []key{old}
	for range 12 { // made in the canary
		keys = append(keys, m.key(map[string]any{"credits": 1000}))
	}
	for _, k := range keys {
		m.spend(k, "echo", 3, 2)
		m.spend(k, "env", 1, 2)
	}
	paid := 0
	for _, k := range keys {
		if m.more[k.ID] > 0 {
			paid++
			switch paid % 3 {
			case 1:
				m.do("POST", "/keys/suspend", map[string]any{"key": k.ID}, nil, http.StatusOK)
			case 2:
				m.do("POST", "/keys/revoke", map[string]any{"key": k.ID}, nil, http.StatusOK)
			}
		}
	}
	if m.more[old.ID] != 0 || paid < 3 {
		t.Fatalf("%d keys paid more, the old one %d", paid, m.more[old.ID])
	}
	m.restart()
	codes := map[int]int{}
	var mu sync.Mutex
	var work sync.WaitGroup
	for range 6 { // at once
		work.Go(func() {
			code := m.try("POST", "/admin/shadow/rollback", map[string]any{"makeGood": true, "name": "dear"}, nil)
			mu.Lock()
			defer mu.Unlock()
			codes[code]++
		})
	}
	work.Wait()
	if codes[http.StatusOK] < 1 || codes[http.StatusOK]+codes[http.StatusConflict] != 6 {
		t.Errorf("answers: %v", codes)
	}
	m.exact(keys)
	m.whole("dear")
	m.exact(keys)
	m.prove()
}

// Of many who promote at once one does, and of two candidates one goes live.
func TestTwoPromotionsAtOnceAreOne(t *testing.T) {
	t.Parallel()
	m := newMade(t, nil)
	k := m.key(map[string]any{"credits": 1000})
	m.candidate("five", "defaults: {per_call: 5}")
	m.candidate("nine", "defaults: {per_call: 9}")
	m.spend(k, "echo", 1, 2)
	codes := map[int]int{}
	var mu sync.Mutex
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			in := map[string]any{"name": []string{"five", "nine"}[i%2], "override": []string{"all"}}
			if i > 3 {
				in["canary"] = 50
			}
			code := m.try("POST", "/admin/shadow/promote", in, nil)
			mu.Lock()
			defer mu.Unlock()
			codes[code]++
		})
	}
	work.Wait()
	live := map[string]int{}
	for _, name := range []string{"five", "nine"} {
		live[m.state(name)]++
	}
	if on := live["live"] + live["canary"]; on != 1 || codes[http.StatusOK] < 1 || codes[http.StatusOK] > 2 { // a canary may be gone on with
		t.Errorf("%v, states %v", codes, live)
	}
	m.spend(k, "echo", 2, 2)
	m.do("POST", "/admin/shadow/rollback", map[string]any{"makeGood": true}, nil, http.StatusOK)
	m.exact([]key{k})
	m.prove()
}

// A call that began at the new prices and ends after all was made good is made
// good, too.
func TestACallThatEndsAfterTheMakeGoodIsMadeGood(t *testing.T) {
	t.Parallel()
	g := before(t, "modern", "http", map[string]any{"adminRateLimit": 0})
	m := &made{gateway: g, more: map[string]int64{}, n: map[string]int{}}
	k := g.key(nil)
	g.candidate("five", "defaults: {per_call: 5}")
	g.call(k.Key, "echo", nil)
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "five", "override": []string{"all"}}, nil, http.StatusOK)
	m.spend(k, "echo", 2, 2)
	c := g.connect(t, newestRevision, k.Key)
	next := c.waiting("ask")
	var done struct {
		Total int64
		Open  int
	}
	g.do("POST", "/admin/shadow/rollback", map[string]any{"makeGood": true}, &done, http.StatusOK)
	if done.Total != 6 || done.Open != 1 {
		t.Errorf("%+v", done)
	}
	m.exact([]key{k})
	g.restart()
	if a := c.round(t.Context(), "tools/call", next, nil); a.Error != nil {
		t.Fatalf("the second round: %+v", a.Error)
	}
	m.more[k.ID], m.n[k.ID] = m.more[k.ID]+3, m.n[k.ID]+1
	m.whole("five")
	m.exact([]key{k})
	m.prove()
}
