package report

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/journal"
)

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

func (p *Reports) requestRow(e *journal.Event) requestRow {
	c := e.Call
	r := requestRow{ID: e.Seq, RequestID: c.ID, At: c.At, Tool: c.Tool, Key: p.opts.Keys.Shown(c.Key), KeyID: c.Key, Status: "allowed", Outcome: c.Outcome.String(), Credits: int64(c.Charged), Duration: c.Took.Milliseconds()}
	if c.Outcome == pricing.Denied {
		r.Status = "denied"
	}
	if len(c.Findings) > 0 {
		r.Reason = Identifier(c.Findings[0])
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

func (p *Reports) requests(ctx context.Context, in requestsIn) (requestsOut, error) {
	return p.requestPage(ctx, in, int(in.Limit.Or(100, 1, 1000)))
}

func (p *Reports) requestPage(ctx context.Context, in requestsIn, limit int) (requestsOut, error) {
	out := requestsOut{Requests: []requestRow{}, Limit: limit, Offset: int(in.Offset.Or(0, 0, mostScanned))}
	since, until := api.DateOr(in.Since, time.Time{}), api.DateOr(in.Until, time.Time{})
	id, _ := p.opts.Keys.Resolve(in.Key)
	took := time.Duration(0)
	if err := p.opts.Book.Flush(ctx); err != nil {
		return out, err
	}
	err := p.scanCalls(ctx, 0, func(e *journal.Event) bool {
		if e.Call.At.Before(since) {
			return false
		}
		r := p.requestRow(e)
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

func (p *Reports) exportRequests(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	in := requestsIn{Key: q.Get("key"), Tool: q.Get("tool"), Status: q.Get("status"), Since: q.Get("since"), Until: q.Get("until")}
	in.Limit.SetText(cmp.Or(q.Get("limit"), "1000"))
	out, err := p.requestPage(r.Context(), in, int(in.Limit.Or(1000, 1, 5000)))
	if err != nil {
		return err
	}
	if q.Get("format") != "csv" {
		return api.WriteJSON(w, r, http.StatusOK, map[string]any{"count": len(out.Requests), "limit": out.Limit, "offset": 0, "total": out.Total, "requests": out.Requests})
	}
	rows := [][]string{{"id", "timestamp", "requestId", "tool", "key", "status", "credits", "durationMs", "denyReason"}}
	for _, q := range out.Requests {
		rows = append(rows, []string{strconv.FormatUint(q.ID, 10), q.At.Format(time.RFC3339Nano), q.RequestID, q.Tool, q.Key, q.Status, strconv.FormatInt(q.Credits, 10), strconv.FormatInt(q.Duration, 10), q.Reason})
	}
	return api.WriteCSV(w, "requests", p.opts.Now(), rows)
}
