package lab

import (
	"math"
	"strings"

	"paygate/tui/figure"
	"paygate/tui/paint"
)

// bar is one line of the waterfall: from one sum to another.
type bar struct {
	name     string
	from, to float64
	text     string
	tone     paint.Tone
	sum      bool
}

// Why splits the change of what is collected into what the prices do to calls
// that both sheets admit, what access is won and lost, and refunds. The parts
// add up to the credit.
func Why(a paint.Area, d *Data) []Key {
	if waiting(a, d) || same(a, d) {
		return nil
	}
	bars := fit(waterfall(d), a.H)
	low, high := math.Inf(1), 0.0
	for _, b := range bars {
		high = max(high, b.from, b.to)
		if !b.sum {
			low = min(low, b.from, b.to)
		}
		if b.sum {
			low = min(low, b.to)
		}
	}
	ground, cut := 0.0, false
	if span := high - low; low > span && high > 0 {
		ground, cut = low-span/2, true // bars that begin at 0 would all look alike
	}
	name := 12
	for _, b := range bars {
		name = max(name, min(paint.Width(b.name), 22))
	}
	number := min(13, max(a.W/4, 8))
	x := 1 + name + 1 + number + 2
	room := a.W - x - 1
	for y, b := range bars {
		if y >= a.H {
			break
		}
		st := paint.In(b.tone)
		a.Fit(1, y, name, paint.CutMiddle(b.name, name), paint.Style{})
		a.Right(1+name+1+number, y, number, b.text, st)
		if room < 4 || high <= ground {
			continue
		}
		cell := func(v float64) int {
			return int(math.Round((max(v, ground) - ground) / (high - ground) * float64(room)))
		}
		from, to := cell(min(b.from, b.to)), cell(max(b.from, b.to))
		glyph := "█"
		if b.sum {
			from = 0
		} else if b.to < b.from {
			glyph = "▒"
		}
		if to <= from && b.from != b.to {
			from, to = max(min(from, room-1), 0), min(from, room-1)+1
		}
		a.Text(x+from, y, strings.Repeat(glyph, max(to-from, 0)), st)
		if b.sum && cut {
			a.Text(x, y, "≈", st)
		}
	}
	return nil
}

func waterfall(d *Data) []bar {
	e := &d.Report.Exact
	at := float64(e.Live.Collectable)
	bars := []bar{{"live", 0, at, figure.Group(int64(e.Live.Collectable)), paint.Muted, true}}
	for _, step := range []struct {
		name string
		n    int64
	}{{"rate", int64(e.Change.Rate)}, {"access won", int64(e.Change.AccessWon)}, {"access lost", int64(e.Change.AccessLost)}, {"refunds", int64(e.Change.Refunds)}} {
		bars = append(bars, bar{step.name, at, at + float64(step.n), figure.Signed(step.n), signTone(step.n), false})
		at += float64(step.n)
	}
	bars = append(bars, bar{d.Name, 0, float64(e.Candidate.Collectable), figure.Group(int64(e.Candidate.Collectable)), paint.Accent, true})
	if e.Candidate.Potential > e.Candidate.Collectable {
		bars = append(bars, bar{"if none refused", 0, float64(e.Candidate.Potential), figure.Group(int64(e.Candidate.Potential)), paint.Muted, true})
	}
	return bars
}

// fit leaves out what does not change while there is no room for it.
func fit(bars []bar, h int) []bar {
	for _, drop := range []string{"if none refused", "access won", "refunds", "access lost"} {
		for i, b := range bars {
			if len(bars) > h && b.name == drop && (b.from == b.to || b.sum) {
				bars = append(bars[:i:i], bars[i+1:]...)
				break
			}
		}
	}
	return bars
}
