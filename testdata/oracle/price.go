package oracle

import (
	"encoding/json"
	"math/big"
	"path"
	"strings"
	"time"
)

// counters are what a payer has used of the tiers and allowances of one sheet.
// Counters of a sheet with other tiers and allowances mean nothing to it.
type counters struct {
	layout string
	by     map[string]*counter
}

// counter is of one period of one rule.
type counter struct {
	period  string
	calls   int64
	sum     *big.Rat // volume: the price of all calls, before the multiplier
	charged int64    // volume: credits
}

func (u *counters) clone() *counters {
	n := &counters{u.layout, map[string]*counter{}}
	for k, c := range u.by {
		own := *c
		own.sum = new(big.Rat).Set(c.sum)
		n.by[k] = &own
	}
	return n
}

// of is the counter of a rule at a time. A call that is late for its period
// counts in the one that has begun since.
func (u *counters) of(name, per string, at time.Time) *counter {
	period := "ever"
	switch per {
	case "day":
		period = at.UTC().Format("2006-01-02")
	case "month":
		period = at.UTC().Format("2006-01")
	}
	c := u.by[name]
	if c == nil || period > c.period {
		c = &counter{period: period, sum: new(big.Rat)}
		u.by[name] = c
	}
	return c
}

// layout tells sheets apart whose counters mean different things.
func (s *Sheet) layout() string {
	var all []any
	for _, r := range append(append([]Rule{}, s.Rules...), Rule{Price: s.Defaults}) {
		if r.Price.Free != nil {
			all = append(all, r.Match, r.Price.Free)
		}
		if r.Price.Tiers != nil {
			all = append(all, r.Match, r.Price.Tiers)
		}
	}
	text, _ := json.Marshal(all)
	return string(text)
}

// first is the first rule that matches, with what it has from the defaults, and
// a name for its counters.
func (s *Sheet) first(c *Call, before bool) (Price, string) {
	for i, r := range s.Rules {
		if r.Match.meets(c, before) {
			p, d := r.Price, s.Defaults
			if p.BillOn == "" {
				p.BillOn = d.BillOn
			}
			if p.Retry == "" {
				p.Retry, p.RetryWithin = d.Retry, d.RetryWithin
			}
			if p.Cached == nil {
				p.Cached = d.Cached
			}
			return p, "rule " + string(rune('0'+i))
		}
	}
	return s.Defaults, "defaults"
}

func (m *Match) meets(c *Call, before bool) bool {
	if before && (m.Result != "" || m.Out != Range{}) { // only known after it
		return false
	}
	at := c.At.UTC()
	minute, day := at.Hour()*60+at.Minute(), len(m.Days) == 0
	for _, d := range m.Days {
		day = day || int(at.Weekday()) == d
	}
	hours := m.Hours == Span{} || m.Hours.From <= minute && minute < m.Hours.To || m.Hours.From > m.Hours.To && (minute >= m.Hours.From || minute < m.Hours.To)
	return like(m.Tool, c.Tool) && like(m.Plan, c.Plan) && like(m.Group, c.Group) && like(m.Result, c.Class) &&
		all(m.Tags, c.Tags) && all(m.Dims, c.Dims) && m.In.has(c.In) && m.Out.has(c.Out) && day && hours
}

// like matches * and ?; nothing asked for matches all.
func like(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(pattern, strings.ReplaceAll(text, "/", "_"))
	return ok && err == nil
}

func all(want, have map[string]string) bool {
	for name, pattern := range want {
		if v, there := have[name]; !there || !like(pattern, v) {
			return false
		}
	}
	return true
}

func (r Range) has(n int64) bool { return n >= r.From && (r.To == 0 || n < r.To) }

