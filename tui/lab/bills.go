package lab

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"paygate/shadow/report"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// Bills shows how keys' bills change: a strip of all of them, each dot a few
// keys, and by name the ones that change most.
func Bills(a paint.Area, d *Data) []Key {
	if waiting(a, d) || same(a, d) {
		return nil
	}
	e := &d.Report.Exact
	y := 0
	if a.H >= 5 {
		y = strip(a, e.Keys)
	}
	muted := paint.In(paint.Muted)
	if len(e.Winners)+len(e.Losers) == 0 {
		a.Text(1, y, "No bill changes.", muted)
		return nil
	}
	sides := []struct {
		head string
		n    int
		rows []report.KeyRow
		tone paint.Tone
	}{{"pay less", e.Bills.Winners, e.Winners, paint.OK}, {"pay more", e.Bills.Losers, e.Losers, paint.Bad}}
	half := a.W / 2
	switch {
	case len(e.Winners) == 0:
		sides, half = sides[1:], a.W
	case len(e.Losers) == 0:
		sides, half = sides[:1], a.W
	}
	var keys []Key
	for i, side := range sides {
		s := a.Sub(i*half, y, half-1, a.H-y)
		count := "none by much" // by more than a twentieth and a dollar's worth; the rows are the most whatever that is
		if side.n > 0 {
			count = figure.Group(int64(side.n)) + " by much"
		}
		s.Spans(1, 0, paint.Span{S: side.head, St: paint.Strong()}, paint.Span{S: "  " + count, St: muted})
		for n := range min(len(side.rows), s.H-1) {
			k := &side.rows[n]
			billRow(s, 1+n, k, side.tone)
			key := Key{k.ID, k.Name, "bills", y + 1 + n, i * half, half - 1}
			if d.Key == "bills "+k.ID {
				s.Select(1 + n)
			}
			keys = append(keys, key)
		}
	}
	// The cursor goes down what pays more first: that is what one asks about.
	slices.SortStableFunc(keys, func(p, q Key) int { return cmp.Compare(q.X, p.X) })
	return keys
}

func billRow(a paint.Area, y int, k *report.KeyRow, tone paint.Tone) {
	name := max(min(22, a.W-20), 6)
	a.Fit(1, y, name, paint.CutMiddle(paint.Clean(k.Name), name), paint.Style{})
	a.Right(1+name+10, y, 9, short(int64(k.Candidate-k.Live)), paint.In(tone))
	a.Right(1+name+18, y, 8, change(k), paint.In(tone))
	if room := a.W - name - 21; room >= 6 && k.Tool != "" {
		a.Text(name+20, y, paint.CutTool(paint.Clean(k.Tool), room), paint.In(paint.Muted))
	}
}

// short is a change with its sign in eight cells.
func short(n int64) string {
	if n > 0 {
		return "+" + figure.Short(n, 7)
	}
	return figure.Short(n, 8)
}

func change(k *report.KeyRow) string {
	if k.Live <= 0 {
		return "new"
	}
	return percent(float64(k.Candidate-k.Live) / float64(k.Live))
}

// strip draws how many bills change by how much, from −100 to +100 % and
// beyond, and gives the rows it took.
func strip(a paint.Area, rows []report.KeyRow) int {
	const side = 20 // cells to either side of no change
	n := min(side, (a.W-24)/2)
	if n < 5 {
		return 0
	}
	counts := make([]int, 4*n+2) // two columns of dots a cell; the middle one is "as before"
	for i := range rows {
		k := &rows[i]
		if k.Live == 0 && k.Candidate == 0 {
			continue
		}
		share := 1.0
		if k.Live > 0 {
			share = min(max(float64(k.Candidate-k.Live)/float64(k.Live), -1), 1)
		}
		counts[min(max(2*n+int(math.Round(share*float64(2*n))), 0), len(counts)-1)]++
	}
	top := slices.Max(counts)
	muted := paint.In(paint.Muted)
	a.Right(8, 0, 7, "−100 %", muted)
	for x := range 2*n + 1 {
		tone := paint.OK
		switch {
		case x > n:
			tone = paint.Bad
		case x == n:
			tone = paint.Muted
		}
		if g := pile(counts[2*x], counts[2*x+1], top, a.ASCII()); g != "" {
			a.Text(9+x, 0, g, paint.In(tone))
		} else if x == n {
			a.Text(9+x, 0, "│", muted)
		}
	}
	a.Text(9+2*n+2, 0, "+100 %", muted)
	if top > 0 && a.W > 9+2*n+28 {
		a.Text(9+2*n+10, 0, fmt.Sprintf("highest: %s", keysWord(top)), muted)
	}
	return 1
}

func keysWord(n int) string {
	if n == 1 {
		return "1 key"
	}
	return figure.Group(int64(n)) + " keys"
}

// pile is two columns of up to four dots.
func pile(left, right, top int, ascii bool) string {
	level := func(n int) int {
		if n == 0 || top == 0 {
			return 0
		}
		return max(int(math.Round(float64(n)/float64(top)*4)), 1)
	}
	l, r := level(left), level(right)
	if l+r == 0 {
		return ""
	}
	if ascii {
		return string(".:=#"[max(l, r)-1])
	}
	bits := 0
	for i, b := range [4]int{0x40, 0x04, 0x02, 0x01} {
		if l > i {
			bits |= b
		}
	}
	for i, b := range [4]int{0x80, 0x20, 0x10, 0x08} {
		if r > i {
			bits |= b
		}
	}
	return string(rune(0x2800 + bits))
}
