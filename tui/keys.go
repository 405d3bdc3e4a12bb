package tui

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"paygate/server/api"
)

// keys is the table of all keys, of which only a window is here: the server
// sorts, searches and pages.
type keys struct {
	m      *Model
	list   list
	pages  map[int][]api.KeyRow // by offset / pageKeys
	asked  map[int]bool
	total  int
	known  bool // a page has come
	sort   string
	desc   bool
	search string
	marked map[string]api.KeyRow
	fault  string
	fresh  time.Time // when the visible page was last asked for
	touch  time.Time // last press here
	epoch  int       // answers to older questions are dropped
	one    *oneKey
}

const (
	pageKeys     = 100
	keptKeyPages = 40
)

func newKeys(m *Model) *keys {
	k := &keys{m: m, sort: "dryIn", marked: map[string]api.KeyRow{}}
	k.list.ids = func(i int) string {
		if r := k.row(i); r != nil {
			return r.ID
		}
		return ""
	}
	k.reset()
	return k
}

func (k *keys) Name() string { return "Keys" }

// reset forgets the window: the order or the search has changed.
func (k *keys) reset() {
	k.pages, k.asked = map[int][]api.KeyRow{}, map[int]bool{}
	k.epoch++
}

// row is the key on line i; nil while it is not here.
func (k *keys) row(i int) *api.KeyRow {
	page := k.pages[i/pageKeys]
	if i < 0 || i%pageKeys >= len(page) {
		return nil
	}
	return &page[i%pageKeys]
}

func (k *keys) selected() (*api.KeyRow, bool) {
	if k.one != nil {
		return &k.one.row, true
	}
	r := k.row(max(k.list.cur, 0))
	return r, r != nil && k.list.cur >= 0
}

func (k *keys) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case shownMsg:
		return k.refresh()
	case beatMsg:
		now := k.m.now()
		if k.one != nil {
			return k.one.beat(now)
		}
		// Never under the hands of somebody who is reading: a table that
		// sorts itself away is worse than one that is five seconds old.
		if now.Sub(k.fresh) >= 5*time.Second && now.Sub(k.touch) >= 3*time.Second && len(k.m.dialogs) == 0 {
			return k.refresh()
		}
		return k.need()
	case wheelMsg:
		if k.one == nil {
			k.list.to(max(k.list.cur, 0) + msg.by)
			return k.need()
		}
		k.one.top = max(k.one.top+msg.by, 0)
	case rowHit:
		again := k.list.cur == msg.i
		k.list.to(msg.i)
		if again {
			return k.enter()
		}
	case headHit:
		return k.order(msg.sort)
	case openMsg:
		return k.openNamed(msg.id)
	}
	return nil
}

// order sorts by a column, or turns it round.
func (k *keys) order(by string) tea.Cmd {
	if k.sort == by {
		k.desc = !k.desc
	} else {
		k.sort, k.desc = by, by == "credits" || by == "burnPerHour" || by == "totalCalls" || by == "lastUsedAt"
	}
	k.reset()
	k.list.top = 0
	k.list.to(0)
	return k.refresh()
}

// refresh asks again for what is seen, keeping it on the screen meanwhile.
func (k *keys) refresh() tea.Cmd {
	k.fresh = k.m.now()
	first, last := k.visible()
	for p := range k.pages {
		if p < first-2 || p > last+2 {
			delete(k.pages, p)
		}
	}
	k.asked = map[int]bool{}
	k.epoch++
	var cmds []tea.Cmd
	for p := first; p <= last; p++ {
		cmds = append(cmds, k.fetch(p))
	}
	return tea.Batch(cmds...)
}

func (k *keys) visible() (first, last int) {
	rows := max(k.list.page, 24)
	return k.list.top / pageKeys, min(k.list.top+rows, max(k.total-1, 0)) / pageKeys
}

// need asks for the pages that are seen and not here.
func (k *keys) need() tea.Cmd {
	if k.fault != "" {
		return nil // refresh tries again, every few seconds
	}
	var cmds []tea.Cmd
	first, last := k.visible()
	for p := first; p <= last; p++ {
		if k.pages[p] == nil && !k.asked[p] && (k.total > 0 || !k.known) {
			cmds = append(cmds, k.fetch(p))
		}
	}
	return tea.Batch(cmds...)
}

func (k *keys) fetch(p int) tea.Cmd {
	k.asked[p] = true
	q := url.Values{"limit": {fmt.Sprint(pageKeys)}, "offset": {fmt.Sprint(p * pageKeys)}, "sortBy": {k.sort}, "order": {"asc"}, "spark": {"true"}}
	if k.desc {
		q.Set("order", "desc")
	}
	if k.search != "" {
		q.Set("search", k.search)
	}
	epoch := k.epoch
	return ask(k.m, "GET", "/keys?"+q.Encode(), nil, func(got api.KeyPage, err error) tea.Cmd {
		if epoch != k.epoch {
			return nil
		}
		delete(k.asked, p)
		if err != nil {
			k.fault = err.Error()
			return nil
		}
		k.fault, k.known, k.total = "", true, got.Total
		if len(k.pages) > keptKeyPages {
			clear(k.pages)
		}
		k.pages[p] = got.Keys
		for i := range got.Keys {
			if _, ok := k.marked[got.Keys[i].ID]; ok {
				k.marked[got.Keys[i].ID] = got.Keys[i]
			}
		}
		k.stay()
		return nil
	})
}

