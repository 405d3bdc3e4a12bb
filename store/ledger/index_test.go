package ledger_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"paygate/store/journal"
)

// The index finds exactly the events of a key that a scan of everything finds,
// from any place, from memory, from the file, and after a kill.
func TestTheIndexFindsWhatAScanFinds(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	ids := r.fill(t, 150) // three cells
	for i := range 1500 {
		key := ids[i*i%len(ids)]
		c := r.call(fmt.Sprintf("req_%016x", i), key, "plain", rate(key, 1000))
		if err := r.Reserve(c); err != nil {
			t.Fatal(err)
		}
		s := r.Settle(c)
		if i%3 == 0 {
			if err := r.Wait(context.Background(), s.Seq); err != nil {
				t.Fatal(err)
			}
		}
		if i%400 == 399 {
			indexAgrees(t, r, ids)
		}
		r.clock.Add(time.Millisecond)
	}
	indexAgrees(t, r, ids)
	dir := t.TempDir()
	if err := r.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	copyState(t, r.dir, dir)
	killed := newRig(t, dir)
	defer killed.close(t)
	indexAgrees(t, killed, ids)
	for n := range 3 { // what a stop leaves is not lost to the first block after the start
		killed.close(t)
		killed.open(t)
		killed.pay(t, fmt.Sprint("after", n), ids[0], "plain")
		indexAgrees(t, killed, ids)
	}
}

func indexAgrees(t *testing.T, r *rig, ids []string) {
	t.Helper()
	if err := r.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	last := r.Journal().Last()
	for _, key := range []string{ids[0], ids[1], ids[70], ids[149]} {
		for _, before := range []uint64{last + 1, last / 2, last / 3, 200, 2} {
			want, err := r.Journal().Before(before, 40, func(e *journal.Event) bool { return e.Names(key) })
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Journal().OfKey(key, before, 40)
			if err != nil || !slices.Equal(seqsOf(got), seqsOf(want)) {
				t.Fatalf("%s before %d: the index finds %v, a scan %v, %v", key, before, seqsOf(got), seqsOf(want), err)
			}
		}
	}
}
