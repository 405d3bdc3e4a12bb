package server

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/server/api/filter"
	"paygate/server/upstream"
	"paygate/store/journal"
)

// live streams frames of what happens: each is whole, so that a reader that
// missed some is right again at the next.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	keep, err := filter.Parse(q.Get("filter"))
	if err != nil {
		s.front.fail(w, r, api.BadRequest("filter: %v", err))
		return
	}
	every := 250 * time.Millisecond
	if ms, err := strconv.Atoi(q.Get("every")); err == nil {
		every = time.Duration(min(max(ms, 100), 60_000)) * time.Millisecond
	}
	window := windowOf(q.Get("window"))
	out := s.stream(w, r)
	defer out.stop()
	tick := time.NewTicker(every)
	defer tick.Stop()
	seen := uint64(0)
	for {
		frame := s.frame(window, seen, keep, api.ActorOf(r.Context()))
		seen = frame.Seq
		if !out.send("frame", strconv.FormatUint(frame.Seq, 10), frame) {
			return
		}
		select {
		case <-tick.C:
		case <-out.ctx.Done():
			return
		}
	}
}

func windowOf(text string) time.Duration {
	switch text {
	case "1h":
		return time.Hour
	case "24h":
		return 24 * time.Hour
	case "14d":
		return 14 * 24 * time.Hour
	}
	return 5 * time.Minute
}

// mostLive is how many calls a frame shows.
const mostLive = 100

// frame is what there is to see now; calls above after are new.
func (s *Server) frame(window time.Duration, after uint64, keep *filter.Filter, actor api.Actor) api.Live {
	world := s.world.Load()
	f := api.Live{At: s.opts.Now().UTC(), Mode: modeName(world.Way.Observe), Demo: s.opts.Demo, Role: actor.Role.String(), Name: world.Config.Name,
		Version: s.opts.Version, Servers: s.serverList()}
	f.Overview, f.Seq = s.overview(window)
	for i := range f.Servers {
		s.busy(&f.Servers[i])
	}
	now := f.At
	for _, e := range s.follow.newest(after, mostRows) {
		if row := s.callRow(e); keep.Match(&row, now) {
			if f.Passed++; len(f.Calls) < mostLive {
				f.Calls = append(f.Calls, row)
			}
		}
	}
	f.Attention = s.attention(&f)
	return f
}

// newest gives the calls above after, newest first.
func (f *follow) newest(after uint64, most int) []*journal.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*journal.Event
	for i := len(f.rows) - 1; i >= 0 && f.rows[i].Seq > after && len(out) < most; i-- {
		out = append(out, f.rows[i])
	}
	return out
}

// callRow is a call in a list.
func (s *Server) callRow(e *journal.Event) api.CallRow {
	c := e.Call
	r := api.CallRow{ID: c.ID, Seq: e.Seq, At: c.At, KeyID: c.Key, Key: "–", Tool: c.Tool, Server: c.Server, Plan: c.Plan, Tags: c.Tags, IP: c.IP,
		Outcome: c.Outcome.String(), Would: c.Observed, Credits: due(c), TookMs: ms(c.Took), GateMs: ms(c.Gate), In: c.In, Out: c.Out, Cached: c.Cached}
	if c.Key != "" {
		r.Key = s.keys.Name(c.Key)
	}
	switch {
	case len(c.Findings) > 0:
		r.Reason = identifier(c.Findings[0])
	case c.Outcome == pricing.Failed || c.Outcome == pricing.Lost:
		r.Reason = c.Class
	}
	return r
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// overview sums one window, and says up to where it has seen.
func (s *Server) overview(window time.Duration) (api.Overview, uint64) {
	totals := s.book.Totals()
	all, _ := s.keys.Count()
	o := api.Overview{InFlight: totals.Open, Sessions: s.endpoint.Sessions(), Keys: all, Held: int64(totals.Held), Spendable: int64(totals.Spendable),
		UptimeSeconds: int64(s.opts.Now().Sub(s.started).Seconds()), Tools: []api.ToolRow{}, TopKeys: []api.BurnRow{}, Denied: []api.ReasonRow{}}
	s.follow.mu.Lock()
	defer s.follow.mu.Unlock()
	f := s.follow
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
	s.rank(&o, sum, min(time.Duration(o.WindowSeconds)*time.Second, f.now().Sub(s.started)))
	return o, f.seq
}

// busy adds what the tools of a server did in the last minute.
func (s *Server) busy(row *api.Server) {
	s.follow.mu.Lock()
	defer s.follow.mu.Unlock()
	var calls, failed int64
	fine := s.follow.fine.window(s.follow.now())
	const minute = 12 // steps
	for _, b := range fine[len(fine)-minute:] {
		for name, t := range b.tools {
			if row.Prefix == "" || prefixed(name, row.Prefix, s.opts.Static.Separator) {
				calls += t.calls
				failed += t.failed
			}
		}
	}
	row.CallsPerSecond = float64(calls) / 60
	row.FailedShare = float64(failed) / float64(max(1, calls))
}

// steps are the finished steps of a window. Behind mu.
func (f *follow) steps(window time.Duration) ([]*sums, time.Duration) {
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

func (s *sums) merge(o *sums) {
	s.calls += o.calls
	s.failed += o.failed
	s.denied += o.denied
	s.credits += o.credits
	s.latency.merge(&o.latency)
	s.gate.merge(&o.gate)
	for name, t := range o.tools {
		to := s.tools[name]
		if to == nil {
			to = &toolSum{}
			s.tools[name] = to
		}
		to.calls += t.calls
		to.failed += t.failed
		to.credits += t.credits
		to.latency.merge(&t.latency)
	}
	for id, n := range o.keys {
		s.keys[id] += n
	}
	for reason, n := range o.reasons {
		s.reasons[reason] += n
	}
}

const mostRanked = 20

// rank lists the busiest tools, the dearest keys and the commonest reasons.
// Behind the follower's mu.
func (s *Server) rank(o *api.Overview, sum *sums, window time.Duration) {
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
		row := api.BurnRow{ID: id, Name: s.keys.Name(id), CreditsPerSecond: float64(sum.keys[id]) / seconds, Credits: int64(s.book.Key(id).Available), Last12h: s.follow.spark(id, 12)}
		if burn := s.follow.burn(id); burn > 0 {
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
func (s *Server) attention(f *api.Live) []api.Attention {
	var out []api.Attention
	for _, sv := range f.Servers {
		if sv.State == string(upstream.Down) || sv.State == string(upstream.Restarting) {
			out = append(out, api.Attention{Level: "bad", Text: cmp.Or(sv.Prefix, "the server") + " is down: " + sv.LastError, View: "servers", ID: sv.Prefix})
		}
	}
	if p := s.proofNow(); p.At != nil && !p.OK {
		out = append(out, api.Attention{Level: "bad", Text: "the books do not add up; see the proof", View: "ledger"})
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
