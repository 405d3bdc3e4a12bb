package form

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"

	"paygate/pricing"
	"paygate/shadow/report"
)

const (
	plotWidth  = 720
	plotHeight = 200

	good, bad, blue, faint = "#2da44e", "#cf222e", "#0969da", "#8c959f"
)

// svg collects a plot. Only numbers, fixed words and escaped names go into it.
type svg struct{ bytes.Buffer }

func newPlot(label string) *svg {
	s := &svg{}
	fmt.Fprintf(s, `<svg role="img" aria-label="%s" viewBox="0 0 %d %d" width="%d" height="%d" font-size="12">`, label, plotWidth, plotHeight+24, plotWidth, plotHeight+24)
	return s
}

func (s *svg) end() template.HTML {
	s.WriteString("</svg>")
	return template.HTML(s.String()) //nolint:gosec // numbers, fixed words and escaped names
}

// Waterfall goes from what live collects to what the candidate does, and what it
// could if nothing were denied.
func (r view) Waterfall() template.HTML {
	low, high, at := 0.0, 1.0, 0.0
	for _, b := range r.Exact.Waterfall {
		if at += float64(b.Credits); b.Sum {
			at = float64(b.Credits)
		}
		low, high = min(low, at), max(high, at)
	}
	y := func(v float64) float64 { return plotHeight - (v-low)/(high-low)*(plotHeight-20) }
	s := newPlot("Waterfall from live to candidate")
	at = 0
	for i, b := range r.Exact.Waterfall {
		from, to := at, at+float64(b.Credits)
		colour := good
		switch {
		case b.Name == "potential":
			from, to, colour = 0, float64(b.Credits), faint
		case b.Sum:
			from, to, colour = 0, float64(b.Credits), blue
		case b.Credits < 0:
			colour = bad
		}
		x := float64(i)*plotWidth/float64(len(r.Exact.Waterfall)) + 6
		fmt.Fprintf(s, `<rect x="%.0f" y="%.1f" width="86" height="%.1f" fill="%s"/><text x="%.0f" y="%.1f">%d</text><text x="%.0f" y="%d">%s</text>`,
			x, min(y(from), y(to)), max(1, math.Abs(y(from)-y(to))), colour, x, min(y(from), y(to))-3, b.Credits, x, plotHeight+16, b.Name)
		at = to
	}
	return s.end()
}

// Strip has a dot for every key's change, sorted.
func (r view) Strip() template.HTML {
	rows := slices.Clone(r.Exact.Keys)
	slices.SortStableFunc(rows, func(a, b report.KeyRow) int { return cmp.Compare(a.Candidate-a.Live, b.Candidate-b.Live) })
	most := 1.0
	for _, k := range rows {
		most = max(most, math.Abs(float64(k.Candidate-k.Live)))
	}
	s := newPlot("Change of every key's bill")
	fmt.Fprintf(s, `<line x1="0" x2="%d" y1="%d" y2="%d" stroke="#8c959f"/><text x="0" y="12">+%.0f</text><text x="0" y="%d">−%.0f</text>`, plotWidth, plotHeight/2, plotHeight/2, most, plotHeight, most)
	for i, k := range rows {
		d, colour := float64(k.Candidate-k.Live), "#cf222e"
		if d <= 0 {
			colour = "#2da44e"
		}
		fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s" fill-opacity=".7"/>`, (float64(i)+.5)*plotWidth/float64(len(rows)), plotHeight/2-d/most*(plotHeight/2-6), colour)
	}
	return s.end()
}

// SurvivalPlot is the share of keys that either side has not stopped.
func (r view) SurvivalPlot() template.HTML {
	hours := max(1e-9, r.To.Sub(r.From).Hours())
	s := newPlot("Share of keys not stopped over time")
	line := func(curve []report.CurveStep, colour string) {
		fmt.Fprintf(s, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, colour)
		share := 1.0
		point := func(h, v float64) {
			fmt.Fprintf(s, "%.1f,%.1f ", min(1, h/hours)*plotWidth, plotHeight-v*(plotHeight-10))
		}
		for _, c := range curve {
			point(c.Hours, share)
			share = c.Share
			point(c.Hours, share)
		}
		point(hours, share)
		s.WriteString(`"/>`)
	}
	line(r.Exact.LiveLife.Curve, faint)
	line(r.Exact.Survival.Curve, blue)
	fmt.Fprintf(s, `<text x="%d" y="12" text-anchor="end">100 %%</text><line x1="0" x2="%d" y1="%d" y2="%d" stroke="%s"/><text x="%d" y="%d" text-anchor="end">0</text>`, plotWidth, plotWidth, plotHeight, plotHeight, faint, plotWidth, plotHeight-4)
	fmt.Fprintf(s, `<text x="0" y="%d">first call; grey: live</text><text x="%d" y="%d" text-anchor="end">%.1f h</text>`, plotHeight+16, plotWidth, plotHeight+16, hours)
	return s.end()
}

