package form

import (
	"fmt"
	"html/template"
	"math"

	"paygate/shadow/trial"
)

// effectPlot has a line for each effect: where it lies however often one looks,
// thick where it lies for whoever looks once, a dot for the estimate.
func effectPlot(t *trial.Trial) template.HTML {
	bars := t.Bars()
	if len(bars) == 0 {
		return ""
	}
	most := .1
	for _, b := range bars {
		most = max(most, math.Abs(b.Is.Low), math.Abs(b.Is.High))
	}
	const left = 90
	x := func(share float64) float64 {
		return left + (max(-most, min(most, share))+most)/(2*most)*(plotWidth-left-20)
	}
	s := newPlot("Change of calls and credits by the candidate's prices")
	fmt.Fprintf(s, `<line x1="%.1f" x2="%.1f" y1="10" y2="%d" stroke="%s"/><text x="%.1f" y="%d">no change</text>`, x(0), x(0), plotHeight-10, faint, x(0)-28, plotHeight+10)
	for i, b := range bars {
		y, colour := 50+80*i, faint
		switch {
		case b.Is.High < 0:
			colour = bad
		case b.Is.Low > 0:
			colour = good
		}
		fmt.Fprintf(s, `<text x="0" y="%d">%s</text><line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s" stroke-width="2"/><line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s" stroke-width="8"/><circle cx="%.1f" cy="%d" r="6" fill="%s"/>`,
			y+4, b.Name, x(b.Is.Low), x(b.Is.High), y, y, colour, x(b.Once.Low), x(b.Once.High), y, y, colour, x(b.Is.Estimate), y, colour)
		fmt.Fprintf(s, `<text x="%.1f" y="%d">%+.0f %% [%+.0f %%, %+.0f %%]</text>`, x(b.Is.Estimate)-40, y-14, 100*b.Is.Estimate, 100*b.Is.Low, 100*b.Is.High)
	}
	return s.end()
}
