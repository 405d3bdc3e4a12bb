package tui

import (
	"net/url"
	"sort"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"paygate/server/api"
	"paygate/tui/chart"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// oneKey is a key by itself: its balance over a week, its limits, its entries
// in the books.
type oneKey struct {
	keys    *keys
	m       *Model
	row     api.KeyRow
	use     api.KeyUse
	used    bool
	quota   quotaStatus
	rate    rateStatus
	history []api.LedgerRow
	read    bool
	fault   string
	fresh   time.Time
	top     int
}

// quotaStatus is the part of GET /keys/quota-status that is shown.
type quotaStatus struct {
	Daily struct {
		CallsUsed    int64 `json:"callsUsed"`
		CallsLimit   int64 `json:"callsLimit"`
		CreditsUsed  int64 `json:"creditsUsed"`
		CreditsLimit int64 `json:"creditsLimit"`
	} `json:"daily"`
	Monthly struct {
		CallsUsed    int64 `json:"callsUsed"`
		CallsLimit   int64 `json:"callsLimit"`
		CreditsUsed  int64 `json:"creditsUsed"`
		CreditsLimit int64 `json:"creditsLimit"`
	} `json:"monthly"`
}

// rateStatus is the part of GET /keys/rate-limit-status that is shown.
type rateStatus struct {
	Global struct {
		Limit int64 `json:"limit"`
		Used  int64 `json:"used"`
	} `json:"global"`
}

func (o *oneKey) beat(now time.Time) tea.Cmd {
	if now.Sub(o.fresh) < 2*time.Second || len(o.m.dialogs) > 0 {
		return nil
	}
	return o.fetch()
}

// fetch asks for all that is shown of the key.
func (o *oneKey) fetch() tea.Cmd {
	o.fresh = o.m.now()
	id := url.QueryEscape(o.row.ID)
	fail := func(err error) bool {
		if err != nil {
			o.fault = err.Error()
		}
		return err != nil
	}
	return tea.Batch(
		ask(o.m, "GET", "/keys?limit=1&offset=0&search="+id, nil, func(p api.KeyPage, err error) tea.Cmd {
			if !fail(err) && len(p.Keys) > 0 && p.Keys[0].ID == o.row.ID {
				o.row, o.fault = p.Keys[0], ""
			}
			return nil
		}),
		ask(o.m, "GET", "/admin/keys/use?hours=168&key="+id, nil, func(u api.KeyUse, err error) tea.Cmd {
			if !fail(err) {
				o.use, o.used = u, true
			}
			return nil
		}),
		ask(o.m, "GET", "/keys/quota-status?key="+id, nil, func(q quotaStatus, err error) tea.Cmd {
			if err == nil {
				o.quota = q
			}
			return nil
		}),
		ask(o.m, "GET", "/keys/rate-limit-status?key="+id, nil, func(r rateStatus, err error) tea.Cmd {
			if err == nil {
				o.rate = r
			}
			return nil
		}),
		ask(o.m, "GET", "/admin/ledger?limit=100&key="+id, nil, func(p api.LedgerPage, err error) tea.Cmd {
			if !fail(err) {
				o.history, o.read = p.Entries, true
			}
			return nil
		}))
}

func (o *oneKey) move(press string) {
	switch press {
	case "j", "down":
		o.top++
	case "k", "up":
		o.top--
	case "g", "home":
		o.top = 0
	case "G", "end":
		o.top = len(o.history)
	case "ctrl+d", "pgdown":
		o.top += 10
	case "ctrl+u", "pgup":
		o.top -= 10
	}
	o.top = max(min(o.top, len(o.history)-1), 0)
}

func (o *oneKey) Draw(a paint.Area) {
	r := &o.row
	word, tone := state(r)
	now := o.m.now()
	head := []paint.Span{{S: paint.CutMiddle(paint.Clean(r.Name), max(a.W-50, 16)), St: paint.Strong()}, {S: "  " + strings.TrimSuffix(mask(r), "…") + "…  ", St: paint.In(paint.Muted)}, {S: word, St: paint.In(tone)}}
	about := "  made " + figure.Span(now.Sub(r.CreatedAt)) + " ago · used " + ago(r.LastUsedAt, now)
	if r.ExpiresAt != nil {
		about += " · expires in " + figure.Span(r.ExpiresAt.Sub(now))
	}
	if r.Plan != "" {
		about += " · plan " + r.Plan
	}
	if r.Group != "" {
		about += " · group " + r.Group
	}
	about += tagWords(r.Tags)
	a.Spans(1, 0, append(head, paint.Span{S: about, St: paint.In(paint.Muted)})...)

	chartH := min(max(a.H/3, 5), 14)
	left := a.Sub(0, 2, a.W/2, chartH+1)
	o.drawBalance(left)
	o.drawLimits(a.Sub(a.W/2+1, 2, a.W-a.W/2-1, chartH+1))
	o.drawHistory(a.From(chartH + 4))
}

func tagWords(tags map[string]string) string {
	var names []string
	for k := range tags {
		names = append(names, k)
	}
	sort.Strings(names)
	out := ""
	for _, k := range names {
		out += " · " + k + "=" + tags[k]
	}
	return out
}

func (o *oneKey) drawBalance(a paint.Area) {
	r := &o.row
	muted := paint.In(paint.Muted)
	words := ", burns nothing"
	if r.BurnPerHour > 0 {
		words = "  burns " + figure.Rate(r.BurnPerHour) + "/h, dry in " + figure.Dry(r.DryInSeconds)
	}
	a.Spans(1, 0, paint.Span{S: "balance " + figure.Group(r.Credits), St: paint.Strong()}, paint.Span{S: words, St: muted})
	values := append(append([]float64(nil), o.use.Balance...), float64(r.Credits))
	oldest := "-7 d"
	if age := o.m.now().Sub(r.CreatedAt); age < 7*24*time.Hour && o.use.StepSeconds > 0 {
		// Before it was made there is nothing to show.
		steps := int(age/time.Second)/o.use.StepSeconds + 2
		values = values[max(len(values)-steps, 0):]
		oldest = "-" + figure.Span(age)
	}
	top := chart.Nice(chart.Top(values))
	plot := chart.Framed(a.From(1), chart.Axis{Top: figure.Short(int64(top), 6), Bottom: "0", Oldest: oldest, Newest: "now", Gutter: 6})
	if o.used {
		chart.Line(plot, values, top, paint.In(paint.Accent))
	}
}

func (o *oneKey) drawLimits(a paint.Area) {
	r := &o.row
	a.Text(0, 0, "limits", paint.Strong())
	y := 1
	gauge := func(name string, used, limit int64) {
		if limit <= 0 || y >= a.H {
			return
		}
		share := float64(used) / float64(limit)
		tone := paint.Accent
		if share >= 1 {
			tone = paint.Bad
		} else if share >= 0.8 {
			tone = paint.Warn
		}
		w := min(max(a.W-34, 8), 30)
		a.Fit(0, y, 12, name, paint.In(paint.Muted))
		a.Text(12, y, chart.Gauge(share, w), paint.In(tone))
		a.Text(13+w, y, figure.Short(used, 7)+" / "+figure.Short(limit, 9), paint.Style{})
		y++
	}
	gauge("rate/min", o.rate.Global.Used, o.rate.Global.Limit)
	gauge("calls/day", o.quota.Daily.CallsUsed, o.quota.Daily.CallsLimit)
	gauge("credits/day", o.quota.Daily.CreditsUsed, o.quota.Daily.CreditsLimit)
	gauge("calls/mo", o.quota.Monthly.CallsUsed, o.quota.Monthly.CallsLimit)
	gauge("credits/mo", o.quota.Monthly.CreditsUsed, o.quota.Monthly.CreditsLimit)
	gauge("lifetime", r.TotalSpent, r.SpendingLimit)
	if y == 1 {
		a.Text(0, y, "none; l sets some", paint.In(paint.Muted))
		y++
	}
	line := func(name, text string) {
		if text != "" && y < a.H {
			a.Fit(0, y, 12, name, paint.In(paint.Muted))
			a.Text(12, y, text, paint.Style{})
			y++
		}
	}
	line("tools", or(strings.Join(r.AllowedTools, " "), "all"))
	line("not", strings.Join(r.DeniedTools, " "))
	line("ip", strings.Join(r.IPAllowlist, " "))
	line("spent", figure.Group(r.TotalSpent)+" in "+figure.Group(r.TotalCalls)+" calls")
}

func (o *oneKey) drawHistory(a paint.Area) {
	a.Rule(0, paint.Span{S: "history", St: paint.Strong()}, paint.Span{S: "  newest first", St: paint.In(paint.Muted)})
	body := a.From(1)
	switch {
	case o.fault != "":
		for i, l := range paint.Wrap(o.fault, a.W-3) {
			body.Text(1, i, l, paint.In(paint.Bad))
		}
		return
	case !o.read:
		body.Text(1, 0, "asking …", paint.In(paint.Muted))
		return
	case len(o.history) == 0:
		body.Text(1, 0, "Nothing was booked yet: no call was charged, no credits were added.", paint.In(paint.Muted))
		return
	}
	o.top = max(min(o.top, len(o.history)-body.H), 0)
	account := "key:" + o.row.ID
	for y := range body.H {
		i := o.top + y
		if i >= len(o.history) {
			return
		}
		e := o.history[i]
		amount := e.Amount
		if e.From == account {
			amount = -amount
		}
		body.Text(1, y, when(e.At, o.m.now()), paint.In(paint.Muted))
		body.Fit(14, y, 11, e.Kind, paint.Style{})
		tone := paint.Text
		if amount > 0 {
			tone = paint.OK
		}
		body.Right(38, y, 12, figure.Signed(amount), paint.In(tone))
		body.Text(40, y, e.Ref, paint.In(paint.Muted))
	}
}

// when writes a time of today as a clock and an older one with its day.
func when(t, now time.Time) string {
	t = t.In(now.Location())
	if now.Sub(t) < 20*time.Hour && t.Day() == now.Day() {
		return figure.Clock(t)
	}
	return t.Format("2 Jan 15:04")
}
