// Package report tells what has happened: the request log, use by tool and by
// key, the audit trail, calls and entries of the ledger. Everything is read
// from the journal, all of it that is kept; a report beside running calls reads
// in short steps and rests. A Rollup adds up behind the calls what reports would
// otherwise read again and again: it changes what a report costs, never what it
// says.
package report

import (
	"context"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/server/keys"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// Options are what reports are made from.
type Options struct {
	Book   *ledger.Book
	Keys   *keys.Directory
	Rollup *Rollup
	Now    func() time.Time
	Sheet  func(hash string) (*pricing.Sheet, error)
	Sheets func() (map[string]string, error) // the canonical text of every sheet that is kept, by hash
	Proof  func() api.Proof                  // how the last proof of the books ended
	Ended  <-chan struct{}                   // closed when event streams must end
}

// Reports answers what admins ask about the past.
type Reports struct {
	opts      Options
	Inspector *Inspector // of the latest calls
}

// New makes reports.
func New(o Options) *Reports { return &Reports{opts: o, Inspector: newInspector()} }

// Routes are the reports' operations.
func (p *Reports) Routes() []api.Route {
	return []api.Route{
		api.RawRoute("GET", "/usage", api.Viewer, "Every call, as JSON or CSV", p.usage).As("application/json", "text/csv").Reads("since", "namespace", "format", "after", "limit"),
		api.Handle("GET", "/requests", api.Viewer, "The request log, newest first", p.requests),
		api.RawRoute("GET", "/requests/export", api.Viewer, "The request log as JSON or CSV", p.exportRequests).As("application/json", "text/csv").Reads("key", "tool", "status", "since", "until", "format", "limit"),
		api.Handle("GET", "/tools/stats", api.Viewer, "How tools are used", p.toolStats),
		api.Handle("GET", "/keys/usage", api.Viewer, "Read how a key was used", p.ofOneKey),
		api.Handle("GET", "/keys/credit-history", api.Viewer, "Read how a key's balance came about", p.creditHistory),
		api.Handle("GET", "/balance/history", api.Key, "Read how one's own balance came about", p.ownHistory),
		api.Handle("GET", "/audit", api.Viewer, "The audit trail, newest first", p.audit),
		api.RawRoute("GET", "/audit/export", api.Viewer, "The audit trail as JSON or CSV", p.exportAudit).As("application/json", "text/csv").Reads("types", "since", "until", "calls", "format", "limit"),
		api.Handle("GET", "/audit/stats", api.Viewer, "How much of what the audit trail holds", p.auditStats),
		api.RawRoute("GET", "/admin/events", api.Viewer, "The audit trail as it grows (server-sent events)", p.auditEvents).As("text/event-stream").Reads("types", "after"),
		api.Handle("GET", "/admin/calls", api.Viewer, "Calls, newest first, filtered", p.calls),
		api.Handle("GET", "/admin/calls/:id", api.Viewer, "One call in full", p.callDetail),
		api.Handle("GET", "/admin/ledger", api.Viewer, "Entries of the ledger, newest first", p.ledger),
		api.RawRoute("GET", "/admin/facts", api.Viewer, "Every act as it was recorded, and the sheets, one JSON object a line: what all figures are computed from", p.facts).As("application/x-ndjson").Reads("after"),
		api.Handle("GET", "/admin/keys/use", api.Viewer, "Balance and use of one key over time", p.keyUse),
	}
}

// scanCalls goes back through the calls that are kept until fn returns false.
func (p *Reports) scanCalls(ctx context.Context, before uint64, fn func(e *journal.Event) bool) error {
	err := p.opts.Book.Journal().Scan(ctx.Done(), before, func(e *journal.Event) bool { return e.Call == nil || fn(e) })
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// Due is what a call was charged, or would have been.
func Due(c *journal.Call) int64 {
	if c.Observed {
		return int64(c.Would)
	}
	return int64(c.Charged)
}

// Identifier is a reason without its detail.
func Identifier(reason string) string {
	id, _, _ := strings.Cut(reason, ":")
	return id
}
