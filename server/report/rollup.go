package report

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"paygate/store"
	"paygate/store/journal"
)

// Rollup adds up the journal in segments, behind it: closed ones are kept in
// the file, the newest is in memory and made again after a restart. Reports
// read segments where they can and events where they must.
type Rollup struct {
	db   *store.DB
	j    *journal.Journal
	log  *slog.Logger
	size int // events of a segment

	mu     sync.Mutex
	closed []span    // oldest first
	open   *segment  // of what came after the last closed one
	oldest time.Time // of what was there at start, for as long as it is not added up
}

// span is where a closed segment is.
type span struct {
	first, last uint64
	from, to    time.Time
}

const (
	bucketSegments = "segments"
	segmentEvents  = 1 << 16
	retryEvery     = 1024 // events, when a segment could not be written
)

// NewRollup finds the segments that are kept, and says by After where to go on.
func NewRollup(db *store.DB, j *journal.Journal, log *slog.Logger, size int) (*Rollup, error) {
	r := &Rollup{db: db, j: j, log: log, size: cmp.Or(size, segmentEvents)}
	oldest, err := j.Page(0, 1)
	if err != nil {
		return nil, fmt.Errorf("roll-up: %w", err)
	}
	err = db.View(func(s *store.Snapshot) error {
		s.Ascend(bucketSegments, nil, func(k, _ []byte) bool {
			if at, ok := spanOf(k); ok && len(oldest) > 0 && at.last >= oldest[0].Seq {
				r.closed = append(r.closed, at)
			}
			return true
		})
		return nil
	})
	if len(oldest) > 0 {
		r.oldest = when(oldest[0])
	}
	r.open = newSegment(r.next())
	return r, err
}

// key is a span as the key of its segment: found without reading it.
func (s span) key() []byte {
	b := binary.BigEndian.AppendUint64(nil, s.first)
	b = binary.BigEndian.AppendUint64(b, s.last)
	b = binary.BigEndian.AppendUint64(b, uint64(s.from.UnixMilli()))
	return binary.BigEndian.AppendUint64(b, uint64(s.to.UnixMilli()))
}

func spanOf(key []byte) (span, bool) {
	if len(key) != 32 {
		return span{}, false
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(key[8*i:]) }
	return span{n(0), n(1), time.UnixMilli(int64(n(2))).UTC(), time.UnixMilli(int64(n(3))).UTC()}, true
}

// next is the number after the last closed segment. Behind mu.
func (r *Rollup) next() uint64 {
	if n := len(r.closed); n > 0 {
		return r.closed[n-1].last + 1
	}
	return 0
}

// After is the number after which Add has seen nothing.
func (r *Rollup) After() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(r.next(), r.open.Last+1, 1) - 1
}

// Add counts the next event of the journal. Only the one reader behind the
// calls adds.
func (r *Rollup) Add(e *journal.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Seq < r.next() || e.Seq <= r.open.Last {
		return
	}
	r.open.add(e)
	if over := r.open.Events - r.size; over < 0 || over%retryEvery != 0 {
		return
	}
	if err := r.close(); err != nil { // it is tried again, and reports read what is in memory
		r.log.Warn("the roll-up of the journal could not be written", "error", err)
	}
}

// close writes the open segment. Behind mu.
func (r *Rollup) close() error {
	raw, err := r.open.encode()
	if err != nil {
		return err
	}
	at := span{r.open.First, r.open.Last, r.open.From, r.open.To.Add(time.Millisecond - 1).Truncate(time.Millisecond)}
	if err := r.db.Update(func(tx *store.Tx) error { return tx.Append(bucketSegments, at.key(), raw) }); err != nil {
		return err
	}
	r.closed = append(r.closed, at)
	r.open = newSegment(r.next())
	return nil
}

// Forget deletes the segments whose events are all below a number.
func (r *Rollup) Forget(ctx context.Context, before uint64) error {
	for ctx.Err() == nil {
		r.mu.Lock()
		if len(r.closed) == 0 || r.closed[0].last >= before {
			r.mu.Unlock()
			return nil
		}
		oldest := r.closed[0]
		r.closed = slices.Clone(r.closed[1:])
		r.mu.Unlock()
		if err := r.db.Update(func(tx *store.Tx) error { return tx.Delete(bucketSegments, oldest.key()) }); err != nil {
			return fmt.Errorf("roll-up: %w", err)
		}
	}
	return ctx.Err()
}

