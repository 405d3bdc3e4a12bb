package lab

import (
	"fmt"
	"strings"
	"time"

	"paygate/shadow"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// Canary sets the keys that pay the new prices beside those that do not, with
// the guards that take the canary back by themselves.
func Canary(r *shadow.Rollout, now time.Time) Plot {
	title := fmt.Sprintf("canary of %s, %.3g %% of keys for %s", r.Canary.Name, r.Canary.Percent, figure.Span(now.Sub(r.Canary.Since)))
	if u := r.Canary.Until; u != nil {
		title += ", all in " + figure.Span(u.Sub(now))
	}
	return Plot{Name: "canary", Least: 4, Title: func(*Data) string { return title }, Draw: func(a paint.Area, _ *Data) []Key {
		arms(a, r)
		return nil
	}}
}

func arms(a paint.Area, r *shadow.Rollout) {
	muted := paint.In(paint.Muted)
	heads := [...]string{"", "KEYS", "CALLS", "FAILED", "P99 MS", "CHARGED"}
	const w = 11
	for i, h := range heads {
		a.Right(12+i*w, 0, w, h, paint.Strong())
	}
	for y, arm := range r.Arms {
		name := [2]string{"live", "canary"}[y]
		a.Text(1, 1+y, name, paint.Style{})
		failed := 0.0
		if arm.Calls > 0 {
			failed = float64(arm.Errors) / float64(arm.Calls)
		}
		for i, text := range []string{figure.Group(int64(arm.Keys)), figure.Group(int64(arm.Calls)), figure.Percent(failed), figure.Millis(arm.P99), figure.Short(int64(arm.Charged), w-1)} {
			a.Right(12+(i+1)*w, 1+y, w, text, paint.Style{})
		}
	}
	for i, g := range r.Guards {
		mark, tone := "✓", paint.OK
		if !g.Pass {
			mark, tone = "✗", paint.Bad
		}
		name := Words(g.Name)
		a.Text(1, 3+i, mark, paint.In(tone))
		a.Text(3, 3+i, name+strings.Repeat(" ", max(35-paint.Width(name), 1))+Value(g.Name, g.Value), paint.Style{})
		a.Text(48, 3+i, "back beyond "+Value(g.Name, g.Limit), muted)
	}
	if len(r.Guards) == 0 {
		a.Text(1, 3, "No guard says anything yet.", muted)
	}
}
