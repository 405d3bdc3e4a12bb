package server_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// anonymous is the memory that a process has for itself, in bytes: what it maps
// of its files is the system's to take back.
func anonymous(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		if kb, ok := strings.CutPrefix(string(line), "RssAnon:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("no RssAnon")
	return 0
}

func TestAThousandOpenStreamsFitInAHundredMegabytes(t *testing.T) {
	t.Parallel()
	const streams, most = 1000, 100 << 20
	for _, mode := range []string{"legacy", "modern"} {
		for _, transport := range []string{"stdio", "http"} {
			t.Run(mode+" over "+transport, func(t *testing.T) {
				t.Parallel()
				g := before(t, mode, transport, map[string]any{"sessionRateLimit": 0})
				k := g.key(nil)
				before := anonymous(t, g.cmd.Process.Pid)
				heard := make([]<-chan note, streams)
				var wg sync.WaitGroup
				for w := range 20 {
					wg.Go(func() {
						for i := w; i < streams; i += 20 {
							secret := "" // keyless ones share a process
							if transport == "http" {
								secret = k.Key
							}
							c := g.connect(t, "2025-11-25", secret)
							c.hello()
							heard[i] = c.listen()
						}
					})
				}
				wg.Wait()
				after := anonymous(t, g.cmd.Process.Pid)
				t.Logf("%d streams: %.1f MB, %.1f MB before", streams, float64(after)/(1<<20), float64(before)/(1<<20))
				if after > most {
					t.Errorf("%d streams take %d MB", streams, after>>20)
				}
				hearing(t, g, k, mode, transport, heard)
			})
		}
	}
}

// hearing says whether every stream still hears, where one call reaches all.
func hearing(t *testing.T, g *gateway, k key, mode, transport string, heard []<-chan note) {
	if mode == "legacy" { // each session over HTTP is one of its own, and so is a key's process
		return
	}
	c := g.connect(t, newestRevision, k.Key)
	c.tool("notify", map[string]any{"text": "notifications/prompts/list_changed"})
	deadline := time.After(10 * time.Second)
	for i, from := range heard {
		select {
		case n := <-from:
			if n.Method != "notifications/prompts/list_changed" {
				t.Fatalf("stream %d heard %s", i, n.Method)
			}
		case <-deadline:
			t.Fatalf("stream %d of %d over %s heard nothing", i, len(heard), transport)
		}
	}
}
