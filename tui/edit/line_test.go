package edit_test

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"paygate/tui/edit"
	"paygate/tui/paint"
)

func TestKeysEditTheLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, start string
		keys        []string
		want        string
		at          int
	}{
		{"typed at the end", "ab", []string{"c"}, "abc", 3},
		{"typed in the middle", "ac", []string{"left", "b"}, "abc", 2},
		{"backspace", "abc", []string{"backspace"}, "ab", 2},
		{"backspace at the start", "abc", []string{"home", "backspace"}, "abc", 0},
		{"delete", "abc", []string{"home", "delete"}, "bc", 0},
		{"delete at the end", "abc", []string{"delete"}, "abc", 3},
		{"a word back", "fs:* search:*", []string{"ctrl+w"}, "fs:* ", 5},
		{"all before", "abc def", []string{"left", "ctrl+u"}, "f", 0},
		{"all behind", "abc def", []string{"home", "ctrl+k"}, "", 0},
		{"wide runes", "研究", []string{"left", "backspace"}, "究", 0},
		{"a key that means nothing", "a", []string{"f5", "ctrl+x"}, "a", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var l edit.Line
			l.Set(tt.start)
			for _, k := range tt.keys {
				text := ""
				if len(k) == 1 {
					text = k
				}
				l.Key(k, text)
			}
			if l.String() != tt.want || l.At() != tt.at {
				t.Errorf("%q at %d, want %q at %d", l.String(), l.At(), tt.want, tt.at)
			}
		})
	}
}

func TestALineHasALimitAndNoControls(t *testing.T) {
	t.Parallel()
	var l edit.Line
	l.Insert("a\x1b[2Jb\nc")
	if l.String() != "a[2Jb c" {
		t.Errorf("it holds %q", l.String())
	}
	l.Set(strings.Repeat("x", edit.Limit))
	l.Insert("more")
	if n := len(l.String()); n != edit.Limit {
		t.Errorf("it holds %d runes", n)
	}
}

func TestTheCursorIsAlwaysSeen(t *testing.T) {
	t.Parallel()
	for _, w := range []int{1, 2, 5, 20} {
		var l edit.Line
		l.Set("a long line of 研究チーム that does not fit")
		for range 50 {
			c := paint.New(w, 1, paint.NewTheme(paint.Mono, paint.DarkBackground, paint.Unicode))
			l.Draw(c.All(), "ghost", paint.Style{})
			if _, _, ok := c.Cursor(); !ok && w > 2 {
				t.Fatalf("at %d of a field of %d the cursor is not there: %q", l.At(), w, ansi.Strip(c.String()))
			}
			l.Key("left", "")
		}
	}
}
