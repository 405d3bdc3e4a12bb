package tui

import (
	"cmp"
	"net/url"
	"time"

	tea "charm.land/bubbletea/v2"

	"paygate/shadow"
	"paygate/shadow/trial"
	"paygate/tui/lab"
)

// ofTrial asks now and then how callers react to the column under the cursor,
// if keys pay by it or have.
func (l *laboratory) ofTrial() tea.Cmd {
	c := l.at()
	if c == nil || l.m.now().Sub(c.asked) < time.Minute {
		return nil
	}
	c.asked = l.m.now()
	name := cmp.Or(c.by, c.name)
	switch c.state {
	case unkept, shadow.IsDraft, shadow.Validated, shadow.Shadowing, shadow.IsReviewed, shadow.Scheduled:
		return nil
	}
	if name == "live" {
		return nil
	}
	return ask(l.m, "GET", "/admin/shadow/experiment?name="+url.QueryEscape(name), nil, func(got trial.Trial, err error) tea.Cmd {
		if c.trial = nil; err == nil {
			c.trial = &got
		}
		return nil
	})
}

// plots are the charts of the column under the cursor: while a canary runs, how
// it fares comes first.
func (l *laboratory) plots() []lab.Plot {
	all := lab.Plots()
	if c := l.at(); c != nil && c.state == shadow.InCanary && l.rollout != nil && l.rollout.Canary != nil {
		return append([]lab.Plot{lab.Canary(l.rollout, l.m.now())}, all...)
	}
	return all
}
