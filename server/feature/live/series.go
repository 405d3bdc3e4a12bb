package live

import (
	"math"
	"time"

	"paygate/server/api"
)

// series is a ring of sums, one a step.
type series struct {
	step    time.Duration
	buckets []*sums
	newest  int64 // number of the newest step since 1970
}

func newSeries(step time.Duration, n int) series {
	return series{step: step, buckets: make([]*sums, n)}
}

func (s *series) number(t time.Time) int64 { return t.UnixNano() / int64(s.step) }

func (s *series) count(at time.Time, c measured) {
	n := s.number(at)
	if s.newest == 0 {
		s.newest = n
	}
	s.advance(n)
	if s.newest-n >= int64(len(s.buckets)) {
		return
	}
	i := n % int64(len(s.buckets))
	if s.buckets[i] == nil {
		s.buckets[i] = newSums()
	}
	s.buckets[i].count(c)
}

// advance empties the steps that time has come round to.
func (s *series) advance(n int64) {
	if n-s.newest > int64(len(s.buckets)) {
		s.newest = n - int64(len(s.buckets))
	}
	for s.newest < n {
		s.newest++
		s.buckets[s.newest%int64(len(s.buckets))] = nil
	}
}

// window gives the finished steps, oldest first; one in which nothing happened
// is empty.
func (s *series) window(now time.Time) []*sums {
	n := s.number(now)
	if s.newest == 0 {
		s.newest = n
	}
	s.advance(n)
	out := make([]*sums, 0, len(s.buckets)-1)
	empty := newSums()
	for i := n - int64(len(s.buckets)) + 1; i < n; i++ {
		b := s.buckets[((i%int64(len(s.buckets)))+int64(len(s.buckets)))%int64(len(s.buckets))]
		if b == nil {
			b = empty
		}
		out = append(out, b)
	}
	return out
}

// minutes counts calls by the minute, for a day and the hour before it.
type minutes struct {
	counts [25*60 + 1]int64
	newest int64 // number of the newest minute since 1970
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

func (m *minutes) count(at time.Time) {
	n := minuteOf(at)
	if m.newest == 0 {
		m.newest = n
	}
	m.advance(n)
	if m.newest-n < int64(len(m.counts)) {
		m.counts[n%int64(len(m.counts))]++
	}
}

// advance empties the minutes that time has come round to.
func (m *minutes) advance(n int64) {
	m.newest = max(m.newest, n-int64(len(m.counts)))
	for m.newest < n {
		m.newest++
		m.counts[m.newest%int64(len(m.counts))] = 0
	}
}

// between is how many calls there were from a minute on, before another one.
func (m *minutes) between(from, to time.Time) (sum int64) {
	for n := minuteOf(from); n < minuteOf(to); n++ {
		if n <= m.newest && m.newest-n < int64(len(m.counts)) {
			sum += m.counts[n%int64(len(m.counts))]
		}
	}
	return sum
}

// histogram counts durations in bands of 12 %, from 10 µs to some minutes.
type histogram struct {
	n     int64
	bands [160]int32
}

const (
	histogramLeast = 0.01 // ms
	histogramRatio = 1.12
)

// bandOf is the band of a duration in ms.
func bandOf(ms float64) int {
	return min(159, int(math.Log(max(ms, histogramLeast)/histogramLeast)/math.Log(histogramRatio)))
}

func (h *histogram) add(band int) {
	h.n++
	h.bands[band]++
}

func (h *histogram) merge(o *histogram) {
	h.n += o.n
	for band, n := range o.bands {
		h.bands[band] += n
	}
}

// quantile is within 6 % of the true one; 0 when nothing was counted.
func (h *histogram) quantile(q float64) float64 {
	left := int64(math.Ceil(q * float64(h.n)))
	for band, n := range h.bands {
		if left -= int64(n); left <= 0 && h.n > 0 {
			return histogramLeast * math.Pow(histogramRatio, float64(band)+0.5)
		}
	}
	return 0
}

func latencyBands() []float64 { return api.LatencyBands() }
