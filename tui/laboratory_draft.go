package tui

import (
	"paygate/shadow"
	"paygate/tui/paint"
)

// unstarted says whether a column's sheet may still be replaced.
func (c *column) unstarted() bool { return c.state == shadow.IsDraft || c.state == shadow.Validated }

// drawFaults lists the mistakes of a draft where its chart would be.
func drawFaults(a paint.Area, c *column) {
	a.Rule(0, paint.Span{S: "what is wrong with " + c.name, St: paint.Strong()})
	y := 1
	for _, fault := range c.faults {
		for _, line := range paint.Wrap(fault, a.W-2) {
			a.Text(1, y, line, paint.Style{})
			y++
		}
	}
}

// unknown stands for a figure that is not there: yet, or at all.
func (l *laboratory) unknown(c *column) (string, paint.Tone) {
	switch {
	case c.faults != nil:
		return "–", paint.Muted
	case l.enact.fault != "":
		return "?", paint.Muted
	case l.enact.summed == 0 && l.enact.sumMs > 0:
		return "–", paint.Muted
	}
	return "…", paint.Muted
}
