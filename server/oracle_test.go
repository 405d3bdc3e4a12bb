package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"paygate/testdata/oracle"
)

// script is random traffic: agents, their owner, and time.
type script struct {
	*theatre
	random *rand.Rand
	keys   []key
	made   int
	open   []waiting
	tools  []string
	plans  []string // of any sheet, and none
}

// waiting is a call that is under way.
type waiting struct {
	id   string
	done chan answer
}

func newScript(t *testing.T, seed uint64) *script {
	return &script{theatre: newTheatre(t, nil), random: rand.New(rand.NewPCG(seed, 11)), tools: []string{"search", "search_deep", "fetch", "plain"}, plans: []string{""}}
}

func (x *script) pick(list ...string) string { return list[x.random.IntN(len(list))] }

func (x *script) agent(more map[string]any) {
	x.made++
	body := map[string]any{"name": fmt.Sprint("agent ", x.made), "credits": 1 + x.random.IntN(120)}
	for k, v := range more {
		body[k] = v
	}
	x.keys = append(x.keys, x.key(body))
}

func (x *script) args() played {
	p := played{Size: x.random.IntN(6000), Depth: x.pick("deep", "flat"), Pad: strings.Repeat("y", x.random.IntN(3000)), Cost: x.random.IntN(3)}
	if x.random.IntN(4) == 0 {
		p.Units = x.random.IntN(9)
	}
	if x.random.IntN(6) == 0 {
		p.End = x.pick("tool", "rpc", "lost")
	}
	return p
}

func (x *script) headers() []string {
	if x.random.IntN(4) == 0 {
		return []string{"X-Run-Id", fmt.Sprint("job-", x.random.IntN(6))}
	}
	return nil
}

// ask makes a call and waits for its end.
func (x *script) ask() {
	k := x.keys[x.random.IntN(len(x.keys))]
	x.rpc(k.Key, "tools/call", map[string]any{"name": x.pick(x.tools...), "arguments": x.args()}, x.headers()...)
}

// begin makes a call that ends when the test says so.
func (x *script) begin() {
	k, p := x.keys[x.random.IntN(len(x.keys))], x.args()
	x.made++
	p.Wait = fmt.Sprint("call ", x.made)
	w, h := waiting{p.Wait, make(chan answer, 1)}, x.headers()
	tool := x.pick(x.tools...)
	go func() { w.done <- x.rpc(k.Key, "tools/call", map[string]any{"name": tool, "arguments": p}, h...) }()
	select {
	case <-x.stage.here:
		x.open = append(x.open, w)
	case <-w.done: // it was refused
	}
}

func (x *script) end(i int) {
	w := x.open[i]
	x.open = append(x.open[:i], x.open[i+1:]...)
	close(x.stage.gate(w.id))
	<-w.done
}

func (x *script) endAll() {
	for len(x.open) > 0 {
		x.end(0)
	}
}

// later lets some time pass: most often little, sometimes hours.
func (x *script) later() {
	most := []time.Duration{2 * time.Second, 30 * time.Second, 20 * time.Minute, 9 * time.Hour}[min(3, x.random.IntN(20)/5*x.random.IntN(2))]
	x.Add(time.Duration(1+x.random.Int64N(int64(most/time.Millisecond))) * time.Millisecond)
}

func (x *script) step() {
	x.later()
	switch n := x.random.IntN(100); {
	case n < 60:
		x.ask()
	case n < 75 && len(x.open) < 6:
		x.begin()
	case n < 90 && len(x.open) > 0:
		x.end(x.random.IntN(len(x.open)))
	case n < 96:
		x.try("POST", "/topup", map[string]any{"key": x.keys[x.random.IntN(len(x.keys))].ID, "credits": 1 + x.random.IntN(40)}, nil) // it may be revoked
	default:
		x.agent(nil)
	}
}

// body is an answer as it came.
func (x *theatre) body(path string) []byte {
	x.t.Helper()
	req, err := http.NewRequestWithContext(x.t.Context(), http.MethodGet, x.url+path, nil)
	if err != nil {
		x.t.Fatal(err)
	}
	req.Header.Set("X-Admin-Key", adminKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		x.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		x.t.Fatalf("GET %s: HTTP %d: %s, %v", path, res.StatusCode, text, err)
	}
	return text
}

