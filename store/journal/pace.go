package journal

import "time"

const (
	restAfter = 8000 // acts
	rest      = 20 * time.Millisecond
)

// Pace lets a long read of the journal take no more than its share beside the
// calls on a small machine: it rests after a number of acts when others have come
// meanwhile.
type Pace struct {
	newest func() uint64
	seen   int
	last   uint64
}

// NewPace is the pace of a reader beside a journal whose newest act has this
// number, such as Journal.Last; nil: it never rests.
func NewPace(newest func() uint64) *Pace {
	p := &Pace{newest: newest}
	if newest != nil {
		p.last = newest()
	}
	return p
}

// Count takes so many acts that were read, and rests if it is time to, at most
// until done is closed.
func (p *Pace) Count(done <-chan struct{}, acts int) {
	if p.seen += acts; p.newest == nil || p.seen < restAfter {
		return
	}
	p.seen = 0
	last := p.newest()
	idle := last == p.last
	p.last = last
	if idle {
		return
	}
	t := time.NewTimer(rest)
	defer t.Stop()
	select {
	case <-t.C:
	case <-done:
	}
}
