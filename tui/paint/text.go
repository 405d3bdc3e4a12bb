package paint

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// Width is how many cells s takes on the screen.
func Width(s string) int {
	n := 0
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			i++
			if c >= ' ' && c != 0x7f || c == '\t' || c == '\n' {
				n++
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		n += runeWidth(r)
	}
	return n
}

// Clean is s as it may be shown: one line, no control characters, nothing
// that changes the direction or the shape of what stands beside it.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case hidden(r):
			return -1
		case r == utf8.RuneError:
			return '?'
		}
		return r
	}, s)
}

// hidden are the runes that are never sent to the terminal: controls could
// steer it, joiners, direction marks, variation and skin tone selectors have
// widths on which terminals differ.
func hidden(r rune) bool {
	switch {
	case r < 0x20 || r >= 0x7f && r < 0xa0:
		return r != '\n' && r != '\t'
	case r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	case r >= 0xfe00 && r <= 0xfe0f, r == 0xfeff, r >= 0x1f3fb && r <= 0x1f3ff, r >= 0xe0000 && r <= 0xe0fff:
		return true
	}
	return false
}

func runeWidth(r rune) int {
	if r < 0x300 {
		if hidden(r) {
			return 0
		}
		return 1
	}
	if hidden(r) || unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) {
		return 0
	}
	if r >= 0x2500 && r <= 0x25ff || r >= 0x2800 && r <= 0x28ff {
		return 1 // our own lines, blocks and braille, however a locale sees them
	}
	w := narrow.RuneWidth(r)
	if w < 0 {
		return 0
	}
	return w
}

// narrow never changes: East Asian "ambiguous" runes are one cell wide here.
var narrow = &runewidth.Condition{}

// Cut shortens s to at most w cells, ending in an ellipsis when something is
// left out.
func Cut(s string, w int) string {
	if Width(s) <= w {
		return s
	}
	if w <= 0 {
		return ""
	}
	return head(s, w-1) + "…"
}

// CutMiddle shortens s to at most w cells by leaving out its middle: names
// often differ at both ends.
func CutMiddle(s string, w int) string {
	if Width(s) <= w {
		return s
	}
	if w < 5 {
		return Cut(s, w)
	}
	right := (w - 1) / 3
	if right > 8 {
		right = 8
	}
	return head(s, w-1-right) + "…" + tail(s, right)
}

// CutTool shortens a tool's name: its server's prefix goes first.
func CutTool(s string, w int) string {
	if Width(s) <= w {
		return s
	}
	if i := strings.IndexByte(s, ':'); i > 0 {
		if short := "…" + s[i:]; Width(short) <= w {
			return short
		}
	}
	return CutMiddle(s, w)
}

func head(s string, w int) string {
	n := 0
	for i, r := range s {
		n += runeWidth(r)
		if n > w {
			return s[:i]
		}
	}
	return s
}

func tail(s string, w int) string {
	n := 0
	for i := len(s); i > 0; {
		r, size := utf8.DecodeLastRuneInString(s[:i])
		n += runeWidth(r)
		if n > w {
			return s[i:]
		}
		i -= size
	}
	return s
}

// Wrap breaks s at spaces into lines of at most w cells; a longer word is
// broken where it must.
func Wrap(s string, w int) []string {
	if w < 1 {
		return nil
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		for Width(word) > w {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			part := head(word, w)
			if part == "" {
				return lines // not one wide rune fits
			}
			lines, word = append(lines, part), word[len(part):]
		}
		switch {
		case line == "":
			line = word
		case Width(line)+1+Width(word) <= w:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// plain is what stands for a glyph where only ASCII may be written; what has
// no entry becomes a question mark.
func plain(r rune) byte {
	switch r {
	case '✓', '.', '⠂':
		return '.'
	case '✗', '×':
		return 'x'
	case '⊘':
		return 'D'
	case '◇':
		return 'w'
	case '●', '┼':
		return '+'
	case '…':
		return '~'
	case '·', '│', '┤', '├', '╎':
		return '|'
	case '–', '−', '─', '╌', '━', '╸':
		return '-'
	case '░':
		return ':'
	case '▒':
		return '='
	case '▓', '█', '▊', '▌':
		return '#'
	case '▲', '↑':
		return '^'
	case '▼', '↓':
		return 'v'
	case '‹', '≈', '←':
		return '<'
	case '›', '→':
		return '>'
	case '╭', '╮', '╰', '╯':
		return '+'
	case '“', '”':
		return '"'
	case '’', '‘':
		return '\''
	case '•':
		return '*'
	case '○':
		return 'o'
	case '≥':
		return '>'
	case '≤':
		return '<'
	}
	return '?'
}
