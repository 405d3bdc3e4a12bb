package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"paygate/tui/figure"
	"paygate/tui/paint"
)

func (k *keys) nextOrder() tea.Cmd {
	var names []string
	for _, c := range k.cols(200) {
		if c.sort != "" {
			names = append(names, c.sort)
		}
	}
	for i, n := range names {
		if n == k.sort {
			return k.order(names[(i+1)%len(names)])
		}
	}
	return k.order(names[0])
}

func (k *keys) searchFor(text string) tea.Cmd {
	if text == k.search {
		return nil
	}
	k.search = text
	k.reset()
	k.list.top = 0
	k.list.id = ""
	k.list.cur = 0
	return k.refresh()
}

// find searches while it is typed.
func (k *keys) find() tea.Cmd {
	k.one = nil
	before := k.search
	b := &bar{kind: "keys", prompt: "find ", enter: k.searchFor, esc: func() tea.Cmd { return k.searchFor(before) }}
	b.live = k.searchFor
	k.m.openBar(b, before)
	return nil
}

func (k *keys) Status() []paint.Span {
	muted := paint.In(paint.Muted)
	if k.fault != "" {
		return []paint.Span{{S: "✗ " + k.fault, St: paint.In(paint.Bad)}}
	}
	if k.one != nil {
		return []paint.Span{{S: k.one.row.ID, St: muted}}
	}
	var out []paint.Span
	if k.search != "" {
		out = append(out, paint.Span{S: "find ", St: muted}, paint.Span{S: k.search, St: paint.In(paint.Accent)}, paint.Span{S: " · ", St: muted})
	}
	text := figure.Group(int64(max(k.list.cur, 0)+1)) + " of " + figure.Group(int64(k.total)) + " keys · " + k.orderWords()
	if k.total == 0 {
		text = "no keys"
	}
	if n := len(k.marked); n > 0 {
		text += fmt.Sprintf(" · %s marked", figure.Group(int64(n)))
	}
	return append(out, paint.Span{S: text, St: muted})
}

func (k *keys) orderWords() string {
	words := map[string][2]string{"name": {"by name", "by name, last first"}, "credits": {"by credits, fewest first", "by credits, most first"},
		"burnPerHour": {"by burn, slowest first", "by burn, fastest first"}, "dryIn": {"by dry in, soonest first", "by dry in, latest first"},
		"lastUsedAt": {"by last use, oldest first", "by last use, newest first"}, "totalCalls": {"by calls, fewest first", "by calls, most first"}}[k.sort]
	if k.desc {
		return words[1]
	}
	return words[0]
}
