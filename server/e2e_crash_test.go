package server_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// agent counts what it asked for and what it was told.
type agent struct {
	key          key
	asked, acked atomic.Int64
}

func TestTwentyKillsLoseAndInventNothing(t *testing.T) {
	t.Parallel()
	const kills, workers, grant = 20, 8, 100_000
	g := start(t, map[string]any{"defaultCreditsPerCall": 1})
	agents := make([]*agent, 4)
	for i := range agents {
		agents[i] = &agent{key: g.key(map[string]any{"credits": grant})}
	}
	for kill := range kills {
		stop, enough := make(chan struct{}), make(chan struct{})
		var answered atomic.Int64
		var wg sync.WaitGroup
		goal := int64(20 + rand.IntN(400))
		for w := range workers {
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					a := agents[(w+i)%len(agents)]
					a.asked.Add(1)
					got := g.call(a.key.Key, "echo", map[string]any{"text": "x"})
					if got.Status == 0 { // killed
						return
					}
					if got.Error == nil && got.Result != nil {
						a.acked.Add(1)
						if answered.Add(1) == goal {
							close(enough)
						}
					}
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(20 * time.Second):
			t.Errorf("kill %d: %d answers of %d", kill, answered.Load(), goal)
		}
		g.kill()
		close(stop)
		wg.Wait()
		g.run()
		for i, a := range agents {
			got := g.account(a.key)
			if got.Spent < a.acked.Load() || got.Spent > a.asked.Load() || got.Credits+got.Spent != grant || got.Held != 0 {
				t.Fatalf("kill %d, agent %d: asked %d, told %d: %+v", kill, i, a.asked.Load(), a.acked.Load(), got)
			}
		}
	}
	g.prove()
}

func TestAToolThatFailsIsRefundedWhereTheFileSaysSo(t *testing.T) {
	t.Parallel()
	for refund, want := range map[bool]int64{false: 2, true: 0} {
		g := start(t, map[string]any{"refundOnFailure": refund})
		k := g.key(nil)
		a := g.call(k.Key, "fail", map[string]any{"text": "the disk is gone"})
		if a.Error != nil || !strings.Contains(string(a.Result), `"isError":true`) || !strings.Contains(string(a.Result), "the disk is gone") {
			t.Errorf("the tool's own error did not come through: %+v %s", a.Error, a.Result)
		}
		if got := g.account(k); got.Spent != want || got.Credits != 100-want || got.Held != 0 {
			t.Errorf("refundOnFailure %v: %+v", refund, got)
		}
		g.prove()
	}
}

func TestAReservationEndsWithItsTime(t *testing.T) {
	t.Parallel()
	g := start(t, nil)
	k := g.key(map[string]any{"credits": 2})
	g.do("POST", "/keys/reserve", map[string]any{"key": k.Key, "credits": 2, "ttlSeconds": 10}, nil, 201) // the shortest there is
	g.restart()
	if got := g.account(k); got.Held != 2 {
		t.Fatalf("after the kill: %+v", got)
	}
	deadline := time.After(15 * time.Second)
	for g.account(k).Held != 0 {
		select {
		case <-deadline:
			t.Fatalf("still held: %+v", g.account(k))
		case <-time.After(200 * time.Millisecond):
		}
	}
	if a := g.call(k.Key, "echo", nil); a.Error != nil || g.account(k).Credits != 0 {
		t.Errorf("credits that are free again: %+v %+v", a.Error, g.account(k))
	}
	g.prove()
}
