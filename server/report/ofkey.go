package report

import (
	"context"
	"slices"
	"time"

	"paygate/pricing"
	"paygate/server/api"
	"paygate/store/journal"
)

type hourUse struct {
	Hour time.Time `json:"hour"`
	Use
}

type recentCall struct {
	At      time.Time `json:"timestamp"`
	Tool    string    `json:"tool"`
	Credits int64     `json:"creditsCharged"`
	Allowed bool      `json:"allowed"`
	Reason  string    `json:"denyReason,omitempty"`
}

type keyReport struct {
	Key       string          `json:"key"`
	Name      string          `json:"name"`
	Active    bool            `json:"active"`
	Suspended bool            `json:"suspended"`
	Credits   int64           `json:"credits"`
	Since     string          `json:"since"`
	Calls     int             `json:"totalCalls"`
	Allowed   int             `json:"totalAllowed"`
	Denied    int             `json:"totalDenied"`
	Spent     int64           `json:"totalCreditsSpent"`
	PerTool   map[string]*Use `json:"perTool"`
	Reasons   map[string]int  `json:"denyReasons"`
	Series    []hourUse       `json:"timeSeries"`
	Recent    []recentCall    `json:"recentEvents"`
	Months    []monthUse      `json:"months"`     // of the key's whole life, whatever since says
	Oldest    *time.Time      `json:"oldestData"` // what was before is only in Months
}

type keyReportIn struct {
	Key   string `query:"key"`
	Since string `query:"since"`
}

// ofOneKey sums a key's calls.
func (p *Reports) ofOneKey(ctx context.Context, in keyReportIn) (keyReport, error) {
	k, err := p.opts.Keys.Named(in.Key)
	if err != nil {
		return keyReport{}, err
	}
	since, err := api.ParseDate(in.Since)
	if in.Since != "" && err != nil {
		return keyReport{}, api.BadRequest("since must be a date such as 2026-03-01T12:00:00Z")
	}
	if err := p.opts.Book.Flush(ctx); err != nil {
		return keyReport{}, err
	}
	out := keyReport{Key: k.Label(), Name: k.Name, Active: !k.Revoked, Suspended: k.Suspended, Credits: int64(p.opts.Book.Key(k.ID).Credits), Since: "all",
		PerTool: map[string]*Use{}, Reasons: map[string]int{}, Series: []hourUse{}, Recent: []recentCall{}, Oldest: p.oldest()}
	if in.Since != "" {
		out.Since = in.Since
	}
	hours := map[int64]*Use{}
	err = p.opts.Rollup.segments(ctx, window{since: since}, func(s *segment) error {
		for at, u := range s.Use {
			if at.Key == k.ID {
				out.count(at, u, hours)
			}
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	for hour, u := range hours {
		out.Series = append(out.Series, hourUse{time.Unix(hour*3600, 0).UTC(), *u})
	}
	slices.SortFunc(out.Series, func(a, b hourUse) int { return a.Hour.Compare(b.Hour) })
	if out.Months, err = p.statement(ctx, k.ID); err != nil {
		return out, err
	}
	return out, p.recent(ctx, k.ID, since, &out)
}

func (r *keyReport) count(at useAt, u *use, hours map[int64]*Use) {
	r.Calls += u.Allowed + u.Denied
	r.Allowed += u.Allowed
	r.Denied += u.Denied
	r.Spent += u.Credits
	entry(r.PerTool, at.Tool).add(u)
	entry(hours, at.Hour).add(u)
	for reason, n := range u.Reasons {
		r.Reasons[Identifier(reason)] += n
	}
}

// recent adds the newest calls of the key.
func (p *Reports) recent(ctx context.Context, id string, since time.Time, out *keyReport) error {
	const most = 50
	return p.ofKey(ctx, id, 0, p.opts.Book.Journal().Last(), func(e *journal.Event) bool {
		c := e.Call
		if c == nil || c.Key != id || c.At.Before(since) {
			return !e.At.Before(since)
		}
		r := recentCall{At: c.At, Tool: c.Tool, Credits: int64(c.Charged), Allowed: c.Outcome != pricing.Denied}
		if !r.Allowed && len(c.Findings) > 0 {
			r.Reason = Identifier(c.Findings[0])
		}
		out.Recent = append(out.Recent, r)
		return len(out.Recent) < most
	})
}

// entry finds or makes a map's entry.
func entry[K comparable, V any](m map[K]*V, at K) *V {
	v := m[at]
	if v == nil {
		v = new(V)
		m[at] = v
	}
	return v
}