// facts are all that was recorded.
func (x *theatre) facts() *oracle.Facts {
	x.t.Helper()
	f, err := oracle.Read(bytes.NewReader(x.body("/admin/facts")))
	if err != nil {
		x.t.Fatal(err)
	}
	return f
}

// agree compares an experiment's report, of all or of a window, with what the
// oracle computes.
func (x *theatre) agree(name string, window ...time.Time) {
	x.t.Helper()
	q, path := oracle.Question{Name: name}, "/admin/shadow/report?name="+name
	if len(window) == 2 {
		q.From, q.To = window[0], window[1]
		path += "&from=" + q.From.Format(time.RFC3339Nano) + "&to=" + q.To.Format(time.RFC3339Nano)
	}
	x.compare(fmt.Sprint("report of ", name, " ", window), q, x.body(path))
}

func (x *theatre) compare(what string, q oracle.Question, report []byte) {
	x.t.Helper()
	var r struct {
		LastSeq   uint64
		Projected struct{ BreakEvenElasticity *float64 }
	}
	if err := json.Unmarshal(report, &r); err != nil {
		x.t.Fatal(err)
	}
	q.LastSeq = r.LastSeq // grants may have come since
	f := x.facts()
	want, faults := oracle.Compute(f, q)
	x.same(what, want, faults, report)
	if e := r.Projected.BreakEvenElasticity; e != nil {
		if gain, scale := oracle.Gain(f, q, *e); math.Abs(gain) > 1e-9*scale {
			x.t.Errorf("%s: at the break-even elasticity %v the candidate's margin is %v more", what, *e, gain)
		}
	}
}

func (x *theatre) same(what string, want oracle.Figures, faults []string, report []byte) {
	x.t.Helper()
	const most = 12
	for _, f := range faults[:min(most, len(faults))] {
		x.t.Errorf("%s: the record: %s", what, f)
	}
	list := oracle.Compare(want, report)
	for _, d := range list[:min(most, len(list))] {
		x.t.Errorf("%s: %s", what, d)
	}
	if n := len(list) + len(faults); n > 0 {
		text, _ := json.Marshal(want)
		x.t.Fatalf("%s: %d differences\ncomputed: %.3000s\nreport: %.3000s", what, n, text, report)
	}
}

func (x *theatre) keep(name string, s *oracle.Sheet) {
	x.t.Helper()
	x.do("POST", "/admin/shadow", map[string]any{"name": name, "sheet": s.YAML()}, nil, http.StatusCreated)
}

// goLive makes a sheet the live one.
func (x *theatre) goLive(name string, s *oracle.Sheet) {
	x.t.Helper()
	x.shadow(name, s)
	x.do("POST", "/admin/shadow/promote", map[string]any{"name": name, "override": []string{"all"}}, nil, http.StatusOK)
}

func (x *theatre) shadow(name string, s *oracle.Sheet) {
	x.t.Helper()
	x.keep(name, s)
	x.do("POST", "/admin/shadow/start", map[string]any{"name": name}, nil, http.StatusOK)
}

// everything is all that owners and agents do beside calls.
func (x *script) everything() {
	k := x.keys[x.random.IntN(len(x.keys))]
	post := func(path string, in map[string]any) { x.try("POST", path, in, nil) } // it may be revoked
	switch x.random.IntN(12) {
	case 0:
		post("/limits", map[string]any{"key": k.ID, "spendingLimit": x.random.IntN(90), "rateLimit": x.random.IntN(9)})
	case 1:
		post("/keys/quota", map[string]any{"key": k.ID, "dailyCallLimit": x.random.IntN(9), "monthlyCallLimit": x.random.IntN(40), "dailyCreditLimit": x.random.IntN(40), "monthlyCreditLimit": x.random.IntN(200)})
	case 2:
		post("/keys/plan", map[string]any{"key": k.ID, "plan": x.pick("", "free", "pro")})
	case 3:
		post("/keys/suspend", map[string]any{"key": k.ID})
	case 4, 5:
		post("/keys/resume", map[string]any{"key": k.ID})
	case 6:
		if len(x.keys) > 4 {
			post("/keys/revoke", map[string]any{"key": k.ID})
		}
	case 7:
		post("/keys/transfer", map[string]any{"from": k.ID, "to": x.keys[0].ID, "credits": 1 + x.random.IntN(20)})
	case 8:
		post("/keys/reserve", map[string]any{"key": k.ID, "credits": 1 + x.random.IntN(20), "ttlSeconds": 60 * (1 + x.random.IntN(90))})
	case 9:
		post("/admin/prices", map[string]any{"changes": []any{map[string]any{"tool": x.pick(x.tools...), "perCall": x.random.IntN(7)}}})
	case 10:
		post("/keys/group", map[string]any{"key": k.ID, "group": x.pick("", "vip")})
	case 11:
		x.agent(map[string]any{"plan": x.pick(x.plans...), "tags": map[string]string{"team": x.pick("red", "bluest")}})
	}
}

