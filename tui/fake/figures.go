package fake

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"paygate/server/api"
	"paygate/server/api/filter"
)

// Stream sends frames, or log lines, until the context or the reader ends it.
func (g *Gateway) Stream(ctx context.Context, path string, on func(event, id string, data []byte) error) error {
	u, err := url.Parse(path)
	if err != nil {
		return fmt.Errorf("path: %w", err)
	}
	if g.Fail != nil {
		return g.Fail
	}
	if u.Path == "/admin/logs" {
		for _, l := range g.logs() {
			if b, err := json.Marshal(l); err != nil {
				return err
			} else if err := on("line", "", b); err != nil {
				return err
			}
		}
		<-ctx.Done()
		return ctx.Err()
	}
	window := number(u.Query().Get("window"), 300)
	if !slices.Contains([]int{300, 3600, 86400, 14 * 86400}, window) {
		return fmt.Errorf("window=%d: seconds, one of 300, 3600, 86400 and 1209600", window)
	}
	tick := time.NewTicker(g.Every)
	defer tick.Stop()
	for {
		if err := g.broken(); err != nil {
			return err
		}
		b, err := json.Marshal(g.Frame(window, u.Query().Get("filter")))
		if err != nil {
			return err
		}
		if err := on("frame", "", b); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Frame is the next frame of the live stream.
func (g *Gateway) Frame(window int, text string) *api.Live {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.Now()
	f := &api.Live{At: now, Mode: g.mode, Canary: g.Canary, Role: g.Role, Name: "acme-tools", Version: "0.1.0", Demo: false}
	if !g.NoLinks {
		f.Servers = g.servers(now)
	}
	if g.Empty {
		f.Overview = api.Overview{WindowSeconds: window, StepSeconds: window / 60, Calls: make([]float64, 60), Credits: make([]float64, 60)}
		return f
	}
	n := max(g.Rate/10, 1)
	want, err := filter.Parse(text)
	if err != nil {
		want = &filter.Filter{}
	}
	g.seq += uint64(n)
	f.Seq = g.seq
	made := min(n, 300) // the rest is like these
	for i := range made {
		c := g.call(g.seq-uint64(i), now)
		if !want.Match(&c, now) {
			continue
		}
		f.Passed += n / made
		if len(f.Calls) < 100 {
			f.Calls = append(f.Calls, c)
		}
	}
	f.Overview = g.overview(window, now)
	f.Attention = []api.Attention{{Level: "warn", Text: "acme-ci runs dry in 1h", View: "keys", ID: g.keys[1].ID}, {Level: "bad", Text: "browser restarted twice in 5 min", View: "servers", ID: "browser"}}
	return f
}

func (g *Gateway) servers(now time.Time) []api.Server {
	next := now.Add(4 * time.Second)
	day := now.Add(-76 * time.Hour)
	return []api.Server{
		{Prefix: "fs", Transport: "stdio", Target: "npx -y @modelcontextprotocol/server-filesystem .", State: "ready", Since: day, Tools: 14, CallsPerSecond: 4.1, P95: 2.1, Revision: "2025-11-25", Pids: []int{4711}, InFlight: 3},
		{Prefix: "search", Transport: "http", Target: "https://search.example.com/mcp", State: "ready", Since: day, Tools: 9, Restarts: 1, CallsPerSecond: 98, P95: 41, FailedShare: 0.004},
		{Prefix: "browser", Transport: "stdio", Target: "npx -y @playwright/mcp@latest --headless", State: "restarting", Since: now, NextTry: &next, Restarts: 2, Tools: 8, FailedShare: 1, LastError: "exit status 1 after 0.8 s"},
	}
}

func (g *Gateway) overview(window int, now time.Time) api.Overview {
	change := 12.0
	rate := float64(g.Rate)
	v := api.Overview{WindowSeconds: window, StepSeconds: window / 60, CallsPerSecond: rate, CreditsPerSecond: rate * 2.3, ChangePercent: &change, P50: 2.1, P95: 18, P99: 141, GateP50: 0.4,
		FailedShare: 0.029, DeniedShare: 0.081, InFlight: 37, Sessions: 112, KeysToday: 204, Keys: len(g.keys), Held: 312, Spendable: 1_240_312, CreditsToday: 3_712_345, UptimeSeconds: 3*86400 + 4*3600}
	for i := range 60 {
		y := rate * (0.7 + 0.2*math.Sin(float64(i)/7) + 0.1*math.Sin(float64(i)))
		if i > 12 && i < 20 {
			y = rate * 0.05
		}
		v.Calls = append(v.Calls, y)
		v.Credits = append(v.Credits, y*2.3)
		bands := make([]int, len(api.LatencyBands())+1)
		for b := range bands {
			bands[b] = int(y * math.Exp(-math.Abs(float64(b)-3-math.Sin(float64(i)/5))))
		}
		v.Latency = append(v.Latency, bands)
	}
	for _, t := range tools() {
		v.Tools = append(v.Tools, api.ToolRow{Tool: t.name, CallsPerSecond: t.share * rate / 7, CreditsPerSecond: t.share * rate / 7 * float64(t.price), P95: t.ms * 4})
	}
	for i := range min(10, len(g.keys)) {
		r := g.keys[i]
		v.TopKeys = append(v.TopKeys, api.BurnRow{ID: r.ID, Name: r.Name, CreditsPerSecond: r.BurnPerHour / 360, Credits: r.Credits, DryInSeconds: r.DryInSeconds, Last12h: r.Spark[:12]})
	}
	for i, r := range []string{"insufficient_credits", "rate_limited", "tool_not_allowed", "daily_call_quota_exceeded", "key_suspended", "ip_not_allowed"} {
		v.Denied = append(v.Denied, api.ReasonRow{Reason: r, PerMinute: 201 / float64(1+i*i*2), Count: int64(9000 / (i + 1))})
	}
	return v
}

// call is the call at a place of the journal: always the same one.
func (g *Gateway) call(n uint64, now time.Time) api.CallRow {
	h := (n * 0x9e3779b97f4a7c15) >> 33
	t := tools()[int(h%97)%len(tools())]
	k := &g.keys[int(h/97)%min(11, len(g.keys))]
	c := api.CallRow{ID: fmt.Sprintf("req_%016x", n*0x9e3779b97f4a7c15), Seq: n, At: now, KeyID: k.ID, Key: k.Name, Tool: t.name, Outcome: "ok", Would: g.mode == "shadow", Credits: t.price,
		TookMs: t.ms * float64(1+h%7) / 4, GateMs: 0.42, In: int64(h % 4000), Out: int64(h % 30011), IP: "10.0.0.9", Plan: "pro"}
	c.Server, _, _ = strings.Cut(t.name, ":")
	switch h % 17 {
	case 3:
		c.Outcome, c.Reason, c.Credits, c.TookMs = "denied", "tool_not_allowed", 0, 0.2
	case 5:
		c.Outcome, c.Reason, c.Credits = "lost", "upstream_down", 0
	case 7:
		if c.Would {
			c.Reason = "insufficient_credits"
		}
	case 11:
		c.Outcome, c.Reason, c.Credits = "failed", "isError", 0
	case 13:
		c.Cached = true
	}
	return c
}

func (g *Gateway) detail(id string) api.CallDetail {
	var n uint64
	for back := range uint64(5000) {
		if c := g.call(g.seq-back, g.Now()); c.ID == id {
			n = g.seq - back
			break
		}
	}
	c := g.call(n, g.Now())
	c.ID, c.In, c.Out, c.GateMs, c.TookMs = id, 2114, 6880, 0.42, 141.02
	up := c.TookMs - c.GateMs
	return api.CallDetail{CallRow: c, Sheet: "9f3c1a77d0", Held: 20, Due: 12, Charged: 0, Kept: true,
		Lines: []api.Line{{What: "per call", How: c.Tool, Amount: 5}, {What: "input", How: "2,114 B = 3 KB x 1", Amount: 3}, {What: "output", How: "6,880 B = 7 KB x 1", Amount: 7}, {What: "plan", How: "pro x 0.8", Amount: -3}},
		Way: []api.Step{{Name: "identify", TookMs: 0.02, Mark: "ok", Text: "key " + c.Key + ", active"}, {Name: "access", TookMs: 0.01, Mark: "ok", Text: "tool allowed"}, {Name: "rate", TookMs: 0.03, Mark: "ok", Text: "31 of 60 this minute"},
			{Name: "quote", TookMs: 0.01, Mark: "ok", Text: "hold 20"}, {Name: "hold", TookMs: 0.04, Mark: "would", Text: "would deny: needs 20, has 0"}, {Name: "upstream", TookMs: up, Mark: "ok", Text: "browser, attempt 1 of 1"}, {Name: "settle", TookMs: 0.31, Mark: "ok", Text: "would be 12, 14 calls in one commit"}},
		Request: `{"url":"https://example.com/pricing","fullPage":true,"selector":null}`, Response: `{"content":[{"type":"text","text":"Pricing, \u001b[31mred\u001b[0m"}],"isError":false}`}
}

func (g *Gateway) use() api.KeyUse {
	u := api.KeyUse{StepSeconds: 3600}
	for i := range 168 {
		u.Balance = append(u.Balance, 5000*math.Exp(-float64(i)/60))
		u.Spent = append(u.Spent, float64(i%24)*3)
	}
	return u
}

func (g *Gateway) effect() api.Effect {
	now := g.Now()
	a, b := now.Add(-32*time.Minute), now.Add(-15*time.Minute)
	return api.Effect{From: now.Add(-time.Hour), To: now, Calls: 24812, Keys: 204, Now: 56160, Staged: 64800, Denied: 61,
		Stopped: []api.EffectKey{{ID: "key_1", Name: "acme-ci", At: &a}, {ID: "key_2", Name: "qa", At: &b}},
		Bills:   []api.EffectKey{{Name: "bob@example.com", Now: 100, Staged: 138}, {Name: "zoë", Now: 100, Staged: 133}, {Name: "qa", Now: 100, Staged: 127}}}
}

func (g *Gateway) stderr() []api.LogLine {
	at := g.Now().Add(-time.Minute)
	return []api.LogLine{{At: at, Level: "error", Text: "Error: browserType.launch: Executable doesn't exist at …/chrome"}, {At: at, Text: "    at async Server.start (index.js:41:9)"}, {At: at, Text: "exit status 1 after 0.8 s; restart 2 of 5 in 4 s"}}
}

func (g *Gateway) ledger(q url.Values) api.LedgerPage {
	p := api.LedgerPage{Entries: []api.LedgerRow{}, Proof: g.proof}
	if g.Empty {
		return p
	}
	before := uint64(number(q.Get("before"), int(g.seq)+1))
	for i := range number(q.Get("limit"), 100) {
		n := before - 1 - uint64(i)
		c := g.call(n, g.Now())
		e := api.LedgerRow{N: n, ID: c.ID, At: g.Now().Add(-time.Duration(i) * time.Second), Kind: "charge", Amount: int64(n*n%500) + 1, From: "key:" + c.KeyID, FromName: c.Key, To: "house:revenue", Ref: c.Tool + "  " + c.ID}
		if n%7 == 3 {
			e.Kind, e.From, e.To, e.FromName, e.ToName = "refund", e.To, e.From, "", e.FromName
		}
		if k := q.Get("key"); k != "" {
			e.From, e.FromName = "key:"+k, "this"
		}
		p.Entries = append(p.Entries, e)
	}
	p.Before = p.Entries[len(p.Entries)-1].N
	return p
}

func (g *Gateway) audit() []map[string]any {
	if g.Empty {
		return nil
	}
	at := g.Now()
	return []map[string]any{
		{"id": 4, "timestamp": at.Add(-time.Minute), "type": "key.topup", "actor": "admin pk_boot…9c1e", "message": `acme-ci +2,500, note "Q4 budget"`, "metadata": map[string]any{"amount": 2500}},
		{"id": 3, "timestamp": at.Add(-2 * time.Minute), "type": "gate.deny", "actor": "acme-ci", "message": "browser:click tool_not_allowed"},
		{"id": 2, "timestamp": at.Add(-30 * time.Minute), "type": "admin.auth_failed", "actor": "unknown", "message": "POST /topup from 10.0.0.9"},
	}
}

func (g *Gateway) logs() []api.LogLine {
	if g.Empty {
		return nil
	}
	at := g.Now().Add(-time.Minute)
	return []api.LogLine{{At: at, Level: "info", Text: "server ready", Attrs: "prefix=fs tools=14 took=812ms"}, {At: at.Add(7 * time.Second), Level: "warn", Text: "group commit slow", Attrs: "took=41ms calls=14 disk=/var/lib"},
		{At: at.Add(14 * time.Second), Level: "error", Text: "server exited", Attrs: "prefix=browser code=1 restart=2 in=4s"}, {At: at.Add(21 * time.Second), Level: "info", Text: "config reloaded", Attrs: "changed=toolPricing took=3ms"}}
}
