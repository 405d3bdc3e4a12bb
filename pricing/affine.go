package pricing

// Affine is a price that goes straight with a call's sizes and duration: so
// much, and so much for each KB and second, rounded up once, within bounds.
// Many calls with the same other facts are priced by it quickly.
type Affine struct {
	call, in, out, ms int64 // nanos: for each call, KB and millisecond
	min, max          Credits
}

// steepest bounds what an Affine computes without looking for overflow: 200
// credits a KB or second, for as many of them as fit into 32 bits of bytes and
// milliseconds.
const steepest = 200 * One

// Due is what a call costs whose sizes and duration are below 2^32 bytes and
// milliseconds.
func (a *Affine) Due(in, out, ms int64) Credits {
	n := a.call + a.in*((in+1023)>>10) + a.out*((out+1023)>>10) + a.ms*ms
	due := min(Credits((n+int64(perCredit)-1)/int64(perCredit)), MaxCredits)
	if due < a.min {
		due = a.min
	}
	if a.max > 0 && due > a.max {
		due = a.max
	}
	return due
}

// Affine is the price of calls that share all facts of c but size, time and
// duration. false: it depends on more, such as the time of day or what the
// payer has used before. A call that was denied costs what would be held for it.
func (s *Sheet) Affine(c *Call) (Affine, bool) {
	denied := c.Outcome == Denied
	if s.rules == nil {
		if c.Repeated || !denied && c.free(s.refund) {
			return Affine{}, true
		}
		t := s.Tool(c.Tool)
		return Price{PerCall: Decimal(t.PerCall) * One, PerKBIn: Decimal(t.PerKBIn) * One, PerKBOut: Decimal(t.PerKBOut) * One}.affine(denied)
	}
	l, ok := s.rules.only(c)
	if !ok {
		return Affine{}, false
	}
	share, p := l.share(c, denied), &l.price
	switch {
	case c.Repeated && l.within != 0:
		return Affine{}, false
	case l.billOn == BillBytes || l.billOn == BillUnits || p.Free != nil || p.Tiers != nil || denied && (p.Hold > 0 || p.Max > 0):
		return Affine{}, false
	case share == 0:
		return Affine{}, true
	case share != One:
		return Affine{}, false
	}
	return p.affine(denied)
}

func (p Price) affine(denied bool) (Affine, bool) {
	if p.PerKBIn > steepest || p.PerKBOut > steepest || p.PerSecond > steepest {
		return Affine{}, false
	}
	a := Affine{call: int64(p.PerCall) * 1000, in: int64(p.PerKBIn) * 1000, out: int64(p.PerKBOut) * 1000, ms: int64(p.PerSecond), min: p.Min, max: p.Max}
	if denied {
		a.out, a.ms = 0, 0
	}
	return a, true
}

// only is the line that prices every call with these facts, whatever its size
// and time; false when it depends on these.
func (r *rules) only(c *Call) (*line, bool) {
	for _, i := range r.candidates(c.Tool) {
		l := &r.lines[i]
		bare := l.when
		bare.in, bare.out, bare.hours, bare.days = Range{}, Range{}, Span{}, 0
		if !l.about(c.Tool) || !bare.meets(c, c.Outcome == Denied) {
			continue
		}
		if l.in == bare.in && l.out == bare.out && l.hours == bare.hours && l.days == 0 {
			return l, true
		}
		return nil, false
	}
	return &r.lines[len(r.lines)-1], true
}