// Boundary is the first number of the newest segment all of whose events, and
// all before, are older than t: where the journal can be cut without leaving
// half a segment.
func (r *Rollup) Boundary(t time.Time) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	cut := uint64(0)
	for _, at := range r.closed {
		if !at.to.Before(t) {
			break
		}
		cut = at.last + 1
	}
	return cut
}

// load reads a closed segment; nil if it has been forgotten since.
func (r *Rollup) load(at span) (*segment, error) {
	var raw []byte
	err := r.db.View(func(s *store.Snapshot) error {
		raw = bytes.Clone(s.Get(bucketSegments, at.key()))
		return nil
	})
	if err != nil || raw == nil {
		return nil, err
	}
	return decodeSegment(raw)
}

// window is a stretch of time; zero ends are open.
type window struct{ since, until time.Time }

func (w window) has(t time.Time) bool {
	return !t.Before(w.since) && (w.until.IsZero() || !t.After(w.until))
}

func (w window) covers(from, to time.Time) bool { return w.has(from) && w.has(to) }

func (w window) misses(from, to time.Time) bool {
	return to.Before(w.since) || !w.until.IsZero() && from.After(w.until)
}

// when is the time by which reports place an event: calls when they were
// admitted, everything else when it happened.
func when(e *journal.Event) time.Time {
	if e.Call != nil {
		return e.Call.At
	}
	return e.At
}

const (
	restAfterSegments = 16
	restTime          = 5 * time.Millisecond
)

// segments calls fn for what a window holds, newest first, until fn returns an
// error. What only lies partly in the window, or is too new to be added up, is
// added up on the way.
func (r *Rollup) segments(ctx context.Context, w window, fn func(*segment) error) error {
	r.mu.Lock()
	closed := r.closed
	var open *segment
	if r.open.Events > 0 {
		open = r.open.clone()
	}
	seen := r.open.First
	r.mu.Unlock()
	if open != nil {
		seen = open.Last + 1
	}
	if err := r.raw(ctx, w, seen, 0, fn); err != nil {
		return err
	}
	if open != nil {
		if err := r.one(ctx, w, span{open.First, open.Last, open.From, open.To}, open, fn); err != nil {
			return err
		}
	}
	last := r.j.Last()
	for i := len(closed) - 1; i >= 0; i-- {
		if err := r.one(ctx, w, closed[i], nil, fn); err != nil {
			return err
		}
		if now := r.j.Last(); i%restAfterSegments == 0 && now != last { // others write
			last = now
			if err := rest(ctx); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func rest(ctx context.Context) error {
	t := time.NewTimer(restTime)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// one gives one segment: whole, as far as it lies in the window, or not at all.
func (r *Rollup) one(ctx context.Context, w window, at span, s *segment, fn func(*segment) error) (err error) {
	switch {
	case w.misses(at.from, at.to):
		return nil
	case !w.covers(at.from, at.to):
		return r.raw(ctx, w, at.first, at.last, fn)
	case s == nil:
		if s, err = r.load(at); err != nil || s == nil {
			return err
		}
	}
	return fn(s)
}

// raw adds up the events from first to last (0: the newest) that lie in the
// window.
func (r *Rollup) raw(ctx context.Context, w window, first, last uint64, fn func(*segment) error) error {
	s := newSegment(first)
	err := r.events(ctx, first, last, func(e *journal.Event) bool {
		if w.has(when(e)) {
			s.add(e)
		}
		return true
	})
	if err != nil || s.Events == 0 {
		return err
	}
	s.Last = max(s.Last, last)
	return fn(s)
}

// events gives those from first to last (0: the newest), newest first, until
// fn returns false.
func (r *Rollup) events(ctx context.Context, first, last uint64, fn func(*journal.Event) bool) error {
	before := uint64(0)
	if last > 0 {
		before = last + 1
	}
	err := r.j.Scan(ctx.Done(), before, func(e *journal.Event) bool { return e.Seq >= first && fn(e) })
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// before is a number below which nothing is at or after a time.
func (r *Rollup) before(t time.Time) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	seq := uint64(0)
	if len(r.closed) > 0 {
		seq = max(r.closed[0].first, 1) - 1
	}
	for _, at := range r.closed {
		if !at.to.Before(t) {
			break
		}
		seq = at.last
	}
	return seq
}

// Oldest is when what reports can tell of begins; zero: nothing is there.
func (r *Rollup) Oldest() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case len(r.closed) > 0:
		return r.closed[0].from
	case r.open.Events > 0:
		return r.open.From
	}
	return r.oldest
}
