package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// piper starts the gateway that only pipes.
func (b *bench) piper() target {
	addr := "127.0.0.1:" + freePort()
	cmd := b.start(b.self(), "serve-pipe", addr)
	t := target{name: "pipe", url: "http://" + addr + "/mcp", pid: cmd.Process.Pid}
	b.ready(t.url)
	return t
}

// added compares the processor time of a charged call with one through a
// gateway that only pipes, HTTP and the child included in both.
func (b *bench) added() int {
	defer b.stop()
	pipe := b.piper()
	charged, _ := b.gateway("charged and durable", false)
	targets := []target{pipe, charged}
	for _, t := range targets {
		load(t, b.conns, b.length/4)
	}
	var more []float64
	for round := range b.rounds {
		var each []float64
		for _, t := range targets {
			r := load(t, b.conns, b.length)
			fmt.Printf("round %d %-22s %8.0f calls/s  %s\n", round+1, t.name, r.perSecond, r.cpu)
			each = append(each, microseconds(r.cpu.tested+r.cpu.children))
		}
		more = append(more, each[1]-each[0])
	}
	d := median(more)
	return bar("CPU of a charged call more than one that is only piped", d <= addedCPU, fmt.Sprintf("%.0f µs", d), fmt.Sprintf("%d µs", addedCPU))
}

// bridges compares throughput with the stdio bridges that people run today,
// over the same server, all with a session for each connection.
func (b *bench) bridges() int {
	defer b.stop()
	missed := 0
	charged, _ := b.gateway("charged and durable", false)
	programs := b.fetch()
	for _, name := range []string{"supergateway", "mcp-proxy"} {
		program := filepath.Join(programs, name)
		if _, err := os.Stat(program); err != nil {
			fmt.Printf("ABSENT %s: not measured, because it could not be installed from npm into %s\n", name, programs)
			continue
		}
		missed += b.against(b.bridge(name, program), charged)
	}
	return missed
}

// fetch installs the bridges, unless they are there, and gives the folder of
// their programs.
func (b *bench) fetch() string {
	const folder = ".cache/bridges"
	programs := filepath.Join(folder, "node_modules", ".bin")
	if _, err := os.Stat(filepath.Join(programs, "supergateway")); err == nil {
		return programs
	}
	npm := exec.Command("npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "supergateway@4.0.0", "mcp-proxy@6.7.19")
	npm.Stderr = os.Stderr
	if err := os.MkdirAll(folder, 0o755); err == nil {
		err = npm.Run()
		if err != nil {
			fmt.Printf("       npm install: %v\n", err)
		}
	}
	return programs
}

// bridge starts one of them.
func (b *bench) bridge(name, program string) target {
	port := freePort()
	args := []string{"--port", port, "--server", "stream", "--", b.self(), "serve-stdio"}
	if name == "supergateway" {
		args = []string{"--stdio", b.self() + " serve-stdio", "--outputTransport", "streamableHttp", "--stateful", "--port", port, "--logLevel", "none"}
	}
	cmd := b.start(program, args...)
	t := target{name: name, url: "http://127.0.0.1:" + port + "/mcp", pid: cmd.Process.Pid}
	b.ready(t.url)
	return t
}

func (b *bench) against(bridge, charged target) int {
	const conns = 16 // each is a child of its own behind a bridge
	var times []float64
	targets := []target{charged, bridge}
	for i := range targets {
		targets[i].sessions = sessions(targets[i], conns)
		load(targets[i], conns, b.length/2)
	}
	for round := range b.rounds {
		var rate [2]float64
		for i, t := range targets {
			r := load(t, conns, b.length)
			rate[i] = r.perSecond
			fmt.Printf("round %d %-22s %8.0f calls/s  p50 %6.2f ms  %d failed  %s\n", round+1, t.name, r.perSecond, ms(r.p50), r.bad, r.cpu)
		}
		times = append(times, rate[0]/rate[1])
	}
	m := median(times)
	return bar("charged / "+bridge.name, m >= timesBridge, fmt.Sprintf("%.1f x", m), fmt.Sprintf("%.0f x", timesBridge))
}

// sessions begins one for each connection.
func sessions(t target, conns int) []string {
	ids := make([]string, conns)
	for w := range ids {
		hello := `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`
		ids[w] = say(t, w, "", hello)
		say(t, w, ids[w], `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	}
	return ids
}

// say posts one message and gives the session it was answered in.
func say(t target, worker int, session, body string) string {
	req, err := t.request(worker, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	if session != "" {
		req.Header.Set("Mcp-Session-Id", session)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatalf("%s: %v", t.name, err)
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.Header.Get("Mcp-Session-Id")
}
