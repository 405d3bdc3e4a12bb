package report

import (
	"cmp"
	"context"
	"math"
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
	r := requestRow{ID: e.Seq, RequestID: c.ID, At: c.At, Tool: c.Tool, Key: p.opts.Keys.Masked(c.Key), KeyID: c.Key, Status: statusOf(c), Outcome: c.Outcome.String(), Credits: int64(c.Charged), Duration: c.Took.Milliseconds()}
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
	Summary  requestSummary `json:"summary"`    // of all that match
	Oldest   *time.Time     `json:"oldestData"` // what was before is not kept
}

func (p *Reports) requests(ctx context.Context, in requestsIn) (requestsOut, error) {
	return p.requestPage(ctx, in, int(in.Limit.Or(100, 1, 1000)))
}

// requestPage pages through the log. What it counts and leaves out it knows
// from segments; only what is on the page is read.
func (p *Reports) requestPage(ctx context.Context, in requestsIn, limit int) (requestsOut, error) {
	out := requestsOut{Requests: []requestRow{}, Limit: limit, Offset: int(in.Offset.Or(0, 0, math.MaxInt32)), Oldest: p.oldest()}
	w := window{api.DateOr(in.Since, time.Time{}), api.DateOr(in.Until, time.Time{})}
	if err := p.opts.Book.Flush(ctx); err != nil {
		return out, err
	}
	f, took := p.requestFilter(in), time.Duration(0)
	err := p.opts.Rollup.segments(ctx, w, func(s *segment) error {
		n, lasted := f.sum(s, &out.Summary)
		took += lasted
		skip := max(0, out.Offset-out.Total)
		out.Total += n
		if n <= skip || len(out.Requests) == limit {
			return nil
		}
		return p.opts.Rollup.events(ctx, s.First, s.Last, func(e *journal.Event) bool {
			if e.Call == nil || !w.has(e.Call.At) || !f.keeps(e.Call) {
				return true
			}
			if skip--; skip < 0 {
				out.Requests = append(out.Requests, p.requestRow(e))
			}
			return len(out.Requests) < limit
		})
	})
	if out.Total > 0 {
		out.Summary.Duration = (took / time.Duration(out.Total)).Milliseconds()
	}
	return out, err
}

// requestFilter says which calls a log shows.
type requestFilter struct {
	key          func(id string) bool
	tool, status string
}

// requestFilter takes a key's secret, alias or id, or a part of its mask.
func (p *Reports) requestFilter(in requestsIn) *requestFilter {
	f := &requestFilter{tool: in.Tool, status: in.Status, key: func(string) bool { return true }}
	if in.Key == "" {
		return f
	}
	exact, _ := p.opts.Keys.Resolve(in.Key)
	known := map[string]bool{}
	f.key = func(id string) bool {
		is, ok := known[id]
		if !ok {
			is = exact != "" && id == exact || strings.Contains(p.opts.Keys.Masked(id), in.Key)
			known[id] = is
		}
		return is
	}
	return f
}

func (f *requestFilter) keeps(c *journal.Call) bool {
	return f.wants(c.Tool, c.Key) && (f.status == "" || f.status == statusOf(c))
}

func (f *requestFilter) wants(tool, key string) bool {
	return (f.tool == "" || f.tool == tool) && f.key(key)
}

// sum adds what a segment has of these calls, and says how many they are and
// how long they took together.
func (f *requestFilter) sum(s *segment, to *requestSummary) (n int, took time.Duration) {
	for at, u := range s.Use {
		if !f.wants(at.Tool, at.Key) {
			continue
		}
		if f.status == "" || f.status == "allowed" {
			n, took = n+u.Allowed, took+u.TookAllowed
			to.Allowed += u.Allowed
			to.Credits += u.Credits // denied calls cost nothing
		}
		if f.status == "" || f.status == "denied" {
			n, took = n+u.Denied, took+u.TookDenied
			to.Denied += u.Denied
		}
	}
	return n, took
}

// statusOf is allowed or denied, as clients know it.
func statusOf(c *journal.Call) string {
	if c.Outcome == pricing.Denied {
		return "denied"
	}
	return "allowed"
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
