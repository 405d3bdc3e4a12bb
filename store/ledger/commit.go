package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"time"

	"paygate/store"
	"paygate/store/journal"
)

// The buckets of the books.
const (
	bucketCells = "cells" // cell → owners of the real books
	bucketWould = "would" // cell → owners of the would-be books
	bucketHolds = "holds" // id → durable hold
	bucketIndex = "index" // cell, block → which owners which blocks name
	bucketActs  = "acts"  // entry id → number of the event that posted it
	bucketBooks = "books" // the records below
)

// tip is the record with the hash of the newest block, which no other block
// vouches for yet.
const tip = "tip"

// head is the books' record: where boot starts to fold.
type head struct {
	From  uint64 `json:"from"`  // the first act that some cell may not have
	Would bool   `json:"would"` // shadow mode is on
}

// lazily is how long what nobody waits for, admissions and refusals, may stay
// off the disk: they go with the next commit, or make one of their own.
const lazily = 50 * time.Millisecond

var errNothing = errors.New("nothing to write")

// write is the one writer: it commits whatever waits, again and again.
func (b *Book) write() {
	defer close(b.stopped)
	sweep := time.NewTicker(b.opts.SweepEvery)
	defer sweep.Stop()
	lazy, running := time.NewTimer(lazily), true // may fire once for nothing
	defer lazy.Stop()
	b.sweep() // what has had its time, or waited in the process before this one
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-b.wake:
			b.gather(pause)
			b.commit(false)
		case <-b.soon:
			if !running { // a running one is not put off
				lazy.Reset(lazily)
				running = true
			}
		case <-lazy.C:
			running = false
			b.commit(false)
		case <-sweep.C:
			b.sweep()
		case <-b.closing:
			for b.commit(true) {
			}
			b.fail(ErrUnavailable)
			return
		}
		if b.broken() != nil && !b.reopen() {
			b.fail(ErrUnavailable)
			return
		}
	}
}

// A commit is cut when three of four calls that are under way wait for it, or
// after a moment: fewer and larger commits leave more of the processor to the
// calls, and while those wait for the disk the others are served. One who calls
// alone waits for nobody. Half of them made commits that cost a call 1 µs more.
const moment = 500 * time.Microsecond

// gather lets calls that are about to end do so before the commit is cut.
func (b *Book) gather(timer *time.Timer) {
	runtime.Gosched() // whoever is ready ends its call now
	if b.gathered() {
		return
	}
	timer.Reset(moment)
	defer timer.Stop()
	select {
	case <-b.enough:
	case <-timer.C:
	case <-b.closing:
	}
}

// gathered says whether enough wait for the next commit. Where not, enough is
// rung when they do.
func (b *Book) gathered() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.enough: // of an earlier commit
	default:
	}
	b.wanted = (len(b.queue) + len(b.holding)) * 3 / 4
	return len(b.queue) >= b.wanted
}

// mutating says whether somebody waits to change records.
func (b *Book) mutating() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.applies) > 0
}

// Trouble is why the books cannot be written now; nil when they can.
func (b *Book) Trouble() error { return b.broken() }

func (b *Book) broken() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.down
}

// commit writes one block, and says whether there was anything to write. With
// all it also writes when only cells have changed.
func (b *Book) commit(all bool) bool {
	var c cut
	write := func(mutations bool) func(tx *store.Tx) error {
		return func(tx *store.Tx) error {
			c = b.cut(tx, all, mutations)
			if c.empty() {
				return errNothing
			}
			return c.write(tx)
		}
	}
	var err error
	if b.mutating() {
		err = b.db.Update(write(true))
	} else {
		err = b.db.Log(write(false))
	}
	if errors.Is(err, errNothing) {
		c.finish(nil)
		return false
	}
	b.mu.Lock()
	if err == nil {
		b.disk, b.flight = c.last, nil
		if c.first > 0 {
			b.prev, b.last = c.hash, c.first
		}
	} else {
		b.down = err
		b.flight = nil
	}
	b.mu.Unlock()
	if err == nil {
		b.journal.Publish(c.events, c.last)
	} else {
		b.opts.Log.Error("the books cannot be written; new calls are refused until they can", "error", err)
	}
	c.batch.err = err
	close(c.batch.done)
	c.finish(err)
	return err == nil
}

