// Package fake is a gateway made of figures, for the tests of the dashboard:
// three servers, many keys, thousands of calls a second, the same every time.
// It answers the admin API that the dashboard uses, and changes when asked.
package fake

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sort"
	"strings"
	"sync"
	"time"

	"paygate/server/api"
	"paygate/server/api/filter"
)

// Gateway is the made-up gateway. Make it with New.
type Gateway struct {
	Now     func() time.Time
	Rate    int           // calls a second that frames tell of
	Every   time.Duration // between frames of Stream
	Fail    error         // when set, every request fails with it
	Asked   []string      // every change that was asked for: "POST /keys {…}"
	Role    string
	Empty   bool    // no keys, no calls, no entries
	NoLinks bool    // no servers
	NoLab   bool    // no candidates
	Refused bool    // a candidate did not go live at its time
	Trying  bool    // some keys pay by the first candidate of the lab
	Canary  float64 // percent of the keys that pay a candidate in live mode; set it before the start

	mu    sync.Mutex
	keys  []api.KeyRow
	mode  string
	seq   uint64
	price api.Prices
	rng   *rand.Rand
	proof api.Proof
	cut   error // the stream ends with it
	no    error // changes are refused with it
	lab   []*sheet
}

// New makes a gateway with n keys.
func New(n int, now func() time.Time) *Gateway {
	g := &Gateway{Now: now, Rate: 2000, Every: 100 * time.Millisecond, Role: "admin", mode: "shadow", seq: 10_482_113, rng: rand.New(rand.NewPCG(1, 2))}
	at := now()
	for i := range n {
		g.keys = append(g.keys, g.key(i, at))
	}
	g.price = api.Prices{Sheet: "9f3c1a77d0", Default: 1, Source: "file"}
	for i, t := range tools() {
		g.price.Tools = append(g.price.Tools, api.PriceRow{Tool: t.name, Known: true, Own: true, PerCall: t.price, CallsPerHour: t.share * 3600 * 3, CreditsPerHour: t.share * 3600 * 3 * float64(t.price), PerKBOut: int64(i / 9)})
	}
	g.lab = candidates(at)
	proved := at.Add(-3 * time.Second)
	g.proof = api.Proof{At: &proved, OK: true, Events: 10_482_113, Entries: 10_482_113, Balances: n}
	return g
}

type tool struct {
	name  string
	price int64
	share float64
	ms    float64
}

// catalogue never changes.
var catalogue = [...]tool{{"fs:read_file", 1, 2.6, 2}, {"search:web_search", 5, 1.2, 32}, {"fs:list_directory", 0, 0.9, 4}, {"browser:screenshot", 12, 0.4, 141},
	{"fs:write_file", 2, 0.5, 9}, {"search:fetch_page", 3, 0.3, 60}, {"browser:click", 1, 0.2, 22}, {"knowledge-graph:create_entities", 1, 0.2, 11},
	{"memory:search_nodes", 2, 0.1, 7}, {"summarize_long_documents_and_conversations", 20, 0.05, 1950}}

func tools() []tool { return catalogue[:] }

func names() []string {
	return []string{"bob@example.com", "acme-ci", "support-bot", "zoë", "nightly-crawler", "billing-reconciliation-eu-west-1-canary-2026", "研究チーム-crawler", "🚀 rocket", "acme-prod", "qa", "claude-desktop"}
}

func (g *Gateway) key(i int, at time.Time) api.KeyRow {
	name := fmt.Sprintf("agent-%05d", i)
	if i < len(names()) {
		name = names()[i]
	}
	credits := int64(g.rng.ExpFloat64() * 40000)
	burn := g.rng.ExpFloat64() * 60
	switch i {
	case 0:
		credits = 0
	case 1:
		credits, burn = 412, 388
	case 8:
		credits, burn = 1_000_000_000, 41200
	}
	r := api.KeyRow{ID: fmt.Sprintf("key_%08x", 0x5f1c09d2+i*7919), KeyPrefix: fmt.Sprintf("pg_%07x", (i*104729+77)%0xfffffff), Name: name, Credits: credits, Active: i%97 != 96,
		Suspended: i%23 == 5, Expired: i%31 == 7, CreatedAt: at.Add(-time.Duration(i%400+1) * 24 * time.Hour), TotalSpent: int64(i*37%90000) + 5, TotalCalls: int64(i*53%90000) + 3,
		Tags: map[string]string{"env": []string{"prod", "test"}[i%2]}, BurnPerHour: burn}
	used := at.Add(-time.Duration(i*i%90000) * time.Second)
	r.LastUsedAt = &used
	r.Plan = []string{"free", "pro", "", "free"}[i%4]
	if i%3 == 1 {
		r.SpendingLimit = 100000
		r.Quota = &api.Quota{DailyCallLimit: 5000, DailyCreditLimit: 20000}
	}
	if i%5 == 1 {
		r.AllowedTools, r.DeniedTools = []string{"fs:*", "search:*"}, []string{"browser:*"}
	}
	if r.Expired {
		gone := at.Add(-time.Hour)
		r.ExpiresAt = &gone
	}
	if burn > 0 {
		dry := int64(float64(credits) / burn * 3600)
		r.DryInSeconds = &dry
	}
	r.Spark = make([]float64, 0, 24)
	for h := range 24 {
		r.Spark = append(r.Spark, burn*(1+0.5*float64((i+h*7)%11)/11))
	}
	return r
}

