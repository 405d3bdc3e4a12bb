package report

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/journal"
)

// auditRow is one entry of the audit trail: an event of the journal. Calls are
// in it as gate.allow and gate.deny.
type auditRow struct {
	ID       uint64          `json:"id"`
	At       time.Time       `json:"timestamp"`
	Type     string          `json:"type"`
	Actor    string          `json:"actor"`
	Message  string          `json:"message"`
	Metadata json.RawMessage `json:"metadata"`
}

func (p *Reports) auditRow(e *journal.Event) auditRow {
	r := auditRow{ID: e.Seq, At: when(e), Type: e.Type, Actor: e.Actor, Metadata: e.Data}
	if c := e.Call; c != nil {
		r.Type, r.Actor = allowed, p.opts.Keys.Masked(c.Key)
		meta := map[string]any{"requestId": c.ID, "tool": c.Tool, "credits": c.Charged}
		if c.Outcome == pricing.Denied {
			r.Type = denied
			meta["errorCode"], meta["reason"] = -32402, strings.Join(c.Findings, ", ")
		}
		if text, err := json.Marshal(meta); err == nil { // texts and numbers: it always is
			r.Metadata = text
		}
		r.Message = r.Type + " " + c.Tool
		return r
	}
	if r.Metadata == nil {
		r.Metadata = json.RawMessage("{}")
	}
	r.Message = r.Type
	if name := p.opts.Keys.Name(e.Subject); name != "" {
		r.Message += " " + name
	}
	return r
}

// What calls are in the audit trail.
const (
	allowed = "gate.allow"
	denied  = "gate.deny"
)

type auditIn struct {
	Types  string     `query:"types"`
	Type   string     `query:"type"`
	Actor  string     `query:"actor"`
	Since  string     `query:"since"`
	Until  string     `query:"until"`
	Calls  string     `query:"calls"` // false: without calls
	Limit  api.Number `query:"limit"`
	Offset api.Number `query:"offset"`
}

type auditOut struct {
	Events []auditRow `json:"events"`
	Total  int        `json:"total"`
	Limit  int        `json:"limit"`
	Offset int        `json:"offset"`
	Oldest *time.Time `json:"oldestData"` // what was before is not kept
}

func (p *Reports) audit(ctx context.Context, in auditIn) (auditOut, error) {
	return p.auditPage(ctx, in, int(in.Limit.Or(100, 1, 1000)))
}

// auditPage pages through the trail. What it counts and leaves out it knows
// from segments; only what is on the page is read.
func (p *Reports) auditPage(ctx context.Context, in auditIn, limit int) (auditOut, error) {
	out := auditOut{Events: []auditRow{}, Limit: limit, Offset: int(in.Offset.Or(0, 0, math.MaxInt32)), Oldest: p.oldest()}
	w := window{api.DateOr(in.Since, time.Time{}), api.DateOr(in.Until, time.Time{})}
	types := strings.FieldsFunc(in.Types+","+in.Type, func(r rune) bool { return r == ',' || r == ' ' })
	wants := func(kind, actor string) bool {
		if len(types) > 0 && !slices.Contains(types, kind) || in.Calls == "false" && (kind == allowed || kind == denied) {
			return false
		}
		return in.Actor == "" || strings.Contains(actor, in.Actor)
	}
	if err := p.opts.Book.Flush(ctx); err != nil {
		return out, err
	}
	err := p.opts.Rollup.segments(ctx, w, func(s *segment) error {
		n := 0
		p.acts(s, func(kind, actor string, many int) {
			if wants(kind, actor) {
				n += many
			}
		})
		skip := max(0, out.Offset-out.Total)
		out.Total += n
		if n <= skip || len(out.Events) == limit {
			return nil
		}
		return p.opts.Rollup.events(ctx, s.First, s.Last, func(e *journal.Event) bool {
			if !w.has(when(e)) {
				return true
			}
			if r := p.auditRow(e); wants(r.Type, r.Actor) {
				if skip--; skip < 0 {
					out.Events = append(out.Events, r)
				}
			}
			return len(out.Events) < limit
		})
	})
	return out, err
}

