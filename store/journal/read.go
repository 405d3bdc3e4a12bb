package journal

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"paygate/store"
)

// Bucket is where the blocks are, by Key of their first number.
const Bucket = "blocks"

// Source is the file that the blocks are in.
type Source interface {
	View(fn func(*store.Snapshot) error) error
}

// Index finds the blocks that name a key: the first numbers of those that
// begin at or below a number, newest first, at most limit of them.
type Index func(key string, from uint64, limit int) ([]uint64, error)

// Journal reads what happened. It only tells of what is on disk. Live readers
// are served from memory as long as they keep up, and from the file otherwise;
// either way no event is left out and none comes twice.
type Journal struct {
	source Source
	index  Index

	mu   sync.Mutex
	last uint64        // everything up to here is on disk
	ring []*Event      // the newest events on disk, without a gap up to last
	from uint64        // ring has every event with a Seq above this
	wake chan struct{} // closed when last moves
}

// ringSize is how many events live readers may lag before they read the file.
const ringSize = 2048

// New reads the blocks of a file whose last number is last.
func New(source Source, last uint64, index Index) *Journal {
	return &Journal{source: source, index: index, last: last, from: last, wake: make(chan struct{})}
}

// Publish tells of events that are on disk now, in the order of their Seq, up
// to last. Only the writer of the journal calls it. The events belong to the
// readers from now on: nobody changes them.
func (j *Journal) Publish(events []*Event, last uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if last <= j.last {
		return
	}
	j.ring = append(j.ring, events...)
	if over := len(j.ring) - ringSize; over > ringSize { // rarely, so that little is copied
		j.from = j.ring[over-1].Seq
		j.ring = append(make([]*Event, 0, 2*ringSize+len(events)), j.ring[over:]...)
	}
	j.last = last
	close(j.wake)
	j.wake = make(chan struct{})
}

// Last is the number of the newest act on disk.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// Wait returns when something above after is on disk.
func (j *Journal) Wait(ctx context.Context, after uint64) error {
	for {
		j.mu.Lock()
		last, wake := j.last, j.wake
		j.mu.Unlock()
		if last > after {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return fmt.Errorf("journal: %w", ctx.Err())
		}
	}
}

// live gives what the ring has above after, and whether the ring reaches back
// that far.
func (j *Journal) live(after uint64, limit int) ([]*Event, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if after < j.from {
		return nil, false
	}
	low, high := 0, len(j.ring)
	for low < high {
		if mid := (low + high) / 2; j.ring[mid].Seq <= after {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return append([]*Event(nil), j.ring[low:min(len(j.ring), low+limit)]...), true
}

// Page is up to limit events above after, oldest first; empty at the end.
func (j *Journal) Page(after uint64, limit int) ([]*Event, error) {
	if events, ok := j.live(after, limit); ok {
		return events, nil
	}
	var out []*Event
	err := j.forward(nil, after, func(e *Event) bool {
		out = append(out, e)
		return len(out) < limit
	})
	return out, err
}

const (
	tailBatch = 1024
	tailPace  = 50 * time.Millisecond // live readers wake at most 20 times a second
)

// Tail goes through all events above after and then waits for new ones, until
// ctx ends or the file cannot be read; TailErr tells which.
func (j *Journal) Tail(ctx context.Context, after uint64) iter.Seq[*Event] {
	return func(yield func(*Event) bool) {
		for e, err := range j.TailErr(ctx, after) {
			if err != nil || !yield(e) {
				return
			}
		}
	}
}

// TailErr is Tail that ends with an error: of the context or of the file.
func (j *Journal) TailErr(ctx context.Context, after uint64) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		pace := time.NewTimer(0)
		defer pace.Stop()
		for {
			if err := j.Wait(ctx, after); err != nil {
				yield(nil, err)
				return
			}
			select {
			case <-pace.C:
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			}
			end := j.Last()
			next, more, err := j.drain(ctx, after, end, yield)
			if err != nil {
				yield(nil, err)
			}
			if err != nil || !more {
				return
			}
			after = next
			pace.Reset(tailPace)
		}
	}
}

// drain yields every event above after up to end.
func (j *Journal) drain(ctx context.Context, after, end uint64, yield func(*Event, error) bool) (next uint64, more bool, err error) {
	for after < end {
		events, ok := j.live(after, tailBatch)
		if !ok {
			return j.drainFile(ctx, after, end, yield)
		}
		for _, e := range events {
			if ctx.Err() != nil {
				return after, false, ctx.Err()
			}
			if !yield(e, nil) {
				return after, false, nil
			}
			after = e.Seq
		}
		if len(events) < tailBatch { // what is left up to end are admissions
			return max(after, end), true, nil
		}
	}
	return after, true, nil
}

func (j *Journal) drainFile(ctx context.Context, after, end uint64, yield func(*Event, error) bool) (next uint64, more bool, err error) {
	more, full := true, false
	n := 0
	err = j.forward(ctx.Done(), after, func(e *Event) bool {
		if e.Seq > end {
			full = true
			return false
		}
		if more = yield(e, nil); !more {
			return false
		}
		after = e.Seq
		n++
		full = n >= 8*tailBatch
		return !full
	})
	if err == nil && ctx.Err() != nil {
		return after, false, ctx.Err()
	}
	if err == nil && more && !full {
		after = max(after, end)
	}
	return after, more, err
}