// Do answers a request.
func (g *Gateway) Do(ctx context.Context, method, path string, in, out any) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if g.Fail != nil {
		return g.Fail
	}
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	if method != "GET" && g.no != nil {
		return g.no
	}
	question := path == "/admin/shadow/sums" || path == "/admin/shadow/replay"
	if method != "GET" && !question {
		g.Asked = append(g.Asked, method+" "+path+" "+string(body))
	}
	u, err := url.Parse(path)
	if err != nil {
		return fmt.Errorf("path: %w", err)
	}
	answer, err := g.answer(method, u, body)
	if err != nil || out == nil {
		return err
	}
	b, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return json.Unmarshal(b, out)
}

func (g *Gateway) answer(method string, u *url.URL, body []byte) (any, error) {
	q := u.Query()
	switch method + " " + u.Path {
	case "GET /keys":
		return g.page(q), nil
	case "GET /plans":
		return map[string]any{"plans": []map[string]any{{"name": "free", "grant": 500, "grantPer": "month", "rate": 30, "spendCap": 200, "keys": 31}, {"name": "pro", "grant": 20000, "grantPer": "month", "rate": 600, "keys": 9}}}, nil
	case "POST /keys":
		return g.create(body)
	case "POST /topup", "POST /limits", "POST /keys/acl", "POST /keys/suspend", "POST /keys/resume", "POST /keys/revoke", "POST /keys/quota", "POST /keys/tags", "POST /keys/plan", "POST /keys/group":
		return map[string]string{"message": "done"}, g.change(u.Path, body)
	case "POST /keys/rotate":
		return map[string]string{"newKey": "pg_rotated0123456789abcdef"}, nil
	case "GET /keys/quota-status":
		return map[string]any{"daily": map[string]int{"callsUsed": 4410, "callsLimit": 5000, "creditsUsed": 0, "creditsLimit": 0}}, nil
	case "GET /keys/rate-limit-status":
		return map[string]any{"global": map[string]int{"limit": 60, "used": 31}}, nil
	case "GET /admin/keys/use":
		return g.use(), nil
	case "GET /admin/calls":
		return g.calls(q)
	case "GET /admin/mode":
		return api.Mode{Mode: g.mode, Broke: 3, Source: "file"}, nil
	case "POST /admin/mode":
		var m api.Mode
		err := json.Unmarshal(body, &m)
		g.mode = m.Mode
		return m, err
	case "GET /admin/prices":
		return g.price, nil
	case "POST /admin/prices":
		return g.setPrices(body)
	case "POST /admin/prices/effect":
		return g.effect(), nil
	case "GET /admin/servers/stderr":
		return g.stderr(), nil
	case "GET /admin/ledger":
		return g.ledger(q), nil
	case "POST /admin/ledger/verify":
		return g.proof, nil
	case "GET /audit":
		return map[string]any{"events": g.audit()}, nil
	case "POST /requests/dry-run":
		return map[string]any{"allowed": true, "creditsRequired": 12, "creditsAvailable": 412, "creditsAfter": 400}, nil
	case "POST /admin/servers/restart", "POST /admin/servers/drain", "POST /admin/servers", "DELETE /admin/servers":
		return map[string]string{}, nil
	}
	if strings.HasPrefix(u.Path, "/admin/shadow") {
		return g.labAnswer(method, u, body)
	}
	if id, ok := strings.CutPrefix(u.Path, "/admin/calls/"); ok {
		return g.detail(id), nil
	}
	return nil, fmt.Errorf("%s %s: not found", method, u.Path)
}

func (g *Gateway) page(q url.Values) api.KeyPage {
	var order []int // of g.keys: rows are large, sorting them would be slow
	search := strings.ToLower(q.Get("search"))
	for i := range g.keys {
		r := &g.keys[i]
		if g.Empty || search != "" && !strings.Contains(strings.ToLower(r.Name+" "+r.ID+" "+r.KeyPrefix), search) {
			continue
		}
		order = append(order, i)
	}
	less := sorter(q.Get("sortBy"))
	desc := q.Get("order") == "desc"
	sort.SliceStable(order, func(i, j int) bool {
		if desc {
			i, j = j, i
		}
		return less(&g.keys[order[i]], &g.keys[order[j]])
	})
	limit, offset := number(q.Get("limit"), 100), number(q.Get("offset"), 0)
	p := api.KeyPage{Total: len(order), Limit: limit, Offset: offset, Keys: []api.KeyRow{}}
	for i := offset; i < min(offset+limit, len(order)); i++ {
		p.Keys = append(p.Keys, g.keys[order[i]])
	}
	return p
}

