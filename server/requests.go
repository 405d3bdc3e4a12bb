package server

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
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

// mostScanned bounds how many events one answer reads.
const mostScanned = 200_000

// scanCalls goes back through the calls until fn returns false.
func (s *Server) scanCalls(ctx context.Context, before uint64, fn func(e *journal.Event) bool) error {
	seen := 0
	return s.book.Journal().Scan(ctx.Done(), before, func(e *journal.Event) bool {
		seen++
		return (e.Call == nil || fn(e)) && seen < mostScanned
	})
}

// shownKey is a key as request logs show it: masked.
func (s *Server) shownKey(id string) string {
	if k := s.keys.Get(id); k != nil {
		return k.Prefix[:min(7, len(k.Prefix))] + "..." + k.Last4
	}
	return "***"
}

type requestRow struct {
	ID        uint64    `json:"id"`
	RequestID string    `json:"requestId"`
	At        time.Time `json:"timestamp"`
	Tool      string    `json:"tool"`
	Key       string    `json:"key"`
	KeyID     string    `json:"keyId,omitempty"`
	Status    string    `json:"status"` // allowed or denied, as clients know it
	Outcome   string    `json:"outcome"`
	Credits   int64     `json:"credits"`
	Duration  int64     `json:"durationMs"`
	Reason    string    `json:"denyReason,omitempty"`
}

func (s *Server) requestRow(e *journal.Event) requestRow {
	c := e.Call
	r := requestRow{ID: e.Seq, RequestID: c.ID, At: c.At, Tool: c.Tool, Key: s.shownKey(c.Key), KeyID: c.Key, Status: "allowed", Outcome: c.Outcome.String(), Credits: int64(c.Charged), Duration: c.Took.Milliseconds()}
	if c.Outcome == pricing.Denied {
		r.Status = "denied"
	}
	if len(c.Findings) > 0 {
		r.Reason = identifier(c.Findings[0])
	}
	return r
}

type requestsIn struct {
	Key    string     `query:"key"`
	Tool   string     `query:"tool"`
	Status string     `query:"status"`
	Since  string     `query:"since"`
	Until  string     `query:"until"`
	Limit  api.Number `query:"limit"`
	Offset api.Number `query:"offset"`
}

type requestSummary struct {
	Allowed  int   `json:"totalAllowed"`
	Denied   int   `json:"totalDenied"`
	Credits  int64 `json:"totalCredits"`
	Duration int64 `json:"avgDurationMs"`
}

type requestsOut struct {
	Requests []requestRow   `json:"requests"`
	Total    int            `json:"total"`
	Limit    int            `json:"limit"`
	Offset   int            `json:"offset"`
	Summary  requestSummary `json:"summary"`
}

func (s *Server) requests(ctx context.Context, in requestsIn) (requestsOut, error) {
	return s.requestPage(ctx, in, int(in.Limit.Or(100, 1, 1000)))
}

func (s *Server) requestPage(ctx context.Context, in requestsIn, limit int) (requestsOut, error) {
	out := requestsOut{Requests: []requestRow{}, Limit: limit, Offset: int(in.Offset.Or(0, 0, mostScanned))}
	since, until := dateOr(in.Since, time.Time{}), dateOr(in.Until, time.Time{})
	id, _ := s.keys.Resolve(in.Key)
	took := time.Duration(0)
	if err := s.book.Flush(ctx); err != nil {
		return out, err
	}
	err := s.scanCalls(ctx, 0, func(e *journal.Event) bool {
		if e.Call.At.Before(since) {
			return false
		}
		r := s.requestRow(e)
		if in.Key != "" && r.KeyID != id && !strings.Contains(r.Key, in.Key) || in.Tool != "" && r.Tool != in.Tool || in.Status != "" && r.Status != in.Status || !until.IsZero() && r.At.After(until) {
			return true
		}
		if r.Status == "allowed" {
			out.Summary.Allowed++
		} else {
			out.Summary.Denied++
		}
		out.Summary.Credits += r.Credits
		took += e.Call.Took
		if out.Total >= out.Offset && len(out.Requests) < limit {
			out.Requests = append(out.Requests, r)
		}
		out.Total++
		return true
	})
	if out.Total > 0 {
		out.Summary.Duration = (took / time.Duration(out.Total)).Milliseconds()
	}
	return out, err
}

