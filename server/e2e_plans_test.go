package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const plansSheet = `
defaults: {per_call: 2}
rules:
  - {match: {plan: pro}, price: {per_call: 1}}
  - {match: {group: partners}, price: {per_call: 3}}
  - {match: {tag.team: research}, price: {per_call: 4}}
plans:
  free: {grant: 500/month, expires: month_end, rate: 3/min}
  pro:  {grant: 1000/month, spend_cap: 4/day}
  auto: {auto_topup: {below: 5, add: 10, max: 2/day}}
`

func TestPlansGrantOnceAndBoundTheirKeys(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	var free key
	if out, code := g.command("keys", "create", "--name", "x", "--plan", "fre", "--url", g.url, "--admin-key", adminKey); code != 1 || !strings.Contains(out, "no price sheet has plans") {
		t.Errorf("exit %d: %s", code, out)
	}
	g.candidate("plans", plansSheet)
	var no struct{ Error string }
	g.do("POST", "/keys", map[string]any{"name": "x", "plan": "fre"}, &no, http.StatusBadRequest)
	if !strings.Contains(no.Error, `no plan "fre"; the price sheets have auto, free, pro`) {
		t.Errorf("a plan that is a mistake: %s", no.Error)
	}
	out, code := g.command("keys", "create", "--name", "free", "--plan", "free", "--json", "--url", g.url, "--admin-key", adminKey)
	if code != 0 || !strings.Contains(out, "no plan") {
		t.Fatalf("exit %d, and no word that no price has the plan yet:\n%s", code, out)
	}
	var made struct{ Keys []key }
	g.do("GET", "/keys?limit=10&search=free", nil, &made, http.StatusOK)
	free = made.Keys[0]
	secret := field(out, "key")
	free.Key = secret
	g.do("POST", "/keys/plan", map[string]any{"key": free.ID, "plan": "prro"}, nil, http.StatusBadRequest)
	g.call(secret, "echo", nil)
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "plans", "override": []string{"all"}}, nil, http.StatusOK)
	g.until("the grant comes", func() bool { return g.account(free).Credits == 98+500 })
	pro := g.key(map[string]any{"plan": "pro"})
	if got := g.account(pro).Credits; got != 1100 {
		t.Errorf("a key made on a plan has %d, want its grant at once", got)
	}
	for range 2 {
		g.restart()
	}
	if a, b := g.account(free).Credits, g.account(pro).Credits; a != 598 || b != 1100 {
		t.Errorf("after kills: %d and %d", a, b)
	}
	g.bounded(secret, []string{"", "", "", "rate_limited"})
	g.bounded(pro.Key, []string{"", "", "", "", "daily_credit_quota_exceeded"})
	g.prove()
}

// field is a text of a JSON object as the command line prints it.
func field(out, name string) string {
	_, rest, _ := strings.Cut(out, `"`+name+`": "`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

func (g *gateway) bounded(secret string, want []string) {
	g.t.Helper()
	var got []string
	for range want {
		got = append(got, g.call(secret, "echo", nil).reason())
	}
	if !slices.Equal(got, want) {
		g.t.Errorf("the calls end with %q, want %q", got, want)
	}
}

func TestPricesByPlanGroupAndTagAndTopUpsByItself(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	g.candidate("plans", plansSheet)
	keys := map[int64]key{2: g.key(nil), 1: g.key(map[string]any{"plan": "pro"}), 3: g.key(map[string]any{"group": "partners"}), 4: g.key(map[string]any{"tags": map[string]string{"team": "research"}})}
	for _, k := range keys {
		g.call(k.Key, "echo", nil)
	}
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "plans", "override": []string{"all"}}, nil, http.StatusOK)
	for want, k := range keys {
		if got, told := g.cost(k), g.told(k, "echo"); got != want || told != int(want) {
			t.Errorf("a call costs %d, the key is told %d, want %d", got, told, want)
		}
	}
	g.do("POST", "/keys/group", map[string]any{"key": keys[3].ID, "group": ""}, nil, http.StatusOK)
	if got := g.cost(keys[3]); got != 2 {
		t.Errorf("out of its group a call costs %d, want 2", got)
	}
	auto := g.key(map[string]any{"plan": "auto", "credits": 6})
	g.restart()
	for range 13 { // 6 and twice 10 credits
		if a := g.call(auto.Key, "echo", nil); a.Error != nil {
			t.Fatalf("%+v", a.Error)
		}
	}
	if got := g.call(auto.Key, "echo", nil).reason(); got != "insufficient_credits" {
		t.Errorf("after two top-ups: %q", got)
	}
	var plans struct {
		Plans []struct {
			Name string
			Keys int
			Live bool
		}
	}
	g.do("GET", "/plans", nil, &plans, http.StatusOK)
	if p := plans.Plans; len(p) != 3 || p[0].Name != "auto" || p[0].Keys != 1 || !p[2].Live {
		t.Errorf("%+v", p)
	}
	g.prove()
}

