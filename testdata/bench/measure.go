package main

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// The bars of the project.
const (
	ofUncharged = 0.75
	ofBare      = 0.55
	addedAtOne  = time.Millisecond
	idleMemory  = 40 << 20
	besideP99   = 2.0
	addedCPU    = 60 // µs
	timesBridge = 4.0
	ofHeadless  = 0.95
)

// bar prints a figure beside its bar and counts a miss.
func bar(what string, ok bool, figure, limit string) int {
	mark, missed := "ok    ", 0
	if !ok {
		mark, missed = "MISSED", 1
	}
	fmt.Printf("%s %-52s %10s   bar %s\n", mark, what, figure, limit)
	return missed
}

func (b *bench) throughput() int {
	defer b.stop()
	bare := b.bare()
	free, _ := b.gateway("uncharged", true)
	charged, _ := b.gateway("charged and durable", false)
	targets := []target{bare, free, charged}
	for _, t := range targets { // warm caches, connections and the child
		load(t, b.conns, b.length/4)
	}
	rates := make([][]float64, len(targets))
	for round := range b.rounds {
		for i, t := range targets {
			r := load(t, b.conns, b.length)
			if r.bad > 0 {
				fmt.Printf("       %s: %d calls failed\n", t.name, r.bad)
			}
			rates[i] = append(rates[i], r.perSecond)
			fmt.Printf("round %d %-22s %8.0f calls/s  p50 %6.2f ms  p99 %6.2f ms  %s\n", round+1, t.name, r.perSecond, ms(r.p50), ms(r.p99), r.cpu)
		}
	}
	toFree, toBare := ratios(rates[2], rates[1]), ratios(rates[2], rates[0])
	return bar(fmt.Sprintf("charged / uncharged at %d connections", b.conns), toFree >= ofUncharged, percent(toFree), percent(ofUncharged)) +
		bar(fmt.Sprintf("charged / bare echo at %d connections", b.conns), toBare >= ofBare, percent(toBare), percent(ofBare))
}

func (b *bench) latency() int {
	defer b.stop()
	free, _ := b.gateway("uncharged", true)
	charged, _ := b.gateway("charged", false)
	var added []time.Duration
	for range b.rounds {
		f, c := load(free, 1, b.length), load(charged, 1, b.length)
		added = append(added, c.p50-f.p50)
	}
	d := median(added)
	return bar("added p50 at one connection", d < addedAtOne, fmt.Sprintf("%.2f ms", ms(d)), fmt.Sprintf("%.0f ms", ms(addedAtOne)))
}

func (b *bench) memory(calls int) int {
	defer b.stop()
	charged, cmd := b.gateway("charged", false)
	idle := anonymous(cmd.Process.Pid)
	missed := bar("anonymous memory, idle", idle < idleMemory, megabytes(idle), megabytes(idleMemory))
	var first int64
	for done := 0; done < calls; {
		done += load(charged, b.conns, 5*time.Second).answered
		now := anonymous(cmd.Process.Pid)
		if first == 0 && done >= 200_000 {
			first = now
		}
		fmt.Printf("       after %9d calls %10s\n", done, megabytes(now))
		if done >= calls && first > 0 {
			missed += bar("anonymous memory, growth since 200,000 calls", now-first < 16<<20, megabytes(now-first), megabytes(16<<20))
		}
	}
	return missed
}

// beside compares p99 alone with p99 while reports are read, backups are made
// and a reader dawdles over its stream.
func (b *bench) beside() int {
	defer b.stop()
	charged, _ := b.gateway("charged", false)
	load(charged, b.conns, 2*b.length) // something to report on
	base := charged.url[:len(charged.url)-len("/mcp")]
	var ratio []float64
	for range b.rounds {
		alone := load(charged, 16, b.length)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for _, path := range []string{"/usage", "/requests?limit=1000", "/admin/backup"} {
			wg.Add(1)
			go func() { defer wg.Done(); read(base+path, stop, false) }()
		}
		wg.Add(1)
		go func() { defer wg.Done(); read(base+"/admin/events", stop, true) }()
		busy := load(charged, 16, b.length)
		close(stop)
		wg.Wait()
		ratio = append(ratio, float64(busy.p99)/float64(alone.p99))
		fmt.Printf("       p99 alone %6.2f ms, beside reports, a backup and a slow reader %6.2f ms\n", ms(alone.p99), ms(busy.p99))
	}
	r := median(ratio)
	return bar("p99 beside reports and a backup / alone", r <= besideP99, fmt.Sprintf("%.1f x", r), fmt.Sprintf("%.0f x", besideP99))
}

// read asks for a path again and again, as a person with a report open does,
// or holds one stream and reads it slowly.
func read(url string, stop <-chan struct{}, slow bool) {
	pause := 500 * time.Millisecond
	for {
		if req, err := http.NewRequest(http.MethodGet, url, nil); err == nil {
			req.Header.Set("X-Admin-Key", admin)
			if slow {
				req.Header.Set("Accept", "text/event-stream")
			}
			if res, err := http.DefaultClient.Do(req); err == nil {
				if slow {
					dawdle(res.Body, stop)
				} else {
					io.Copy(io.Discard, res.Body)
				}
				res.Body.Close()
			}
		}
		select {
		case <-stop:
			return
		case <-time.After(pause):
		}
	}
}

func dawdle(body io.Reader, stop <-chan struct{}) {
	buf := make([]byte, 64)
	for {
		select {
		case <-stop:
			return
		case <-time.After(50 * time.Millisecond):
		}
		if _, err := body.Read(buf); err != nil {
			return
		}
	}
}

// ratios is the median of a[i] / b[i]: rounds are compared within themselves.
func ratios(a, b []float64) float64 {
	var r []float64
	for i := range a {
		r = append(r, a[i]/b[i])
	}
	return median(r)
}

func ms(d time.Duration) float64   { return float64(d) / float64(time.Millisecond) }
func percent(f float64) string     { return fmt.Sprintf("%.0f %%", 100*f) }
func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/(1<<20)) }