// dateOr reads a date; one that cannot be read is the default.
func dateOr(text string, def time.Time) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC()
		}
	}
	return def
}

func (s *Server) exportRequests(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	in := requestsIn{Key: q.Get("key"), Tool: q.Get("tool"), Status: q.Get("status"), Since: q.Get("since"), Until: q.Get("until")}
	in.Limit.SetText(cmp.Or(q.Get("limit"), "1000"))
	out, err := s.requestPage(r.Context(), in, int(in.Limit.Or(1000, 1, 5000)))
	if err != nil {
		s.front.fail(w, r, err)
		return
	}
	if q.Get("format") != "csv" {
		s.front.json(w, r, http.StatusOK, map[string]any{"count": len(out.Requests), "limit": out.Limit, "offset": 0, "total": out.Total, "requests": out.Requests})
		return
	}
	rows := [][]string{{"id", "timestamp", "requestId", "tool", "key", "status", "credits", "durationMs", "denyReason"}}
	for _, q := range out.Requests {
		rows = append(rows, []string{strconv.FormatUint(q.ID, 10), q.At.Format(time.RFC3339Nano), q.RequestID, q.Tool, q.Key, q.Status, strconv.FormatInt(q.Credits, 10), strconv.FormatInt(q.Duration, 10), q.Reason})
	}
	s.writeCSV(w, r, "requests", rows)
}

// writeCSV writes a table that a spreadsheet can open: cells that would be read
// as formulas are defused.
func (s *Server) writeCSV(w http.ResponseWriter, r *http.Request, name string, rows [][]string) {
	var b bytes.Buffer
	out := csv.NewWriter(&b)
	for _, row := range rows {
		for i, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) && i > 0 {
				if _, err := strconv.ParseFloat(cell, 64); err != nil {
					row[i] = "'" + cell
				}
			}
		}
		if err := out.Write(row); err != nil {
			s.front.fail(w, r, err)
			return
		}
	}
	out.Flush()
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "paygate-"+name+"-"+s.opts.Now().UTC().Format(time.DateOnly)+".csv"))
	_, _ = w.Write(b.Bytes())
}

type usageEvent struct {
	At        time.Time `json:"timestamp"`
	Key       string    `json:"apiKey"`
	KeyName   string    `json:"keyName"`
	Tool      string    `json:"tool"`
	Credits   int64     `json:"creditsCharged"`
	Allowed   bool      `json:"allowed"`
	Reason    string    `json:"denyReason,omitempty"`
	Namespace string    `json:"namespace,omitempty"`
}

func (s *Server) usage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	since, events := dateOr(q.Get("since"), time.Time{}), []usageEvent{}
	err := s.book.Flush(r.Context())
	if err == nil {
		err = s.scanCalls(r.Context(), 0, func(e *journal.Event) bool {
			c := e.Call
			if c.At.Before(since) {
				return false
			}
			u := usageEvent{At: c.At, Tool: c.Tool, Credits: int64(c.Charged), Allowed: c.Outcome != pricing.Denied}
			if k := s.keys.Get(c.Key); k != nil {
				u.Key, u.KeyName, u.Namespace = k.Prefix, k.Name, k.Namespace
			}
			if len(c.Findings) > 0 {
				u.Reason = c.Findings[0]
			}
			if ns := q.Get("namespace"); ns == "" || u.Namespace == ns {
				events = append(events, u)
			}
			return true
		})
	}
	if err != nil {
		s.front.fail(w, r, err)
		return
	}
	slices.Reverse(events)
	if q.Get("format") != "csv" {
		sinceText := any("all")
		if !since.IsZero() {
			sinceText = since
		}
		s.front.json(w, r, http.StatusOK, map[string]any{"count": len(events), "events": events, "since": sinceText})
		return
	}
	rows := [][]string{{"timestamp", "apiKey", "keyName", "tool", "creditsCharged", "allowed", "denyReason", "namespace"}}
	for _, u := range events {
		rows = append(rows, []string{u.At.Format(time.RFC3339Nano), u.Key, u.KeyName, u.Tool, strconv.FormatInt(u.Credits, 10), strconv.FormatBool(u.Allowed), u.Reason, u.Namespace})
	}
	s.writeCSV(w, r, "usage", rows)
}
