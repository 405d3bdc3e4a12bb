package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"paygate/server/api/client"
	"sync"
	"time"
)

// Agent is one simulated caller.
type Agent struct {
	Name    string
	Credits int64
	Pause   time.Duration // between two calls, about
	Tools   []string      // what it calls, the first most often
	Denied  []string      // tools its key may not call
}

// Agents are the simulated callers.
func Agents() []Agent {
	return []Agent{
		{"acme-prod", 250_000, 180 * time.Millisecond, []string{"read_file", "list_directory", "web_search"}, nil},
		{"nightly-crawler", 40_000, 400 * time.Millisecond, []string{"web_search", "read_file"}, nil},
		{"support-bot", 90_000, 700 * time.Millisecond, []string{"read_file", "write_file"}, nil},
		{"zoë", 3_000, 1500 * time.Millisecond, []string{"screenshot", "read_file"}, nil},
		{"acme-ci", 400, 500 * time.Millisecond, []string{"web_search", "write_file"}, nil},
		{"bob@example.com", 150, 900 * time.Millisecond, []string{"read_file", "screenshot", "write_file"}, []string{"write_file"}},
	}
}

// Keys makes a key for every agent and gives the secrets by name.
func Keys(ctx context.Context, owner *client.Client) (map[string]string, error) {
	keys := map[string]string{}
	for _, a := range Agents() {
		var made struct{ Key string }
		if err := owner.Do(ctx, http.MethodPost, "/keys", map[string]any{"name": a.Name, "credits": a.Credits, "deniedTools": a.Denied}, &made); err != nil {
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
	req.Header.Set("X-Run-Id", fmt.Sprintf("%s-%d", a.Name, n/40))
	res, err := client.Do(req)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, res.Body) // what agents are told does not matter here
	_ = res.Body.Close()
}
