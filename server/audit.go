package server

import (
	"context"
	"encoding/json"
	"fmt"
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

func (s *Server) auditRow(e *journal.Event) auditRow {
	r := auditRow{ID: e.Seq, At: e.At, Type: e.Type, Actor: e.Actor, Metadata: e.Data}
	if c := e.Call; c != nil {
		r.Type, r.Actor = "gate.allow", s.shownKey(c.Key)
		meta := map[string]any{"requestId": c.ID, "tool": c.Tool, "credits": c.Charged}
		if c.Outcome == pricing.Denied {
			r.Type = "gate.deny"
			meta["errorCode"], meta["reason"] = -32402, strings.Join(c.Findings, ", ")
		}
		r.Metadata = data(meta)
		r.Message = r.Type + " " + c.Tool
		return r
	}
	if r.Metadata == nil {
		r.Metadata = json.RawMessage("{}")
	}
	r.Message = r.Type
	if name := s.keys.Name(e.Subject); name != "" {
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

func (s *Server) audit(ctx context.Context, in auditIn) (auditOut, error) {
	return s.auditPage(ctx, in, int(in.Limit.Or(100, 1, 1000)))
}

func (s *Server) auditPage(ctx context.Context, in auditIn, limit int) (auditOut, error) {
	out := auditOut{Events: []auditRow{}, Limit: limit, Offset: int(in.Offset.Or(0, 0, mostScanned))}
	since, until := dateOr(in.Since, time.Time{}), dateOr(in.Until, time.Time{})
	types := strings.FieldsFunc(in.Types+","+in.Type, func(r rune) bool { return r == ',' || r == ' ' })
	if err := s.book.Flush(ctx); err != nil {
		return out, err
	}
	seen := 0
	err := s.book.Journal().Scan(ctx.Done(), 0, func(e *journal.Event) bool {
		if seen++; e.At.Before(since) || seen > mostScanned {
			return false
		}
		if e.Call != nil && len(types) == 0 || !until.IsZero() && e.At.After(until) { // calls only when asked for
			return true
		}
		r := s.auditRow(e)
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

func (s *Server) exportAudit(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	in := auditIn{Types: q.Get("types"), Since: q.Get("since"), Until: q.Get("until")}
	in.Limit.SetText(q.Get("limit"))
	out, err := s.auditPage(r.Context(), in, int(in.Limit.Or(1000, 1, 5000)))
	if err != nil {
		s.front.fail(w, r, err)
		return
	}
	if q.Get("format") != "csv" {
		s.front.json(w, r, http.StatusOK, map[string]any{"count": len(out.Events), "events": out.Events, "limit": out.Limit, "offset": out.Offset, "total": out.Total})
		return
	}
	rows := [][]string{{"id", "timestamp", "type", "actor", "message"}}
	for _, e := range out.Events {
		rows = append(rows, []string{strconv.FormatUint(e.ID, 10), e.At.Format(time.RFC3339Nano), e.Type, e.Actor, e.Message})
	}
	s.writeCSV(w, r, "audit", rows)
}

type auditStatsOut struct {
	Total    int            `json:"totalEvents"`
	ByType   map[string]int `json:"eventsByType"`
	LastHour int            `json:"eventsLastHour"`
	LastDay  int            `json:"eventsLast24h"`
	Oldest   *time.Time     `json:"oldestEvent"`
	Newest   *time.Time     `json:"newestEvent"`
}

func (s *Server) auditStats(ctx context.Context, _ api.None) (auditStatsOut, error) {
	out := auditStatsOut{ByType: map[string]int{}}
	now := s.opts.Now()
	seen := 0
	err := s.book.Journal().Scan(ctx.Done(), 0, func(e *journal.Event) bool {
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
func (s *Server) auditEvents(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		s.front.fail(w, r, api.BadRequest("This is an event stream: send Accept: text/event-stream"))
		return
	}
	types := strings.FieldsFunc(r.URL.Query().Get("types"), func(r rune) bool { return r == ',' })
	after := s.book.Journal().Last()
	for _, text := range []string{r.Header.Get("Last-Event-ID"), r.URL.Query().Get("after")} {
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			after = n
		}
	}
	out := s.stream(w, r)
	defer out.stop()
	out.send("connected", "", map[string]any{"message": "Connected to the audit stream", "filters": map[string]any{"types": types}})
	for e, err := range s.book.Journal().TailErr(out.ctx, after) {
		if err != nil {
			return
		}
		row := s.auditRow(e)
		if (len(types) == 0 || slices.Contains(types, row.Type)) && !out.send("audit", strconv.FormatUint(e.Seq, 10), row) {
			return
		}
	}
}

// events is an event stream to one reader. Sending fails once the reader is
// gone or too slow.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	ctx     context.Context
	cancel  context.CancelFunc
	server  *Server
	turn    chan struct{} // held while writing
	done    chan struct{}
}

const (
	keepAlive = 15 * time.Second
	slowest   = 10 * time.Second // how long a reader may take to accept an event
)

// stream begins an event stream and keeps it alive.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) *events {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	e := &events{w: w, control: http.NewResponseController(w), server: s, turn: make(chan struct{}, 1), done: make(chan struct{})}
	e.ctx, e.cancel = context.WithCancel(r.Context())
	go e.alive()
	return e
}

func (e *events) alive() {
	defer close(e.done)
	t := time.NewTicker(keepAlive)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if !e.write([]byte(": keep-alive\n\n")) {
				return
			}
		case <-e.server.ended:
			e.cancel()
			return
		case <-e.ctx.Done():
			return
		}
	}
}

func (e *events) send(name, id string, v any) bool {
	text, err := json.Marshal(v)
	if err != nil {
		return false
	}
	b := make([]byte, 0, len(text)+64)
	if id != "" {
		b = fmt.Appendf(b, "id: %s\n", id)
	}
	b = fmt.Appendf(b, "event: %s\ndata: %s\n\n", name, text)
	return e.write(b)
}

func (e *events) write(b []byte) bool {
	e.turn <- struct{}{}
	defer func() { <-e.turn }()
	_ = e.control.SetWriteDeadline(time.Now().Add(slowest)) // in process there is none
	if _, err := e.w.Write(b); err != nil {
		e.cancel()
		return false
	}
	_ = e.control.Flush()
	return e.ctx.Err() == nil
}

// stop ends the stream's own goroutine.
func (e *events) stop() {
	e.cancel()
	<-e.done
}
