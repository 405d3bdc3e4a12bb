// Bench measures what charging costs. It starts a bare HTTP echo, the gateway
// with tools/call set free (it only pipes), and the gateway that charges and
// waits for the disk, all over the same kind of stdio server, and loads them in
// interleaved rounds, so that whatever else the machine does falls on all of
// them alike. It prints the median of each and the ratios.
//
// It also compares with a gateway that does nothing but pipe, by processor time
// of a call, and with bridges from npm that people use for the same, by calls a
// second.
//
//	go run ./testdata/bench -bin ./paygate [-rounds 5] [-seconds 2] [-c 64] [-only throughput,latency,memory,beside,added,bridges,dashboard]
//
// It ends with status 1 when a bar is missed: 75 % of the uncharged path, 55 %
// of the bare echo, 1 ms added at one connection, 40 MB idle, 60 µs of processor
// time more than a pipe, 4 times a bridge, 95 % of headless with the dashboard.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"
)

const everything = "throughput,latency,memory,beside,added,bridges,dashboard"

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "serve-stdio":
			serveStdio()
			return
		case "serve-pipe":
			servePipe(os.Args[2])
			return
		case "serve-http":
			serveHTTP(os.Args[2])
			return
		}
	}
	bin := flag.String("bin", "./paygate", "the gateway")
	rounds := flag.Int("rounds", 5, "interleaved rounds")
	seconds := flag.Float64("seconds", 2, "length of one measurement")
	conns := flag.Int("c", 64, "connections")
	keys := flag.Int("keys", 20, "API keys that the calls are spread over")
	only := flag.String("only", everything, "what to measure")
	calls := flag.Int("calls", 0, "with memory: also load up to so many calls and show that memory stays flat")
	flag.Parse()
	log.SetFlags(0)
	b := &bench{bin: *bin, rounds: *rounds, length: time.Duration(*seconds * float64(time.Second)), conns: *conns, keys: *keys}
	defer b.stop()
	missed := 0
	for _, part := range strings.Split(*only, ",") {
		switch part {
		case "throughput":
			missed += b.throughput()
		case "latency":
			missed += b.latency()
		case "memory":
			missed += b.memory(*calls)
		case "beside":
			missed += b.beside()
		case "added":
			missed += b.added()
		case "bridges":
			missed += b.bridges()
		case "dashboard":
			missed += b.dashboard()
		default:
			log.Fatalf("-only: %q is none of %s", part, everything)
		}
	}
	if missed > 0 {
		b.stop()
		fmt.Printf("%d bars missed\n", missed)
		os.Exit(1)
	}
}