// sorter is the order that a field asks for.
func sorter(field string) func(a, b *api.KeyRow) bool {
	dry := func(r *api.KeyRow) int64 {
		if r.DryInSeconds == nil {
			return 1 << 62
		}
		return *r.DryInSeconds
	}
	switch field {
	case "credits":
		return func(a, b *api.KeyRow) bool { return a.Credits < b.Credits }
	case "burnPerHour":
		return func(a, b *api.KeyRow) bool { return a.BurnPerHour < b.BurnPerHour }
	case "totalCalls":
		return func(a, b *api.KeyRow) bool { return a.TotalCalls < b.TotalCalls }
	case "dryIn":
		return func(a, b *api.KeyRow) bool { return dry(a) < dry(b) }
	case "lastUsedAt":
		return func(a, b *api.KeyRow) bool { return a.LastUsedAt.Before(*b.LastUsedAt) }
	}
	return func(a, b *api.KeyRow) bool { return a.Name < b.Name }
}

func number(s string, or int) int {
	n := 0
	if _, err := fmt.Sscan(s, &n); err != nil {
		return or
	}
	return n
}

func (g *Gateway) create(body []byte) (any, error) {
	var in struct {
		Name    string
		Credits int64
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	r := g.key(len(g.keys)+1000, g.Now())
	r.Name, r.Credits, r.BurnPerHour, r.DryInSeconds = in.Name, in.Credits, 0, nil
	g.keys = append(g.keys, r)
	return map[string]any{"key": "pg_secret0123456789abcdef", "id": r.ID, "name": r.Name}, nil
}

func (g *Gateway) change(path string, body []byte) error {
	var in struct {
		Key           string
		Credits       int64
		SpendingLimit int64
		AllowedTools  []string
		DeniedTools   []string
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return err
	}
	for i := range g.keys {
		r := &g.keys[i]
		if r.ID != in.Key {
			continue
		}
		switch path {
		case "/topup":
			r.Credits += in.Credits
		case "/limits":
			r.SpendingLimit = in.SpendingLimit
		case "/keys/acl":
			r.AllowedTools, r.DeniedTools = in.AllowedTools, in.DeniedTools
		case "/keys/suspend":
			r.Suspended = true
		case "/keys/resume":
			r.Suspended = false
		case "/keys/revoke":
			r.Active = false
		}
		return nil
	}
	return fmt.Errorf("key %s: not found", in.Key)
}

func (g *Gateway) calls(q url.Values) (any, error) {
	if g.Empty {
		return api.CallPage{Calls: []api.CallRow{}}, nil
	}
	f, err := filter.Parse(q.Get("filter"))
	if err != nil {
		return nil, err
	}
	before := uint64(number(q.Get("before"), int(g.seq)+1))
	page := api.CallPage{Calls: []api.CallRow{}}
	for n := before - 1; n > before-2000 && len(page.Calls) < number(q.Get("limit"), 100); n-- {
		if c := g.call(n, g.Now()); f.Match(&c, g.Now()) {
			page.Calls = append(page.Calls, c)
		}
		page.Before = n
	}
	return page, nil
}

func (g *Gateway) setPrices(body []byte) (any, error) {
	var in api.PriceUpdate
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	if in.Base != g.price.Sheet {
		return nil, fmt.Errorf("another price sheet is live by now: reload and look again")
	}
	for _, c := range in.Changes {
		for i := range g.price.Tools {
			if r := &g.price.Tools[i]; r.Tool == c.Tool && c.PerCall != nil {
				r.PerCall = *c.PerCall
			}
		}
	}
	g.price.Sheet += "1"
	return g.price, nil
}

// Cut ends every stream with an error, until it is nil again.
func (g *Gateway) Cut(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut = err
}

// Refuse refuses every change with an error, until it is nil again.
func (g *Gateway) Refuse(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.no = err
}

func (g *Gateway) broken() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cut
}

// Rename gives every key a name and a balance: for what is long and huge.
func (g *Gateway) Rename(name string, credits int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.keys {
		g.keys[i].Name = fmt.Sprintf("%s-%d", name, i)
		g.keys[i].Credits, g.keys[i].TotalCalls = credits, credits
		g.keys[i].BurnPerHour *= 1e9
	}
}

// Only keeps the first n keys, for tests that need none of the many.
func (g *Gateway) Only(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keys = g.keys[:min(n, len(g.keys))]
}
