package server_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"
)

// storm is money operations from outside, each sent again under its
// Idempotency-Key until somebody answers, and what they must come to.
type storm struct {
	*gateway
	keys []key
	mu   sync.Mutex
	has  map[string]int64 // by key: what it was given less what it gave away
}

// sure sends an operation until it is answered, over kills.
func (s *storm) sure(path string, body map[string]any, once string) (status int, id string) {
	for {
		var out struct{ ID string }
		if status := s.try("POST", path, body, &out, "Idempotency-Key", once); status != 0 && status != http.StatusServiceUnavailable {
			return status, out.ID
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (s *storm) gave(k key, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.has[k.ID] += int64(n)
}

func (s *storm) work(r *rand.Rand, once string) {
	from, to, n := s.keys[r.IntN(len(s.keys))], s.keys[r.IntN(len(s.keys))], 1+r.IntN(30)
	switch r.IntN(6) {
	case 0:
		if status, _ := s.sure("/topup", map[string]any{"key": to.ID, "credits": n}, once); status == http.StatusOK {
			s.gave(to, n)
		}
	case 1, 2:
		if status, _ := s.sure("/keys/transfer", map[string]any{"from": from.ID, "to": to.ID, "credits": n}, once); status == http.StatusOK {
			s.gave(from, -n)
			s.gave(to, n)
		}
	case 3:
		if status, id := s.sure("/keys/reserve", map[string]any{"key": from.ID, "credits": n, "ttlSeconds": 3600}, once); status == http.StatusCreated {
			end := []string{"/keys/reserve/commit", "/keys/reserve/release"}[r.IntN(2)]
			if status, _ := s.sure(end, map[string]any{"reservationId": id}, once); status != http.StatusOK {
				s.t.Errorf("%s of a promise: HTTP %d", end, status)
			}
		}
	default:
		s.call(from.Key, "echo", nil)
	}
}

func TestAMoneyStormOverKillsComesToWhatWasAnswered(t *testing.T) {
	t.Parallel()
	s := &storm{gateway: start(t, map[string]any{"adminRateLimit": 0}), has: map[string]int64{}}
	for range 5 {
		k := s.key(map[string]any{"credits": 200})
		s.keys = append(s.keys, k)
		s.gave(k, 200)
	}
	const workers, each, kills = 6, 60, 4
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 3))
			for i := range each {
				s.work(r, fmt.Sprint("op ", w, "/", i))
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for range kills {
		select {
		case <-done:
		case <-time.After(time.Duration(50+rand.IntN(250)) * time.Millisecond):
			s.restart()
		}
	}
	<-done
	for range 2 {
		for _, k := range s.keys {
			if a := s.account(k); a.Held != 0 || a.Credits < 0 || a.Credits+a.Spent != s.has[k.ID] {
				t.Errorf("%+v, and what was answered comes to %d", a, s.has[k.ID])
			}
		}
		s.restart()
	}
	s.prove()
}
