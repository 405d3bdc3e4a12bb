package tui

import "paygate/tui/paint"

// col is one column of a table.
type col struct {
	title string
	width int  // at least
	max   int  // at most; 0: width
	right bool // numbers
	rank  int  // 0 stays; the highest drops first
	sort  string
}

// place is where a column stands.
type place struct {
	col
	x, w int
	i    int // its index among all columns
}

// layout fits columns into a width, after a margin of one cell for the
// cursor's mark: ranked columns drop until the rest fits, then the columns
// that can grow share what is left.
func layout(cols []col, width int) []place {
	var ps []place
	for i, c := range cols {
		ps = append(ps, place{col: c, w: c.width, i: i})
	}
	need := func() int {
		n := 1
		for _, p := range ps {
			n += p.w + 1
		}
		return n
	}
	for need() > width+1 {
		worst := -1
		for i, p := range ps {
			if p.rank > 0 && (worst < 0 || p.rank > ps[worst].rank) {
				worst = i
			}
		}
		if worst < 0 {
			break
		}
		ps = append(ps[:worst], ps[worst+1:]...)
	}
	for spare := width - need(); spare > 0; {
		grew := false
		for i := range ps {
			if spare > 0 && ps[i].w < ps[i].max {
				ps[i].w++
				spare--
				grew = true
			}
		}
		if !grew {
			break
		}
	}
	x := 1
	for i := range ps {
		ps[i].x = x
		x += ps[i].w + 1
	}
	return ps
}

// headHit is a press on a column's heading.
type headHit struct{ sort string }

// rowHit is a press on row i of the view's list.
type rowHit struct{ i int }

// heads draws the titles; the sorted one carries its direction.
func heads(a paint.Area, ps []place, sorted string, down bool) {
	for _, p := range ps {
		title := p.title
		if p.sort != "" && p.sort == sorted {
			if down {
				title += "▼"
			} else {
				title += "▲"
			}
		}
		if p.right {
			// The mark may stand in the gap at the left, not in the next column.
			a.Right(p.x+p.w, 0, p.w+1, title, paint.Strong())
		} else {
			a.Fit(p.x, 0, p.w, title, paint.Strong())
		}
		if p.sort != "" {
			a.Zone(p.x, 0, p.w, 1, headHit{p.sort})
		}
	}
}

// put writes one cell of a row.
func put(a paint.Area, p place, y int, s string, st paint.Style) {
	if p.right {
		a.Right(p.x+p.w, y, p.w, s, st)
		return
	}
	a.Fit(p.x, y, p.w, s, st)
}
