package paint_test

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"paygate/tui/paint"
)

func theme(p paint.Profile, set paint.Charset) *paint.Theme {
	return paint.NewTheme(p, paint.DarkBackground, set)
}

func drawn(w, h int, draw func(a paint.Area)) string {
	c := paint.New(w, h, theme(paint.Mono, paint.Unicode))
	draw(c.All())
	return ansi.Strip(c.String())
}

func TestWhatDoesNotFitEndsInAnEllipsis(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"fits", "acme", "acme"},
		{"is cut", "acme-production", "acme-p…"},
		{"wide runes are not halved", "研究チーム", "研究チ…"},
		{"marks stand on their rune", "e\u0301e\u0301", "e\u0301e\u0301"},
		{"controls are not sent", "a\x1b[31mb", "a[31mb"},
		{"a direction mark is not sent", "a\u202eb", "ab"},
		{"a joiner is not sent", "👩\u200d👩", "👩👩"},
		{"a line stays a line", "a\nb\tc", "a b c"},
		{"bad UTF-8 is shown as such", "a\xffb", "a?b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := drawn(7, 1, func(a paint.Area) { a.Text(0, 0, tt.in, paint.Style{}) })
			if got != tt.want {
				t.Errorf("%q is drawn as %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestNamesAreCutWhereTheyDifferLeast(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ got, want string }{
		{paint.CutMiddle("billing-reconciliation-eu-west-1-canary-2026", 14), "billing-r…2026"},
		{paint.CutMiddle("short", 14), "short"},
		{paint.CutTool("knowledge-graph:create_entities", 18), "…:create_entities"},
		{paint.CutTool("fs:read_file", 18), "fs:read_file"},
		{paint.Cut("abc", 0), ""},
		{paint.Cut("abc", 1), "…"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestDrawingOverHalfAWideRuneKeepsTheLineAsWideAsItWas(t *testing.T) {
	t.Parallel()
	for x := range 10 {
		got := drawn(12, 1, func(a paint.Area) {
			a.Text(0, 0, "研究チーム12", paint.Style{})
			a.Text(x, 0, "|", paint.Style{})
		})
		if w := paint.Width(got); w != 12 || !strings.Contains(got, "|") {
			t.Errorf("a bar over column %d: %q is %d cells wide", x, got, w)
		}
	}
}

func TestAnAreaNeverDrawsOutsideItself(t *testing.T) {
	t.Parallel()
	got := drawn(9, 3, func(a paint.Area) {
		in := a.Sub(3, 1, 3, 1)
		for y := -2; y < 4; y++ {
			in.Text(-2, y, "0123456789", paint.Style{})
			in.Fill(-5, y, 50, "x", paint.Style{})
			in.Right(50, y, 50, "right", paint.Style{})
			in.Select(y)
			in.Rule(y, paint.Span{S: "title"})
			in.Sub(-4, -4, 100, 100).Spans(0, y, paint.Span{S: "abc"}, paint.Span{S: "defgh"})
		}
	})
	for i, l := range strings.Split(got, "\n") {
		if i != 1 && l != "" {
			t.Errorf("line %d has %q", i, l)
		}
		if i == 1 && (!strings.HasPrefix(l, "   ") || paint.Width(l) > 6) {
			t.Errorf("line 1 is %q", l)
		}
	}
}

func TestColoursFollowTheProfile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		profile paint.Profile
		back    paint.Background
		style   paint.Style
		want    string
	}{
		{"no colour: a block is reversed", paint.Mono, paint.DarkBackground, paint.Bold(paint.Shadow), "\x1b[0;1;7mx"},
		{"no colour: muted is plain", paint.Mono, paint.DarkBackground, paint.In(paint.Muted), "x"},
		{"16: warn", paint.Basic, paint.DarkBackground, paint.In(paint.Warn), "\x1b[0;33mx"},
		{"16: warn on light is bold", paint.Basic, paint.LightBackground, paint.In(paint.Warn), "\x1b[0;33;1mx"},
		{"16: shadow", paint.Basic, paint.DarkBackground, paint.In(paint.Shadow), "\x1b[0;97;45mx"},
		{"256: accent", paint.Colour, paint.DarkBackground, paint.In(paint.Accent), "\x1b[0;38;5;75mx"},
		{"256: accent on light", paint.Colour, paint.LightBackground, paint.In(paint.Accent), "\x1b[0;38;5;25mx"},
		{"256: live", paint.Colour, paint.DarkBackground, paint.Bold(paint.Live), "\x1b[0;38;5;16;48;5;114;1mx"},
		{"256: muted on the selected row is text", paint.Colour, paint.DarkBackground, paint.Style{Tone: paint.Muted, Selected: true}, "\x1b[0;48;5;237mx"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := paint.New(1, 1, paint.NewTheme(tt.profile, tt.back, paint.Unicode))
			c.All().Text(0, 0, "x", tt.style)
			if got := strings.TrimSuffix(c.String(), "\x1b[m"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestThePointerFindsWhatWasDrawnLast(t *testing.T) {
	t.Parallel()
	c := paint.New(20, 5, theme(paint.Mono, paint.Unicode))
	a := c.All()
	a.Zone(0, 0, 20, 5, "below")
	a.Sub(5, 1, 10, 3).Zone(0, 0, 100, 100, "above")
	for _, tt := range []struct {
		x, y int
		want any
	}{{0, 0, "below"}, {5, 1, "above"}, {14, 3, "above"}, {15, 3, "below"}, {20, 0, nil}} {
		z, _ := c.At(tt.x, tt.y)
		if z.Hit != tt.want {
			t.Errorf("at %d,%d is %v, want %v", tt.x, tt.y, z.Hit, tt.want)
		}
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	got := strings.Join(paint.Wrap("the quick brownfoxjumps  over", 6), "|")
	if want := "the|quick|brownf|oxjump|s over"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzText draws any text anywhere: no line may be wider than the frame, no
// control character may be in it, and in ASCII no byte over 0x7F.
func FuzzText(f *testing.F) {
	f.Add("acme-prod", 3, 20)
	f.Add("研究\x1b]0;x\x07チーム", -1, 5)
	f.Add("e\u0301\u200d🚀\xff", 0, 3)
	f.Fuzz(func(t *testing.T, s string, x, w int) {
		w = 1 + abs(w)%80
		for _, set := range []paint.Charset{paint.Unicode, paint.ASCII} {
			c := paint.New(w, 2, theme(paint.Colour, set))
			c.All().Text(x%100, 0, s, paint.In(paint.Accent))
			c.All().Spans(x%100, 1, paint.Span{S: s}, paint.Span{S: s, St: paint.Strong()})
			for _, l := range strings.Split(c.String(), "\n") {
				if n := paint.Width(ansi.Strip(l)); n > w {
					t.Fatalf("%q is %d wide, not %d", l, n, w)
				}
				for _, r := range ansi.Strip(l) {
					if r < 0x20 || set == paint.ASCII && r > 0x7f {
						t.Fatalf("%q has %q", l, r)
					}
				}
			}
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}
