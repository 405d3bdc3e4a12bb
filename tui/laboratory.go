package tui

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"paygate/server/api"
	"paygate/shadow"
	"paygate/shadow/report"
	"paygate/shadow/trial"
	"paygate/tui/edit"
	"paygate/tui/lab"
)

// laboratory is the pricing lab: candidates as columns beside the live prices.
// A price that is changed here is only here; nothing is kept before w and nobody
// pays it before it is promoted.
type laboratory struct {
	m       *Model
	cols    []*column // live first
	tools   []string  // the rows; "*" is the default, the last one
	known   bool
	fault   string
	fresh   time.Time
	col     int       // the column under the cursor
	list    list      // over tools
	key     string    // the key under the cursor, "plot id"; empty: it stands on a price
	keys    []lab.Key // of the charts, as they were drawn last
	plot    int       // the first of the plots that are shown
	zoom    bool      // it alone is shown
	window  int       // of labWindows
	enact   enactment
	edit    *edit.Line      // of the cell under the cursor, while it is typed
	rollout *shadow.Rollout // of the canary that runs; nil: none
	state   *statement      // one key's calls, when it is open
	touched time.Time       // when a price was changed last
}

// column is one sheet.
type column struct {
	name   string // of the experiment, "live", or of what is not kept
	base   string // the sheet that it is made of; its own name when it is kept
	by     string // of live: the candidate that was promoted to it
	hash   string
	state  string
	rules  int
	faults []string             // of a draft: then it has no prices
	prices map[string]lab.Price // of the base, by tool
	set    map[string]lab.Price // what is changed and not kept
	status *shadow.Status       // nil for live and what is not kept

	report *report.Report // the last one
	stale  bool           // the report is not of these prices
	old    bool           // calls have come since: another one is wanted
	sum    *int64         // what the calls would cost, limits ignored
	trial  *trial.Trial   // what keys did that paid by it; nil: none has, or not known yet
	asked  time.Time      // for the trial
}

// unkept is the state of a column that is only here.
const unkept = "not kept"

// labWindows are the stretches of the past that the lab looks at.
func labWindows() []struct {
	name string
	span time.Duration
} {
	return []struct {
		name string
		span time.Duration
	}{{"14 days", 14 * 24 * time.Hour}, {"24 hours", 24 * time.Hour}, {"hour", time.Hour}, {"90 days", 90 * 24 * time.Hour}}
}

func newLaboratory(m *Model) *laboratory {
	l := &laboratory{m: m}
	l.list.ids = func(i int) string { return l.tools[i] }
	return l
}

func (l *laboratory) Name() string { return "Lab" }

func (l *laboratory) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case shownMsg:
		return l.fetch()
	case beatMsg:
		return l.beat()
	case wheelMsg:
		if l.state != nil {
			l.state.list.to(max(l.state.list.cur, 0) + msg.by)
			return nil
		}
		l.key = ""
		l.list.to(max(l.list.cur, 0) + msg.by)
	case rowHit:
		if l.state != nil {
			l.state.list.to(msg.i)
		}
	case cellHit:
		again := l.col == msg.col && l.list.cur == msg.row && l.key == ""
		l.col, l.key = msg.col, ""
		l.list.to(msg.row)
		if again {
			return l.begin("")
		}
	case plotKeyHit:
		if l.key == msg.key {
			return l.openKey()
		}
		l.key = msg.key
	case openMsg:
		for i, c := range l.cols {
			if c.name == msg.id {
				l.col = i
			}
		}
	}
	return nil
}

// cellHit is a press on a price.
type cellHit struct{ col, row int }

// plotKeyHit is a press on a key in a plot.
type plotKeyHit struct{ key string }

// beat asks again after a while, and how far a replay is.
func (l *laboratory) beat() tea.Cmd {
	now := l.m.now()
	if l.edit != nil || l.state != nil {
		return nil
	}
	if !l.touched.IsZero() && now.Sub(l.touched) >= 400*time.Millisecond {
		l.touched = time.Time{}
		return l.reenact()
	}
	if cmd := l.ofTrial(); cmd != nil {
		return cmd
	}
	if l.enact.cancel != nil {
		return l.progress()
	}
	// What takes long is asked for less often.
	if now.Sub(l.fresh) >= max(15*time.Second, 20*l.enact.took) {
		return l.fetch()
	}
	return nil
}

type labStatus struct {
	Experiments []shadow.Status `json:"experiments"`
}

// fetch asks for the sheets and the state of the experiments, then for what
// they come to.
func (l *laboratory) fetch() tea.Cmd {
	l.fresh = l.m.now()
	return ask(l.m, "GET", "/admin/shadow/sheets", nil, func(got api.LabSheets, err error) tea.Cmd {
		if err != nil {
			l.fault = err.Error()
			return nil
		}
		if err := l.take(got); err != nil {
			l.fault = err.Error()
			return nil
		}
		l.fault, l.known = "", true
		return tea.Batch(l.again(), l.watch(), ask(l.m, "GET", "/admin/shadow", nil, func(got labStatus, err error) tea.Cmd {
			if err == nil {
				l.takeStatus(got.Experiments)
			}
			return nil
		}))
	})
}

// watch asks what a canary does, while one runs.
func (l *laboratory) watch() tea.Cmd {
	for _, c := range l.cols {
		if c.state == shadow.InCanary {
			return ask(l.m, "GET", "/admin/shadow/rollout", nil, func(got shadow.Rollout, err error) tea.Cmd {
				if err == nil {
					l.rollout = &got
				}
				return nil
			})
		}
	}
	l.rollout = nil
	return nil
}

