package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
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
}

// waiting is a call that is under way.
type waiting struct {
	id   string
	done chan answer
}

func newScript(t *testing.T, seed uint64) *script {
	return &script{theatre: newTheatre(t, nil), random: rand.New(rand.NewPCG(seed, 11)), tools: []string{"search", "search_deep", "fetch", "plain"}}
}

func (x *script) pick(list ...string) string { return list[x.random.IntN(len(list))] }

func (x *script) agent(more map[string]any) {
	x.made++
	body := map[string]any{"name": fmt.Sprint("agent ", x.made), "credits": x.random.IntN(120)}
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
		x.do("POST", "/topup", map[string]any{"key": x.keys[x.random.IntN(len(x.keys))].ID, "credits": 1 + x.random.IntN(40)}, nil, http.StatusOK)
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

// agree compares an experiment's report with what the oracle computes.
func (x *theatre) agree(name string) {
	x.t.Helper()
	report := x.body("/admin/shadow/report?name=" + name)
	want, faults := oracle.Compute(x.facts(), oracle.Question{Name: name})
	x.same("report of "+name, want, faults, report)
	var r struct {
		Projected struct{ BreakEvenElasticity *float64 }
	}
	if err := json.Unmarshal(report, &r); err != nil {
		x.t.Fatal(err)
	}
	if e := r.Projected.BreakEvenElasticity; e != nil {
		if gain, scale := oracle.Gain(x.facts(), oracle.Question{Name: name}, *e); math.Abs(gain) > 1e-9*scale {
			x.t.Errorf("report of %s: at the break-even elasticity %v the candidate's margin is %v more", name, *e, gain)
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
	x.keep(name, s)
	x.do("POST", "/admin/shadow/promote", map[string]any{"name": name, "override": []string{"all"}}, nil, http.StatusOK)
}

func (x *theatre) shadow(name string, s *oracle.Sheet) {
	x.t.Helper()
	x.keep(name, s)
	x.do("POST", "/admin/shadow/start", map[string]any{"name": name}, nil, http.StatusOK)
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
