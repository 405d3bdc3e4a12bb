package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// target is an address that answers tools/call, with the keys to call it with.
type target struct {
	name     string
	url      string
	keys     []string
	sessions []string // by connection; nil: calls without a session
	pid      int      // of the process under test
	also     int      // another process whose time counts as its; 0: none
}

// result is one measurement.
type result struct {
	perSecond     float64
	p50, p99      time.Duration
	answered, bad int
	cpu           used // of one call
}

// load calls the echo tool in a closed loop over conns connections.
func load(t target, conns int, length time.Duration) result {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConns: conns, MaxIdleConnsPerHost: conns}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	times, bad := make([][]time.Duration, conns), make([]int, conns)
	before, start := t.used(), time.Now()
	for w := range conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 1; time.Since(start) < length; i++ {
				began := time.Now()
				if err := call(client, t, w, i); err != nil {
					bad[w]++
					continue
				}
				times[w] = append(times[w], time.Since(began))
			}
		}()
	}
	wg.Wait()
	took := time.Since(start).Seconds()
	all := slices.Concat(times...)
	slices.Sort(all)
	r := result{answered: len(all), perSecond: float64(len(all)) / took, cpu: t.used().since(before).each(len(all))}
	for _, n := range bad {
		r.bad += n
	}
	if len(all) > 0 {
		r.p50, r.p99 = all[len(all)/2], all[len(all)*99/100]
	}
	return r
}

func call(client *http.Client, t target, worker, i int) error {
	body := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{"message":"%064d"}}}`, i, worker)
	req, err := t.request(worker, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || !bytes.Contains(b, []byte(`"content"`)) {
		return fmt.Errorf("HTTP %d: %s", res.StatusCode, b)
	}
	return nil
}

// request is a message on its way from one of the connections.
func (t target) request(worker int, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequest(http.MethodPost, t.url, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if len(t.keys) > 0 {
		req.Header.Set("X-API-Key", t.keys[worker%len(t.keys)])
	}
	if len(t.sessions) > 0 {
		req.Header.Set("Mcp-Session-Id", t.sessions[worker])
	}
	return req, nil
}

func median[T float64 | time.Duration](of []T) T {
	of = slices.Clone(of)
	slices.Sort(of)
	return of[len(of)/2]
}
