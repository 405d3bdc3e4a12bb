//go:build linux

package main

import (
	"fmt"
	"html"
	"image/color"
	"io"
	"os"
	"strings"
	"sync"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/vt"
)

// screen is a terminal's emulator that can be drawn.
type screen struct {
	mu    sync.Mutex // guards on
	on    *vt.Emulator
	light bool
}

// answer gives the program what it has asked the terminal.
func (s *screen) answer(to *os.File) { _, _ = io.Copy(to, s.on) }

func (s *screen) read(from *os.File) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return // the program has ended
		}
		s.mu.Lock()
		_, _ = s.on.Write(buf[:n])
		s.mu.Unlock()
	}
}

func (s *screen) close() {
	if pipe, ok := s.on.InputPipe().(io.Closer); ok {
		_ = pipe.Close()
	}
}

func (s *screen) ground() color.Color {
	if s.light {
		return color.RGBA{0xff, 0xff, 0xff, 0xff}
	}
	return color.RGBA{0x17, 0x18, 0x1d, 0xff}
}

func (s *screen) ink() color.Color {
	if s.light {
		return color.RGBA{0x1f, 0x23, 0x28, 0xff}
	}
	return color.RGBA{0xe4, 0xe4, 0xe4, 0xff}
}

// The measures of a cell. Letters take the same width in every font, as their
// place is given.
const (
	wide, high = 8.4, 17.0
	margin     = 10.0
	fonts      = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
)

// run is a stretch of a row in one style.
type run struct {
	x, cells int
	text     string
	fg, bg   string
	bold     bool
}

// svg draws the screen. Characters that are pictures themselves are drawn as
// shapes, because fonts differ most in them.
func (s *screen) svg() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, h := s.on.Width(), s.on.Height()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="%s" font-size="14">`+"\n", float64(w)*wide+2*margin, float64(h)*high+2*margin, fonts)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="6" fill="%s"/>`+"\n", hex(s.ground()))
	shapes := map[string]*strings.Builder{}
	var order []string
	for y := range h {
		row := s.row(y, w)
		for i := 0; i < len(row); {
			cells, j := 0, i
			for ; j < len(row) && row[j].bg == row[i].bg; j++ { // one rectangle, so that no seam shows
				cells += row[j].cells
			}
			if row[i].bg != "" {
				fmt.Fprintf(&b, `<path fill="%s" d="M%.1f %.1fh%.1fv%.0fh-%.1fz"/>`+"\n", row[i].bg, margin+float64(row[i].x)*wide, margin+float64(y)*high, float64(cells)*wide, high, float64(cells)*wide)
			}
			i = j
		}
		for _, r := range row {
			left, top := margin+float64(r.x)*wide, margin+float64(y)*high
			if strings.TrimSpace(r.text) == "" {
				continue
			}
			if path := shape(r.text, left, top); path != "" {
				fill := r.fg + opacity(r.text)
				if shapes[fill] == nil {
					shapes[fill] = &strings.Builder{}
					order = append(order, fill)
				}
				shapes[fill].WriteString(path)
				continue
			}
			weight := ""
			if r.bold {
				weight = ` font-weight="bold"`
			}
			fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" fill="%s"%s textLength="%.1f" lengthAdjust="spacingAndGlyphs" xml:space="preserve">%s</text>`+"\n",
				left, top+13, r.fg, weight, float64(r.cells)*wide, html.EscapeString(r.text))
		}
	}
	for _, fill := range order {
		fmt.Fprintf(&b, `<path fill="%s" d="%s"/>`+"\n", fill, shapes[fill])
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// row splits a row into runs: a shape is one of its own, and so is a word.
func (s *screen) row(y, w int) []run {
	var runs []run
	for x := 0; x < w; x++ {
		c := s.on.CellAt(x, y)
		if c == nil || c.Width == 0 {
			continue
		}
		r := s.cell(c, x)
		last := len(runs) - 1
		if last >= 0 && runs[last].fg == r.fg && runs[last].bg == r.bg && runs[last].bold == r.bold && runs[last].x+runs[last].cells == x &&
			!isShape(r.text) && !isShape(runs[last].text) && (r.text == " ") == (strings.TrimSpace(runs[last].text) == "") {
			runs[last].text += r.text
			runs[last].cells += r.cells
			continue
		}
		runs = append(runs, r)
	}
	return runs
}

func (s *screen) cell(c *uv.Cell, x int) run {
	fg, bg := c.Style.Fg, c.Style.Bg
	if c.Style.Attrs&uv.AttrReverse != 0 {
		if fg == nil {
			fg = s.ink()
		}
		if bg == nil {
			bg = s.ground()
		}
		fg, bg = bg, fg
	}
	r := run{x: x, cells: max(1, c.Width), text: c.Content, fg: hex(s.ink()), bold: c.Style.Attrs&uv.AttrBold != 0}
	if r.text == "" {
		r.text = " "
	}
	if fg != nil {
		r.fg = hex(fg)
	}
	if bg != nil {
		r.bg = hex(bg)
	}
	return r
}

func hex(c color.Color) string {
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

func isShape(text string) bool { return shape(text, 0, 0) != "" }

// shape is the path of a character that is a picture, empty for a letter.
func shape(text string, x, y float64) string {
	box := func(left, top, w, h float64) string {
		return fmt.Sprintf("M%.1f %.1fh%.1fv%.1fh-%.1fz", x+left*wide, y+top*high, w*wide, h*high, w*wide)
	}
	r := []rune(text)
	if len(r) != 1 {
		return ""
	}
	switch c := r[0]; {
	case c == 0x2800:
		return ""
	case c > 0x2800 && c <= 0x28ff:
		return dots(int(c-0x2800), box)
	case c >= 0x2581 && c <= 0x2588: // eighths from below
		n := float64(c-0x2580) / 8
		return box(0, 1-n, 1, n)
	case c >= 0x2589 && c <= 0x258f: // eighths from the left
		return box(0, 0, float64(0x2590-c)/8, 1)
	case c == '━':
		return box(0, .44, 1, .12)
	case c == '╸':
		return box(0, .44, .5, .12)
	case c == '─':
		return box(0, .47, 1, .06)
	case c == '│':
		return box(.44, 0, .12, 1)
	case c == '┤':
		return box(.44, 0, .12, 1) + box(0, .47, .44, .06)
	case c >= 0x2591 && c <= 0x2593: // shades, which are see-through
		return box(0, 0, 1, 1)
	}
	return ""
}

func dots(bits int, box func(left, top, w, h float64) string) string {
	var b strings.Builder
	for i, at := range [][2]float64{{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}, {0, 3}, {1, 3}} {
		if bits>>i&1 == 1 {
			b.WriteString(box(.08+.5*at[0], .03+.25*at[1], .34, .19))
		}
	}
	return b.String()
}

// opacity ends the fill attribute of a shade with another one.
func opacity(text string) string {
	return map[string]string{"░": `" fill-opacity=".3`, "▒": `" fill-opacity=".55`, "▓": `" fill-opacity=".8`}[text]
}
