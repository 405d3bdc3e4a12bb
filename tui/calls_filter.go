package tui

import (
	"errors"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"paygate/server/api"
	"paygate/server/api/filter"
)

// set makes a filter the one that acts.
func (c *calls) set(text string) (tea.Cmd, error) {
	f, err := filter.Parse(strings.TrimSpace(text))
	if err != nil {
		return nil, err
	}
	c.filter = f
	c.fault, c.asked, c.older = "", false, 0
	c.m.feed.filter = f.String()
	c.passed, c.rate, c.since = 0, 0, time.Time{}
	return tea.Batch(c.follow(), c.m.listen()), nil
}

// ask opens the filter bar. The last good filter goes on while a mistake is
// typed.
func (c *calls) ask() tea.Cmd {
	before := c.filter.String()
	c.m.openBar(&bar{kind: "calls", prompt: "filter ", complete: c.completions,
		change: func(text string) (int, error) {
			if _, err := filter.Parse(strings.TrimSpace(text)); err != nil {
				at := len(text)
				if e := new(filter.Error); errors.As(err, &e) {
					at = min(e.At, at)
				}
				return at, err
			}
			return 0, nil
		},
		enter: func(text string) tea.Cmd {
			cmd, err := c.set(text)
			if err != nil {
				c.m.warn("%s", err)
			}
			return cmd
		}}, before)
	return nil
}

// completions offers names after ~, then keys, tools and reasons seen lately.
func (c *calls) completions(text string) []string {
	i := strings.LastIndexAny(text, " (!&|") + 1
	start, word := text[:i], text[i:]
	var out []string
	if strings.HasPrefix(word, "~") && len(word) > 1 {
		for _, n := range filter.Names() {
			if strings.HasPrefix(n, word[1:]) && n != word[1:] {
				out = append(out, start+"~"+n)
			}
		}
		return out
	}
	fields := strings.Fields(start)
	if len(fields) == 0 || word == "" {
		return nil
	}
	seen := map[string]bool{}
	for k := len(c.rows) - 1; k >= max(len(c.rows)-500, 0) && len(out) < 20; k-- {
		v := ""
		switch fields[len(fields)-1] {
		case "~k":
			v = c.rows[k].Key
		case "~t":
			v = c.rows[k].Tool
		case "~r":
			v = c.rows[k].Reason
		case "~s":
			v = c.rows[k].Server
		}
		if v != "" && !seen[v] && strings.HasPrefix(v, word) {
			seen[v] = true
			out = append(out, start+filterWord(v))
		}
	}
	return out
}

// filterWord writes a value as the filter language reads it.
func filterWord(s string) string {
	if s == "" || strings.ContainsAny(s, " \t|&()!\"'/*?~") {
		return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"`
	}
	return s
}

// filterByCell narrows the list to calls like this one.
func (c *calls) filterByCell(r *api.CallRow) tea.Cmd {
	terms := []string{"~t " + filterWord(r.Tool), "~k " + filterWord(r.Key)}
	if r.Reason != "" {
		terms = append(terms, "~r "+filterWord(r.Reason))
	}
	have := c.filter.String()
	next := terms[0]
	for i, t := range terms {
		if have == t {
			next = terms[(i+1)%len(terms)]
		}
	}
	cmd, err := c.set(next)
	if err != nil {
		c.m.warn("%s", err)
	}
	return cmd
}
