package ledger_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// fill makes keys with credits, a few thousand in a commit.
func (r *rig) fill(t tester, keys int) []string { return r.fillWith(t, keys, 1_000_000) }

func (r *rig) fillWith(t tester, keys int, each pricing.Credits) []string {
	t.Helper()
	ids := make([]string, keys)
	for i := range ids {
		ids[i] = fmt.Sprintf("key_%08x", i)
	}
	for at := 0; at < keys; at += 1000 {
		err := r.Apply(context.Background(), func(tx *ledger.Tx) error {
			for _, id := range ids[at:min(keys, at+1000)] {
				err := tx.Append(journal.Event{Type: "key.created", Actor: "test", Subject: id,
					Posts: []journal.Entry{{ID: "initial:" + id, From: journal.Bank, To: journal.KeyAccount(id), Amount: each, Kind: "initial"}}})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// BenchmarkCalls is whole calls, each durable before the next of its caller,
// with 64 callers that wait.
func BenchmarkCalls(b *testing.B) {
	for _, keys := range []int{20, 100_000} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("keys=%d/callers=%d", keys, callers), func(b *testing.B) { benchCalls(b, keys, callers) })
		}
	}
}

func benchCalls(b *testing.B, keys, callers int) {
	r := newRig(b, b.TempDir())
	defer r.close(b)
	ids := r.fill(b, keys)
	var next atomic.Int64
	b.ResetTimer()
	done := make(chan struct{})
	for range callers {
		go func() {
			defer func() { done <- struct{}{} }()
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				key := ids[(i*7919)%int64(keys)]
				c := r.call(fmt.Sprintf("req_%016x", i), key, "search", journal.Limit{Owner: journal.KeyAccount(key), Kind: journal.KeyRate, Max: 1 << 30, Window: time.Minute})
				if err := r.Reserve(c); err != nil {
					b.Error(err)
					return
				}
				c.Outcome, c.Class, c.Took, c.In, c.Out = pricing.OK, "ok", time.Millisecond, 120, 900
				if err := r.Wait(context.Background(), r.Settle(c).Seq); err != nil {
					b.Error(err)
					return
				}
			}
		}()
	}
	for range callers {
		<-done
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkReplay is what a million stored calls cost to decide again: reading,
// decoding and re-enacting one call of two acts.
func BenchmarkReplay(b *testing.B) {
	r := newRig(b, b.TempDir())
	defer r.close(b)
	ids := r.fill(b, 1000)
	const calls = 100_000
	for i := range calls {
		key := ids[i*7919%len(ids)]
		c := r.call(fmt.Sprintf("req_%016x", i), key, "search", rate(key, 1000))
		if err := r.Reserve(c); err != nil {
			b.Fatal(err)
		}
		c.Outcome, c.Class, c.Took, c.In, c.Out = pricing.OK, "ok", time.Millisecond, 120, 900
		if s := r.Settle(c); i%64 == 0 {
			if err := r.Wait(context.Background(), s.Seq); err != nil {
				b.Fatal(err)
			}
		}
		if i%100 == 0 {
			r.clock.Add(time.Second)
		}
	}
	if err := r.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		s := ledger.NewScenario(nil, func(*journal.Call) *pricing.Sheet { return r.sheet })
		err := journal.Blocks(nil, r.DB(), 0, func(raw []byte) (bool, error) {
			block, err := journal.Decode(raw)
			if err != nil {
				return false, err
			}
			for _, a := range block.Acts {
				s.Act(a)
			}
			return true, nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)*1e6/calls, "s/million")
}
