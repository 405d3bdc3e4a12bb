package live

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"paygate/server/api"
	"paygate/server/api/filter"
	"paygate/server/keys"
	"paygate/server/report"
	"paygate/server/upstream"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// Options are what the feed shows beside what its follower has seen.
type Options struct {
	Follower  *Follower
	Reports   *report.Reports
	Book      *ledger.Book
	Keys      *keys.Directory
	Now       func() time.Time
	Started   time.Time
	Separator string          // between a server's prefix and a tool's name
	About     func() api.Live // name, version, mode and servers of now
	Sessions  func() int
	Proof     func() api.Proof
	Differs   func() int      // decisions in which the live prices' shadow differs from what happened
	Ended     <-chan struct{} // closed when event streams must end
}

// Feed streams what happens now.
type Feed struct {
	Options
}

// NewFeed makes a feed.
func NewFeed(o Options) *Feed { return &Feed{o} }

// Routes are the feed's operations.
func (d *Feed) Routes() []api.Route {
	return []api.Route{api.RawRoute("GET", "/admin/live", api.Viewer, "What happens now (server-sent events)", d.stream).As("text/event-stream").Reads("filter", "window", "every")}
}

// stream sends frames of what happens: each is whole, so that a reader that
// missed some is right again at the next.
func (d *Feed) stream(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	keep, err := filter.Parse(q.Get("filter"))
	if err != nil {
		return api.BadRequest("filter: %v", err)
	}
	every, err := everyOf(q.Get("every"))
	if err != nil {
		return err
	}
	window, err := windowOf(q.Get("window"))
	if err != nil {
		return err
	}
	out := api.OpenStream(w, r, d.Ended)
	defer out.Close()
	tick := time.NewTicker(every)
	defer tick.Stop()
	seen := uint64(0)
	for {
		frame := d.frame(window, seen, keep, api.ActorOf(r.Context()))
		seen = frame.Seq
		if !out.Send("frame", strconv.FormatUint(frame.Seq, 10), frame) {
			return nil
		}
		select {
		case <-tick.C:
		case <-out.Context().Done():
			return nil
		}
	}
}

