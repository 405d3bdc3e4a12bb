package tui

import (
	"context"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"paygate/pricing"
	"paygate/shadow"
	"paygate/shadow/report"
)

type labSums struct {
	Calls   int               `json:"calls"`
	From    time.Time         `json:"from"` // of the first call
	Credits []pricing.Credits `json:"credits"`
	TookMs  float64           `json:"tookMs"`
}

// sums asks what the calls would cost if nothing were refused: fast enough to
// follow a key that is held down. Then, if there is a call at all, comes after.
func (l *laboratory) sums(after func() tea.Cmd) tea.Cmd {
	if len(l.cols) == 0 {
		return nil
	}
	l.enact.sumEpoch++
	epoch := l.enact.sumEpoch
	cols := slices.DeleteFunc(slices.Clone(l.cols), func(c *column) bool { return c.faults != nil })
	cols = cols[:min(len(cols), shadow.MostRunning+1)]
	in := struct {
		Sheets []variant `json:"sheets"`
		From   time.Time `json:"from"`
		To     time.Time `json:"to"`
	}{From: l.enact.from, To: l.enact.to}
	for _, c := range cols {
		in.Sheets = append(in.Sheets, c.variant())
	}
	return ask(l.m, "POST", "/admin/shadow/sums", in, func(got labSums, err error) tea.Cmd {
		if err != nil || epoch != l.enact.sumEpoch || len(got.Credits) != len(cols) {
			return nil
		}
		l.enact.summed, l.enact.sumMs, l.enact.first = got.Calls, got.TookMs, got.From
		for i, c := range cols {
			n := int64(got.Credits[i])
			c.sum = &n
		}
		if after == nil || got.Calls == 0 {
			return nil
		}
		return after()
	})
}

// enactment is what is asked of the gateway's replay: one at a time.
type enactment struct {
	from, to time.Time
	cancel   context.CancelFunc // of the one under way; nil: none
	id       string
	n        int // of ids
	began    time.Time
	done     float64
	took     time.Duration
	fault    string
	sumEpoch int
	summed   int // calls
	sumMs    float64
	first    time.Time // of the first call in the window
}

// again asks for everything anew when what is there has become old.
func (l *laboratory) again() tea.Cmd {
	now := l.m.now()
	if l.enact.from.IsZero() || now.Sub(l.enact.to) >= max(30*time.Second, 20*l.enact.took) {
		l.renew()
	}
	return l.sums(l.reenact)
}

// renew begins a new window, up to now.
func (l *laboratory) renew() {
	now := l.m.now().UTC().Truncate(time.Millisecond)
	l.enact.from, l.enact.to = now.Add(-labWindows()[l.window].span), now
	for _, c := range l.cols {
		c.old = true
	}
}

type labReports struct {
	Reports []*report.Report `json:"reports"`
}

// reenact lives through the window again under every column whose figures are
// not those of its prices.
func (l *laboratory) reenact() tea.Cmd {
	if l.enact.cancel != nil {
		l.enact.cancel()
		l.enact.cancel = nil
	}
	var cols []*column
	for _, c := range l.cols {
		if (c.stale || c.old) && c.faults == nil && len(cols) < shadow.MostRunning {
			cols = append(cols, c)
		}
	}
	if len(cols) == 0 || !l.touched.IsZero() {
		return nil
	}
	ctx, cancel := context.WithCancel(l.m.ctx)
	e := &l.enact
	e.n++
	e.id, e.cancel, e.began, e.done = fmt.Sprintf("lab-%d-%d", l.m.now().UnixNano(), e.n), cancel, l.m.now(), 0
	in := struct {
		ID     string    `json:"id"`
		From   time.Time `json:"from"`
		To     time.Time `json:"to"`
		Sheets []variant `json:"sheets"`
	}{e.id, e.from, e.to, nil}
	for _, c := range cols {
		in.Sheets = append(in.Sheets, c.variant())
	}
	id := e.id
	return func() tea.Msg {
		var out labReports
		err := l.m.opt.Client.Do(ctx, "POST", "/admin/shadow/replay", in, &out)
		return answer{func() tea.Cmd {
			cancel()
			if id != l.enact.id {
				return nil
			}
			return l.enacted(cols, out.Reports, err)
		}}
	}
}

func (l *laboratory) enacted(cols []*column, reports []*report.Report, err error) tea.Cmd {
	e := &l.enact
	e.cancel, e.took, e.fault = nil, l.m.now().Sub(e.began), ""
	if err != nil {
		e.fault = err.Error()
		return nil
	}
	for i, c := range cols {
		if i < len(reports) {
			c.report, c.stale, c.old = reports[i], false, false
		}
	}
	if len(l.cols) > 0 && len(l.changed()) == 0 {
		l.sortTools()
	}
	return l.reenact() // those that did not fit
}

// progress asks how far a replay is that takes its time.
func (l *laboratory) progress() tea.Cmd {
	if l.m.now().Sub(l.enact.began) < 500*time.Millisecond {
		return nil
	}
	id := l.enact.id
	return ask(l.m, "GET", "/admin/shadow/replay?id="+id, nil, func(got struct {
		Done float64 `json:"done"`
	}, err error) tea.Cmd {
		if err == nil && id == l.enact.id {
			l.enact.done = got.Done
		}
		return nil
	})
}