// cut is what one commit writes, taken under the lock.
type cut struct {
	batch       *batch
	first, last uint64
	prev, hash  journal.Hash
	events      []*journal.Event
	opens       []*journal.Call
	applies     []*apply
	writes      []func(*store.Tx) error
	head        *head
	encoder     *journal.Encoder
}

// cut takes the queue, runs the waiting mutations, and copies the cells that
// have their turn, all at one number.
// A log of calls leaves the mutations, which read more than it can, to the next
// commit.
func (b *Book) cut(tx *store.Tx, all, mutations bool) cut {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := cut{batch: b.next, first: b.disk + 1, prev: b.prev, encoder: &b.encoder}
	if mutations {
		c.applies, b.applies = b.applies, nil
	} else if len(b.applies) > 0 {
		b.kick()
	}
	for _, a := range c.applies {
		c.writes = append(c.writes, b.perform(tx, a)...)
	}
	c.events, b.queue = b.queue, nil
	c.writes, b.writes = append(c.writes, b.writes...), nil
	for _, open := range b.opens {
		c.opens = append(c.opens, open)
	}
	clear(b.opens)
	c.last = b.seq
	if c.first > c.last {
		c.first = 0
	}
	if c.first == 0 && !all && len(c.writes) == 0 && len(c.applies) == 0 {
		return c
	}
	b.indexBlock(&c)
	c.writes = append(c.writes, b.turn(&c, all)...)
	c.batch.last = c.last
	b.flight, b.next = c.batch, newBatch()
	return c
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

func (c *cut) empty() bool { return c.first == 0 && len(c.writes) == 0 && len(c.applies) == 0 }

// write puts the block, what the mutations wrote, the cells and the head.
func (c *cut) write(tx *store.Tx) error {
	if c.first > 0 {
		block := c.encoder.Encode(c.prev, c.first, c.last, c.events, c.opens)
		c.hash = journal.HashOf(block)
		if err := tx.Append(journal.Bucket, journal.Key(c.first), block); err != nil {
			return err
		}
		if err := tx.Put(bucketBooks, []byte(tip), c.hash[:]); err != nil {
			return err
		}
	}
	for _, write := range c.writes {
		if err := write(tx); err != nil {
			return err
		}
	}
	if c.head == nil {
		return nil
	}
	return writeHead(tx, *c.head)
}

func writeHead(tx *store.Tx, h head) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return tx.Put(bucketBooks, []byte("head"), text)
}

// finish tells the mutations how they ended.
func (c *cut) finish(err error) {
	for _, a := range c.applies {
		if a.err == nil && err != nil {
			a.err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		close(a.done)
	}
}

// fail ends everybody who still waits.
func (b *Book) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = err
	b.next.err = err
	close(b.next.done)
	b.next = newBatch()
	for _, a := range b.applies {
		a.err = err
		close(a.done)
	}
	b.applies = nil
}

// reopen reads the books from disk as at boot, once commits can succeed again.
// A failed commit may or may not be on disk, so nothing in memory is believed.
func (b *Book) reopen() bool {
	wait := b.opts.RetryDisk
	for {
		timer := time.NewTimer(wait)
		select {
		case <-b.closing:
			timer.Stop()
			return false
		case <-timer.C:
		}
		b.fail(b.broken())
		err := b.db.Reopen()
		if err == nil {
			err = b.boot()
		}
		if err == nil {
			b.opts.Log.Info("the books can be written again")
			return true
		}
		b.opts.Log.Error("the books still cannot be written", "error", err)
		wait = min(2*wait, 20*b.opts.RetryDisk)
	}
}

// Flush waits for everything queued so far.
func (b *Book) Flush(ctx context.Context) error {
	b.mu.Lock()
	ticket := b.ticket(b.seq)
	b.mu.Unlock()
	return b.Wait(ctx, ticket)
}