// Fan is the change of revenue over elasticities.
func (r view) Fan() template.HTML {
	low, high := 0.0, 1.0
	for _, p := range r.Projected.Sensitivity {
		low, high = min(low, p.Change), max(high, p.Change)
	}
	y := func(v float64) float64 { return plotHeight - (v-low)/(high-low)*(plotHeight-20) }
	s := newPlot("Change of revenue by elasticity")
	fmt.Fprintf(s, `<line x1="0" x2="%d" y1="%.1f" y2="%.1f" stroke="#8c959f"/>`, plotWidth, y(0), y(0))
	fmt.Fprintf(s, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, blue)
	for _, p := range r.Projected.Sensitivity {
		fmt.Fprintf(s, "%.1f,%.1f ", 20-p.Elasticity/2*(plotWidth-80), y(p.Change))
	}
	s.WriteString(`"/>`)
	for _, p := range r.Projected.Sensitivity {
		x := 20 - p.Elasticity/2*(plotWidth-80)
		fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="4" fill="#0969da"/><text x="%.1f" y="%.1f">%+.0f</text><text x="%.1f" y="%d">%.2f</text>`, x, y(p.Change), x+6, y(p.Change)-5, p.Change, x, plotHeight+16, p.Elasticity)
	}
	if e := r.Projected.BreakEven; e != nil && *e >= -2 {
		x := 20 - *e/2*(plotWidth-80)
		fmt.Fprintf(s, `<line x1="%.1f" x2="%.1f" y1="0" y2="%d" stroke="#cf222e" stroke-dasharray="4"/><text x="%.1f" y="12">break-even %.2f</text>`, x, x, plotHeight, x+4, *e)
	}
	return s.end()
}

// DenialPlot has a strip for every key: the darker, the more was denied in an
// hour.
func (r view) DenialPlot() template.HTML {
	t := &r.Exact.Timeline
	s := newPlot("Denials by key and hour")
	if t.From == nil {
		s.WriteString(`<text x="0" y="20">nothing is denied</text>`)
		return s.end()
	}
	const names = 120
	height, width := min(14, float64(plotHeight)/float64(len(t.Keys))), float64(plotWidth-names)/float64(t.Hours)
	most := 1
	for _, k := range t.Keys {
		for _, n := range k.Denied {
			most = max(most, n)
		}
	}
	for i, k := range t.Keys {
		y := float64(i) * height
		if height >= 9 {
			fmt.Fprintf(s, `<text x="0" y="%.1f" font-size="%.0f">%s</text>`, y+height-2, height-2, template.HTMLEscapeString(shortened(cmp.Or(k.Name, k.ID), names/7)))
		}
		for h, n := range k.Denied {
			if n > 0 {
				fmt.Fprintf(s, `<rect x="%.1f" y="%.1f" width="%.2f" height="%.1f" fill="%s" fill-opacity="%.2f"/>`, names+float64(h)*width, y, max(1, width), height-.5, bad, .25+.75*float64(n)/float64(most))
			}
		}
	}
	fmt.Fprintf(s, `<text x="%d" y="%d">%s UTC</text><text x="%d" y="%d" text-anchor="end">%d h later</text>`, names, plotHeight+16, t.From.Format("2006-01-02 15:04"), plotWidth, plotHeight+16, t.Hours)
	return s.end()
}

// mostTiles is how many tools a heat map shows.
const mostTiles = 12

// HeatMap has a row for each sheet and a column for each of the dearest tools.
func (r view) HeatMap() template.HTML {
	tools := r.Exact.Tools[:min(mostTiles, len(r.Exact.Tools))]
	most := pricing.Credits(1)
	for _, t := range tools {
		most = max(most, t.Live, t.Candidate)
	}
	s := newPlot("Credits by tool and sheet")
	width := float64(plotWidth-70) / max(1, float64(len(tools)))
	for row, name := range []string{"live", "candidate"} {
		y := float64(row) * plotHeight / 2
		fmt.Fprintf(s, `<text x="0" y="%.1f">%s</text>`, y+plotHeight/4, name)
		for i, t := range tools {
			n := [...]pricing.Credits{t.Live, t.Candidate}[row]
			x := 70 + float64(i)*width
			fmt.Fprintf(s, `<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s" fill-opacity="%.2f"/><text x="%.1f" y="%.1f">%d</text>`, x, y, width-2, plotHeight/2-2, blue, .06+.44*float64(max(0, n))/float64(most), x+3, y+plotHeight/4, n)
		}
	}
	for i, t := range tools {
		fmt.Fprintf(s, `<text x="%.1f" y="%d">%s</text>`, 70+float64(i)*width+3, plotHeight+16, template.HTMLEscapeString(shortened(t.Tool, int(width/7))))
	}
	return s.end()
}