// stay keeps the cursor on its key when that is still in sight, and else on
// its line: a key may have moved far away.
func (k *keys) stay() {
	id := k.list.id
	k.list.n = k.total
	if id != "" && k.list.ids(k.list.cur) != id {
		for i := max(k.list.top-pageKeys, 0); i < min(k.list.top+2*pageKeys, k.total); i++ {
			if k.list.ids(i) == id {
				k.list.top += i - k.list.cur
				k.list.cur = i
				break
			}
		}
	}
	if k.list.cur < 0 && k.total > 0 {
		k.list.cur = 0
	}
	k.list.clamp()
	if k.list.cur >= 0 {
		k.list.id = k.list.ids(k.list.cur)
	}
}

func (k *keys) moved() tea.Cmd {
	k.touch = k.m.now()
	return k.need()
}

// targets are the marked keys, or the one under the cursor.
func (k *keys) targets() []api.KeyRow {
	if k.one != nil {
		return []api.KeyRow{k.one.row}
	}
	if len(k.marked) > 0 {
		var out []api.KeyRow
		for _, r := range k.marked {
			out = append(out, r)
		}
		sortKeys(out)
		return out
	}
	if r, ok := k.selected(); ok {
		return []api.KeyRow{*r}
	}
	return nil
}

func (k *keys) enter() tea.Cmd {
	r, ok := k.selected()
	if !ok || k.one != nil {
		return nil
	}
	return k.openKey(*r)
}

func (k *keys) openKey(r api.KeyRow) tea.Cmd {
	k.one = &oneKey{keys: k, m: k.m, row: r}
	return k.one.fetch()
}

// openNamed finds a key by id or name and shows it.
func (k *keys) openNamed(name string) tea.Cmd {
	return k.m.findKey(name, func(r api.KeyRow) tea.Cmd { return k.openKey(r) })
}

// after sees a change at once.
func (k *keys) after() tea.Cmd {
	if k.one != nil {
		return tea.Batch(k.one.fetch(), k.refresh())
	}
	return k.refresh()
}

func (k *keys) Keys() []key {
	some := func(do func([]api.KeyRow) tea.Cmd) func(string) tea.Cmd {
		return func(string) tea.Cmd {
			k.touch = k.m.now()
			if t := k.targets(); len(t) > 0 {
				return do(t)
			}
			k.m.say("there is no key here; n makes one")
			return nil
		}
	}
	all := []key{
		{on: "enter", label: "open", help: "balance, limits and history of the key", do: func(string) tea.Cmd { return k.enter() }},
		{on: "n", label: "new", help: "make a key; its secret is shown once", acts: true, do: func(string) tea.Cmd { return k.create("") }},
		{on: "t", label: "top up", acts: true, do: some(k.topUp)},
		{on: "s", label: "suspend", help: "suspend, or resume", acts: true, do: some(k.suspend)},
		{on: "/", label: "find", help: "search by name, alias, id or prefix", do: func(string) tea.Cmd { return k.find() }},
		{on: "o", label: "sort", help: "sort by the next column; O turns the order round", do: func(string) tea.Cmd { return k.nextOrder() }},
		{on: "K", label: "revoke", help: "revoke for good; asks for its name", acts: true, do: some(k.revoke)},
		{on: "l", label: "limits", help: "spending limit and quotas", acts: true, do: some(k.limits)},
		{on: "P", label: "plan", help: "plan of the price sheet, and group", acts: true, do: some(k.standing)},
		{on: "a", label: "tools", help: "which tools the key may call", acts: true, do: some(k.access)},
		{on: "R", label: "rotate", help: "a new secret; the old one ends after a grace period", acts: true, do: some(k.rotate)},
		{on: "T", help: "tags", acts: true, do: some(k.tags)},
		{on: "O", do: func(string) tea.Cmd { return k.order(k.sort) }},
		{on: "space", help: "mark; actions then take all that are marked", do: func(string) tea.Cmd { return k.mark() }},
		{on: "c", help: "the calls of this key", do: some(func(t []api.KeyRow) tea.Cmd { return k.m.command("calls ~k " + filterWord(t[0].ID)) })},
		{on: "y", help: "copy the key's id", do: some(func(t []api.KeyRow) tea.Cmd { return k.m.copy(joinIDs(t), "") })},
		{on: "esc", help: "back, then unmark all, then show all keys", do: func(string) tea.Cmd { return k.out() }},
	}
	if k.one != nil {
		var here []key
		for _, x := range all {
			switch x.on {
			case "enter", "/", "o", "O", "space", "n":
			default:
				here = append(here, x)
			}
		}
		here[len(here)-1].label = "back"
		all = append([]key{here[len(here)-1]}, here[:len(here)-1]...)
		return append(all, key{on: moveKeys, show: "j k", help: "scroll the history", do: func(press string) tea.Cmd { k.one.move(press); return nil }})
	}
	return append(all, moves(&k.list, k.moved))
}

func joinIDs(rows []api.KeyRow) string {
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return strings.Join(ids, "\n")
}

func (k *keys) out() tea.Cmd {
	switch {
	case k.one != nil:
		k.one = nil
		return k.refresh()
	case len(k.marked) > 0:
		clear(k.marked)
	case k.search != "":
		return k.searchFor("")
	}
	return nil
}

func (k *keys) mark() tea.Cmd {
	r, ok := k.selected()
	if !ok || k.one != nil {
		return nil
	}
	if _, is := k.marked[r.ID]; is {
		delete(k.marked, r.ID)
	} else {
		k.marked[r.ID] = *r
	}
	k.list.to(k.list.cur + 1)
	return k.moved()
}