// again asks for a call twice: the second time it gets the first one's answer.
func (x *script) again() {
	k, tool, p := x.keys[x.random.IntN(len(x.keys))], x.pick(x.tools...), x.args()
	x.made++
	for range 2 {
		x.rpc(k.Key, "tools/call", map[string]any{"name": tool, "arguments": p}, "Idempotency-Key", fmt.Sprint("same ", x.made))
		x.later()
	}
}

func (x *script) batch() {
	var calls []any
	for range 2 + x.random.IntN(2) {
		calls = append(calls, map[string]any{"name": x.pick(x.tools...), "arguments": x.args()})
	}
	x.rpc(x.keys[x.random.IntN(len(x.keys))].Key, "tools/call_batch", map[string]any{"calls": calls})
}

// rich is a step of anything at all.
func (x *script) rich() {
	switch n := x.random.IntN(100); {
	case n < 70:
		x.step()
	case n < 80:
		x.everything()
	case n < 85:
		x.again()
	case n < 90:
		x.batch()
	case n < 92:
		x.endAll()
		x.crash()
	case n < 94:
		x.crash() // calls under way die with it
		for _, w := range x.open {
			close(x.stage.gate(w.id))
			<-w.done
		}
		x.open = nil
	case n < 95:
		x.do("POST", "/admin/mode", map[string]any{"mode": x.pick("shadow", "live")}, nil, http.StatusOK)
	default:
		x.ask()
	}
}

// started is when an experiment did.
func (x *theatre) started(name string) time.Time {
	var r struct{ From time.Time }
	if err := json.Unmarshal(x.body("/admin/shadow/report?name="+name), &r); err != nil {
		x.t.Fatal(err)
	}
	return r.From
}

// statements add up to the rows of the report, and say why a call is denied.
func (x *theatre) statements(name string) {
	x.t.Helper()
	var r struct {
		Exact struct {
			Keys []struct {
				ID                                             string
				Live, Candidate, Admitted, Denied, NewlyDenied int
			}
		}
	}
	if err := json.Unmarshal(x.body("/admin/shadow/report?name="+name), &r); err != nil {
		x.t.Fatal(err)
	}
	for _, k := range r.Exact.Keys {
		var s struct {
			Lines []struct {
				Live, Candidate             int
				Imputed                     bool
				LiveDenied, CandidateDenied []string
			}
		}
		x.do("GET", "/admin/shadow/statement?name="+name+"&key="+k.ID, nil, &s, http.StatusOK)
		live, cand, denied := 0, 0, 0
		for _, l := range s.Lines {
			if live += l.Live; !l.Imputed {
				cand += l.Candidate
			}
			if len(l.CandidateDenied) > 0 {
				denied++
			}
		}
		if live != k.Live || cand != k.Candidate || denied != k.Denied || len(s.Lines) != k.Admitted+k.Denied {
			x.t.Errorf("the statement of %s has %d lines, %d and %d credits, %d denied; its row: %+v", k.ID, len(s.Lines), live, cand, denied, k)
		}
	}
}

