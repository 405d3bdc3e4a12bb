package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"paygate/shadow/report"
	"paygate/shadow/whatif"
	"paygate/tui/chart"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// bracket shows what a candidate collects under each way in which callers who
// are denied may go on. Nobody knows which it is: the truth lies between.
type bracket struct {
	l       *laboratory
	name    string
	rows    []bracketRow
	waiting int
}

type bracketRow struct {
	whatIf whatif.Guess
	words  string
	report *report.Report
	fault  string
}

// bracketing re-enacts the column under the cursor once for each policy.
func (l *laboratory) bracketing() tea.Cmd {
	c := l.at()
	if c != nil && c.faults != nil {
		l.editable() // says what to do
		return nil
	}
	if c == nil || len(l.cols) == 0 || l.enact.from.IsZero() {
		return nil
	}
	b := &bracket{l: l, name: c.name, rows: []bracketRow{
		{whatIf: whatif.Guess{Policy: whatif.StopRun}, words: "gives up the piece of work"},
		{whatIf: whatif.Guess{Policy: whatif.Skip}, words: "leaves that call out, goes on"},
		{whatIf: whatif.Guess{Policy: whatif.Retry, Retries: 3}, words: "comes back 3 times, in vain"},
		{whatIf: whatif.Guess{Policy: whatif.TopUp}, words: "tops up and pays"},
	}}
	cmds := []tea.Cmd{l.m.open(b)}
	for i := range b.rows {
		b.waiting++
		in := struct {
			From   string        `json:"from"`
			To     string        `json:"to"`
			Sheets []variant     `json:"sheets"`
			WhatIf *whatif.Guess `json:"whatIf"`
		}{l.enact.from.Format(rfc3339), l.enact.to.Format(rfc3339), []variant{c.variant()}, &b.rows[i].whatIf}
		cmds = append(cmds, ask(l.m, "POST", "/admin/shadow/replay", in, func(got labReports, err error) tea.Cmd {
			b.waiting--
			switch {
			case err != nil:
				b.rows[i].fault = err.Error()
			case len(got.Reports) > 0:
				b.rows[i].report = got.Reports[0]
			}
			return nil
		}))
	}
	return tea.Batch(cmds...)
}

// rfc3339 keeps milliseconds, as calls have them.
const rfc3339 = "2006-01-02T15:04:05.000Z07:00"

func (b *bracket) Press(press, _ string) (bool, tea.Cmd) {
	switch press {
	case "esc", "q", "enter", "f", "ctrl+c":
		return true, nil
	case "y":
		return false, b.l.m.copy("paygate shadow what-if "+quote(b.name)+" --policy "+whatif.StopRun, "")
	}
	return false, nil
}

func (b *bracket) Size(w, _ int) (int, int) { return min(max(w, 40), 96), 5 + len(b.rows) }

func (b *bracket) Draw(a paint.Area) {
	muted := paint.In(paint.Muted)
	a.Spans(0, 0, paint.Span{S: "If callers who are refused react: " + b.name, St: paint.Strong()})
	top := int64(1)
	for _, r := range b.rows {
		if r.report != nil {
			top = max(top, int64(r.report.Exact.Candidate.Collectable))
		}
	}
	a.Text(0, 2, "A REFUSED CALL …", paint.Strong())
	a.Right(46, 2, 13, "COLLECTED", paint.Strong())
	a.Right(56, 2, 9, "REFUSED", paint.Strong())
	for i, r := range b.rows {
		y := 3 + i
		a.Fit(0, y, 32, r.words, paint.Style{})
		switch {
		case r.fault != "":
			a.Text(33, y, r.fault, paint.In(paint.Bad))
		case r.report == nil:
			a.Right(46, y, 13, "…", muted)
		default:
			e := &r.report.Exact
			a.Right(46, y, 13, figure.Group(int64(e.Candidate.Collectable)), paint.Style{})
			a.Right(56, y, 9, figure.Group(int64(e.Candidate.Denied)), muted)
			bar := chart.Block(float64(e.Candidate.Collectable)/float64(top), max(a.W-58, 0), a.ASCII())
			a.Text(58, y, strings.TrimRight(bar, " "), paint.In(paint.Accent))
		}
	}
	a.Text(0, 4+len(b.rows), "How they do react is not known: the truth lies between these.", muted)
}

func (b *bracket) Hints() []key {
	return []key{{on: "esc", label: "closes"}, {on: "y", label: "copies the command"}}
}
