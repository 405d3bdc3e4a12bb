package tui

import tea "charm.land/bubbletea/v2"

// list is a cursor over rows that have ids: the cursor belongs to an id and
// stays on it however the rows move. The rows themselves are the screen's.
type list struct {
	n    int
	cur  int // -1: nothing selected
	top  int
	page int // rows that were seen at the last drawing
	id   string
	ids  func(i int) string // "" when it is not known
}

// sync tells the list how many rows there are now and finds its id again.
func (l *list) sync(n int) {
	l.n = n
	if l.id != "" && l.ids != nil && (l.cur < 0 || l.cur >= n || l.ids(l.cur) != l.id) {
		for i := range min(n, 20000) {
			if l.ids(i) == l.id {
				l.top += i - l.cur
				l.cur = i
				break
			}
		}
	}
	l.clamp()
}

func (l *list) clamp() {
	l.cur = min(l.cur, l.n-1)
	if l.cur < 0 && l.n == 0 {
		l.cur = -1
	}
	if l.page > 0 {
		if l.cur >= 0 {
			l.top = min(l.top, l.cur)
			l.top = max(l.top, l.cur-l.page+1)
		}
		l.top = max(min(l.top, l.n-l.page), 0)
	}
}

// window says which rows to draw in h lines.
func (l *list) window(h int) (from, to int) {
	l.page = max(h, 1)
	l.clamp()
	return l.top, min(l.top+max(h, 0), l.n)
}

// to moves the cursor to row i.
func (l *list) to(i int) {
	if l.n == 0 {
		l.cur, l.id = -1, ""
		return
	}
	l.cur = min(max(i, 0), l.n-1)
	l.id = ""
	if l.ids != nil {
		l.id = l.ids(l.cur)
	}
	l.clamp()
}

// none takes the cursor away.
func (l *list) none() { l.cur, l.id, l.top = -1, "", 0 }

const moveKeys = "j k down up g G home end ctrl+d ctrl+u pgdown pgup"

// move does what a key of moveKeys means.
func (l *list) move(press string) {
	half := max(l.page/2, 1)
	switch press {
	case "j", "down":
		l.to(l.cur + 1)
	case "k", "up":
		l.to(max(l.cur, 1) - 1)
	case "g", "home":
		l.to(0)
	case "G", "end":
		l.to(l.n - 1)
	case "ctrl+d":
		l.to(max(l.cur, 0) + half)
	case "ctrl+u":
		l.to(max(l.cur, 0) - half)
	case "pgdown":
		l.to(max(l.cur, 0) + max(l.page-1, 1))
	case "pgup":
		l.to(max(l.cur, 0) - max(l.page-1, 1))
	}
}

// moves is the binding that moves a list; after runs when it has moved.
func moves(l *list, after func() tea.Cmd) key {
	return key{on: moveKeys, show: "j k g G", help: "move; ctrl+d and ctrl+u by half a page", do: func(press string) tea.Cmd {
		l.move(press)
		if after != nil {
			return after()
		}
		return nil
	}}
}
