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
	base   uint64    // the journal began here at start
	day    int64     // UTC, of the newest event
	closed []Span    // oldest first
	open   *segment  // of what came after the last closed one
	oldest time.Time // of what was there at start, for as long as it is not added up
}

// Span is where a closed segment is.
type Span struct {
	First, Last uint64
	From, To    time.Time
}

const (
	bucketSegments = "segments"
	segmentEvents  = 1 << 16
	retryEvery     = 1024 // events, when a segment could not be written
)

// NewRollup finds the segments that are kept, and says by After where to go on.
func NewRollup(db *store.DB, j *journal.Journal, log *slog.Logger, size int) (*Rollup, error) {
	r := &Rollup{db: db, j: j, log: log, size: cmp.Or(size, segmentEvents), base: 1}
	err := db.View(func(s *store.Snapshot) error {
		s.Ascend(journal.Bucket, nil, func(k, _ []byte) bool {
			r.base = journal.FirstOf(k)
			return false
		})
		s.Ascend(bucketSegments, nil, func(k, _ []byte) bool {
			if at, ok := spanOf(k); ok && at.First >= r.base { // the journal has all of it
				r.closed = append(r.closed, at)
			}
			return true
		})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("roll-up: %w", err)
	}
	first, err := j.Page(r.base-1, 1)
	if err != nil {
		return nil, fmt.Errorf("roll-up: %w", err)
	}
	if len(first) > 0 {
		r.oldest = when(first[0])
	}
	r.open = newSegment(r.next())
	return r, nil
}

// key is a span as the key of its segment: found without reading it.
func (s Span) key() []byte {
	b := binary.BigEndian.AppendUint64(nil, s.First)
	b = binary.BigEndian.AppendUint64(b, s.Last)
	b = binary.BigEndian.AppendUint64(b, uint64(s.From.UnixMilli()))
	return binary.BigEndian.AppendUint64(b, uint64(s.To.UnixMilli()))
}

func spanOf(key []byte) (Span, bool) {
	if len(key) != 32 {
		return Span{}, false
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(key[8*i:]) }
	return Span{n(0), n(1), time.UnixMilli(int64(n(2))).UTC(), time.UnixMilli(int64(n(3))).UTC()}, true
}

// next is the number after the last closed segment. Behind mu.
func (r *Rollup) next() uint64 {
	if n := len(r.closed); n > 0 {
		return r.closed[n-1].Last + 1
	}
	return r.base
}

// After is the number after which Add has seen nothing.
func (r *Rollup) After() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(r.next(), r.open.Last+1) - 1
}

// Add counts the next event of the journal. Only the one reader behind the
// calls adds.
func (r *Rollup) Add(e *journal.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Seq < r.next() || e.Seq <= r.open.Last {
		return
	}
	if day := e.At.Unix() / (24 * 3600); day != r.day { // so that retention can forget day by day
		r.finish()
		r.day = day
	}
	r.open.add(e)
	if over := r.open.Events - r.size; over >= 0 && over%retryEvery == 0 {
		r.finish()
	}
}

// finish closes the open segment, if it can. Behind mu.
func (r *Rollup) finish() {
	if r.open.Events == 0 {
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
	at := Span{r.open.First, r.open.Last, r.open.From, r.open.To.Add(time.Millisecond - 1).Truncate(time.Millisecond)}
	if err := r.db.Update(func(tx *store.Tx) error { return tx.Append(bucketSegments, at.key(), raw) }); err != nil {
		return err
	}
	r.closed = append(r.closed, at)
	r.open = newSegment(r.next())
	return nil
}

// Spans are the closed segments, oldest first: where the journal can be cut
// without leaving half a segment.
func (r *Rollup) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.closed)
}

// load reads a closed segment; nil if it has been forgotten since.
func (r *Rollup) load(at Span) (*segment, error) {
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
		if err := r.one(ctx, w, Span{open.First, open.Last, open.From, open.To}, open, fn); err != nil {
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
func (r *Rollup) one(ctx context.Context, w window, at Span, s *segment, fn func(*segment) error) (err error) {
	switch {
	case w.misses(at.From, at.To):
		return nil
	case !w.covers(at.From, at.To):
		return r.raw(ctx, w, at.First, at.Last, fn)
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
		seq = max(r.closed[0].First, 1) - 1
	}
	for _, at := range r.closed {
		if !at.To.Before(t) {
			break
		}
		seq = at.Last
	}
	return seq
}

// Oldest is when what reports can tell of begins; zero: nothing is there.
func (r *Rollup) Oldest() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case len(r.closed) > 0:
		return r.closed[0].From
	case r.open.Events > 0:
		return r.open.From
	}
	return r.oldest
}