// everyOf is the time between two frames, given in milliseconds.
func everyOf(text string) (time.Duration, error) {
	if text == "" {
		return 250 * time.Millisecond, nil
	}
	ms, err := strconv.Atoi(text)
	if err != nil || ms < 100 || ms > 60_000 {
		return 0, api.BadRequest("every=%s: milliseconds between two frames, from 100 to 60000", text)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// windowOf is the stretch of time that a frame sums, given in seconds.
func windowOf(text string) (time.Duration, error) {
	switch text {
	case "", "300":
		return 5 * time.Minute, nil
	case "3600":
		return time.Hour, nil
	case "86400":
		return 24 * time.Hour, nil
	case "1209600":
		return 14 * 24 * time.Hour, nil
	}
	return 0, api.BadRequest("window=%s: seconds, one of 300, 3600, 86400 and 1209600", text)
}

// mostLive is how many calls a frame shows.
const mostLive = 100

// frame is what there is to see now; calls above after are new.
func (d *Feed) frame(window time.Duration, after uint64, keep *filter.Filter, actor api.Actor) api.Live {
	f := d.About()
	f.At, f.Role = d.Now().UTC(), actor.Role.String()
	f.Overview, f.Seq = d.overview(window)
	if f.Demo { // its past is thinner than its present
		f.Overview.ChangePercent = nil
	}
	for i := range f.Servers {
		d.busy(&f.Servers[i])
	}
	now := f.At
	for _, e := range d.Follower.newest(after, mostRows) {
		if row := d.Reports.Row(e); keep.Match(&row, now) {
			if f.Passed++; len(f.Calls) < mostLive {
				f.Calls = append(f.Calls, row)
			}
		}
	}
	f.Attention = d.attention(&f)
	return f
}

// newest gives the calls above after, newest first.
func (f *Follower) newest(after uint64, most int) []*journal.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*journal.Event
	for i := len(f.rows) - 1; i >= 0 && f.rows[i].Seq > after && len(out) < most; i-- {
		out = append(out, f.rows[i])
	}
	return out
}

// overview sums one window, and says up to where it has seen.
func (d *Feed) overview(window time.Duration) (api.Overview, uint64) {
	totals := d.Book.Totals()
	all, _ := d.Keys.Count()
	o := api.Overview{InFlight: totals.Open, Sessions: d.Sessions(), Keys: all, Held: int64(totals.Held), Spendable: int64(totals.Spendable),
		UptimeSeconds: int64(d.Now().Sub(d.Started).Seconds()), Tools: []api.ToolRow{}, TopKeys: []api.BurnRow{}, Denied: []api.ReasonRow{}}
	d.Follower.mu.Lock()
	defer d.Follower.mu.Unlock()
	f := d.Follower
	steps, step := f.steps(window)
	sum := newSums()
	for _, b := range steps {
		seconds := step.Seconds()
		o.Calls = append(o.Calls, float64(b.calls)/seconds)
		o.Credits = append(o.Credits, float64(b.credits)/seconds)
		o.Latency = append(o.Latency, b.bands)
		sum.merge(b)
	}
	o.WindowSeconds, o.StepSeconds = len(steps)*int(step.Seconds()), int(step.Seconds())
	fine := f.fine.window(f.now())
	for _, b := range fine[len(fine)-2:] { // the last ten seconds
		o.CallsPerSecond += float64(b.calls) / 10
		o.CreditsPerSecond += float64(b.credits) / 10
	}
	o.P50, o.P95, o.P99, o.GateP50 = sum.latency.quantile(.5), sum.latency.quantile(.95), sum.latency.quantile(.99), sum.gate.quantile(.5)
	if sum.calls > 0 {
		o.FailedShare, o.DeniedShare = float64(sum.failed)/float64(sum.calls), float64(sum.denied)/float64(sum.calls)
	}
	o.KeysToday, o.CreditsToday = len(f.today.keys), f.today.credits
	o.HasCalls = !f.first.IsZero()
	known := f.now().Sub(d.Started)
	if known >= min(window, time.Hour) { // while it was not there nobody could call
		o.ChangePercent = f.change(window)
	}
	if !f.first.IsZero() {
		known = max(known, f.now().Sub(f.first))
	}
	d.rank(&o, sum, min(time.Duration(o.WindowSeconds)*time.Second, known))
	return o, f.seq
}

// busy adds what the tools of a server did in the last minute.
func (d *Feed) busy(row *api.Server) {
	d.Follower.mu.Lock()
	defer d.Follower.mu.Unlock()
	var calls, failed int64
	fine := d.Follower.fine.window(d.Follower.now())
	const minute = 12 // steps
	for _, b := range fine[len(fine)-minute:] {
		for name, t := range b.tools {
			if row.Prefix == "" || strings.HasPrefix(name, row.Prefix+d.Separator) {
				calls += t.calls
				failed += t.failed
			}
		}
	}
	row.CallsPerSecond = float64(calls) / 60
	row.FailedShare = float64(failed) / float64(max(1, calls))
}

// steps are the finished steps of a window. Behind mu.
func (f *Follower) steps(window time.Duration) ([]*sums, time.Duration) {
	now := f.now()
	switch {
	case window <= 5*time.Minute:
		return f.fine.window(now), f.fine.step
	case window <= time.Hour:
		return f.mid.window(now), f.mid.step
	case window <= 24*time.Hour:
		all := f.wide.window(now)
		return all[len(all)-24:], f.wide.step
	}
	return f.wide.window(now), f.wide.step
}

const mostRanked = 20

// rank lists the busiest tools, the dearest keys and the commonest reasons.
// Behind the follower's mu.
func (d *Feed) rank(o *api.Overview, sum *sums, window time.Duration) {
	seconds := max(1, window.Seconds())
	for name, t := range sum.tools {
		o.Tools = append(o.Tools, api.ToolRow{Tool: name, CallsPerSecond: float64(t.calls) / seconds, CreditsPerSecond: float64(t.credits) / seconds,
			P95: t.latency.quantile(.95), FailedShare: float64(t.failed) / float64(max(1, t.calls))})
	}
	slices.SortFunc(o.Tools, func(a, b api.ToolRow) int {
		return cmp.Or(cmp.Compare(b.CallsPerSecond, a.CallsPerSecond), cmp.Compare(a.Tool, b.Tool))
	})
	o.Tools = o.Tools[:min(len(o.Tools), mostRanked)]
	ids := make([]string, 0, len(sum.keys))
	for id := range sum.keys {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(sum.keys[b], sum.keys[a]), cmp.Compare(a, b)) })
	for _, id := range ids[:min(len(ids), mostRanked)] {
		row := api.BurnRow{ID: id, Name: d.Keys.Name(id), CreditsPerSecond: float64(sum.keys[id]) / seconds, Credits: int64(d.Book.Key(id).Available), Last12h: d.Follower.spark(id, 12)}
		if burn := d.Follower.burn(id); burn > 0 {
			dry := int64(float64(row.Credits) / burn * 3600)
			row.DryInSeconds = &dry
		}
		o.TopKeys = append(o.TopKeys, row)
	}
	for reason, n := range sum.reasons {
		o.Denied = append(o.Denied, api.ReasonRow{Reason: reason, Count: n, PerMinute: float64(n) / seconds * 60})
	}
	slices.SortFunc(o.Denied, func(a, b api.ReasonRow) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
}

// attention is what the owner should look at, worst first.
func (d *Feed) attention(f *api.Live) []api.Attention {
	var out []api.Attention
	for _, sv := range f.Servers {
		if sv.State == string(upstream.Down) || sv.State == string(upstream.Restarting) {
			out = append(out, api.Attention{Level: "bad", Text: cmp.Or(sv.Prefix, "the server") + " is down: " + sv.LastError, View: "servers", ID: sv.Prefix})
		}
	}
	if p := d.Proof(); p.At != nil && !p.OK {
		out = append(out, api.Attention{Level: "bad", Text: "the books do not add up; see the proof", View: "ledger"})
	}
	if n := d.Differs(); n > 0 {
		out = append(out, api.Attention{Level: "bad", Text: fmt.Sprintf("%d charges differ from what the live prices say; run paygate doctor", n), View: "lab"})
	}
	const soon = 3600
	for _, k := range f.Overview.TopKeys {
		if k.DryInSeconds != nil && *k.DryInSeconds < soon {
			text := k.Name + " runs dry in " + strconv.FormatInt(*k.DryInSeconds/60+1, 10) + " min"
			if k.Credits <= 0 {
				text = k.Name + " has no credits left"
			}
			out = append(out, api.Attention{Level: "warn", Text: text, View: "keys", ID: k.ID})
		}
	}
	return out
}
