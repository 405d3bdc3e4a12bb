package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"paygate/server/api"
	"paygate/tui/figure"
)

// cli is the command line that makes the changes.
func (p *prices) cli(changes []api.PriceChange) string {
	var out []string
	for _, c := range changes {
		s := "paygate prices set " + quote(c.Tool)
		s += fmt.Sprintf(" %d", p.perCall(c))
		if c.PerKBIn != nil {
			s += fmt.Sprintf(" --kb-in %d", *c.PerKBIn)
		}
		if c.PerKBOut != nil {
			s += fmt.Sprintf(" --kb-out %d", *c.PerKBOut)
		}
		out = append(out, s)
	}
	return strings.Join(out, " && ")
}

// perCall is what a tool costs a call once a change is made.
func (p *prices) perCall(c api.PriceChange) int64 {
	if c.PerCall != nil {
		return *c.PerCall
	}
	for _, r := range p.sheet.Tools {
		if r.Tool == c.Tool {
			return r.PerCall
		}
	}
	return p.sheet.Default
}

// review shows the difference and asks.
func (p *prices) review() tea.Cmd {
	changes := p.changes()
	if len(changes) == 0 {
		p.m.say("nothing is staged; enter edits a price")
		return nil
	}
	var lines []string
	for _, c := range changes {
		lines = append(lines, p.words(c)...)
	}
	if n := len(lines); n > 8 {
		lines = append(lines[:7], "… and "+plural(n-7, "more price"))
	}
	if p.effect != nil {
		lines = append(lines, fmt.Sprintf("The last hour: %s instead of %s credits (%s), %s denied.", figure.Group(p.effect.Staged), figure.Group(p.effect.Now), rise(p.effect.Now, p.effect.Staged), plural(p.effect.Denied, "more call")))
	}
	return p.m.open(&question{title: "Apply " + plural(len(changes), "change") + " to the live prices?", lines: lines, cli: p.cli(changes), yes: func() tea.Cmd { return p.apply(changes) }})
}

func (p *prices) words(c api.PriceChange) []string {
	var out []string
	for _, r := range append(append([]api.PriceRow(nil), p.sheet.Tools...), api.PriceRow{Tool: "*", PerCall: p.sheet.Default}) {
		if r.Tool != c.Tool {
			continue
		}
		for cell, name := range [3]string{"per call", "per KB in", "per KB out"} {
			if now, staged, changed := p.price(&r, cell); changed {
				out = append(out, fmt.Sprintf("%s %s: %s → %s", or(map[string]string{"*": "any other tool"}[r.Tool], r.Tool), name, figure.Group(now), figure.Group(staged)))
			}
		}
	}
	return out
}

// apply makes the staged prices the live ones; u stages the old ones.
func (p *prices) apply(changes []api.PriceChange) tea.Cmd {
	old := map[string]*api.PriceChange{}
	for _, c := range changes {
		back := &api.PriceChange{Tool: c.Tool}
		for _, r := range append(append([]api.PriceRow(nil), p.sheet.Tools...), api.PriceRow{Tool: "*", PerCall: p.sheet.Default}) {
			if r.Tool != c.Tool {
				continue
			}
			if c.PerCall != nil {
				back.PerCall = &r.PerCall
			}
			if c.PerKBIn != nil {
				back.PerKBIn = &r.PerKBIn
			}
			if c.PerKBOut != nil {
				back.PerKBOut = &r.PerKBOut
			}
		}
		old[c.Tool] = back
	}
	cli := p.cli(changes)
	in := api.PriceUpdate{Base: p.sheet.Sheet, Changes: changes}
	return ask(p.m, "POST", "/admin/prices", in, func(got api.Prices, err error) tea.Cmd {
		if err != nil {
			p.m.warn("%s", err)
			return p.fetch()
		}
		clear(p.staged)
		p.effect = nil
		p.m.did(act{done: plural(len(changes), "price") + " set", cli: cli, undo: &undo{"prices", func() tea.Cmd {
			p.staged = old
			p.m.say("the old prices are staged; w applies them")
			return tea.Batch(p.m.show(p.m.view("Prices")), p.ask())
		}}})
		return p.fetch()
	})
}

// rise is a change in percent: +15.4 %.
func rise(now, staged int64) string {
	if now == 0 {
		if staged == 0 {
			return "0 %"
		}
		return "new"
	}
	share := float64(staged-now) / float64(now)
	if share > -0.0005 && share < 0.0005 && share != 0 {
		return "0.0 %"
	}
	if share > 0 {
		return "+" + figure.Percent(share)
	}
	return figure.Percent(share)
}
