package journal_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"paygate/pricing"
	"paygate/store"
	"paygate/store/journal"
)

// book writes blocks as the ledger does.
type book struct {
	t       *testing.T
	db      *store.DB
	j       *journal.Journal
	prev    journal.Hash
	seq     uint64
	byKey   map[string][]uint64 // index: first numbers of the blocks that name a key
	started time.Time
}

func newBook(t *testing.T) *book {
	t.Helper()
	db, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	b := &book{t: t, db: db, byKey: map[string][]uint64{}, started: day}
	b.reopen()
	return b
}

// reopen forgets what is in memory.
func (b *book) reopen() {
	b.j = journal.New(b.db, b.seq, func(key string, from uint64, limit int) (out []uint64, err error) {
		blocks := b.byKey[key]
		for i := len(blocks) - 1; i >= 0 && len(out) < limit; i-- {
			if blocks[i] <= from {
				out = append(out, blocks[i])
			}
		}
		return out, nil
	})
}

// write commits a block: for each key a call of two numbers, at a second each.
func (b *book) write(keys ...string) {
	b.t.Helper()
	first := b.seq + 1
	var events []*journal.Event
	for _, key := range keys {
		c := &journal.Call{Call: pricing.Call{ID: fmt.Sprintf("req_%016x", b.seq), Key: key, Payer: "key:" + key, Tool: "t", At: b.at(b.seq + 1)}, AdmitSeq: b.seq + 1, SettleSeq: b.seq + 2}
		b.seq += 2
		events = append(events, &journal.Event{Seq: b.seq, At: b.at(b.seq), Type: journal.TypeCall, Subject: key, Call: c})
		if n := len(b.byKey[key]); n == 0 || b.byKey[key][n-1] != first {
			b.byKey[key] = append(b.byKey[key], first)
		}
	}
	raw := journal.Encode(b.prev, first, b.seq, events, nil)
	b.prev = journal.HashOf(raw)
	if err := b.db.Update(func(tx *store.Tx) error { return tx.Append(journal.Bucket, journal.Key(first), raw) }); err != nil {
		b.t.Fatal(err)
	}
	b.j.Publish(events, b.seq)
}

func (b *book) at(seq uint64) time.Time { return b.started.Add(time.Duration(seq) * time.Second) }

func seqs(events []*journal.Event) (out []uint64) {
	for _, e := range events {
		out = append(out, e.Seq)
	}
	return out
}

func wantSeqs(t *testing.T, got []*journal.Event, err error, want ...uint64) {
	t.Helper()
	if err != nil || fmt.Sprint(seqs(got)) != fmt.Sprint(want) {
		t.Fatalf("got %v, %v; want %v", seqs(got), err, want)
	}
}

func TestPagesAreTheSameFromMemoryAndFromTheFile(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.write("a", "b")
	b.write("a")
	b.write("c", "a", "b")
	for range 2 {
		page, err := b.j.Page(0, 2)
		wantSeqs(t, page, err, 2, 4)
		page, err = b.j.Page(4, 100)
		wantSeqs(t, page, err, 6, 8, 10, 12)
		page, err = b.j.Page(5, 1)
		wantSeqs(t, page, err, 6)
		page, err = b.j.Page(12, 1)
		wantSeqs(t, page, err)
		page, err = b.j.Before(0, 3, nil)
		wantSeqs(t, page, err, 12, 10, 8)
		page, err = b.j.Before(8, 100, func(e *journal.Event) bool { return e.Subject == "a" })
		wantSeqs(t, page, err, 6, 2)
		page, err = b.j.OfKey("a", 0, 2)
		wantSeqs(t, page, err, 10, 6)
		page, err = b.j.OfKey("a", 10, 2)
		wantSeqs(t, page, err, 6, 2)
		page, err = b.j.OfKey("nobody", 0, 2)
		wantSeqs(t, page, err)
		b.reopen()
	}
}

func TestSeqAtFindsTheFirstEventOfATime(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	for range 400 {
		b.write("a", "b", "c")
	}
	for _, seq := range []uint64{2, 4, 100, 1000, 1998, 2400} {
		for _, early := range []time.Duration{0, time.Second} { // an admission has no event
			if got, err := b.j.SeqAt(b.at(seq).Add(-early)); err != nil || got != seq {
				t.Errorf("%d less %v: %d, %v", seq, early, got, err)
			}
		}
	}
	if got, err := b.j.SeqAt(b.at(9999)); err != nil || got != b.seq+1 {
		t.Errorf("after the end: %d, %v", got, err)
	}
	if got, err := b.j.SeqAt(time.Time{}.Add(time.Hour)); err != nil || got != 2 {
		t.Errorf("before the beginning: %d, %v", got, err)
	}
}

// A tail that begins anywhere sees everything after it once and in order,
// whether it keeps up (memory) or not (file).
func TestATailLeavesNothingOut(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	for range 30 {
		b.write("a", "b", "c")
	}
	b.reopen() // so that the past is only in the file
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	const more = 1000 // more than the ring holds
	go func() {
		for range more {
			b.write("a", "b", "c")
		}
	}()
	want := uint64(11)
	for e, err := range b.j.TailErr(ctx, 10) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Seq != want+1 {
			t.Fatalf("after %d comes %d", want-1, e.Seq)
		}
		if want += 2; want > (30+more)*6 {
			break
		}
	}
}

func TestATailWaitsAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBook(t)
		b.write("a")
		ctx, stop := context.WithCancel(context.Background())
		seen, ended := make(chan uint64, 10), make(chan error, 1)
		go func() {
			for e, err := range b.j.TailErr(ctx, 0) {
				if err != nil {
					ended <- err
					return
				}
				seen <- e.Seq
			}
		}()
		if got := <-seen; got != 2 {
			t.Errorf("first %d", got)
		}
		synctest.Wait()
		b.write("a")
		if got := <-seen; got != 4 {
			t.Errorf("then %d", got)
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