// take makes columns of the sheets; what is not kept stays.
func (l *laboratory) take(got api.LabSheets) error {
	before := l.cols
	was := func(name string) *column {
		for _, c := range before {
			if c.name == name && c.state != unkept {
				return c
			}
		}
		return &column{name: name, base: name, set: map[string]lab.Price{}, stale: true}
	}
	var cols []*column
	for _, s := range got.Sheets {
		if s.State == shadow.IsLive && s.Name != "live" {
			cols[0].by = s.Name // it is the live column
			continue
		}
		c := was(s.Name)
		if c.hash != s.Hash {
			c.stale = true
		}
		c.by, c.hash, c.state, c.rules, c.faults = "", s.Hash, s.State, s.Rules, s.Faults
		c.prices = map[string]lab.Price{}
		if c.faults != nil {
			c.set, c.report, c.sum = map[string]lab.Price{}, nil, nil
			cols = append(cols, c)
			continue
		}
		var err error
		if c.prices["*"], err = lab.PriceOf(s.Default); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		for tool, p := range s.Tools {
			if c.prices[tool], err = lab.PriceOf(p); err != nil {
				return fmt.Errorf("%s, %s: %w", s.Name, tool, err)
			}
		}
		cols = append(cols, c)
	}
	for _, c := range before {
		if c.state == unkept {
			if from := find(cols, c.base); from != nil {
				c.prices = from.prices
			}
			cols = append(cols, c)
		}
	}
	l.cols = cols
	if before == nil && len(cols) > 1 {
		l.col = 1 // a candidate says more than what is live
	}
	l.col = min(l.col, len(cols)-1)
	l.sortTools()
	return nil
}

func find(cols []*column, name string) *column {
	for _, c := range cols {
		if c.name == name && c.state != unkept {
			return c
		}
	}
	return nil
}

// sortTools orders the rows: what brings most first. While somebody changes
// prices the order stays.
func (l *laboratory) sortTools() {
	if len(l.cols) == 0 {
		return
	}
	live := l.cols[0]
	weight := map[string]int64{}
	if live.report != nil {
		for _, t := range live.report.Exact.Tools {
			weight[t.Tool] = int64(t.Live)*1000 + int64(t.Calls)
		}
	}
	var tools []string
	for tool := range live.prices {
		if tool != "*" {
			tools = append(tools, tool)
		}
	}
	slices.SortFunc(tools, func(a, b string) int { return cmp.Or(cmp.Compare(weight[b], weight[a]), cmp.Compare(a, b)) })
	tools = append(tools, "*")
	l.tools = tools
	l.list.sync(len(l.tools))
	if l.list.cur < 0 {
		l.list.to(0)
	}
}

func (l *laboratory) takeStatus(all []shadow.Status) {
	for _, c := range l.cols {
		c.status = nil
		for i := range all {
			if all[i].Name == c.name {
				c.status = &all[i]
			}
		}
	}
}

// variant is a sheet as the API takes it: a base with other prices.
type variant struct {
	Name string                  `json:"name"`
	Set  map[string]api.LabPrice `json:"set,omitempty"`
}

func (c *column) variant() variant {
	v := variant{Name: c.base}
	if len(c.set) > 0 {
		v.Set = map[string]api.LabPrice{}
	}
	for tool, p := range c.set {
		v.Set[tool] = p.API()
	}
	return v
}

// price is what a tool costs here: as it is kept, and as it is shown.
func (c *column) price(tool string) (kept, shown lab.Price) {
	kept, ok := c.prices[tool]
	if !ok {
		kept = c.prices["*"]
	}
	if p, ok := c.set[tool]; ok {
		return kept, p
	}
	return kept, kept
}

// at is the column under the cursor.
func (l *laboratory) at() *column {
	if l.col < 0 || l.col >= len(l.cols) {
		return nil
	}
	return l.cols[l.col]
}

func (l *laboratory) tool() (string, bool) {
	if l.list.cur < 0 || l.list.cur >= len(l.tools) {
		return "", false
	}
	return l.tools[l.list.cur], true
}

// stage changes the price under the cursor. The sums that ignore limits are
// asked for at once, the exact figures when nothing more is pressed.
func (l *laboratory) stage(change func(lab.Price) lab.Price) tea.Cmd {
	c, tool, ok := l.editable()
	if !ok {
		return nil
	}
	kept, shown := c.price(tool)
	next := change(shown)
	if next == shown {
		return nil
	}
	c.set[tool] = next
	if next == kept {
		delete(c.set, tool)
	}
	c.stale, c.sum = true, nil
	l.touched = l.m.now()
	return l.sums(nil)
}

// editable is the cell that the cursor is on, if it may be changed.
func (l *laboratory) editable() (*column, string, bool) {
	c := l.at()
	tool, ok := l.tool()
	switch {
	case c == nil || !ok:
		return nil, "", false
	case l.col == 0:
		l.m.warn("The live prices change by promoting a candidate: n copies them into one, → goes to one.")
		return nil, "", false
	case c.faults != nil:
		l.m.warn("%s has %s: mend its file and keep it again with shadow new.", c.name, plural(len(c.faults), "mistake"))
		return nil, "", false
	}
	l.key = ""
	return c, tool, true
}

// changed are the columns with changes that are not kept.
func (l *laboratory) changed() []*column {
	var out []*column
	for _, c := range l.cols {
		if len(c.set) > 0 {
			out = append(out, c)
		}
	}
	return out
}
