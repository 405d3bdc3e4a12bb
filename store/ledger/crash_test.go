package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"paygate/pricing"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// crashes copies the file at some commits, as a kill just before each would
// leave it, with what had been acknowledged until then.
type crashes struct {
	mu     sync.Mutex
	acked  map[string]pricing.Credits // by call id
	copies []crash
}

type crash struct {
	dir   string
	acked map[string]pricing.Credits
}

func (x *crashes) ack(id string, n pricing.Credits) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.acked[id] = n
}

// at makes a copy; the writer stands still meanwhile.
func (x *crashes) at(t tester, r *rig, dir string) {
	x.mu.Lock()
	c := crash{dir: dir, acked: map[string]pricing.Credits{}}
	for id, n := range x.acked {
		c.acked[id] = n
	}
	x.mu.Unlock()
	copyState(t, r.dir, dir)
	x.copies = append(x.copies, c)
}

// Calls of many workers run while the process may die at any commit. Whatever
// was acknowledged by then is in the books that come up, exactly once; what
// was not may be, and the sums agree with the journal either way.
func TestNothingAcknowledgedIsLostInACrash(t *testing.T) {
	t.Parallel()
	const workers, each, every = 8, 60, 9
	base := t.TempDir()
	r := newRig(t, filepath.Join(base, "live"))
	ids := r.fill(t, 5)
	x := &crashes{acked: map[string]pricing.Credits{}}
	var commits atomic.Int64
	r.fault.set(func() error {
		if n := commits.Add(1); n%every == 0 && n < 12*every {
			x.at(t, r, filepath.Join(base, fmt.Sprint("crash", n)))
		}
		return nil
	})
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				id := fmt.Sprintf("req_%08x%08x", w, i)
				c := r.call(id, ids[(w+i)%len(ids)], "out", rate(ids[(w+i)%len(ids)], 1000))
				if err := r.Reserve(c); err != nil {
					t.Error(err)
					return
				}
				c.Outcome, c.Out = pricing.OK, int64(i*100)
				s := r.Settle(c)
				if err := r.Wait(context.Background(), s.Seq); err != nil {
					t.Error(err)
					return
				}
				x.ack(id, s.Charged)
			}
		}()
	}
	wg.Wait()
	r.fault.set(nil)
	replays(t, r)
	r.close(t)
	if len(x.copies) == 0 {
		t.Fatal("no crash")
	}
	for _, c := range x.copies {
		checkCrash(t, c, ids)
	}
}

func checkCrash(t *testing.T, c crash, keys []string) {
	t.Helper()
	r := newRig(t, c.dir)
	defer r.close(t)
	r.prove(t)
	spent, seen := pricing.Credits(0), map[string]pricing.Credits{}
	events, err := r.Journal().Page(0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Call == nil {
			continue
		}
		if _, twice := seen[e.Call.ID]; twice {
			t.Errorf("call %s is on record twice", e.Call.ID)
		}
		seen[e.Call.ID] = e.Call.Charged
		spent += e.Call.Charged
	}
	for id, n := range c.acked {
		if got, ok := seen[id]; !ok || got != n {
			t.Errorf("%s: acknowledged at %d, on record %t at %d", id, n, ok, got)
		}
	}
	left := pricing.Credits(0)
	for _, key := range keys {
		k := r.Key(key)
		left += k.Credits
		if k.Held != 0 {
			t.Errorf("%s holds %d after a crash", key, k.Held)
		}
	}
	if want := pricing.Credits(len(keys))*1_000_000 - spent; left != want {
		t.Errorf("%d credits are left, want %d", left, want)
	}
	replays(t, r)
}

var errFull = errors.New("no space left on device")

