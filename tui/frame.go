package tui

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"paygate/server/api"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// flash is a short message on the status line.
type flash struct {
	text  string
	tone  paint.Tone
	until time.Time
	stays bool // until a key
}

func (f flash) over(now time.Time) bool {
	return f.text != "" && !f.stays && now.After(f.until)
}

func (m *Model) say(format string, args ...any) {
	m.flash = flash{text: "✓ " + fmt.Sprintf(format, args...), tone: paint.OK, until: m.now().Add(flashTime)}
}

// flashTime is how long good news stays.
const flashTime = 4 * time.Second

func (m *Model) warn(format string, args ...any) {
	m.flash = flash{text: "✗ " + fmt.Sprintf(format, args...), tone: paint.Bad, stays: true}
}

// tabHit is a press on a tab.
type tabHit struct{ i int }

// keyHit is a press on a key's name in the footer.
type keyHit struct{ press string }

// draw puts header, tabs, body, status and footer on the screen.
func (m *Model) draw(a paint.Area) {
	if a.W < 60 || a.H < 16 {
		m.drawCard(a)
	} else {
		m.header(a.Row(0))
		m.tabs(a.Row(1))
		body := a.Sub(0, 2, a.W, a.H-4)
		if m.feed.live == nil {
			m.drawWaiting(body)
		} else {
			m.screens[m.at].Draw(body)
		}
	}
	m.drawDialog(a)
	m.status(a.Row(a.H - 2))
	m.footer(a.Row(a.H - 1))
}

func (m *Model) drawWaiting(a paint.Area) {
	if err := m.feed.err; err != nil && m.feed.seen == 0 {
		a.Text(1, 1, "The gateway does not answer.", paint.Bold(paint.Bad))
		for i, line := range paint.Wrap(err.Error(), a.W-4) {
			a.Text(1, 3+i, line, paint.Style{})
		}
		a.Text(1, min(a.H-1, 8), "The dashboard keeps trying. Is it running?  paygate attach "+m.opt.URL, paint.In(paint.Muted))
		return
	}
	a.Text(1, 1, "Waiting for the gateway's first figures …", paint.In(paint.Muted))
}

// block is the mode in words: a filled block that is never in doubt, in
// colour or in grey.
func (m *Model) block(w int) (string, paint.Style) {
	words := func(long, middle string) string {
		switch {
		case w >= 100:
			return " " + long
		case w >= 70:
			return " " + middle
		}
		return ""
	}
	if m.feed.live == nil {
		return " connecting ", paint.Style{Reverse: true}
	}
	if m.feed.shadow() {
		return " ░ SHADOW ░" + words("nothing is charged", "not charging") + " ", paint.Bold(paint.Shadow)
	}
	if c := m.feed.live.Canary; c > 0 {
		return " ● LIVE ● canary " + strconv.FormatFloat(c, 'g', 3, 64) + " % ", paint.Bold(paint.Live)
	}
	return " ● LIVE ●" + words("calls are charged", "charging") + " ", paint.Bold(paint.Live)
}

func (m *Model) title() string {
	if m.feed.live == nil {
		return "PayGate"
	}
	word := "LIVE"
	if m.feed.shadow() {
		word = "SHADOW"
	}
	return "PayGate " + word + " " + paint.Clean(m.feed.live.Name)
}

// part is a piece of the header; higher ranks drop first.
type part struct {
	rank  int
	spans []paint.Span
}

func (p part) width() int {
	n := 2
	for _, s := range p.spans {
		n += paint.Width(s.S)
	}
	return n
}

func (m *Model) header(a paint.Area) {
	f := m.feed.frame()
	x := a.Text(1, 0, "PayGate", paint.Strong()) + 1
	word, st := m.block(a.W)
	blocks := []paint.Span{{S: word, St: st}}
	if f.Demo {
		blocks = append([]paint.Span{{S: " DEMO ", St: paint.Bold(paint.Demo)}, {S: " "}}, blocks...)
	}
	room := a.W - x - 2
	for _, b := range blocks {
		room -= paint.Width(b.S)
	}
	left, right := m.headerParts(f)
	for {
		need, worst := 0, 0
		for _, p := range append(append([]part(nil), left...), right...) {
			need += p.width()
			worst = max(worst, p.rank)
		}
		if need <= room || worst == 0 {
			break
		}
		left, right = without(left, worst), without(right, worst)
	}
	for _, p := range left {
		x = a.Spans(x, 0, p.spans...) + 2
	}
	if len(left) == 0 {
		x++
	}
	a.Spans(x, 0, blocks...)
	x = a.W + 1
	for i := len(right) - 1; i >= 0; i-- {
		x -= right[i].width()
		a.Spans(x, 0, right[i].spans...)
	}
}

func without(ps []part, rank int) []part {
	var out []part
	for _, p := range ps {
		if p.rank != rank {
			out = append(out, p)
		}
	}
	return out
}

