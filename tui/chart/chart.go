// Package chart draws small graphs with characters: filled and thin curves of
// braille dots, bars, sparks and heat cells, each also in plain ASCII.
package chart

import (
	"math"
	"strings"

	"paygate/tui/paint"
)

// Nice is the smallest pleasant number that is not under v: the top of an
// axis.
func Nice(v float64) float64 {
	if v <= 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 1.5, 2, 3, 4, 5, 6, 8, 10} {
		if v <= m*p*1.0000001 {
			return m * p
		}
	}
	return 10 * p
}

// Top is the largest value, gaps left out.
func Top(values []float64) float64 {
	top := 0.0
	for _, v := range values {
		if v > top && !math.IsInf(v, 0) {
			top = v
		}
	}
	return top
}

// resample gives n columns of a series: neighbours are averaged where there
// are too many, values repeated where there are too few. NaN is a gap.
func resample(values []float64, n int) []float64 {
	out := make([]float64, n)
	if len(values) == 0 {
		for i := range out {
			out[i] = math.NaN()
		}
		return out
	}
	for i := range out {
		from := i * len(values) / n
		to := max((i+1)*len(values)/n, from+1)
		sum, count := 0.0, 0
		for _, v := range values[from:min(to, len(values))] {
			if !math.IsNaN(v) {
				sum += v
				count++
			}
		}
		out[i] = math.NaN()
		if count > 0 {
			out[i] = sum / float64(count)
		}
	}
	return out
}

// Area draws a filled curve over the whole of a; top is the value at its upper
// edge.
func Area(a paint.Area, values []float64, top float64, st paint.Style) {
	dots(a, values, top, st, func(y, level int) bool { return y < level })
}

// Line draws a thin curve: for balances and survival, where the area under it
// means nothing.
func Line(a paint.Area, values []float64, top float64, st paint.Style) {
	dots(a, values, top, st, func(y, level int) bool { return y == max(level-1, 0) })
}

func dots(a paint.Area, values []float64, top float64, st paint.Style, on func(y, level int) bool) {
	if a.Empty() || top <= 0 {
		return
	}
	cols := resample(values, a.W*2)
	height := a.H * 4
	levels := make([]int, len(cols))
	for i, v := range cols {
		levels[i] = -1
		if !math.IsNaN(v) {
			levels[i] = min(max(int(math.Round(v/top*float64(height))), 0), height)
			if v > 0 && levels[i] == 0 {
				levels[i] = 1 // something is never nothing
			}
		}
	}
	left := [4]int{0x40, 0x04, 0x02, 0x01} // from the lowest dot up
	right := [4]int{0x80, 0x20, 0x10, 0x08}
	for row := range a.H {
		base := (a.H - 1 - row) * 4
		for x := range a.W {
			bits, count := 0, 0
			for d := range 4 {
				if l := levels[2*x]; l >= 0 && on(base+d, l) {
					bits |= left[d]
					count++
				}
				if l := levels[2*x+1]; l >= 0 && on(base+d, l) {
					bits |= right[d]
					count++
				}
			}
			if bits == 0 {
				continue
			}
			glyph := string(rune(0x2800 + bits))
			if a.ASCII() {
				glyph = string(".=#"[min(count/3, 2)])
			}
			a.Text(x, row, glyph, st)
		}
	}
}

// Axis is the frame of a chart.
type Axis struct {
	Top    string // label of the upper edge
	Bottom string // label of the lower edge, usually 0
	Oldest string // under the left end
	Newest string // under the right end
	Gutter int    // width of the labels at the left
}

// Framed draws the axis and gives the area that is left for the curve.
func Framed(a paint.Area, ax Axis) paint.Area {
	muted := paint.In(paint.Muted)
	g := ax.Gutter
	plot := a.Sub(g+1, 0, a.W-g-1, a.H-1)
	if plot.Empty() {
		return plot
	}
	for y := range plot.H {
		switch {
		case y == 0:
			a.Right(g, y, g, ax.Top, muted)
			a.Text(g, y, "┤", muted)
		case y == plot.H-1:
			a.Right(g, y, g, ax.Bottom, muted)
			a.Text(g, y, "┤", muted)
		default:
			a.Text(g, y, "│", muted)
		}
	}
	a.Text(g+1, plot.H, ax.Oldest, muted)
	if paint.Width(ax.Oldest)+paint.Width(ax.Newest)+1 < plot.W {
		a.Right(g+1+plot.W, plot.H, plot.W, ax.Newest, muted)
	}
	return plot
}

// Bar is a share of width cells as a thin line, half cells included.
func Bar(share float64, width int) string {
	if width <= 0 || !(share > 0) {
		return ""
	}
	halves := int(math.Round(min(share, 1) * float64(width) * 2))
	if halves == 0 {
		halves = 1
	}
	s := strings.Repeat("━", halves/2)
	if halves%2 == 1 {
		s += "╸"
	}
	return s
}