// sums ignore wallets and limits.
func (x *theatre) sums(list ...*oracle.Sheet) {
	x.t.Helper()
	var sheets []any
	for _, s := range list {
		sheets = append(sheets, map[string]any{"sheet": s.YAML()})
	}
	var got struct {
		Calls   int64
		Credits []int64
	}
	x.Add(time.Minute) // they are at most a second behind
	x.do("POST", "/admin/shadow/sums", map[string]any{"sheets": sheets}, &got, http.StatusOK)
	f := x.facts()
	for i, s := range list {
		if calls, credits := oracle.Sums(f, s); calls != got.Calls || credits != got.Credits[i] {
			x.t.Errorf("sums of %d calls: %d, computed %d of %d\n%s", got.Calls, got.Credits[i], credits, calls, s.YAML())
		}
	}
}

// replays are what the oracle computes of all that was recorded.
func (x *theatre) replays(s *oracle.Sheet, w oracle.WhatIf) {
	x.t.Helper()
	in := map[string]any{"sheet": s.YAML()}
	q := oracle.Question{Sheet: s}
	if w.Policy != "" || w.Grant > 0 {
		in["whatIf"], q.WhatIf = map[string]any{"policy": w.Policy, "grant": w.Grant, "topUp": w.TopUp, "perDay": w.PerDay, "retries": w.Retries, "cheaper": w.Cheaper}, &w
	}
	var out struct{ Reports []json.RawMessage }
	x.do("POST", "/admin/shadow/replay", in, &out, http.StatusOK)
	x.compare(fmt.Sprintf("replay %+v", w), q, out.Reports[0])
}

// Everything at once: rules, tiers, allowances, plans, limits, repetitions,
// batches, crashes, switches of the mode and of the live prices.
func TestAnAccountantComesToTheSameFiguresOfAnything(t *testing.T) {
	t.Parallel()
	seeds := 2
	if n, err := strconv.Atoi(os.Getenv("PAYTEST_ORACLE")); err == nil {
		seeds = n
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			x := newScript(t, 100+seed)
			x.anything(200)
		})
	}
}

func (x *script) anything(steps int) {
	maker := sheetMaker{x.random}
	live, a, b := maker.sheet(), maker.sheet(), maker.sheet()
	for range 5 {
		x.agent(map[string]any{"tags": map[string]string{"team": x.pick("red", "bluest")}})
	}
	x.goLive("base", live)
	x.keep("a", a)
	x.keep("b", b)
	for _, s := range []*oracle.Sheet{live, a, b} {
		for _, p := range s.Plans {
			x.plans = append(x.plans, p.Name)
		}
	}
	for range 3 {
		x.agent(map[string]any{"plan": x.pick(x.plans...)})
	}
	for range 20 {
		x.rich()
	}
	for _, name := range []string{"a", "b"} {
		x.do("POST", "/admin/shadow/start", map[string]any{"name": name}, nil, http.StatusOK)
	}
	for range steps {
		x.rich()
	}
	x.endAll()
	x.agree("a")
	x.agree("b")
	began := x.started("a")
	half := began.Add(x.Now().Sub(began) / 2)
	x.agree("a", began, half)
	x.agree("b", half, x.Now())
	x.statements("a")
	x.sums(live, a, b)
	for _, w := range []oracle.WhatIf{{}, {Grant: 30}, {Policy: "stop-run"}, {Policy: "retry", Retries: 3}, {Policy: "top-up", TopUp: 7, PerDay: 2}, {Policy: "downgrade", Cheaper: map[string]string{"search_deep": "search", "fetch": "plain"}}} {
		x.replays(b, w)
	}
}

func flatSheet(n string) *oracle.Sheet {
	return &oracle.Sheet{Defaults: oracle.Price{PerCall: oracle.Dec(n)}}
}

// Plain prices and keys with few credits, charged and in shadow mode.
func TestAnAccountantComesToTheSameFigures(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			x := newScript(t, seed)
			for range 5 {
				x.agent(nil)
			}
			for range 20 {
				x.step()
			}
			if seed%2 == 1 {
				x.do("POST", "/admin/mode", map[string]any{"mode": "shadow"}, nil, http.StatusOK)
			}
			x.shadow("five", flatSheet("5"))
			x.shadow("free", flatSheet("0"))
			for range 120 {
				x.step()
			}
			x.endAll()
			x.agree("five")
			x.agree("free")
		})
	}
}
