// Package edit holds one line of text that a person types: its runes, its
// cursor and the keys that work on it. Drawing is here too, so that a line
// looks the same in a form, a filter and a command.
package edit

import (
	"strings"
	"unicode"

	"paygate/tui/paint"
)

// Limit is the most runes that a line takes.
const Limit = 4096

// Line is one line of text being typed. The zero value is empty and ready.
type Line struct {
	runes []rune
	at    int
}

// String is what was typed.
func (l *Line) String() string { return string(l.runes) }

// At is how many runes stand before the cursor.
func (l *Line) At() int { return l.at }

// AtEnd says whether the cursor is behind the last rune.
func (l *Line) AtEnd() bool { return l.at == len(l.runes) }

// Set replaces the text and puts the cursor at its end.
func (l *Line) Set(s string) {
	l.runes = l.runes[:0]
	l.at = 0
	l.Insert(s)
}

// Insert puts text at the cursor; controls become spaces or nothing.
func (l *Line) Insert(s string) {
	add := []rune(paint.Clean(s))
	if room := Limit - len(l.runes); len(add) > room {
		add = add[:max(room, 0)]
	}
	rest := append([]rune(nil), l.runes[l.at:]...)
	l.runes = append(append(l.runes[:l.at], add...), rest...)
	l.at += len(add)
}

// Key does what a key press means, text being what it types, and says whether
// it meant anything.
func (l *Line) Key(press, text string) bool {
	switch press {
	case "left", "ctrl+b":
		l.at = max(l.at-1, 0)
	case "right", "ctrl+f":
		l.at = min(l.at+1, len(l.runes))
	case "home", "ctrl+a":
		l.at = 0
	case "end", "ctrl+e":
		l.at = len(l.runes)
	case "backspace", "ctrl+h":
		l.cut(max(l.at-1, 0), l.at)
	case "delete":
		l.cut(l.at, min(l.at+1, len(l.runes)))
	case "ctrl+u":
		l.cut(0, l.at)
	case "ctrl+k":
		l.cut(l.at, len(l.runes))
	case "ctrl+w", "alt+backspace":
		l.cut(l.word(), l.at)
	default:
		if text == "" || strings.HasPrefix(press, "ctrl+") || strings.HasPrefix(press, "alt+") {
			return false
		}
		l.Insert(text)
	}
	return true
}

func (l *Line) cut(from, to int) {
	l.runes = append(l.runes[:from], l.runes[to:]...)
	l.at = from
}

func (l *Line) word() int {
	i := l.at
	for i > 0 && unicode.IsSpace(l.runes[i-1]) {
		i--
	}
	for i > 0 && !unicode.IsSpace(l.runes[i-1]) {
		i--
	}
	return i
}

// Draw writes the line into the first row of a, scrolled so that the cursor is
// seen, with ghost text behind it, and puts the terminal's cursor there.
func (l *Line) Draw(a paint.Area, ghost string, st paint.Style) {
	if a.Empty() {
		return
	}
	before, start := string(l.runes[:l.at]), 0
	for start < l.at && paint.Width(string(l.runes[start:l.at])) > a.W-2 {
		start++
	}
	x := 0
	if start > 0 {
		x = a.Text(0, 0, "…", paint.In(paint.Muted))
		before = string(l.runes[min(start+1, l.at):l.at])
	}
	x = a.Text(x, 0, before, st)
	a.Cursor(x, 0)
	x = a.Text(x, 0, string(l.runes[l.at:]), st)
	if l.AtEnd() && ghost != "" {
		a.Text(x, 0, ghost, paint.In(paint.Muted))
	}
}
