package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"paygate/server/api/client"
)

// Agent is one simulated caller.
type Agent struct {
	Name   string
	Spare  int64         // credits beyond what its history takes
	Share  float64       // the same, as a share of that
	Pause  time.Duration // between two calls, about
	Tools  []string      // what it calls, the first most often
	Denied []string      // tools its key may not call
	busy   float64       // how much it did in the history; 1 is usual
}

// Agents are the simulated callers: a few busy ones, and customers who call now
// and then. Some of these have hardly more credits than the present prices
// take, so that dearer ones stop them.
func Agents() []Agent {
	agents := []Agent{
		{"acme-prod", 250_000, 0, 250 * time.Millisecond, []string{"read_file", "list_directory", "web_search"}, nil, 1.6},
		{"nightly-crawler", 40_000, 0, 500 * time.Millisecond, []string{"web_search", "read_file"}, nil, 1.2},
		{"support-bot", 90_000, 0, 700 * time.Millisecond, []string{"read_file", "write_file"}, nil, 1.4},
		{"zoë", 3_000, 0, 2500 * time.Millisecond, []string{"screenshot", "read_file"}, nil, 0.8},
		{"acme-ci", 6_000, 0, 900 * time.Millisecond, []string{"web_search", "write_file"}, nil, 1},
		{"bob@example.com", 2_000, 0, 1200 * time.Millisecond, []string{"read_file", "screenshot", "write_file"}, []string{"write_file"}, 0.6},
	}
	random := rand.New(rand.NewPCG(historySeed, 1))
	work := [][]string{{"read_file", "web_search"}, {"web_search", "read_file", "screenshot"}, {"read_file", "list_directory", "write_file"}, {"web_search", "write_file"}}
	for i, first := range []string{"amber", "birch", "cedar", "delta", "ember", "fjord"} {
		for j, second := range []string{"labs", "bots", "ops", "data", "works", "desk"} {
			a := Agent{Name: first + "-" + second, Share: 0.15 + 1.5*random.Float64(), Pause: time.Duration(20+random.IntN(30)) * time.Second,
				Tools: work[(i+j)%len(work)], busy: math.Exp(0.45 * random.NormFloat64())}
			agents = append(agents, a)
		}
	}
	return agents
}

// Keys makes a key for every agent, with credits for its history, and gives the
// secrets by name.
func Keys(ctx context.Context, owner *client.Client, history []Call) (map[string]string, error) {
	keys, needs := map[string]string{}, spent(history)
	for _, a := range Agents() {
		credits := needs[a.Name] + a.Spare + int64(a.Share*float64(needs[a.Name]))
		var made struct{ Key string }
		if err := owner.Do(ctx, http.MethodPost, "/keys", map[string]any{"name": a.Name, "credits": credits, "deniedTools": a.Denied, "namespace": "demo"}, &made); err != nil {
			return nil, fmt.Errorf("key of %s: %w", a.Name, err)
		}
		keys[a.Name] = made.Key
	}
	return keys, nil
}

// Run lets the agents call the gateway at url, each with its own key, until ctx
// ends.
func Run(ctx context.Context, url string, keys map[string]string) {
	client := &http.Client{Timeout: 30 * time.Second}
	var wg sync.WaitGroup
	for _, a := range Agents() {
		wg.Go(func() { a.run(ctx, client, url, keys[a.Name]) })
	}
	wg.Wait()
}

func (a Agent) run(ctx context.Context, client *http.Client, url, key string) {
	for n := 1; ; n++ {
		// Work comes in bursts with rests between them.
		pause := time.Duration(float64(a.Pause) * rand.ExpFloat64())
		if n%40 == 0 {
			pause += 10 * a.Pause
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		a.call(ctx, client, url, key, n)
	}
}

func (a Agent) call(ctx context.Context, client *http.Client, url, key string, n int) {
	tool := a.Tools[0]
	if rand.Float64() > 0.6 {
		tool = a.Tools[rand.IntN(len(a.Tools))]
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": n, "method": "tools/call",
		"params": map[string]any{"name": tool, "arguments": map[string]any{"about": fmt.Sprintf("%s, piece of work %d", a.Name, n/40)}}})
	if err != nil {
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("X-API-Key", key)
	req.Header.Set("X-Run-Id", fmt.Sprintf("demo-%s-%d", a.Name, n/40))
	res, err := client.Do(req)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, res.Body) // what agents are told does not matter here
	_ = res.Body.Close()
}