func (m *Model) headerParts(f *api.Live) (left, right []part) {
	muted := paint.In(paint.Muted)
	if f.Version != "" {
		left = append(left, part{8, []paint.Span{{S: paint.Cut(f.Version, 16), St: muted}}})
	}
	if f.Name != "" && !strings.EqualFold(f.Name, "PayGate") { // that stands there already
		left = append(left, part{7, []paint.Span{{S: paint.CutMiddle(f.Name, 24)}}})
	}
	if m.feed.down(m.now()) {
		ago := figure.Span(m.now().Sub(m.feed.since))
		if ago == "now" {
			ago = "0s"
		}
		return left, []part{{0, []paint.Span{{S: " OFFLINE " + ago + " ", St: paint.Style{Tone: paint.Bad, Bold: true, Reverse: true}}}}}
	}
	if m.feed.live == nil {
		return left, nil
	}
	o := f.Overview
	right = append(right, part{9, []paint.Span{{S: "up " + figure.Uptime(time.Duration(o.UptimeSeconds)*time.Second), St: muted}}})
	if p, ok := serversPart(f.Servers); ok {
		right = append(right, p)
	}
	right = append(right, part{6, []paint.Span{{S: "held ", St: muted}, {S: figure.Short(o.Held, 7), St: paint.Strong()}}})
	right = append(right, part{0, []paint.Span{{S: "spendable ", St: muted}, {S: figure.Short(o.Spendable, 7), St: paint.Strong()}}})
	return left, right
}

// serversPart says how many servers are not up: that never drops.
func serversPart(servers []api.Server) (part, bool) {
	down := 0
	for _, s := range servers {
		if s.State != "ready" {
			down++
		}
	}
	if len(servers) == 0 {
		return part{}, false
	}
	if down == 0 {
		word := " servers"
		if len(servers) == 1 {
			word = " server"
		}
		return part{5, []paint.Span{{S: "● ", St: paint.In(paint.OK)}, {S: strconv.Itoa(len(servers)) + word, St: paint.In(paint.Muted)}}}, true
	}
	return part{0, []paint.Span{{S: fmt.Sprintf("✗ %d of %d down", down, len(servers)), St: paint.In(paint.Bad)}}}, true
}

func (m *Model) tabs(a paint.Area) {
	x := 0
	if a.W < 80 {
		x = 0
	}
	for i, s := range m.screens {
		digit, name := strconv.Itoa(i+1), s.Name()
		from := x
		switch {
		case i == m.at:
			x = a.Text(x, 0, " "+digit+" "+name+" ", paint.Style{Reverse: true})
		case a.W < 72:
			x = a.Text(x, 0, " "+digit+" ", paint.In(paint.Accent))
		default:
			x = a.Text(x, 0, " "+digit, paint.In(paint.Accent))
			x = a.Text(x, 0, " "+name+" ", paint.In(paint.Muted))
		}
		a.Zone(from, 0, x-from, 1, tabHit{i})
	}
	rule, tone := "━", paint.OK
	if m.feed.shadow() {
		rule, tone = "╌", paint.Muted
	}
	if m.feed.live == nil {
		rule, tone = "─", paint.Muted
	}
	if m.feed.live != nil {
		a.Fill(x+1, 0, a.W-x-2, rule, paint.In(tone))
	}
}

func (m *Model) status(a paint.Area) {
	switch {
	case m.bar != nil && len(m.dialogs) == 0:
		m.bar.draw(a)
	case m.flash.text != "":
		a.Text(1, 0, m.flash.text, paint.In(m.flash.tone))
	case len(m.dialogs) > 0:
	default:
		spans := m.screens[m.at].Status()
		if m.feed.down(m.now()) && m.feed.live != nil {
			spans = append([]paint.Span{{S: "as of " + figure.Clock(m.feed.at) + " · ", St: paint.In(paint.Warn)}}, spans...)
		}
		a.Spans(1, 0, spans...)
	}
}

// footer shows what can be pressed: the view's keys at the left, dropped from
// the right when short; the way out at the right.
func (m *Model) footer(a paint.Area) {
	if len(m.dialogs) > 0 {
		m.hints(a, m.dialogs[len(m.dialogs)-1].Hints(), a.W)
		return
	}
	if m.bar != nil {
		m.hints(a, m.bar.hints(), a.W)
		return
	}
	var left, right []key
	for _, k := range append(m.screens[m.at].Keys(), m.globals()...) {
		switch {
		case k.label == "" || k.acts && m.feed.viewer():
		case strings.Contains(":?q", k.on):
			right = append(right, k)
		default:
			left = append(left, k)
		}
	}
	x := a.W - 1
	for i := len(right) - 1; i >= 0; i-- {
		x -= hintWidth(right[i])
		m.hint(a, x, right[i])
		x -= 2
	}
	m.hints(a, left, x)
}

func hintWidth(k key) int { return paint.Width(k.written()) + 1 + paint.Width(k.label) }

func (m *Model) hints(a paint.Area, keys []key, room int) {
	x := 1
	for _, k := range keys {
		if x+hintWidth(k) > room {
			return
		}
		x = m.hint(a, x, k) + 2
	}
}

func (m *Model) hint(a paint.Area, x int, k key) int {
	from := x
	x = a.Text(x, 0, k.written(), paint.In(paint.Accent))
	x = a.Text(x+1, 0, k.label, paint.In(paint.Muted))
	press, _, _ := strings.Cut(k.on, " ")
	a.Zone(from, 0, x-from, 1, keyHit{press})
	return x
}
