package demo

import (
	"context"
	"encoding/json"
	"iter"
	"sync"
	"time"

	"paygate/server/api"
	"paygate/server/api/client"
)

// Show is one demo: a gateway's settings, what has happened on it, and the
// agents that call it.
type Show struct {
	Clock  *Clock
	begun  time.Time
	agents sync.WaitGroup
}

// New is a demo whose history ends now.
func New(now func() time.Time) *Show {
	begun := now()
	return &Show{Clock: NewClock(now, begun.Add(-History)), begun: begun}
}

// Settings are the gateway's, by name; program is this one, which serves the
// demo's tools too. It begins in shadow mode, and keeps its state in dir.
func Settings(program, dir, port string) (map[string]string, error) {
	prices := map[string]map[string]int64{}
	for _, t := range Tools() {
		prices[t.Name] = map[string]int64{"creditsPerCall": t.Price}
	}
	settings := map[string]string{"port": port, "logLevel": "info", "globalRateLimitPerMin": "600", "refundOnFailure": "true", "shadowMode": "true",
		"isolation": "shared"} // it keeps nothing of its callers: one process serves them all
	for name, v := range map[string]any{"name": "PayGate demo", "stateDir": dir, "serverCommand": program, "serverArgs": []string{"demo-server"}, "toolPricing": prices} {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		settings[name] = string(text)
	}
	return settings, nil
}

// Gateway is the demo's, as far as it must be known: its owner's way to it,
// where agents call it, and how calls of the past come into its books.
type Gateway struct {
	Owner *client.Client
	MCP   string
	Enact func(ctx context.Context, calls iter.Seq[api.Past], at func(time.Time)) error
}

// Begin makes keys, candidates and the history, lets the real time run, and
// sends the agents off. They call until ctx ends; Wait waits for them.
func (s *Show) Begin(ctx context.Context, g Gateway) error {
	history := Past(Agents(), s.begun)
	keys, err := Keys(ctx, g.Owner, history)
	if err != nil {
		return err
	}
	if err := Shadow(ctx, g.Owner); err != nil {
		return err
	}
	if err := g.Enact(ctx, withKeys(history, keys), s.Clock.Set); err != nil {
		return err
	}
	s.Clock.Go()
	s.agents.Go(func() { Run(ctx, g.MCP, keys) })
	return nil
}

// Wait returns when every agent has ended.
func (s *Show) Wait() { s.agents.Wait() }

func withKeys(history []Call, keys map[string]string) iter.Seq[api.Past] {
	return func(yield func(api.Past) bool) {
		for _, c := range history {
			c.Key = keys[c.Agent]
			if !yield(c.Past) {
				return
			}
		}
	}
}
