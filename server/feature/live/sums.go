package live

import (
	"time"

	"paygate/pricing"
	"paygate/server/report"
	"paygate/store/journal"
)

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

// measured is a call with what all sums need to know of it, found out once.
type measured struct {
	*journal.Call
	due        int64
	took, gate int // their bands of the histogram
	band       int // of the latencies that people see
}

func measure(c *journal.Call) measured {
	m := measured{Call: c, due: report.Due(c)}
	ms := float64(c.Took) / float64(time.Millisecond)
	m.took, m.gate = bandOf(ms), bandOf(float64(c.Gate)/float64(time.Millisecond))
	bands := latencyBands()
	for m.band < len(bands) && ms > bands[m.band] {
		m.band++
	}
	return m
}

func (s *sums) count(c measured) {
	s.calls++
	s.credits += c.due
	if c.Outcome == pricing.Denied {
		s.denied++
		if len(c.Findings) > 0 {
			s.reasons[report.Identifier(c.Findings[0])]++
		}
	} else {
		s.latency.add(c.took)
		s.gate.add(c.gate)
		s.bands[c.band]++
	}
	t := s.tool(c.Tool)
	t.calls++
	t.credits += c.due
	t.latency.add(c.took)
	if c.Outcome == pricing.Failed || c.Outcome == pricing.Lost {
		s.failed++
		t.failed++
	}
	if c.Key != "" {
		s.keys[c.Key] += c.due
	}
}

// mostTools bounds the tools that are told apart: their names are what callers
// say, whether the tool is there or not. The rest are "other".
const mostTools = 200

// tool is the sum of a tool.
func (s *sums) tool(name string) *toolSum {
	if s.tools[name] == nil && len(s.tools) >= mostTools {
		name = "other"
	}
	t := s.tools[name]
	if t == nil {
		t = &toolSum{}
		s.tools[name] = t
	}
	return t
}

func (s *sums) merge(o *sums) {
	s.calls += o.calls
	s.failed += o.failed
	s.denied += o.denied
	s.credits += o.credits
	s.latency.merge(&o.latency)
	s.gate.merge(&o.gate)
	for name, t := range o.tools {
		to := s.tool(name)
		to.calls += t.calls
		to.failed += t.failed
		to.credits += t.credits
		to.latency.merge(&t.latency)
	}
	for id, n := range o.keys {
		s.keys[id] += n
	}
	for reason, n := range o.reasons {
		s.reasons[reason] += n
	}
}
