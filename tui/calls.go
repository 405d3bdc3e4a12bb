package tui

import (
	"fmt"
	"net/url"
	"time"

	tea "charm.land/bubbletea/v2"

	"paygate/server/api"
	"paygate/server/api/filter"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// calls is the inspector: the newest calls, or a list that holds still while
// one of them is looked at.
type calls struct {
	m      *Model
	rows   []api.CallRow // oldest first, at most keepCalls
	filter *filter.Filter
	list   list
	hold   bool // the list stands still
	paused bool // by p, rather than by the cursor
	newer  int  // calls that came while it stood still
	rate   float64
	passed int
	since  time.Time
	older  uint64 // ask for older ones with this; 0: no more, or not asked yet
	asked  bool   // a page is on its way
	fault  string

	open   bool // the detail is seen
	tab    int
	scroll int
	detail map[string]*callDetail // by call, at most keepDetails
}

const (
	keepCalls   = 3000
	keepDetails = 200
	pageCalls   = 200
)

func newCalls(m *Model) *calls {
	c := &calls{m: m, filter: &filter.Filter{}, detail: map[string]*callDetail{}}
	c.list.cur = -1
	c.list.ids = func(i int) string { return c.row(i).ID }
	return c
}

func (c *calls) Name() string { return "Calls" }

// row is the call on line i: the newest is line 0.
func (c *calls) row(i int) *api.CallRow {
	if i < 0 || i >= len(c.rows) {
		return &api.CallRow{}
	}
	return &c.rows[len(c.rows)-1-i]
}

// selected is the call under the cursor.
func (c *calls) selected() (*api.CallRow, bool) {
	if c.list.cur < 0 || c.list.cur >= len(c.rows) {
		return nil, false
	}
	return c.row(c.list.cur), true
}

func (c *calls) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case frameMsg:
		c.take(msg)
	case shownMsg:
		if len(c.rows) == 0 && !c.asked {
			return c.fetch(0)
		}
	case rowHit:
		again := c.list.cur == msg.i
		c.list.to(msg.i)
		c.stop()
		if again {
			c.open = true
		}
		return c.look()
	case wheelMsg:
		c.stop()
		c.list.to(max(c.list.cur, 0) + msg.by)
		return c.look()
	case openMsg:
		return c.m.command("calls ~id " + filterWord(msg.id))
	}
	return nil
}

// take adds the calls of a frame, or counts them while the list stands still.
func (c *calls) take(f frameMsg) {
	now := c.m.now()
	c.fault = "" // the link is fine by now
	if c.since.IsZero() {
		c.since = now
	}
	c.passed += f.Passed
	if d := now.Sub(c.since); d >= time.Second {
		c.rate = float64(c.passed) / d.Seconds()
		c.passed, c.since = 0, now
	}
	if c.hold {
		c.newer += f.Passed
		return
	}
	c.add(f.Calls, now)
	c.list.sync(len(c.rows))
}

// add puts calls, newest first, at the end of the list.
func (c *calls) add(newest []api.CallRow, now time.Time) {
	last := uint64(0)
	if n := len(c.rows); n > 0 {
		last = c.rows[n-1].Seq
	}
	for i := len(newest) - 1; i >= 0; i-- {
		if newest[i].Seq > last && c.filter.Match(&newest[i], now) {
			c.rows = append(c.rows, newest[i])
		}
	}
	if over := len(c.rows) - keepCalls; over > keepCalls/4 {
		c.rows = append(c.rows[:0], c.rows[over:]...)
		c.older = c.rows[0].Seq
	}
}

// stop makes the list stand still.
func (c *calls) stop() { c.hold = true }

// follow lets the list move again.
func (c *calls) follow() tea.Cmd {
	c.hold, c.paused, c.newer = false, false, 0
	c.list.none()
	c.rows = nil
	return c.fetch(0)
}

// fetch asks for a page: the newest, or those before a place in the journal.
func (c *calls) fetch(before uint64) tea.Cmd {
	c.asked = true
	q := url.Values{"limit": {fmt.Sprint(pageCalls)}}
	if !c.filter.All() {
		q.Set("filter", c.filter.String())
	}
	if before > 0 {
		q.Set("before", fmt.Sprint(before))
	}
	want := c.filter
	return ask(c.m, "GET", "/admin/calls?"+q.Encode(), nil, func(p api.CallPage, err error) tea.Cmd {
		c.asked = false
		if want != c.filter {
			return nil // the filter has changed since
		}
		if err != nil {
			c.fault = err.Error()
			return nil
		}
		c.fault, c.older = "", p.Before
		if before == 0 {
			c.renew(p.Calls)
		} else {
			c.merge(p.Calls)
		}
		return nil
	})
}

// refill fetches the newest calls again, so that a link that was lost leaves
// no gap in the list. A list that is held stays as it is.
func (c *calls) refill() tea.Cmd {
	if c.hold {
		return nil
	}
	return c.fetch(0)
}

// renew makes the newest page the list; what came while it was on its way
// stays above it.
func (c *calls) renew(page []api.CallRow) {
	if c.hold || len(page) == 0 {
		return
	}
	var rows []api.CallRow
	for i := len(page) - 1; i >= 0; i-- {
		rows = append(rows, page[i])
	}
	for _, r := range c.rows {
		if r.Seq > page[0].Seq {
			rows = append(rows, r)
		}
	}
	c.rows = rows
	c.list.sync(len(c.rows))
}

