package paint

import (
	"strings"
	"unicode/utf8"
)

type cell struct {
	g     string // what stands here; "" is a space, the second half of a wide rune is skip
	style Style
}

const skip = "\x00"

// Zone is a part of the screen that can be pressed.
type Zone struct {
	X, Y, W, H int
	Hit        any
}

// Canvas is one frame. It is not safe for concurrent use.
type Canvas struct {
	w, h   int
	cells  []cell
	zones  []Zone
	theme  *Theme
	cx, cy int // text cursor; -1 when hidden
}

// New makes an empty frame of w by h cells, at least 1 by 1.
func New(w, h int, theme *Theme) *Canvas {
	c := &Canvas{}
	c.Reset(w, h, theme)
	return c
}

// Reset empties the frame, keeping its memory.
func (c *Canvas) Reset(w, h int, theme *Theme) {
	c.w, c.h, c.theme = max(w, 1), max(h, 1), theme
	c.cx, c.cy = -1, -1
	c.zones = c.zones[:0]
	if n := c.w * c.h; cap(c.cells) < n {
		c.cells = make([]cell, n)
	} else {
		c.cells = c.cells[:n]
		clear(c.cells)
	}
}

// All is the area of the whole frame.
func (c *Canvas) All() Area { return Area{c: c, W: c.w, H: c.h} }

// Cursor is where the text cursor stands; ok is false when there is none.
func (c *Canvas) Cursor() (x, y int, ok bool) { return c.cx, c.cy, c.cx >= 0 }

// At finds what was last put under a point of the screen.
func (c *Canvas) At(x, y int) (Zone, bool) {
	for i := len(c.zones) - 1; i >= 0; i-- {
		z := c.zones[i]
		if x >= z.X && x < z.X+z.W && y >= z.Y && y < z.Y+z.H {
			return z, true
		}
	}
	return Zone{}, false
}

// String is the frame as lines of text with escape sequences. Blanks at the
// end of a line are left out.
func (c *Canvas) String() string {
	var b strings.Builder
	b.Grow(c.w*c.h*2 + 256)
	for y := range c.h {
		if y > 0 {
			b.WriteByte('\n')
		}
		c.line(&b, c.cells[y*c.w:(y+1)*c.w])
	}
	return b.String()
}

func (c *Canvas) line(b *strings.Builder, row []cell) {
	end := len(row)
	for end > 0 && (row[end-1].g == "" || row[end-1].g == " ") && c.theme.of(row[end-1].style) == "" {
		end--
	}
	now := ""
	for i := range row[:end] {
		cl := &row[i]
		if cl.g == skip {
			continue
		}
		want := ""
		if cl.g != "" && cl.g != " " || cl.style.Selected || cl.style.Reverse || cl.style.Tone >= Shadow {
			want = c.theme.of(cl.style)
		}
		if want != now {
			// Each sequence starts anew: sequences add to the one before.
			b.WriteString("\x1b[")
			if want != "" {
				b.WriteString("0;")
				b.WriteString(want)
			}
			b.WriteByte('m')
			now = want
		}
		c.glyph(b, cl.g, i+1 < len(row) && row[i+1].g == skip)
	}
	if now != "" {
		b.WriteString("\x1b[m")
	}
}

func (c *Canvas) glyph(b *strings.Builder, g string, wide bool) {
	switch {
	case g == "":
		b.WriteByte(' ')
	case !c.theme.ASCII || len(g) == 1:
		b.WriteString(g)
	default:
		r, _ := utf8.DecodeRuneInString(g)
		b.WriteByte(plain(r))
		if wide {
			b.WriteByte(' ')
		}
	}
}
