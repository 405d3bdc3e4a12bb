package paint

import "unicode/utf8"

// Area is a rectangle of a frame; drawing outside it does nothing. It is a
// value: copy it freely while its frame is drawn.
type Area struct {
	c    *Canvas
	x, y int // of its corner on the frame
	W, H int
}

// Sub is a part of the area, clipped to it.
func (a Area) Sub(x, y, w, h int) Area {
	x0, y0 := clamp(x, 0, a.W), clamp(y, 0, a.H)
	x1, y1 := clamp(x+max(w, 0), x0, a.W), clamp(y+max(h, 0), y0, a.H)
	return Area{c: a.c, x: a.x + x0, y: a.y + y0, W: x1 - x0, H: y1 - y0}
}

// Row is one line of the area.
func (a Area) Row(y int) Area { return a.Sub(0, y, a.W, 1) }

// From is the area below its first y lines.
func (a Area) From(y int) Area { return a.Sub(0, y, a.W, a.H-y) }

// Empty says whether nothing can be drawn here.
func (a Area) Empty() bool { return a.W <= 0 || a.H <= 0 }

// ASCII says whether only ASCII may be written.
func (a Area) ASCII() bool { return a.c.theme.ASCII }

// Text writes s at a place and gives the column after it. What does not fit
// is cut with an ellipsis.
func (a Area) Text(x, y int, s string, st Style) int {
	if y < 0 || y >= a.H || x >= a.W {
		return x + Width(s)
	}
	w := Width(s)
	if x+w > a.W {
		s = Cut(s, a.W-x)
	}
	return a.put(x, y, s, st)
}

func (a Area) put(x, y int, s string, st Style) int {
	row := a.c.cells[(a.y+y)*a.c.w:][:a.c.w]
	last := -1
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		g := s[i : i+size]
		i += size
		if r == '\n' || r == '\t' {
			r, g = ' ', " "
		} else if r == utf8.RuneError && size == 1 {
			r, g = '?', "?"
		}
		w := runeWidth(r)
		if w == 0 {
			if last >= 0 && !hidden(r) && len(row[last].g) < 32 {
				row[last].g += g // a mark that stands on the rune before
			}
			continue
		}
		if x+w > a.W {
			return x
		}
		if x >= 0 {
			last = a.x + x
			set(row, last, cell{g, st})
			if w == 2 {
				set(row, last+1, cell{skip, st})
			}
		}
		x += w
	}
	return x
}

// set writes one cell of a line. The other half of a wide rune that it cuts
// in two becomes a blank, so that the line keeps its width.
func set(row []cell, x int, c cell) {
	if row[x].g == skip && c.g != skip && x > 0 {
		row[x-1].g = ""
	}
	if x+1 < len(row) && row[x+1].g == skip {
		row[x+1].g = ""
	}
	row[x] = c
}

// Right writes s so that it ends before column x, cut to at most w cells.
func (a Area) Right(x, y, w int, s string, st Style) {
	s = Cut(s, w)
	a.Text(x-Width(s), y, s, st)
}

// Fit writes s into w cells, cut with an ellipsis, and gives the column after
// those cells.
func (a Area) Fit(x, y, w int, s string, st Style) int {
	a.Text(x, y, Cut(s, w), st)
	return x + w
}

// Span is a piece of a line.
type Span struct {
	S  string
	St Style
}

// Spans writes pieces one after another and gives the column after them. When
// not all of them fit, the last that does is followed by an ellipsis.
func (a Area) Spans(x, y int, spans ...Span) int {
	total := x
	for _, s := range spans {
		total += Width(s.S)
	}
	fits := total <= a.W
	for _, s := range spans {
		if room := a.W - x; !fits && Width(s.S) >= room {
			return a.Text(x, y, Cut(s.S+"…", room), s.St)
		}
		x = a.Text(x, y, s.S, s.St)
	}
	return x
}

// Fill puts one glyph on w cells.
func (a Area) Fill(x, y, w int, glyph string, st Style) {
	for i := range max(w, 0) {
		if x+i >= 0 && x+i < a.W && y >= 0 && y < a.H {
			set(a.c.cells[(a.y+y)*a.c.w:][:a.c.w], a.x+x+i, cell{glyph, st})
		}
	}
}

// Clear empties the area.
func (a Area) Clear() {
	for y := range a.H {
		a.Fill(0, y, a.W, "", Style{})
	}
}

// Select shows line y as the one of the cursor, with its mark at the left.
func (a Area) Select(y int) {
	if y < 0 || y >= a.H || a.W <= 0 {
		return
	}
	row := a.c.cells[(a.y+y)*a.c.w:][:a.c.w]
	for i := range a.W {
		row[a.x+i].style.Selected = true
	}
	mark := "▌"
	if a.ASCII() {
		mark = ">"
	}
	set(row, a.x, cell{mark, Style{Tone: Accent, Selected: true}})
}

// Rule draws a thin line over the width, with a title near its start.
func (a Area) Rule(y int, spans ...Span) {
	a.Fill(0, y, a.W, "─", In(Muted))
	if len(spans) > 0 && a.W > 6 {
		sub := a.Sub(0, y, a.W-1, 1)
		x := sub.Text(1, 0, " ", Style{})
		x = sub.Spans(x, 0, spans...)
		sub.Text(x, 0, " ", Style{})
	}
}

// Zone makes a part of the area answer to the mouse.
func (a Area) Zone(x, y, w, h int, hit any) {
	s := a.Sub(x, y, w, h)
	if !s.Empty() {
		a.c.zones = append(a.c.zones, Zone{s.x, s.y, s.W, s.H, hit})
	}
}

// Cursor puts the terminal's text cursor at a place.
func (a Area) Cursor(x, y int) {
	if x >= 0 && y >= 0 && x < a.W && y < a.H {
		a.c.cx, a.c.cy = a.x+x, a.y+y
	}
}

// Cover forgets what could be pressed so far: a dialog lies over it.
func (a Area) Cover() { a.c.zones = a.c.zones[:0] }

func clamp(v, lo, hi int) int { return min(max(v, lo), max(lo, hi)) }
