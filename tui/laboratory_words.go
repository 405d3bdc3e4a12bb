package tui

import (
	"fmt"
	"slices"
	"strings"

	"paygate/shadow"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// stateWord says in a few letters what becomes of a column.
func (l *laboratory) stateWord(c *column, i int) (string, paint.Tone) {
	switch {
	case i == 0 && l.m.feed.shadow():
		return "not charged", paint.Muted
	case i == 0:
		return "charged", paint.OK
	case c.state == unkept:
		return unkept, paint.Warn
	case c.faults != nil:
		return plural(len(c.faults), "mistake"), paint.Bad
	case len(c.set) > 0:
		return "changed", paint.Warn
	case c.state == shadow.IsDraft:
		return shadow.IsDraft, paint.Warn
	case c.state == shadow.Validated:
		return "not started", paint.Muted
	case c.refused() != nil:
		return "refused", paint.Bad
	case c.status != nil && c.status.Started != nil && (c.state == shadow.Shadowing || c.state == shadow.IsReviewed):
		return "shadow " + figure.Span(l.m.now().Sub(*c.status.Started)), paint.Accent
	}
	return c.state, paint.Accent
}

// refused is why a promotion did not happen at its time, as long as nothing
// else was decided; or nil.
func (c *column) refused() *shadow.Refused {
	if c.status == nil || c.status.State != shadow.IsReviewed && c.status.State != shadow.InCanary || len(c.set) > 0 {
		return nil
	}
	return c.status.Refused
}

func (l *laboratory) shadowLabel() string {
	c := l.at()
	switch {
	case c == nil || l.col == 0 || c.state == unkept || c.state == shadow.IsDraft || len(c.set) > 0:
		return ""
	case c.state == shadow.Validated:
		return "shadow it"
	case c.state == shadow.Scheduled:
		return "not then"
	case c.state == shadow.Shadowing || c.state == shadow.IsReviewed:
		return "stop"
	}
	return ""
}

// verdict is one sentence about the column under the cursor: what it would
// have collected, and what one can do next.
func (l *laboratory) verdict(w int) []paint.Span {
	c := l.at()
	if c == nil {
		return nil
	}
	muted, strong := paint.In(paint.Muted), paint.Strong()
	hint := func(text string) paint.Span { return paint.Span{S: text, St: muted} }
	switch {
	case l.enact.fault != "":
		return []paint.Span{{S: "✗ " + l.enact.fault, St: paint.In(paint.Bad)}}
	case l.enact.summed == 0 && l.enact.sumMs > 0:
		return []paint.Span{hint("No call in this window: t looks further back, " + l.m.tab("Calls") + " says how to send one.")}
	case l.col == 0 && c.by != "":
		return []paint.Span{{S: "live", St: strong}, hint(" are the prices of " + c.by + ". R rolls them back and refunds each key to the credit.")}
	case l.col == 0 && len(l.cols) == 1:
		return []paint.Span{hint("Nothing here is charged before you promote it.")}
	case l.col == 0:
		return []paint.Span{{S: "live", St: strong}, hint(" is what candidates are compared with. → goes to one, n copies it.")}
	case c.state == unkept && len(c.set) == 0:
		return []paint.Span{{S: c.name, St: strong}, hint(" is a copy of " + c.base + ". + − changes a price, enter types one; w keeps it.")}
	case c.faults != nil:
		return []paint.Span{{S: c.name, St: strong}, {S: "  " + c.faults[0], St: paint.In(paint.Bad)}}
	case c.stale:
		note := "≈ ignores balances and limits; exact figures follow"
		if l.enact.done > 0 && l.enact.cancel != nil {
			note += fmt.Sprintf(", %.0f %% done", l.enact.done*100)
		}
		return []paint.Span{{S: c.name, St: strong}, {S: "  " + note, St: paint.In(paint.Warn)}}
	}
	if no := c.refused(); no != nil {
		return refusal(c, no, w)
	}
	spans := verdict(c, " would have collected ")
	if widthOf(spans)+2 > w {
		spans = verdict(c, " collects ")
	}
	if next := "   " + l.next(c); widthOf(spans)+2+paint.Width(next) < w {
		spans = append(spans, hint(next))
	}
	return spans
}

// refusal says that a promotion did not happen at its time, and why as far as
// there is room.
func refusal(c *column, no *shadow.Refused, w int) []paint.Span {
	where := " did not go live "
	if c.state == shadow.InCanary {
		where = " did not go live for all keys "
	}
	why := strings.TrimPrefix(no.Why, "guardrails stand against it: ")
	out := []paint.Span{{S: c.name, St: paint.Strong()}, {S: where + "at " + no.Asked.Local().Format("2 Jan 15:04") + ": " + why, St: paint.In(paint.Bad)}}
	if widthOf(out)+2 > w {
		out[1].S = strings.TrimSuffix(where, " ") + ": " + why
	}
	return out
}

// verdict is a column's report in a sentence.
func verdict(c *column, collects string) []paint.Span {
	r := c.report
	e, strong := &r.Exact, paint.Strong()
	word, wordTone := guardrailWord(r)
	spans := []paint.Span{{S: c.name, St: strong}, {S: collects}, {S: figure.Group(int64(e.Candidate.Collectable)), St: strong}, {S: ", "},
		{S: rise(int64(e.Live.Collectable), int64(e.Candidate.Collectable)), St: paint.In(tone(int64(e.Change.Total)))}}
	if i := r.Projected.Lift; i != nil {
		spans = append(spans, paint.Span{S: " [" + signed(i.Low) + ", " + signed(i.High) + "]"})
	}
	return append(spans, paint.Span{S: ", " + figure.Group(int64(e.Newly.Keys)) + " more stopped, "}, paint.Span{S: word, St: paint.In(wordTone)})
}

func widthOf(spans []paint.Span) int {
	n := 0
	for _, s := range spans {
		n += paint.Width(s.S)
	}
	return n
}

// next is what to do about a column, in a few words.
func (l *laboratory) next(c *column) string {
	switch {
	case c.state == unkept || len(c.set) > 0:
		return "w keeps it"
	case c.state == shadow.IsDraft:
		return "w makes a candidate of it"
	case c.state == shadow.Validated:
		return "s shadows it on what comes"
	case c.state == shadow.Shadowing || c.state == shadow.IsReviewed:
		return "P promotes"
	case c.state == shadow.InCanary:
		return "P goes on, R rolls back"
	case c.state == shadow.Scheduled && c.status != nil && c.status.Going != nil && c.status.Going.At != nil:
		return "live from " + c.status.Going.At.Local().Format("2 Jan 15:04")
	}
	return ""
}

func (l *laboratory) Status() []paint.Span {
	if l.state != nil {
		return l.state.status()
	}
	muted := paint.In(paint.Muted)
	c := l.at()
	if c == nil {
		return nil
	}
	if c.faults != nil {
		return []paint.Span{{S: plural(len(c.faults), "mistake") + " · paygate shadow status " + quote(c.name) + " shows its text · x drops it", St: muted}}
	}
	if l.enact.summed == 0 && l.enact.sumMs > 0 {
		return []paint.Span{{S: labWindows()[l.window].name + ", no call", St: muted}}
	}
	if c.report == nil || c.stale {
		if l.enact.summed > 0 && c.sum != nil {
			return []paint.Span{{S: fmt.Sprintf("≈ over %s in %s ms · re-enacting balances and limits …", plural(l.enact.summed, "call"), figure.Millis(l.enact.sumMs)), St: muted}}
		}
		return []paint.Span{{S: "re-enacting …", St: muted}}
	}
	r := c.report
	parts := []string{labWindows()[l.window].name + ", " + plural(r.Attempts, "call"), "coverage " + strings.Replace(figure.Percent(r.Coverage), "100.0", "100", 1), fmt.Sprintf("self-shadow %d", r.SelfDifference), "grade " + r.Grade, figure.Millis(float64(l.enact.took.Microseconds())/1000) + " ms"}
	if rules := plural(c.rules, "rule") + ", cells show posted prices"; c.rules > 0 && paint.Width(strings.Join(parts, " · ")+" · "+rules)+2 <= l.m.w {
		parts = append(parts, rules)
	}
	st := muted
	if r.Grade == "C" || r.Coverage < 1 || r.SelfDifference != 0 {
		st = paint.In(paint.Warn)
	}
	out := []paint.Span{{S: strings.Join(parts, " · "), St: st}}
	live := l.cols[0].report
	var note paint.Span
	switch {
	case live != nil && live.Live != "" && live.Exact.Live.Collectable != live.Exact.Candidate.Collectable:
		note = paint.Span{S: "prices changed meanwhile: a lift is against what was live then", St: paint.In(paint.Warn)}
	case r.SelfDifference != 0:
		note = paint.Span{S: "the live sheet differs from what was charged: no verdict stands", St: paint.In(paint.Bad)}
	case r.Grade == "C":
		note = paint.Span{S: "many calls were refused: demand is censored", St: paint.In(paint.Warn)}
	default:
		return out
	}
	if with := slices.Concat(out, []paint.Span{{S: " · ", St: st}, note}); widthOf(with)+2 <= l.m.w {
		return with
	}
	return []paint.Span{{S: "grade " + r.Grade + " · ", St: st}, note}
}

// teach tells somebody who has no candidate how one comes from shadow mode to
// a reasoned price, and what of it is done.
func (l *laboratory) teach(a paint.Area) {
	f := l.m.feed.frame()
	muted, accent := paint.In(paint.Muted), paint.In(paint.Accent)
	a.Rule(0, paint.Span{S: "from calls to a price", St: paint.Strong()})
	calls := 0
	if len(l.cols) > 0 && l.cols[0].report != nil {
		calls = l.cols[0].report.Attempts
	}
	mark := func(done bool) paint.Span {
		if done {
			return paint.Span{S: "✓ ", St: paint.In(paint.OK)}
		}
		return paint.Span{S: "  "}
	}
	counted := "no call yet; the lab answers with your own calls"
	if calls > 0 {
		counted = plural(calls, "call") + " to try prices on; a verdict wants 1,000 and 14 days"
	}
	mode := "shadow mode: calls are counted, nothing is charged"
	if f.Mode != "shadow" {
		mode = "calls are charged; S goes to shadow mode, where nobody is refused"
	}
	steps := []struct {
		done bool
		on   string
		text string
	}{
		{f.Mode == "shadow", "S", mode},
		{calls > 0, "2", counted},
		{false, "n", "copies the live prices into a candidate, a column beside live"},
		{false, "+ −", "change its prices: ≈ sums follow at once, exact figures after"},
		{false, "w P", "keeps and shadows it; promotes it if its guardrails hold"},
	}
	lines := a.From(1)
	wide := lines.H >= 9
	y := 0
	if wide {
		for _, l := range paint.Wrap("A candidate is a price sheet that is tried on your own calls. Nobody pays it, agents see no difference in a byte, and the answer says who would have paid what and who would have been refused.", lines.W-2) {
			lines.Text(1, y, l, paint.Style{})
			y++
		}
		y++
	}
	for _, s := range steps {
		if s.on == "2" {
			s.on = l.m.tab("Calls")
		}
		lines.Spans(1, y, mark(s.done), paint.Span{S: fmt.Sprintf("%-4s", s.on), St: accent}, paint.Span{S: s.text, St: muted})
		y++
	}
}
