//go:build unix

package shadow_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/shadow"
	"paygate/store/journal"
)

// BenchmarkReplay lives through recorded calls with holds and a rate limit; it
// says how long a million calls take.
func BenchmarkReplay(b *testing.B) {
	const calls, keys = 100_000, 500
	r := openRig(b, b.TempDir(), flat(2))
	defer func() {
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}()
	for k := range keys {
		r.topup(b, fmt.Sprintf("key_%d", k), calls)
	}
	for i := range calls {
		r.later(10 * time.Millisecond)
		key := fmt.Sprintf("key_%d", i%keys)
		c := r.begin(b, key, "echo", journal.Limit{Owner: journal.KeyAccount(key), Kind: journal.KeyRate, Max: 60, Window: time.Minute})
		if c == nil {
			b.Fatal("refused")
		}
		r.end(c, 100)
		if i%500 == 0 { // blocks as calls make them
			if err := r.Flush(ctx); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var in shadow.ReplayRequest
			for i := range n {
				in.Candidates = append(in.Candidates, shadow.Candidate{Name: fmt.Sprint(i), Sheet: flat(pricing.Credits(1 + i))})
			}
			began := cpu(b)
			for b.Loop() {
				reports, err := r.lab.Replay(ctx, in)
				if err != nil || reports[0].Attempts != calls || reports[0].SelfDifference != 0 {
					b.Fatal(err)
				}
			}
			b.ReportMetric((cpu(b)-began).Seconds()/float64(b.N)/calls*1e6, "cpu-s/Mcalls")
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/calls*1e6, "s/Mcalls")
		})
	}
}

// cpu is the processor time of this process: on a shared machine it says more
// than the clock.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
