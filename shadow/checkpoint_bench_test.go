//go:build unix

package shadow_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"paygate/shadow"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// BenchmarkCheckpoint saves what a lab of 100,000 keys and eight candidates has
// lived through, while calls come in and somebody asks again and again how the
// experiments are: how long that one waits at most, how large the file is and
// how much memory it takes.
func BenchmarkCheckpoint(b *testing.B) {
	const keys = 100_000
	r := openRig(b, b.TempDir(), flat(2))
	defer func() {
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}()
	for k := 0; k < keys; k += 1000 {
		err := r.Apply(ctx, func(tx *ledger.Tx) error {
			for i := k; i < k+1000; i++ {
				err := tx.Append(journal.Event{Type: "key.topup", Actor: "test", Subject: fmt.Sprint("key_", i),
					Posts: []journal.Entry{{ID: fmt.Sprint("t", i), From: journal.Bank, To: journal.KeyAccount(fmt.Sprint("key_", i)), Amount: 100, Kind: "topup"}}})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for i := range shadow.MostRunning {
		r.start(b, fmt.Sprint("c", i), fmt.Sprintf("defaults: {per_call: %d}", 1+i))
	}
	for i := range 2 * keys {
		r.later(10 * time.Millisecond)
		r.pay(b, fmt.Sprint("key_", i%keys), []string{"echo", "add", "find"}[i%3])
		if i%500 == 0 {
			if err := r.Flush(ctx); err != nil {
				b.Fatal(err)
			}
		}
	}
	dir := b.TempDir()
	lab := r.again(dir)
	if _, err := lab.Status(ctx, ""); err != nil {
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ReportMetric(float64(before.HeapAlloc)/1e6, "MB-heap")
	longest, most := time.Duration(0), uint64(0)
	for b.Loop() {
		done, failed := make(chan struct{}), make(chan error, 1)
		go func() {
			_, err := lab.SaveNow()
			failed <- err
			close(done)
		}()
		for n := 0; ; n++ {
			select {
			case <-done:
			default:
				r.pay(b, fmt.Sprint("key_", n%keys), "echo")
				began := time.Now()
				if _, err := lab.Status(ctx, "c0"); err != nil {
					b.Fatal(err)
				}
				lab.Latest()
				longest = max(longest, time.Since(began))
				if n%8 == 0 {
					var now runtime.MemStats
					runtime.ReadMemStats(&now)
					most = max(most, now.HeapAlloc)
				}
				continue
			}
			break
		}
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	b.ReportMetric(longest.Seconds()*1e3, "ms-longest-wait")
	b.ReportMetric(float64(most)/1e6, "MB-heap-at-most")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/1e6, "MB-allocated")
	info, err := os.Stat(filepath.Join(dir, shadow.CheckpointFile))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/1e6, "MB-file")
	if err := lab.Close(); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	resumed := r.again(dir)
	if _, err := resumed.Status(ctx, ""); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(began).Seconds()*1e3, "ms-resume")
	if err := resumed.Close(); err != nil {
		b.Fatal(err)
	}
}
