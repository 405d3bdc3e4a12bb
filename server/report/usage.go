package report

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/journal"
)

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

func (p *Reports) usage(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	since, events := api.DateOr(q.Get("since"), time.Time{}), []usageEvent{}
	err := p.opts.Book.Flush(r.Context())
	if err == nil {
		err = p.scanCalls(r.Context(), 0, func(e *journal.Event) bool {
			c := e.Call
			if c.At.Before(since) {
				return false
			}
			u := usageEvent{At: c.At, Tool: c.Tool, Credits: int64(c.Charged), Allowed: c.Outcome != pricing.Denied}
			if k := p.opts.Keys.Get(c.Key); k != nil {
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
		return err
	}
	slices.Reverse(events)
	if q.Get("format") != "csv" {
		sinceText := any("all")
		if !since.IsZero() {
			sinceText = since
		}
		return api.WriteJSON(w, r, http.StatusOK, map[string]any{"count": len(events), "events": events, "since": sinceText})
	}
	rows := [][]string{{"timestamp", "apiKey", "keyName", "tool", "creditsCharged", "allowed", "denyReason", "namespace"}}
	for _, u := range events {
		rows = append(rows, []string{u.At.Format(time.RFC3339Nano), u.Key, u.KeyName, u.Tool, strconv.FormatInt(u.Credits, 10), strconv.FormatBool(u.Allowed), u.Reason, u.Namespace})
	}
	return api.WriteCSV(w, "usage", p.opts.Now(), rows)
}