// merge puts a page below what is there already.
func (c *calls) merge(page []api.CallRow) {
	first := ^uint64(0)
	if len(c.rows) > 0 {
		first = c.rows[0].Seq
	}
	var old []api.CallRow
	for i := len(page) - 1; i >= 0; i-- {
		if page[i].Seq < first {
			old = append(old, page[i])
		}
	}
	c.rows = append(old, c.rows...)
	c.list.sync(len(c.rows))
}

// moved holds the list, looks at the call under the cursor, and asks for older
// ones near the end.
func (c *calls) moved() tea.Cmd {
	c.stop()
	c.scroll = 0
	cmds := []tea.Cmd{c.look()}
	if c.list.cur > len(c.rows)-50 && c.older > 0 && !c.asked && len(c.rows) < 50000 {
		cmds = append(cmds, c.fetch(c.older))
	}
	return tea.Batch(cmds...)
}

func (c *calls) Keys() []key {
	look := func(string) tea.Cmd {
		if c.list.cur < 0 {
			c.list.to(0)
		} else if c.open {
			c.scroll = 0
		}
		c.stop()
		c.open = true
		return c.look()
	}
	keys := []key{
		{on: "enter", label: "detail", help: "price, way, request and response of the call", do: look},
		{on: "/", label: "filter", help: "show only some calls; empty shows all", do: func(string) tea.Cmd { return c.ask() }},
		{on: "p", label: "pause", help: "hold the list; again lets it go on", do: func(string) tea.Cmd {
			if c.hold {
				return c.follow()
			}
			c.hold, c.paused = true, true
			return nil
		}},
		{on: "f", label: "follow", help: "follow the newest again", do: func(string) tea.Cmd { return c.follow() }},
		{on: "y", label: "copy", help: "copy the call's id", do: c.withCall(func(r *api.CallRow) tea.Cmd { return c.m.copy(r.ID, "") })},
		{on: "c", label: "curl", help: "copy a curl that makes this call, with $API_KEY", do: c.withArguments(func(r *api.CallRow) tea.Cmd {
			what := "a curl; it needs API_KEY in the environment"
			if _, kept := c.argumentsOf(r); !kept {
				what = "a curl without the arguments, which are no longer kept"
			}
			return c.m.copy(c.curl(r), what)
		})},
		{on: "r", label: "dry run", help: "ask what this call would cost now, without making it", do: c.withArguments(c.dryRun)},
		{on: "x", help: "filter by this call's tool; again by its key, its reason", do: c.withCall(c.filterByCell)},
		{on: "[ ]", show: "[ ]", help: "the tab of the detail before, after", do: func(press string) tea.Cmd {
			by := 1
			if press == "[" {
				by = len(tabNames) - 1
			}
			c.tab, c.scroll = (c.tab+by)%len(tabNames), 0
			return nil
		}},
		{on: "J K", show: "J K", help: "scroll the detail", do: func(press string) tea.Cmd {
			if press == "J" {
				c.scroll++
			} else {
				c.scroll = max(c.scroll-1, 0)
			}
			return nil
		}},
		{on: "esc", help: "close the detail, then follow again, then show all calls", do: func(string) tea.Cmd { return c.out() }},
	}
	return append(keys, moves(&c.list, c.moved))
}

// out goes one level out.
func (c *calls) out() tea.Cmd {
	switch {
	case c.open:
		c.open = false
	case c.hold:
		return c.follow()
	case !c.filter.All():
		cmd, _ := c.set("")
		return cmd
	}
	return nil
}

func (c *calls) withCall(do func(*api.CallRow) tea.Cmd) func(string) tea.Cmd {
	return func(string) tea.Cmd {
		if r, ok := c.selected(); ok {
			return do(r)
		}
		c.m.say("no call is selected; j selects one")
		return nil
	}
}

func (c *calls) Status() []paint.Span {
	muted := paint.In(paint.Muted)
	what := "all calls"
	out := []paint.Span{}
	if !c.filter.All() {
		out = append(out, paint.Span{S: "filter ", St: muted}, paint.Span{S: c.filter.String(), St: paint.In(paint.Accent)})
		what = ""
	}
	add := func(s string) {
		if what != "" || len(out) > 0 {
			s = " · " + s
		}
		what += s
	}
	switch {
	case c.fault != "":
		return append(out, paint.Span{S: " ✗ " + c.fault, St: paint.In(paint.Bad)})
	case c.hold && c.paused && c.newer == 0:
		add("paused")
	case c.hold:
		add(figure.Group(int64(c.newer)) + " newer")
		if _, ok := c.selected(); ok {
			add(fmt.Sprintf("%s of %s", figure.Group(int64(c.list.cur+1)), figure.Group(int64(len(c.rows)))))
		}
		add("held, f follows")
	case c.pace() > 20:
		add(fmt.Sprintf("%s/s, newest %d shown, p holds", figure.Group(int64(c.pace())), min(c.list.page, len(c.rows))))
	default:
		add("following, newest first")
	}
	return append(out, paint.Span{S: what, St: muted})
}

// pace is how many calls a second pass that the filter wants.
func (c *calls) pace() float64 {
	if c.rate == 0 && c.filter.All() {
		return c.m.feed.frame().Overview.CallsPerSecond
	}
	return c.rate
}