// Block is a share of width cells as a thick bar, in eighths of a cell.
func Block(share float64, width int, ascii bool) string {
	if width <= 0 || !(share > 0) {
		return ""
	}
	eighths := max(int(math.Round(min(share, 1)*float64(width)*8)), 1)
	if ascii {
		return strings.Repeat("#", max((eighths+4)/8, 1))
	}
	s := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		s += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return s
}

// Gauge is a share of a limit between brackets.
func Gauge(share float64, width int) string {
	if width < 3 {
		return ""
	}
	bar := Bar(share, width-2)
	return "[" + bar + strings.Repeat(" ", width-2-paint.Width(bar)) + "]"
}

// Spark is a series in one line of width cells.
func Spark(values []float64, width int, ascii bool) string {
	if width <= 0 || len(values) == 0 {
		return ""
	}
	top := Top(values)
	steps := []rune("▁▂▃▄▅▆▇█")
	if ascii {
		steps = []rune("_.:-=+*#")
	}
	var b strings.Builder
	for _, v := range resample(values, width) {
		switch {
		case math.IsNaN(v):
			b.WriteByte(' ')
		case v <= 0 || top <= 0:
			b.WriteRune(steps[0])
		default:
			b.WriteRune(steps[min(int(v/top*float64(len(steps))), len(steps)-1)])
		}
	}
	return b.String()
}

// Heat draws cells that are denser where a number is larger; grid is columns,
// oldest first, of bands, lowest first. Band 0 is drawn at the bottom.
func Heat(a paint.Area, grid [][]int) {
	if a.Empty() || len(grid) == 0 {
		return
	}
	cols := squeeze(grid, a.W)
	top := 0
	for _, col := range cols {
		for _, n := range col {
			top = max(top, n)
		}
	}
	if top == 0 {
		return
	}
	glyphs := []string{"░", "▒", "▓", "█"}
	if a.ASCII() {
		glyphs = []string{".", "-", "=", "#"}
	}
	for x := range a.W {
		col := cols[x]
		for band := range min(len(col), a.H) {
			if n := col[band]; n > 0 {
				// By its square root: a few slow calls must be seen beside many fast ones.
				level := min(int(math.Sqrt(float64(n)/float64(top))*4), 3)
				a.Text(x, a.H-1-band, glyphs[level], paint.In(paint.Heat1+paint.Tone(level)))
			}
		}
	}
}

// squeeze gives n columns of a grid: neighbours are added up where there are
// too many, columns repeated where there are too few.
func squeeze(grid [][]int, n int) [][]int {
	out := make([][]int, n)
	for x := range out {
		from := x * len(grid) / n
		to := min(max((x+1)*len(grid)/n, from+1), len(grid))
		if to == from+1 {
			out[x] = grid[from]
			continue
		}
		for _, col := range grid[from:to] {
			for band, v := range col {
				for band >= len(out[x]) {
					out[x] = append(out[x], 0)
				}
				out[x][band] += v
			}
		}
	}
	return out
}

// Curve is one line of Curves: values from 0 to 1, from the lower edge to the
// upper one; two for each cell, spread over the width when there are fewer.
type Curve struct {
	Values []float64
	Style  paint.Style
	Dotted bool // every other dot, to tell it from the others without colours
}

// Curves draws several thin lines into one area; where two meet, the later one
// gives the colour.
func Curves(a paint.Area, curves []Curve) {
	if a.Empty() {
		return
	}
	type dot struct {
		bits int
		st   paint.Style
	}
	cells := make([]dot, a.W*a.H)
	for _, c := range curves {
		last := -1
		for x, v := range resample(c.Values, a.W*2) {
			if math.IsNaN(v) {
				last = -1
				continue
			}
			y := min(max(int(math.Round((1-v)*float64(a.H*4-1))), 0), a.H*4-1)
			from := y
			if last >= 0 {
				from = last
			}
			last = y
			if c.Dotted && x%4 != 0 {
				continue
			}
			if c.Dotted {
				from = y
			}
			for p := min(from, y); p <= max(from, y); p++ { // a step is a line as well
				cell := &cells[p/4*a.W+x/2]
				cell.bits |= [2][4]int{{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}}[x%2][p%4]
				cell.st = c.Style
			}
		}
	}
	for i, c := range cells {
		if c.bits == 0 {
			continue
		}
		glyph := string(rune(0x2800 + c.bits))
		if a.ASCII() {
			glyph = "*"
		}
		a.Text(i%a.W, i/a.W, glyph, c.st)
	}
}
