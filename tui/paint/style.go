// Package paint draws text on a grid of cells: it owns the screen's colours,
// its glyphs without Unicode, and the promise that nothing leaves its area,
// nothing is cut without an ellipsis, and no control character of anybody's
// data reaches the terminal.
//
// It knows nothing of PayGate and does no I/O.
package paint

import "strconv"

// Tone is what a piece of text means; the theme gives it a colour.
type Tone uint8

// The tones. Shadow, Live and Demo are filled blocks; Heat1 to Heat4 are the
// cells of a distribution, from few to many.
const (
	Text Tone = iota
	Muted
	Accent
	OK
	Warn
	Bad
	Shadow
	Live
	Demo
	Heat1
	Heat2
	Heat3
	Heat4
	tones
)

// Style is how a cell looks.
type Style struct {
	Tone     Tone
	Bold     bool
	Reverse  bool
	Selected bool // on the row of the cursor
}

// Strong is the style of what matters in a line of text.
func Strong() Style { return Style{Bold: true} }

// In gives the plain style of a tone.
func In(t Tone) Style { return Style{Tone: t} }

// Bold gives the bold style of a tone.
func Bold(t Tone) Style { return Style{Tone: t, Bold: true} }

// Profile says how many colours the terminal has.
type Profile uint8

// The profiles.
const (
	Mono   Profile = iota // NO_COLOR: bold and reverse only
	Basic                 // 16 colours, the terminal's own
	Colour                // 256 and more
)

// Theme turns styles into escape sequences.
type Theme struct {
	ASCII   bool
	Profile Profile
	Dark    bool
	sgr     [int(tones) * 8]string
}

// NewTheme makes a theme for a profile and a background. ASCII says that no
// byte over 0x7F may be written.
func NewTheme(p Profile, background Background, set Charset) *Theme {
	t := &Theme{ASCII: set == ASCII, Profile: p, Dark: background == DarkBackground}
	for tone := range tones {
		for flags := range 8 {
			st := Style{Tone: tone, Bold: flags&1 != 0, Reverse: flags&2 != 0, Selected: flags&4 != 0}
			t.sgr[int(tone)*8+flags] = t.sequence(st)
		}
	}
	return t
}

// Background is the terminal's: the theme never paints one of its own.
type Background uint8

// The backgrounds.
const (
	DarkBackground Background = iota
	LightBackground
)

// Charset is what may be written.
type Charset uint8

// The character sets.
const (
	Unicode Charset = iota
	ASCII
)

func (t *Theme) of(st Style) string {
	i := int(st.Tone) * 8
	if st.Bold {
		i++
	}
	if st.Reverse {
		i += 2
	}
	if st.Selected {
		i += 4
	}
	return t.sgr[i]
}

// sequence is the parameters of one SGR sequence; empty is the default style.
func (t *Theme) sequence(st Style) string {
	out := ""
	add := func(p string) {
		if out != "" {
			out += ";"
		}
		out += p
	}
	if st.Selected && st.Tone == Muted {
		st.Tone = Text // muted on the selected row would be 3.7:1
	}
	bold, reverse := st.Bold, st.Reverse
	block := st.Tone >= Shadow && st.Tone <= Demo
	switch t.Profile {
	case Mono:
		reverse = reverse || block || st.Selected
	case Basic:
		reverse = reverse || block || st.Selected
		if c := t.basic(st.Tone); c != 0 && !st.Selected {
			add(strconv.Itoa(c))
		}
		if st.Tone == Warn && !t.Dark {
			bold = true
		}
		if st.Tone == Shadow && !st.Reverse {
			reverse = false
			out = "97;45"
		}
	case Colour:
		if fg, bg := t.colours(st.Tone); fg >= 0 && !reverse {
			add("38;5;" + strconv.Itoa(fg))
			if bg >= 0 {
				add("48;5;" + strconv.Itoa(bg))
			}
		}
		if st.Selected && !block && !reverse {
			add("48;5;" + pick(t.Dark, "237", "254"))
		}
	}
	if bold {
		add("1")
	}
	if reverse {
		add("7")
	}
	return out
}

// basic is the colour among the terminal's own sixteen; 0 means default. ANSI
// 8 is never used: Solarized hides it.
func (t *Theme) basic(tone Tone) int {
	switch tone {
	case Accent:
		if t.Dark {
			return 36
		}
		return 34
	case OK, Live:
		return 32
	case Warn, Demo:
		return 33
	case Bad:
		if t.Dark {
			return 91 // the plain one is hardly to be read on black
		}
		return 31
	case Shadow:
		return 35
	}
	return 0
}

func (t *Theme) colours(tone Tone) (fg, bg int) {
	dark := [tones][2]int{Text: {-1, -1}, Muted: {246, -1}, Accent: {75, -1}, OK: {114, -1}, Warn: {221, -1},
		Bad: {210, -1}, Shadow: {16, 141}, Live: {16, 114}, Demo: {16, 221}, Heat1: {24, -1}, Heat2: {31, -1},
		Heat3: {74, -1}, Heat4: {153, -1}}
	light := [tones][2]int{Text: {-1, -1}, Muted: {241, -1}, Accent: {25, -1}, OK: {28, -1}, Warn: {94, -1},
		Bad: {124, -1}, Shadow: {231, 91}, Live: {231, 28}, Demo: {231, 94}, Heat1: {153, -1}, Heat2: {110, -1},
		Heat3: {67, -1}, Heat4: {24, -1}}
	if t.Dark {
		return dark[tone][0], dark[tone][1]
	}
	return light[tone][0], light[tone][1]
}

func pick(cond bool, yes, no string) string {
	if cond {
		return yes
	}
	return no
}
