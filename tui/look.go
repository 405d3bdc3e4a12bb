package tui

import (
	"strings"

	"github.com/charmbracelet/colorprofile"

	"paygate/tui/paint"
)

// look is what is known about the terminal.
type look struct {
	env    map[string]string
	ascii  bool
	wanted string // asked for: dark, light or empty
	dark   bool
	colour paint.Profile
}

func lookOf(o Options) look {
	l := look{env: map[string]string{}, ascii: o.ASCII, wanted: o.Theme, dark: true, colour: paint.Basic}
	for _, kv := range o.Env {
		if k, v, ok := strings.Cut(kv, "="); ok {
			l.env[k] = v
		}
	}
	locale := l.env["LC_ALL"]
	if locale == "" {
		locale = l.env["LC_CTYPE"]
	}
	if locale == "" {
		locale = l.env["LANG"]
	}
	name := strings.ToUpper(locale)
	if name != "" && !strings.Contains(name, "UTF-8") && !strings.Contains(name, "UTF8") {
		l.ascii = true
	}
	term := l.env["TERM"]
	if strings.Contains(term, "256") || l.env["COLORTERM"] != "" {
		l.colour = paint.Colour
	}
	if l.env["NO_COLOR"] != "" || term == "dumb" {
		l.colour = paint.Mono
	}
	return l
}

func (l *look) profile(p colorprofile.Profile) {
	switch {
	case l.env["NO_COLOR"] != "" || p == colorprofile.Ascii || p == colorprofile.NoTTY:
		l.colour = paint.Mono
	case p == colorprofile.ANSI:
		l.colour = paint.Basic
	default:
		l.colour = paint.Colour
	}
}

func (l *look) background(dark bool) { l.dark = dark }

func (l *look) theme() *paint.Theme {
	background, set := paint.DarkBackground, paint.Unicode
	if l.wanted == "light" || l.wanted == "" && !l.dark {
		background = paint.LightBackground
	}
	if l.ascii {
		set = paint.ASCII
	}
	return paint.NewTheme(l.colour, background, set)
}
