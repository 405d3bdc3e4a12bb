// Package demo is something to look at: an MCP server with a few tools of
// different cost, speed and reliability, and agents that call them. Nothing in
// it is real, and the gateway labels what it shows.
package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Tool is one tool of the demo server.
type Tool struct {
	Name        string
	Description string
	Price       int64         // credits a call
	Took        time.Duration // about
	Fails       float64       // share of calls that fail
	Answer      int           // bytes of the answer
}

// Tools are what the demo server offers.
func Tools() []Tool {
	return []Tool{
		{"read_file", "Read a file", 1, 4 * time.Millisecond, 0, 1800},
		{"list_directory", "List a directory", 0, 2 * time.Millisecond, 0, 400},
		{"write_file", "Write a file", 2, 45 * time.Millisecond, 0.03, 80},
		{"web_search", "Search the web", 5, 120 * time.Millisecond, 0.02, 2600},
		{"screenshot", "Take a picture of a page", 12, 350 * time.Millisecond, 0.08, 24000},
	}
}

// message is as much of JSON-RPC as the server reads.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Name            string `json:"name"`
		ProtocolVersion string `json:"protocolVersion"`
	} `json:"params"`
}

// Serve answers MCP requests from in on out until in ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var mu sync.Mutex
	var calls sync.WaitGroup
	defer calls.Wait()
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), 4<<20)
	for lines.Scan() {
		var m message
		if json.Unmarshal(lines.Bytes(), &m) != nil || m.ID == nil {
			continue
		}
		calls.Go(func() {
			answer := map[string]any{"jsonrpc": "2.0", "id": m.ID}
			if result, problem := reply(ctx, m); problem != nil {
				answer["error"] = problem
			} else {
				answer["result"] = result
			}
			text, err := json.Marshal(answer)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			_, _ = out.Write(append(text, '\n')) // the gateway is gone: in ends too
		})
	}
	return lines.Err()
}

func reply(ctx context.Context, m message) (result, problem any) {
	switch m.Method {
	case "initialize":
		return map[string]any{"protocolVersion": version(m.Params.ProtocolVersion), "serverInfo": map[string]any{"name": "paygate-demo", "version": "1"},
			"capabilities": map[string]any{"tools": map[string]any{}}}, nil
	case "ping":
		return map[string]any{}, nil
	case "tools/list":
		var tools []any
		for _, t := range Tools() {
			tools = append(tools, map[string]any{"name": t.Name, "description": t.Description, "inputSchema": map[string]any{"type": "object",
				"properties": map[string]any{"about": map[string]any{"type": "string"}}}})
		}
		return map[string]any{"tools": tools}, nil
	case "tools/call":
		for _, t := range Tools() {
			if t.Name == m.Params.Name {
				return t.run(ctx), nil
			}
		}
		return nil, map[string]any{"code": -32602, "message": "unknown tool " + m.Params.Name}
	}
	return nil, map[string]any{"code": -32601, "message": "method not found"}
}

func version(asked string) string {
	if asked == "" || asked > "2025-11-25" {
		return "2025-11-25"
	}
	return asked
}

// run takes about as long as the tool takes, and sometimes fails.
func (t Tool) run(ctx context.Context) any {
	took := time.Duration(float64(t.Took) * (0.5 + rand.ExpFloat64()/2))
	select {
	case <-time.After(took):
	case <-ctx.Done():
	}
	text := fmt.Sprintf("%s took %s", t.Name, took.Round(time.Millisecond))
	if rand.Float64() < t.Fails {
		return map[string]any{"isError": true, "content": []any{map[string]any{"type": "text", "text": t.Name + " failed, as demo tools do now and then"}}}
	}
	if n := t.Answer - len(text); n > 0 {
		text += strings.Repeat(" ·", n/3)
	}
	return map[string]any{"content": []any{map[string]any{"type": "text", "text": text}}}
}