// share is which part of its price a call pays by how it ended.
func (p *Price) share(c *Call, before bool) *big.Rat {
	free := p.Retry != "charge" && (p.RetryWithin == 0 || c.RepeatedAfterMs*1e6 <= p.RetryWithin)
	failed, bill := c.Outcome == "failed", p.BillOn
	switch {
	case c.Repeated && free:
		return new(big.Rat)
	case before:
		return big.NewRat(1, 1)
	case c.Outcome == "lost" || c.Outcome == "denied":
		return new(big.Rat)
	case failed && (bill == "success" || bill == "upstream_units"), bill == "result_bytes" && c.Out == 0:
		return new(big.Rat)
	case c.Cached && p.Cached == nil:
		return new(big.Rat)
	case c.Cached:
		return p.Cached.Rat()
	}
	return big.NewRat(1, 1)
}

// rate is what a call costs, and its payer's counters after it; nil: as before.
// before: it has not run, so that only what is known then counts.
func (s *Sheet) rate(c *Call, u *counters, before bool) (int64, *counters) {
	p, name := s.first(c, before)
	share := p.share(c, before)
	if share.Sign() == 0 {
		return 0, nil
	}
	now := &counters{layout: s.layout(), by: map[string]*counter{}}
	if u != nil && u.layout == now.layout {
		now = u.clone()
	}
	if p.Free != nil {
		if n := now.of(name+" free", p.Free.Per, c.At); n.calls < p.Free.Calls {
			n.calls++
			return 0, now
		}
	}
	sum := p.sum(c, before)
	sum.Mul(sum, share)
	t := p.Tiers
	if t == nil {
		if p.Free == nil {
			now = nil
		}
		return p.bounded(ceil(sum)), now
	}
	n := now.of(name+" tiers", t.Per, c.At)
	n.calls++
	x := t.at(n.calls)
	if t.Mode != "volume" {
		return p.bounded(ceil(sum.Mul(sum, x))), now
	}
	n.sum.Add(n.sum, sum)
	due := p.bounded(max(0, ceil(new(big.Rat).Mul(n.sum, x))-n.charged))
	n.charged += due
	return due, now
}

// sum is the sum of the parts of the price.
func (p *Price) sum(c *Call, before bool) *big.Rat {
	units := int64(1)
	if p.BillOn == "upstream_units" && !before {
		units = c.Units
	}
	sum := new(big.Rat).Mul(p.PerCall.Rat(), big.NewRat(units, 1))
	add := func(price Dec, n *big.Rat) { sum.Add(sum, n.Mul(n, price.Rat())) }
	add(p.PerKBIn, big.NewRat((c.In+1023)/1024, 1))
	if !before {
		add(p.PerKBOut, big.NewRat((c.Out+1023)/1024, 1))
		add(p.PerSecond, big.NewRat(c.TookMs, 1000))
	}
	return sum
}

func (t *Tiers) at(n int64) *big.Rat {
	for _, s := range t.Steps {
		if s.To == 0 || n <= s.To {
			return s.X.Rat()
		}
	}
	return t.Steps[len(t.Steps)-1].X.Rat()
}

func (p *Price) bounded(n int64) int64 {
	n = max(n, p.Min)
	if p.Max > 0 {
		n = min(n, p.Max)
	}
	return n
}

func ceil(r *big.Rat) int64 {
	n := new(big.Int).Add(r.Num(), r.Denom())
	n.Sub(n, big.NewInt(1))
	return n.Div(n, r.Denom()).Int64()
}

// quote is what a call holds: its rule's hold, else its most, else what is known
// of its price before it runs. What is free holds nothing.
func (s *Sheet) quote(c *Call, u *counters) int64 {
	p, name := s.first(c, true)
	due, next := s.rate(c, u, true)
	free := p.share(c, true).Sign() == 0
	if p.Free != nil && next != nil {
		was := int64(0)
		if u != nil && u.layout == next.layout {
			was = u.clone().of(name+" free", p.Free.Per, c.At).calls
		}
		free = free || was < p.Free.Calls
	}
	switch {
	case free:
		return 0
	case p.Hold > 0:
		return p.Hold
	case p.Max > 0:
		return p.Max
	}
	return due
}
