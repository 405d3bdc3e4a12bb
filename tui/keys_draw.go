package tui

import (
	"sort"
	"time"

	"paygate/server/api"
	"paygate/tui/chart"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

func sortKeys(rows []api.KeyRow) {
	sort.Slice(rows, func(i, j int) bool {
		return rows[i].Name < rows[j].Name || rows[i].Name == rows[j].Name && rows[i].ID < rows[j].ID
	})
}

func (k *keys) cols(w int) []col {
	cols := []col{
		{title: "", width: 1}, {title: "NAME", width: 20, max: 56, sort: "name"}, {title: "KEY", width: 10, rank: 3}, {title: "STATE", width: 9},
		{title: "CREDITS", width: 11, right: true, sort: "credits"}, {title: "/HOUR", width: 7, right: true, sort: "burnPerHour", rank: 1},
		{title: "DRY IN", width: 7, right: true, sort: "dryIn"}, {title: "USED", width: 5, right: true, sort: "lastUsedAt", rank: 2},
	}
	if w >= 100 {
		cols = append(cols, col{title: "CALLS", width: 9, right: true, sort: "totalCalls", rank: 4}, col{title: "PLAN", width: 6, max: 12, rank: 7}, col{title: "EXPIRES", width: 7, right: true, rank: 6}, col{title: "LAST 24 H", width: 24, rank: 5})
	}
	return cols
}

// state is how a key stands, in a word and a tone.
func state(r *api.KeyRow) (string, paint.Tone) {
	switch {
	case !r.Active:
		return "revoked", paint.Muted
	case r.Suspended:
		return "suspended", paint.Warn
	case r.Expired:
		return "expired", paint.Muted
	case r.Credits <= 0:
		return "empty", paint.Bad
	}
	return "active", paint.Text
}

func ago(t *time.Time, now time.Time) string {
	if t == nil || t.IsZero() {
		return "–"
	}
	return figure.Span(now.Sub(*t))
}

func (k *keys) Draw(a paint.Area) {
	if k.one != nil {
		k.one.Draw(a)
		return
	}
	if k.known && k.total == 0 {
		if k.search != "" {
			drawHint(a, "No key matches  "+k.search, nil, "", [][2]string{{"/", "searches for something else"}, {"esc", "shows all keys"}})
			return
		}
		drawHint(a, "No keys yet.", []string{"A key is what an agent sends in X-API-Key; it holds credits."}, "paygate keys create --name first --credits 100", [][2]string{{"n", "makes one"}})
		return
	}
	if !k.known {
		if k.fault != "" {
			a.Text(1, 1, "The keys could not be read.", paint.Bold(paint.Bad))
			for i, l := range paint.Wrap(k.fault, a.W-2) {
				a.Text(1, 3+i, l, paint.Style{})
			}
			return
		}
		a.Text(1, 1, "asking …", paint.In(paint.Muted))
		return
	}
	ps := layout(k.cols(a.W), a.W)
	heads(a, ps, k.sort, k.desc)
	body := a.From(1)
	k.list.n = k.total
	from, to := k.list.window(body.H)
	for i := from; i < to; i++ {
		y := i - from
		if r := k.row(i); r != nil {
			k.drawRow(body, ps, y, r)
		} else {
			body.Text(ps[1].x, y, "…", paint.In(paint.Muted))
		}
		if i == k.list.cur {
			body.Select(y)
		}
		body.Zone(0, y, body.W, 1, rowHit{i})
	}
}

func (k *keys) drawRow(a paint.Area, ps []place, y int, r *api.KeyRow) {
	now := k.m.now()
	word, tone := state(r)
	for _, p := range ps {
		switch p.i {
		case 0:
			if _, ok := k.marked[r.ID]; ok {
				a.Text(p.x, y, "●", paint.In(paint.Accent))
			}
		case 1:
			put(a, p, y, paint.CutMiddle(paint.Clean(r.Name), p.w), paint.Style{})
		case 2:
			put(a, p, y, mask(r), paint.In(paint.Muted))
		case 3:
			put(a, p, y, word, paint.In(tone))
		case 4:
			put(a, p, y, figure.Short(r.Credits, p.w), paint.Style{})
		case 5:
			put(a, p, y, figure.Rate(r.BurnPerHour), paint.Style{})
		case 6:
			dry := paint.In(dryTone(r.DryInSeconds))
			text := figure.Dry(r.DryInSeconds)
			if r.Credits <= 0 {
				text, dry = "now", paint.In(paint.Bad)
			}
			put(a, p, y, text, dry)
		case 7:
			put(a, p, y, ago(r.LastUsedAt, now), paint.In(paint.Muted))
		case 8:
			put(a, p, y, figure.Short(r.TotalCalls, p.w), paint.Style{})
		case 9:
			put(a, p, y, or(r.Plan, "–"), paint.In(paint.Muted))
		case 10:
			text := "–"
			if r.ExpiresAt != nil {
				text = figure.Span(r.ExpiresAt.Sub(now))
			}
			put(a, p, y, text, paint.In(paint.Muted))
		case 11:
			// Muted: in the accent it was a wall of blue.
			put(a, p, y, chart.Spark(r.Spark, p.w, a.ASCII()), paint.In(paint.Muted))
		}
	}
}

// mask is the part of a secret that may be seen.
func mask(r *api.KeyRow) string {
	return paint.Cut(or(r.KeyPrefix, r.ID), 10)
}
