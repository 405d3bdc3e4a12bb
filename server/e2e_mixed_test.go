package server_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// wallet is what the test knows of a key: what it was given is exact, because
// money operations are repeated under their Idempotency-Key until they are
// answered; what was spent lies between what was told and what was asked.
type wallet struct {
	key          key
	moved        atomic.Int64 // by top-ups and transfers
	asked, acked atomic.Int64 // credits, of calls and reservations
}

// mixed is all that can move money, at once, on a gateway that is killed.
type mixed struct {
	g       *gateway
	wallets []*wallet
	once    atomic.Int64
	dead    chan struct{} // closed when the gateway is about to be killed
}

func (m *mixed) over() bool {
	select {
	case <-m.dead:
		return true
	default:
		return false
	}
}

// order is a money operation that is repeated until it is answered, over kills.
type order struct {
	path, once string
	body       map[string]any
	done       func()
}

func (m *mixed) try(o *order) (answered bool) {
	switch status := m.g.try("POST", o.path, o.body, nil, "Idempotency-Key", o.once); {
	case status == 0, status == http.StatusServiceUnavailable:
		return false
	case status < 300:
		o.done()
	case status != http.StatusBadRequest: // insufficient credits
		m.g.t.Errorf("%s %v: HTTP %d", o.path, o.body, status)
	}
	return true
}

func (m *mixed) topup(w *wallet) *order {
	return &order{"/topup", m.name(), map[string]any{"key": w.key.ID, "credits": 7}, func() { w.moved.Add(7) }}
}

func (m *mixed) transfer(from, to *wallet) *order {
	return &order{"/keys/transfer", m.name(), map[string]any{"from": from.key.ID, "to": to.key.ID, "credits": 3}, func() { from.moved.Add(-3); to.moved.Add(3) }}
}

func (m *mixed) name() string { return fmt.Sprint("op-", m.once.Add(1)) }

// reserve takes credits and spends or returns them.
func (m *mixed) reserve(w *wallet, commit bool) {
	var held struct{ ID string }
	if m.g.try("POST", "/keys/reserve", map[string]any{"key": w.key.ID, "credits": 5, "ttlSeconds": 10}, &held) != 201 || held.ID == "" {
		return
	}
	path := "/keys/reserve/release"
	if commit {
		path = "/keys/reserve/commit"
		w.asked.Add(5)
	}
	if m.g.try("POST", path, map[string]any{"reservationId": held.ID}, nil) == 200 && commit {
		w.acked.Add(5)
	}
}

// call asks for a tool that costs price when it is charged at all.
func (m *mixed) call(w *wallet, tool string, price int64, shadow bool) {
	w.asked.Add(price)
	a := m.g.call(w.key.Key, tool, map[string]any{"text": "x"})
	if a.Status == 200 && a.Error == nil && a.Result != nil && !shadow {
		w.acked.Add(price)
	}
}

func (m *mixed) batch(w *wallet, shadow bool) {
	w.asked.Add(6)
	item := map[string]any{"name": "echo", "arguments": map[string]any{}}
	a := m.g.rpc(w.key.Key, "tools/call_batch", map[string]any{"calls": []any{item, item, item}})
	if a.Status == 200 && a.Error == nil && a.Result != nil && !shadow {
		w.acked.Add(6)
	}
}

// work is one worker; what it could not finish is left for after the restart.
func (m *mixed) work(n int, shadow bool) (left *order) {
	for !m.over() {
		w, other := m.wallets[rand.IntN(len(m.wallets))], m.wallets[rand.IntN(len(m.wallets))]
		switch pick := rand.IntN(12); {
		case pick < 5:
			m.call(w, "echo", 2, shadow)
		case pick < 6:
			w.asked.Add(2) // may be charged and given back
			m.g.call(w.key.Key, "fail", map[string]any{"text": "no"})
			w.asked.Add(-2)
		case pick < 8:
			m.batch(w, shadow)
		case pick < 10:
			m.reserve(w, pick == 8)
		case pick < 11 || w == other:
			left = m.topup(w)
		default:
			left = m.transfer(w, other)
		}
		if left != nil && !m.try(left) {
			return left
		}
		left = nil
	}
	return nil
}

func TestAllThatMovesMoneyAtOnceOverKills(t *testing.T) {
	t.Parallel()
	kills := 4
	if n, err := strconv.Atoi(os.Getenv("PAYTEST_KILLS")); err == nil {
		kills = n
	}
	const grant, workers = 2000, 10
	settings := map[string]any{"refundOnFailure": true, "adminRateLimit": 0}
	g := start(t, settings)
	m := &mixed{g: g}
	for range 4 {
		m.wallets = append(m.wallets, &wallet{key: g.key(map[string]any{"credits": grant})})
	}
	for kill := range kills {
		m.dead = make(chan struct{})
		shadow := kill%3 == 2 // calls may be free: nothing is known to be charged
		var left [workers]*order
		var wg sync.WaitGroup
		for n := range workers {
			wg.Go(func() { left[n] = m.work(n, shadow) })
		}
		for range 3 { // what an admin does meanwhile
			<-time.After(time.Duration(20+rand.IntN(60)) * time.Millisecond)
			if shadow {
				g.try("POST", "/admin/mode", map[string]any{"mode": []string{"shadow", "live"}[rand.IntN(2)]}, nil)
			}
			g.try("POST", "/config/reload", nil, nil)
			g.try("GET", "/admin/backup", nil, nil)
		}
		close(m.dead)
		g.kill()
		wg.Wait()
		if out, code := g.command("doctor", "--config", g.file()); code != 0 {
			t.Fatalf("kill %d: doctor: exit %d\n%s", kill, code, out)
		}
		g.run()
		if shadow {
			g.do("POST", "/admin/mode", map[string]any{"mode": "live"}, nil, 200)
		}
		for _, o := range left {
			if o != nil && !m.try(o) {
				t.Fatalf("kill %d: %s is not answered", kill, o.path)
			}
		}
		for i, w := range m.wallets {
			got, given := g.account(w.key), grant+w.moved.Load()
			if spent := given - got.Credits; spent < w.acked.Load() || spent > w.asked.Load() || got.Credits < 0 || got.Spent != spent {
				t.Fatalf("kill %d, wallet %d: given %d, asked %d, told %d: %+v", kill, i, given, w.asked.Load(), w.acked.Load(), got)
			}
		}
	}
	g.prove()
}
