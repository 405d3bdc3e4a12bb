package server

import (
	"context"
	"sync"
	"time"

	"paygate/pricing"
	"paygate/store/journal"
)

// follow reads the journal behind the calls and keeps the sums that people
// watch: rates, latencies, tools, keys, reasons. It is a reader like any other:
// no call waits for it, and after a restart it reads the last day again.
type follow struct {
	now func() time.Time

	mu    sync.Mutex
	seq   uint64 // has seen everything up to here
	fine  series // 5 s steps, 5 min
	mid   series // 1 min steps, 1 h
	wide  series // 1 h steps, 14 days
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

func newFollow(now func() time.Time) *follow {
	f := &follow{now: now, keys: map[string]*keyUse{}}
	f.fine, f.mid, f.wide = newSeries(5*time.Second, 61), newSeries(time.Minute, 61), newSeries(time.Hour, 14*24+1)
	f.today.keys = map[string]bool{}
	return f
}

// run follows until ctx ends.
func (f *follow) run(ctx context.Context, j *journal.Journal) {
	after, err := j.SeqAt(f.now().Add(-24 * time.Hour))
	if err != nil || after == 0 {
		after = 1
	}
	for e := range j.Tail(ctx, after-1) {
		f.event(e)
	}
}

func (f *follow) event(e *journal.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq = e.Seq
	c := e.Call
	if c == nil {
		return
	}
	for _, s := range []*series{&f.fine, &f.mid, &f.wide} {
		s.count(e.At, c)
	}
	f.countKey(e.At, c)
	f.countToday(e.At, c)
	f.rows = append(f.rows, e)
	if over := len(f.rows) - mostRows; over > mostRows {
		f.rows = append([]*journal.Event(nil), f.rows[over:]...)
	}
}

// due is what a call was charged, or would have been.
func due(c *journal.Call) int64 {
	if c.Observed {
		return int64(c.Would)
	}
	return int64(c.Charged)
}

func (f *follow) countToday(at time.Time, c *journal.Call) {
	if day := at.UTC().YearDay(); day != f.today.day {
		f.today.day, f.today.credits = day, 0
		clear(f.today.keys)
	}
	f.today.credits += due(c)
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

func (f *follow) countKey(at time.Time, c *journal.Call) {
	if c.Key == "" || due(c) == 0 {
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
		k.spent[hour%24] += due(c)
	}
}

// BurnPerHour is the credits that a key has spent in the last 60 minutes, the
// hour before counted by the share of it that lies in them.
func (f *follow) BurnPerHour(id string) float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.burn(id)
}

func (f *follow) burn(id string) float64 {
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
func (f *follow) Spark(id string) []float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.spark(id, 24)
}

func (f *follow) spark(id string, hours int) []float64 {
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

// toolUse is what one tool did in the last hour.
type toolUse struct{ calls, credits int64 }

func (f *follow) lastHour() map[string]toolUse {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]toolUse{}
	for _, b := range f.mid.window(f.now()) {
		for name, t := range b.tools {
			u := out[name]
			u.calls += t.calls
			u.credits += t.credits
			out[name] = u
		}
	}
	return out
}

// sums are what a stretch of time adds up to.
type sums struct {
	calls, failed, denied, credits int64
	latency, gate                  histogram
	bands                          []int
	tools                          map[string]*toolSum
	keys                           map[string]int64
	reasons                        map[string]int64
}

type toolSum struct {
	calls, failed, credits int64
	latency                histogram
}

func newSums() *sums {
	return &sums{tools: map[string]*toolSum{}, keys: map[string]int64{}, reasons: map[string]int64{}, bands: make([]int, len(latencyBands())+1)}
}

func (s *sums) count(c *journal.Call) {
	s.calls++
	s.credits += due(c)
	ms := float64(c.Took) / float64(time.Millisecond)
	slot := bandOf(ms)
	if c.Outcome == pricing.Denied {
		s.denied++
		if len(c.Findings) > 0 {
			s.reasons[identifier(c.Findings[0])]++
		}
	} else {
		s.latency.add(slot)
		s.gate.add(bandOf(float64(c.Gate) / float64(time.Millisecond)))
		band := 0
		for band < len(s.bands)-1 && ms > latencyBands()[band] {
			band++
		}
		s.bands[band]++
	}
	t := s.tools[c.Tool]
	if t == nil {
		t = &toolSum{}
		s.tools[c.Tool] = t
	}
	t.calls++
	t.credits += due(c)
	t.latency.add(slot)
	if c.Outcome == pricing.Failed || c.Outcome == pricing.Lost {
		s.failed++
		t.failed++
	}
	if c.Key != "" {
		s.keys[c.Key] += due(c)
	}
}
