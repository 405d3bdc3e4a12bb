package main

import (
	"context"
	"fmt"
	"iter"
	"os"
	"runtime/debug"
	"time"

	"paygate/pricing"
	"paygate/server"
	"paygate/server/api/client"
	"paygate/server/config"
	"paygate/tui/cli"
	"paygate/tui/demo"
)

// demo serves the demo server to the demo's agents, in a folder that goes when
// it ends. It begins two weeks ago, in shadow mode and with two candidates, so
// that the pricing lab has something to say at once.
func (p *program) demo(ctx context.Context, headless bool, port string) error {
	dir, err := os.MkdirTemp("", "paygate-demo")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	all := config.Defaults()
	all.Name, all.StateDir, all.LogLevel, all.GlobalRateLimit, all.RefundOnFailure, all.ShadowMode = "PayGate demo", dir, "warn", 600, true, true
	all.Servers = []config.Server{{Command: self, Args: []string{"demo-server"}, Isolation: "shared"}} // it keeps nothing of its callers: one process serves them all
	if _, err := fmt.Sscan(port, &all.Port); err != nil {
		return &cli.UsageError{Message: fmt.Sprintf("--port %q is not a number", port)}
	}
	for _, t := range demo.Tools() {
		all.Tools[t.Name] = config.Tool{Price: pricing.ToolPrice{PerCall: pricing.Credits(t.Price)}}
	}
	debug.SetMemoryLimit(demoMemory) // two weeks of calls at once would make the heap large, and it would stay so
	agents, stop := context.WithCancel(ctx)
	defer stop()
	now := time.Now()
	clock := demo.NewClock(time.Now, now.Add(-demo.History))
	return p.serve(ctx, &all, cli.Wrap{Headless: headless}, clock, func(ctx context.Context, s *server.Server, url string) error {
		keys, err := past(ctx, s, clock, now)
		if err != nil {
			return err
		}
		go demo.Run(agents, url+"/mcp", keys)
		return nil
	})
}

const demoMemory = 56 << 20

// past makes the demo's keys, candidates and history, and lets the real time
// run.
func past(ctx context.Context, s *server.Server, clock *demo.Clock, now time.Time) (keys map[string]string, err error) {
	history, owner := demo.Past(demo.Agents(), now), client.InProcess(s.Owner())
	if keys, err = demo.Keys(ctx, owner, history); err != nil {
		return nil, err
	}
	if err := demo.Shadow(ctx, owner); err != nil {
		return nil, err
	}
	if err := s.Enact(ctx, calls(history, keys), clock.Set); err != nil {
		return nil, err
	}
	clock.Go()
	return keys, nil
}

func calls(history []demo.Call, keys map[string]string) iter.Seq[server.Past] {
	return func(yield func(server.Past) bool) {
		for _, c := range history {
			if !yield(server.Past{Key: keys[c.Agent], Tool: c.Tool, Run: c.Run, At: c.At, Took: c.Took, In: c.In, Out: c.Out, Failed: c.Failed}) {
				return
			}
		}
	}
}
