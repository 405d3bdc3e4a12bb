package report

import (
	"context"
	"encoding/json"
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
	r := auditRow{ID: e.Seq, At: e.At, Type: e.Type, Actor: e.Actor, Metadata: e.Data}
	if c := e.Call; c != nil {
		r.Type, r.Actor = "gate.allow", p.opts.Keys.Shown(c.Key)
		meta := map[string]any{"requestId": c.ID, "tool": c.Tool, "credits": c.Charged}
		if c.Outcome == pricing.Denied {
			r.Type = "gate.deny"
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

type auditIn struct {
	Types  string     `query:"types"`
	Type   string     `query:"type"`
	Actor  string     `query:"actor"`
	Since  string     `query:"since"`
	Until  string     `query:"until"`
	Limit  api.Number `query:"limit"`
	Offset api.Number `query:"offset"`
}

type auditOut struct {
	Events []auditRow `json:"events"`
	Total  int        `json:"total"`
	Limit  int        `json:"limit"`
	Offset int        `json:"offset"`
}

func (p *Reports) audit(ctx context.Context, in auditIn) (auditOut, error) {
	return p.auditPage(ctx, in, int(in.Limit.Or(100, 1, 1000)))
}

func (p *Reports) auditPage(ctx context.Context, in auditIn, limit int) (auditOut, error) {
	out := auditOut{Events: []auditRow{}, Limit: limit, Offset: int(in.Offset.Or(0, 0, mostScanned))}
	since, until := api.DateOr(in.Since, time.Time{}), api.DateOr(in.Until, time.Time{})
	types := strings.FieldsFunc(in.Types+","+in.Type, func(r rune) bool { return r == ',' || r == ' ' })
	if err := p.opts.Book.Flush(ctx); err != nil {
		return out, err
	}
	seen := 0
	err := p.opts.Book.Journal().Scan(ctx.Done(), 0, func(e *journal.Event) bool {
		if seen++; e.At.Before(since) || seen > mostScanned {
			return false
		}
		if e.Call != nil && len(types) == 0 || !until.IsZero() && e.At.After(until) { // calls only when asked for
			return true
		}
		r := p.auditRow(e)
		if len(types) > 0 && !slices.Contains(types, r.Type) || in.Actor != "" && !strings.Contains(r.Actor, in.Actor) {
			return true
		}
		if out.Total >= out.Offset && len(out.Events) < limit {
			out.Events = append(out.Events, r)
		}
		out.Total++
		return true
	})
	return out, err
}

func (p *Reports) exportAudit(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	in := auditIn{Types: q.Get("types"), Since: q.Get("since"), Until: q.Get("until")}
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

func (p *Reports) auditStats(ctx context.Context, _ api.None) (auditStatsOut, error) {
	out := auditStatsOut{ByType: map[string]int{}}
	now := p.opts.Now()
	seen := 0
	err := p.opts.Book.Journal().Scan(ctx.Done(), 0, func(e *journal.Event) bool {
		if seen++; seen > mostScanned {
			return false
		}
		if e.Call != nil {
			return true
		}
		at := e.At
		if out.Newest == nil {
			out.Newest = &at
		}
		out.Oldest = &at
		out.Total++
		out.ByType[e.Type]++
		if now.Sub(at) <= time.Hour {
			out.LastHour++
		}
		if now.Sub(at) <= 24*time.Hour {
			out.LastDay++
		}
		return true
	})
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