// In shadow mode a plan's top-up is recorded and fills the wallet that calls
// are judged by; the real one has nothing of it, also when calls are charged
// again.
func TestTopUpsOfPlansAreLivedThroughInShadowMode(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	g.candidate("plans", plansSheet)
	g.call(g.key(nil).Key, "echo", nil)
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "plans", "override": []string{"all"}}, nil, http.StatusOK)
	g.do("POST", "/admin/mode", map[string]any{"mode": "shadow"}, nil, http.StatusOK)
	auto := g.key(map[string]any{"plan": "auto", "credits": 6})
	g.call(auto.Key, "echo", nil) // the next experiment begins with other wallets than shadow mode's books
	g.candidate("same", plansSheet)
	for i := range 13 { // 6 and twice 10 credits in all
		if i == 7 {
			g.restart()
		}
		if a := g.call(auto.Key, "echo", nil); a.Error != nil {
			t.Fatalf("%+v", a.Error)
		}
	}
	if got := g.account(auto); got.Credits != 6 || got.Spent != 0 {
		t.Errorf("credits moved in shadow mode: %+v", got)
	}
	var trail struct {
		Events []struct {
			Metadata struct{ CreditsAdded, Today int }
		}
	}
	g.do("GET", "/audit?types=key.would_topup", nil, &trail, http.StatusOK)
	if e := trail.Events; len(e) != 2 || e[0].Metadata.CreditsAdded != 10 || e[0].Metadata.Today+e[1].Metadata.Today != 3 {
		t.Errorf("recorded: %+v", e)
	}
	var r report
	g.do("GET", "/admin/shadow/report?name=same", nil, &r, http.StatusOK)
	if e := r.Exact; r.SelfDifference != 0 || e.Live.Collectable != 26 || e.Candidate.Collectable != 26 || e.Live.Denied != 0 {
		t.Errorf("%d differences, %+v", r.SelfDifference, e)
	}
	g.do("POST", "/admin/mode", map[string]any{"mode": "live"}, nil, http.StatusOK)
	g.bounded(auto.Key, slices.Concat(slices.Repeat([]string{""}, 13), []string{"insufficient_credits"}))
	g.prove()
}

func TestArgumentsArePricedLiveAsTheyWereShadowed(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(map[string]any{"credits": 1000})
	const sheet = `
defaults: {per_call: 1}
dimensions: {size: {tool: echo, argument: options.size, values: [small, big]}}
rules: [{match: {tool: echo, dim.size: big}, price: {per_call: 10}}, {match: {tool: echo, dim.size: other}, price: {per_call: 4}}]
`
	calls := []any{map[string]any{"options": map[string]any{"size": "big"}}, map[string]any{"options": map[string]any{"size": "small"}},
		map[string]any{"options": map[string]any{"size": "vast"}}, map[string]any{"options": []int{1}}, map[string]any{}}
	g.candidate("sizes", sheet)
	for _, args := range calls {
		g.call(k.Key, "echo", args)
	}
	var r report
	g.do("GET", "/admin/shadow/report?name=sizes", nil, &r, http.StatusOK)
	if r.Exact.Candidate.Collectable != 10+1+4+1+1 || r.Exact.Live.Collectable != 10 {
		t.Errorf("shadowed: %+v", r.Exact)
	}
	g.do("POST", "/admin/shadow/promote", map[string]any{"name": "sizes", "override": []string{"all"}}, nil, http.StatusOK)
	live := time.Now().UTC().Truncate(time.Millisecond) // as the books tell time
	for i, want := range []int64{10, 1, 4, 1, 1} {
		before := g.account(k).Credits
		g.call(k.Key, "echo", calls[i])
		if got := before - g.account(k).Credits; got != want {
			t.Errorf("call %d costs %d live, want %d", i, got, want)
		}
	}
	g.restart()
	var replayed struct{ Reports []report }
	g.do("POST", "/admin/shadow/replay", map[string]any{"sheet": sheet, "from": live.Format(time.RFC3339Nano)}, &replayed, http.StatusOK)
	if p := replayed.Reports[0]; p.Exact.Candidate.Collectable != 17 || p.Exact.Live.Collectable != 17 || p.SelfDifference != 0 {
		t.Errorf("replayed: %+v", p)
	}
	g.prove()
}