// acts tells what a segment has of each type by each actor, calls among it.
func (p *Reports) acts(s *segment, fn func(kind, actor string, many int)) {
	for a, many := range s.Acts {
		fn(a.Type, a.Actor, many)
	}
	for at, u := range s.Use {
		actor := p.opts.Keys.Masked(at.Key)
		fn(allowed, actor, u.Allowed)
		fn(denied, actor, u.Denied)
	}
}

func (p *Reports) exportAudit(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	in := auditIn{Types: q.Get("types"), Since: q.Get("since"), Until: q.Get("until"), Calls: q.Get("calls")}
	in.Limit.SetText(q.Get("limit"))
	out, err := p.auditPage(r.Context(), in, int(in.Limit.Or(1000, 1, 5000)))
	if err != nil {
		return err
	}
	if q.Get("format") != "csv" {
		return api.WriteJSON(w, r, http.StatusOK, map[string]any{"count": len(out.Events), "events": out.Events, "limit": out.Limit, "offset": out.Offset, "total": out.Total})
	}
	rows := [][]string{{"id", "timestamp", "type", "actor", "message"}}
	for _, e := range out.Events {
		rows = append(rows, []string{strconv.FormatUint(e.ID, 10), e.At.Format(time.RFC3339Nano), e.Type, e.Actor, e.Message})
	}
	return api.WriteCSV(w, "audit", p.opts.Now(), rows)
}

type auditStatsOut struct {
	Total    int            `json:"totalEvents"`
	ByType   map[string]int `json:"eventsByType"`
	LastHour int            `json:"eventsLastHour"`
	LastDay  int            `json:"eventsLast24h"`
	Oldest   *time.Time     `json:"oldestEvent"`
	Newest   *time.Time     `json:"newestEvent"`
}

// auditStats counts what is kept, calls among it.
func (p *Reports) auditStats(ctx context.Context, _ api.None) (auditStatsOut, error) {
	if err := p.opts.Book.Flush(ctx); err != nil {
		return auditStatsOut{}, err
	}
	out, now := auditStatsOut{ByType: map[string]int{}, Oldest: p.oldest()}, p.opts.Now()
	err := p.opts.Rollup.segments(ctx, window{}, func(s *segment) error {
		out.Total += s.Events
		if out.Newest == nil || s.To.After(*out.Newest) {
			out.Newest = &s.To
		}
		p.acts(s, func(kind, _ string, many int) {
			if many > 0 {
				out.ByType[kind] += many
			}
		})
		return nil
	})
	for _, last := range []struct {
		d time.Duration
		n *int
	}{{time.Hour, &out.LastHour}, {24 * time.Hour, &out.LastDay}} {
		if err == nil {
			err = p.opts.Rollup.segments(ctx, window{since: now.Add(-last.d)}, func(s *segment) error {
				*last.n += s.Events
				return nil
			})
		}
	}
	return out, err
}

// auditEvents streams the audit trail as it grows. Last-Event-ID, or ?after=,
// goes on where an earlier stream ended.
func (p *Reports) auditEvents(w http.ResponseWriter, r *http.Request) error {
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		return api.BadRequest("This is an event stream: send Accept: text/event-stream")
	}
	types := strings.FieldsFunc(r.URL.Query().Get("types"), func(r rune) bool { return r == ',' })
	after := p.opts.Book.Journal().Last()
	for _, text := range []string{r.Header.Get("Last-Event-ID"), r.URL.Query().Get("after")} {
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			after = n
		}
	}
	out := api.OpenStream(w, r, p.opts.Ended)
	defer out.Close()
	out.Send("connected", "", map[string]any{"message": "Connected to the audit stream", "filters": map[string]any{"types": types}})
	for e, err := range p.opts.Book.Journal().TailErr(out.Context(), after) {
		if err != nil {
			return nil // the reader is gone
		}
		row := p.auditRow(e)
		if (len(types) == 0 || slices.Contains(types, row.Type)) && !out.Send("audit", strconv.FormatUint(e.Seq, 10), row) {
			return nil // the reader is gone
		}
	}
	return nil
}