// shortened is as much of a name as there is room for.
func shortened(name string, room int) string {
	if letters := []rune(name); len(letters) > max(2, room) {
		return string(letters[:max(1, room-1)]) + "…"
	}
	return name
}

// FrontierPlot is what each candidate collects against whom it denies; full dots
// are those that no other is better than.
func (r view) FrontierPlot() template.HTML {
	high, far := 1.0, 1e-9
	for _, p := range r.Frontier {
		high, far = max(high, float64(p.Collectable)), max(far, p.NewlyDenied)
	}
	s := newPlot("Credits collected against attempts newly denied")
	fmt.Fprintf(s, `<path d="M0,0V%dH%d" fill="none" stroke="%s"/><text x="4" y="12">%.0f</text><text x="%d" y="%d" text-anchor="end">%s</text>`, plotHeight, plotWidth, faint, high, plotWidth, plotHeight-4, percent(far))
	for i, p := range r.Frontier {
		x, y := 10+p.NewlyDenied/far*(plotWidth-140), plotHeight-float64(p.Collectable)/high*(plotHeight-30)
		fill := blue
		if p.Dominated {
			fill = "none"
		}
		fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="5" stroke="%s" fill="%s"/><text x="%.1f" y="%.1f">%d</text>`, x, y, blue, fill, x+8, y+4, i+1)
	}
	fmt.Fprintf(s, `<text x="0" y="%d">numbered as below; up: credits, right: newly denied</text>`, plotHeight+16)
	return s.end()
}

// BalanceFan is what all balances come to in the days ahead.
func (r view) BalanceFan() template.HTML {
	days := r.Projected.Runway.Fan
	high := 1.0
	for _, d := range days {
		high = max(high, d.P90)
	}
	s := newPlot("Balances in the days ahead")
	fmt.Fprintf(s, `<path d="M0,0V%dH%d" fill="none" stroke="%s"/><text x="4" y="8">%.0f</text>`, plotHeight, plotWidth, faint, high)
	for _, line := range []struct {
		of     func(report.FanDay) float64
		colour string
	}{{func(d report.FanDay) float64 { return d.P10 }, faint}, {func(d report.FanDay) float64 { return d.P50 }, blue}, {func(d report.FanDay) float64 { return d.P90 }, faint}} {
		fmt.Fprintf(s, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, line.colour)
		for _, d := range days {
			fmt.Fprintf(s, "%.1f,%.1f ", float64(d.Day)/report.FanDays*plotWidth, plotHeight-line.of(d)/high*(plotHeight-10))
		}
		s.WriteString(`"/>`)
	}
	fmt.Fprintf(s, `<text x="0" y="%d">today</text><text x="%d" y="%d">%d days</text>`, plotHeight+16, plotWidth-60, plotHeight+16, report.FanDays)
	return s.end()
}

const mostStopped = 10

// Stopped are the keys that only the candidate denies, the first one first.
func (r view) Stopped() []report.KeyRow {
	var out []report.KeyRow
	for _, k := range r.Exact.Keys {
		if k.NewlyDenied > 0 && k.FirstDeniedAt != nil {
			out = append(out, k)
		}
	}
	slices.SortStableFunc(out, func(a, b report.KeyRow) int { return a.FirstDeniedAt.Compare(*b.FirstDeniedAt) })
	return out[:min(mostStopped, len(out))]
}
