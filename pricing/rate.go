package pricing

// Usage is what one payer has used so far, in slots that a compiled sheet
// assigns: positions in tiers, free allowances, caps. A sheet without any of
// these leaves it alone.
type Usage struct{ n [Slots]int64 }

// Slots is how many counters a Usage has.
const Slots = 16

// Deltas is what one charge adds to its payer's Usage. The event of a call
// records it, so that the books can be folded without the sheet.
type Deltas struct{ n [Slots]int64 }

// Add counts a charge in.
func (u *Usage) Add(d Deltas) {
	for i, n := range d.n {
		u.n[i] += n
	}
}

// Zero says whether there is nothing to record.
func (d Deltas) Zero() bool { return d == Deltas{} }

// Counters gives the slots for storage, DeltasOf and UsageOf take them back.
func (d Deltas) Counters() [Slots]int64 { return d.n }

// Counters gives the slots for storage.
func (u Usage) Counters() [Slots]int64 { return u.n }

// DeltasOf is the inverse of Deltas.Counters.
func DeltasOf(n [Slots]int64) Deltas { return Deltas{n} }

// UsageOf is the inverse of Usage.Counters.
func UsageOf(n [Slots]int64) Usage { return Usage{n} }

// Charge is what a call costs and of which parts that is made.
type Charge struct {
	Due    Credits // the sum of the parts
	Call   Credits // per call
	Input  Credits // per KB of the arguments
	Output Credits // per KB of the result: the surcharge, known only afterwards
}

// Quote is what to hold for a call before it runs: all that is known then.
func Quote(c *Call, s *Sheet, u *Usage) Charge {
	if s.rules != nil {
		return s.rules.quote(c, u)
	}
	if c.Repeated {
		return Charge{}
	}
	p := s.Tool(c.Tool)
	return sum(p.PerCall, p.PerKBIn*kilobytes(c.In), 0)
}

// Rate is what a call that has ended is charged, and what that adds to its
// payer's usage. A call that is lost or denied costs nothing; what one costs that
// failed, or was answered from the cache, the sheet says: by tool alone, a
// cached answer is free.
func Rate(c *Call, s *Sheet, u *Usage) (Charge, Deltas) {
	if s.rules != nil {
		return s.rules.rate(c, u, false)
	}
	if c.free(s.refund) {
		return Charge{}, Deltas{}
	}
	p := s.Tool(c.Tool)
	return sum(p.PerCall, p.PerKBIn*kilobytes(c.In), p.PerKBOut*kilobytes(c.Out)), Deltas{}
}

// free says whether a call costs nothing at any price by tool.
func (c *Call) free(refund bool) bool {
	return c.Outcome == Lost || c.Outcome == Denied || c.Cached || c.Repeated || c.Outcome == Failed && refund
}

func sum(call, input, output Credits) Charge {
	return Charge{Due: call + input + output, Call: call, Input: input, Output: output}
}

func kilobytes(bytes int64) Credits { return Credits((bytes + 1023) / 1024) }
