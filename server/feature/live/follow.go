// Package live shows what happens now: the sums that people watch, followed
// behind the journal, and the stream of frames that the dashboard draws. No
// call waits for it.
package live

import (
	"context"
	"sync"
	"time"

	"paygate/server/report"
	"paygate/store/journal"
)

// Follower reads the journal behind the calls and keeps the sums that people
// watch: rates, latencies, tools, keys, reasons. It is a reader like any other:
// no call waits for it, and after a restart it reads the last day again.
type Follower struct {
	now func() time.Time

	mu    sync.Mutex
	seq   uint64 // has seen everything up to here
	fine  series // 5 s steps, 5 min
	mid   series // 1 min steps, 1 h
	wide  series // 1 h steps, 14 days
	calls minutes
	first time.Time // the oldest call that was counted; zero: none was
	whole bool      // all that wide can hold has been read
	keys  map[string]*keyUse
	rows  []*journal.Event // newest calls, oldest first
	today struct {
		day     int
		credits int64
		keys    map[string]bool
	}
}

// mostRows is how many calls the follower remembers for live lists.
const mostRows = 2000

// New makes a follower that has seen nothing.
func New(now func() time.Time) *Follower {
	f := &Follower{now: now, keys: map[string]*keyUse{}}
	f.fine, f.mid, f.wide = newSeries(5*time.Second, 61), newSeries(time.Minute, 61), newSeries(time.Hour, 14*24+1)
	f.today.keys = map[string]bool{}
	return f
}

// After is the number after which there is something to see: of the last day,
// as far as it is kept.
func (f *Follower) After(j *journal.Journal) uint64 {
	first, err := j.SeqAt(f.now().Add(-24 * time.Hour))
	if err != nil || first == 0 {
		return 0
	}
	return first - 1
}

// See counts an event. They come in the order of the journal.
func (f *Follower) See(e *journal.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq = e.Seq
	c := e.Call
	if c == nil {
		return
	}
	m := measure(c)
	for _, s := range []*series{&f.fine, &f.mid, &f.wide} {
		s.count(e.At, m)
	}
	f.calls.count(e.At)
	if f.first.IsZero() {
		f.first = e.At
	}
	f.countKey(e.At, c)
	f.countToday(e.At, c)
	f.rows = append(f.rows, e)
	if over := len(f.rows) - mostRows; over > mostRows {
		f.rows = append([]*journal.Event(nil), f.rows[over:]...)
	}
}

// Earlier counts the calls below a number, that of the first that See is given,
// as far back as the widest series goes. It reads backwards and beside the follower, so that
// what happens now is seen at once after a start, and the last days some
// seconds later.
func (f *Follower) Earlier(ctx context.Context, j *journal.Journal, before uint64) error {
	oldest := f.now().Add(-f.wide.step * time.Duration(len(f.wide.buckets)))
	err := j.Scan(ctx.Done(), before, func(e *journal.Event) bool {
		if e.At.Before(oldest) {
			return false
		}
		if e.Call != nil {
			f.seeEarlier(e)
		}
		return true
	})
	f.mu.Lock()
	f.whole = err == nil && ctx.Err() == nil
	f.mu.Unlock()
	return err
}

func (f *Follower) seeEarlier(e *journal.Event) {
	m := measure(e.Call)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wide.count(e.At, m)
	f.calls.count(e.At)
	if f.first.IsZero() || e.At.Before(f.first) {
		f.first = e.At
	}
}

// change is how many percent more calls a window has than the same one a day
// before; nil where there is nothing to compare with. Behind mu.
func (f *Follower) change(window time.Duration) *float64 {
	now := f.now()
	var here, before int64
	switch {
	case !f.whole:
		return nil
	case window <= time.Hour:
		here = f.calls.between(now.Add(-window), now)
		before = f.calls.between(now.Add(-window-24*time.Hour), now.Add(-24*time.Hour))
	case window <= 24*time.Hour:
		all := f.wide.window(now)
		for i, b := range all[len(all)-48:] {
			if i < 24 {
				before += b.calls
			} else {
				here += b.calls
			}
		}
	}
	if before == 0 {
		return nil
	}
	percent := (float64(here)/float64(before) - 1) * 100
	return &percent
}

func (f *Follower) countToday(at time.Time, c *journal.Call) {
	if day := at.UTC().YearDay(); day != f.today.day {
		f.today.day, f.today.credits = day, 0
		clear(f.today.keys)
	}
	f.today.credits += report.Due(c)
	if c.Key != "" {
		f.today.keys[c.Key] = true
	}
}

// keyUse is what a key has spent in each of the last 24 hours.
type keyUse struct {
	hour  int64 // of the newest
	spent [24]int64
}

func (k *keyUse) roll(hour int64) {
	for ; k.hour < hour; k.hour++ {
		if hour-k.hour > 24 {
			k.hour = hour - 24
		}
		k.spent[(k.hour+1)%24] = 0
	}
}

func (f *Follower) countKey(at time.Time, c *journal.Call) {
	if c.Key == "" || report.Due(c) == 0 {
		return
	}
	hour := at.Unix() / 3600
	k := f.keys[c.Key]
	if k == nil {
		k = &keyUse{hour: hour}
		f.keys[c.Key] = k
	}
	k.roll(hour)
	if k.hour-hour < 24 {
		k.spent[hour%24] += report.Due(c)
	}
}

// BurnPerHour is the credits that a key has spent in the last 60 minutes, the
// hour before counted by the share of it that lies in them.
func (f *Follower) BurnPerHour(id string) float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.burn(id)
}

func (f *Follower) burn(id string) float64 {
	k := f.keys[id]
	if k == nil {
		return 0
	}
	now := f.now()
	hour := now.Unix() / 3600
	k.roll(hour)
	share := 1 - float64(now.Unix()%3600)/3600
	return float64(k.spent[hour%24]) + share*float64(k.spent[(hour+23)%24])
}

// Spark is the credits an hour of the last 24 hours, oldest first.
func (f *Follower) Spark(id string) []float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.spark(id, 24)
}

func (f *Follower) spark(id string, hours int) []float64 {
	out := make([]float64, hours)
	k := f.keys[id]
	if k == nil {
		return out
	}
	hour := f.now().Unix() / 3600
	k.roll(hour)
	for i := range out {
		out[i] = float64(k.spent[(hour-int64(hours-1-i)+48)%24])
	}
	return out
}

// ToolUse is what one tool did.
type ToolUse struct{ Calls, Credits int64 }

// LastHour is what each tool did in the last hour.
func (f *Follower) LastHour() map[string]ToolUse {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]ToolUse{}
	for _, b := range f.mid.window(f.now()) {
		for name, t := range b.tools {
			u := out[name]
			u.Calls += t.calls
			u.Credits += t.credits
			out[name] = u
		}
	}
	return out
}
