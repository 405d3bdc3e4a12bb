package report

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/journal"
)

type usageEvent struct {
	ID        uint64    `json:"id"` // where a next page goes on, as ?after=
	At        time.Time `json:"timestamp"`
	Key       string    `json:"apiKey"`
	KeyName   string    `json:"keyName"`
	Tool      string    `json:"tool"`
	Credits   int64     `json:"creditsCharged"`
	Allowed   bool      `json:"allowed"`
	Reason    string    `json:"denyReason,omitempty"`
	Namespace string    `json:"namespace,omitempty"`
}

func (p *Reports) usageEvent(e *journal.Event) usageEvent {
	c := e.Call
	u := usageEvent{ID: e.Seq, At: c.At, Tool: c.Tool, Credits: int64(c.Charged), Allowed: c.Outcome != pricing.Denied}
	if k := p.opts.Keys.Get(c.Key); k != nil {
		u.Key, u.KeyName, u.Namespace = k.Prefix, k.Name, k.Namespace
	}
	if len(c.Findings) > 0 {
		u.Reason = c.Findings[0]
	}
	return u
}

type usageIn struct {
	since       time.Time
	namespace   string
	after, most uint64
}

// usage streams every call that is kept, oldest first: as many as there are, or
// pages of them with limit and after.
func (p *Reports) usage(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	var limit, after api.Number
	if limit.SetText(q.Get("limit")); !limit.Valid {
		limit = api.Number{}
	}
	after.SetText(q.Get("after"))
	in := usageIn{since: api.DateOr(q.Get("since"), time.Time{}), namespace: q.Get("namespace"),
		after: uint64(after.Or(0, 0, 1<<62)), most: uint64(limit.Or(math.MaxInt64, 1, math.MaxInt64))}
	if err := p.opts.Book.Flush(r.Context()); err != nil {
		return err
	}
	if q.Get("format") == "csv" {
		api.CSVHeader(w, "usage", p.opts.Now())
		return p.usageCSV(r.Context(), w, in)
	}
	w.Header().Set("Content-Type", "application/json")
	return p.usageJSON(r.Context(), w, in)
}

func (p *Reports) usageJSON(ctx context.Context, w io.Writer, in usageIn) error {
	out := bufio.NewWriterSize(w, 64<<10)
	_, _ = out.WriteString(`{"events":[`) // a Writer keeps its first error until Flush
	n, last := 0, uint64(0)
	err := p.eachCall(ctx, in, func(u usageEvent) error {
		text, err := json.Marshal(u)
		if err != nil {
			return err
		}
		if n++; n > 1 {
			_ = out.WriteByte(',')
		}
		last = u.ID
		_, err = out.Write(text)
		return err
	})
	broken(err)
	since := any("all")
	if !in.since.IsZero() {
		since = in.since
	}
	tail, err := json.Marshal(map[string]any{"count": n, "since": since, "next": last, "oldestData": p.oldest()})
	broken(err)
	_, _ = out.WriteString("],")
	_, _ = out.Write(tail[1:])
	broken(out.Flush())
	return nil
}

func (p *Reports) usageCSV(ctx context.Context, w io.Writer, in usageIn) error {
	out := csv.NewWriter(w)
	broken(out.Write([]string{"timestamp", "apiKey", "keyName", "tool", "creditsCharged", "allowed", "denyReason", "namespace"}))
	broken(p.eachCall(ctx, in, func(u usageEvent) error {
		return out.Write(api.SafeCells([]string{u.At.Format(time.RFC3339Nano), u.Key, u.KeyName, u.Tool, strconv.FormatInt(u.Credits, 10), strconv.FormatBool(u.Allowed), u.Reason, u.Namespace}))
	}))
	out.Flush()
	broken(out.Error())
	return nil
}

// broken ends an answer that has begun and cannot be finished, so that its
// reader does not take a part for the whole.
func broken(err error) {
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// eachCall gives the calls that are kept, oldest first. Nothing is held while
// fn writes to a slow reader.
func (p *Reports) eachCall(ctx context.Context, in usageIn, fn func(usageEvent) error) error {
	const page = 4096
	j := p.opts.Book.Journal()
	after, end := max(in.after, p.opts.Rollup.before(in.since)), j.Last()
	for in.most > 0 {
		events, err := j.Page(after, page)
		if err != nil {
			return fmt.Errorf("usage: %w", err)
		}
		for _, e := range events {
			if after = e.Seq; e.Seq > end || in.most == 0 {
				return nil
			}
			if e.Call == nil || e.Call.At.Before(in.since) {
				continue
			}
			if u := p.usageEvent(e); in.namespace == "" || u.Namespace == in.namespace {
				in.most--
				if err := fn(u); err != nil {
					return err
				}
			}
		}
		if len(events) < page {
			return ctx.Err()
		}
		if err := rest(ctx); err != nil {
			return err
		}
	}
	return nil
}