// A full disk: what is under way ends unpaid with an error, new calls are
// refused before they run, and all goes on once there is room.
func TestAFullDiskServesNothingUncharged(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.topup(t, "1", "key_a", 100)
	early := r.call("early", "key_a", "plain")
	if err := r.Reserve(early); err != nil {
		t.Fatal(err)
	}
	if err := r.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	var full atomic.Bool
	full.Store(true)
	r.fault.set(func() error {
		if full.Load() {
			return errFull
		}
		return nil
	})
	late := r.call("late", "key_a", "plain")
	if err := r.Reserve(late); err != nil {
		t.Fatal(err)
	}
	late.Outcome = pricing.OK
	if err := r.Wait(context.Background(), r.Settle(late).Seq); !errors.Is(err, ledger.ErrUnavailable) {
		t.Fatalf("a call that could not be recorded was answered: %v", err)
	}
	if err := r.Reserve(r.call("new", "key_a", "plain")); !errors.Is(err, ledger.ErrUnavailable) {
		t.Fatalf("a call was admitted while nothing can be recorded: %v", err)
	}
	if err := r.post("2", journal.Bank, "key:key_a", 5); !errors.Is(err, ledger.ErrUnavailable) {
		t.Fatalf("a top-up was taken while nothing can be recorded: %v", err)
	}
	early.Outcome = pricing.OK
	lost := r.Settle(early)
	full.Store(false)
	if err := r.Wait(context.Background(), lost.Seq); !errors.Is(err, ledger.ErrUnavailable) {
		t.Fatalf("a call of before the failure was answered: %v", err)
	}
	recovered(t, r)
	if err := r.Wait(context.Background(), lost.Seq); !errors.Is(err, ledger.ErrUnavailable) {
		t.Fatalf("after the recovery it is taken for recorded: %v", err)
	}
	wantCredits(t, r, "key_a", 98) // the one call that recovered makes
	if k := r.Key("key_a"); k.Held != 0 {
		t.Fatalf("lost calls still hold: %+v", k)
	}
	r.prove(t)
	replays(t, r)
}

// recovered makes calls until one gets through.
func recovered(t *testing.T, r *rig) {
	t.Helper()
	for i := 0; ; i++ {
		c := r.call(fmt.Sprint("again", i), "key_a", "plain")
		if err := r.Reserve(c); errors.Is(err, ledger.ErrUnavailable) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		c.Outcome = pricing.OK
		if err := r.Wait(context.Background(), r.Settle(c).Seq); err == nil {
			return
		}
	}
}

// A commit may fail and be on disk all the same. Its callers were told that
// nothing happened, so nothing of it stays charged; readers see it once.
func TestACommitThatFailedButHappenedIsGivenBack(t *testing.T) {
	t.Parallel()
	r := testRig(t)
	r.topup(t, "1", "key_a", 100)
	ctx, stop := context.WithCancel(context.Background())
	tail := make(chan *journal.Event, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range r.Journal().Tail(ctx, 0) {
			tail <- e
		}
	}()
	c := r.call("doubtful", "key_a", "dear", rate("key_a", 5))
	if err := r.Reserve(c); err != nil {
		t.Fatal(err)
	}
	var once atomic.Bool
	r.doubt.set(func() error {
		if once.CompareAndSwap(false, true) {
			return errFull
		}
		return nil
	})
	c.Outcome = pricing.OK
	if err := r.Wait(context.Background(), r.Settle(c).Seq); !errors.Is(err, ledger.ErrUnavailable) {
		t.Fatal(err)
	}
	recovered(t, r)
	wantCredits(t, r, "key_a", 98)
	if k := r.Key("key_a"); k.Spent != 2 || k.Used.DailyCredits != 2 {
		t.Fatalf("what was given back still counts as spent: %+v", k)
	}
	r.prove(t)
	replays(t, r)
	last, seen := uint64(0), map[string]int{}
	for e := range tail {
		if e.Seq <= last {
			t.Fatalf("the tail gave %d after %d", e.Seq, last)
		}
		last = e.Seq
		seen[e.Type]++
		if e.Call != nil {
			seen[e.Call.ID]++
		}
		if last == r.Journal().Last() {
			break
		}
	}
	stop()
	<-done
	if seen["doubtful"] != 1 || seen["credits.refunded"] != 1 {
		t.Fatalf("the tail saw %v", seen)
	}
}
