package keys

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/server/api"
)

type windowOut struct {
	Limit     int    `json:"limit"`
	Used      int    `json:"used"`
	Remaining *int   `json:"remaining"` // null: no limit
	ResetInMs int64  `json:"resetInMs"`
	WindowMs  *int64 `json:"windowMs,omitempty"`
}

type rateOut struct {
	Key     string               `json:"key"`
	Name    string               `json:"name"`
	Global  windowOut            `json:"global"`
	PerTool map[string]windowOut `json:"perTool"`
}

func (d *Directory) rateStatus(_ context.Context, in keyIn) (rateOut, error) {
	k, err := d.named(in.Key)
	if err != nil {
		return rateOut{}, err
	}
	limits := d.opts.Limits()
	out := rateOut{Key: k.shown(), Name: k.Name, Global: d.window(k, "", limits.PerMinute), PerTool: map[string]windowOut{}}
	ms := int64(60_000)
	out.Global.WindowMs = &ms
	for tool, n := range limits.PerTool {
		if n > 0 {
			out.PerTool[tool] = d.window(k, tool, n)
		}
	}
	return out, nil
}

func (d *Directory) window(k *Key, tool string, limit int) windowOut {
	used, frees := d.opts.Book.Window(k.ID, tool)
	w := windowOut{Limit: limit, Used: used, ResetInMs: frees.Milliseconds()}
	if limit > 0 {
		left := max(0, limit-used)
		w.Remaining = &left
	}
	return w
}

type periodOut struct {
	CallsUsed        int64  `json:"callsUsed"`
	CallsLimit       int64  `json:"callsLimit"`
	CallsRemaining   *int64 `json:"callsRemaining"`
	CreditsUsed      int64  `json:"creditsUsed"`
	CreditsLimit     int64  `json:"creditsLimit"`
	CreditsRemaining *int64 `json:"creditsRemaining"`
	Day              string `json:"resetDay,omitempty"`
	Month            string `json:"resetMonth,omitempty"`
}

type quotaOut struct {
	Key     string    `json:"key"`
	Name    string    `json:"name"`
	Source  string    `json:"quotaSource"`
	Daily   periodOut `json:"daily"`
	Monthly periodOut `json:"monthly"`
}

func (d *Directory) quotaStatus(_ context.Context, in keyIn) (quotaOut, error) {
	k, err := d.named(in.Key)
	if err != nil {
		return quotaOut{}, err
	}
	q, source := d.opts.Limits().Quota, "global"
	if k.Quota != nil {
		q, source = *k.Quota, "per-key"
	} else if q == (Quota{}) {
		source = "none"
	}
	u, now := d.opts.Book.Key(k.ID).Used, d.opts.Now().UTC()
	out := quotaOut{Key: k.shown(), Name: k.Name, Source: source,
		Daily:   period(u.DailyCalls, q.DailyCalls, u.DailyCredits, q.DailyCredits),
		Monthly: period(u.MonthlyCalls, q.MonthlyCalls, u.MonthlyCredits, q.MonthlyCredits)}
	out.Daily.Day, out.Monthly.Month = now.Format(time.DateOnly), now.Format("2006-01")
	return out, nil
}

func period(calls, mostCalls, credits, mostCredits int64) periodOut {
	p := periodOut{CallsUsed: calls, CallsLimit: mostCalls, CreditsUsed: credits, CreditsLimit: mostCredits}
	if mostCalls > 0 {
		left := max(0, mostCalls-calls)
		p.CallsRemaining = &left
	}
	if mostCredits > 0 {
		left := max(0, mostCredits-credits)
		p.CreditsRemaining = &left
	}
	return p
}

type quotaUsage struct {
	DailyCalls     int64 `json:"dailyCalls"`
	MonthlyCalls   int64 `json:"monthlyCalls"`
	DailyCredits   int64 `json:"dailyCredits"`
	MonthlyCredits int64 `json:"monthlyCredits"`
}

type balanceOut struct {
	Name      string            `json:"name"`
	Credits   int64             `json:"credits"`
	Held      int64             `json:"held"`
	Spent     int64             `json:"totalSpent"`
	Calls     int64             `json:"totalCalls"`
	LastUsed  *time.Time        `json:"lastUsedAt"`
	Allowed   []string          `json:"allowedTools"`
	Denied    []string          `json:"deniedTools"`
	IPs       []string          `json:"ipAllowlist"`
	ExpiresAt *time.Time        `json:"expiresAt"`
	Tags      map[string]string `json:"tags"`
	Limit     int64             `json:"spendingLimit"`
	Remaining *int64            `json:"remainingBudget"`
	Quota     *Quota            `json:"quota"`
	Used      quotaUsage        `json:"quotaUsage"`
}

func (d *Directory) balance(ctx context.Context, _ api.None) (balanceOut, error) {
	k := d.Get(api.ActorOf(ctx).Key)
	if k == nil {
		return balanceOut{}, api.NotFound("Invalid or inactive API key")
	}
	b := d.opts.Book.Key(k.ID)
	out := balanceOut{Name: k.Name, Credits: int64(b.Credits), Held: int64(b.Held), Spent: int64(b.Spent), Calls: b.Calls, Allowed: list(k.Allowed), Denied: list(k.Denied),
		IPs: list(k.IPs), ExpiresAt: k.ExpiresAt, Tags: tags(k.Tags), Limit: k.SpendingLimit, Quota: k.Quota, Used: quotaUsage(b.Used)}
	if !b.LastUsed.IsZero() {
		out.LastUsed = &b.LastUsed
	}
	if k.SpendingLimit > 0 {
		left := max(0, k.SpendingLimit-int64(b.Spent))
		out.Remaining = &left
	}
	return out, nil
}

type toolUse struct {
	Calls   int64 `json:"calls"`
	Credits int64 `json:"credits"`
	Denied  int64 `json:"denied"`
}

type hourUse struct {
	Hour time.Time `json:"hour"`
	toolUse
}

type recentCall struct {
	At      time.Time `json:"timestamp"`
	Tool    string    `json:"tool"`
	Credits int64     `json:"creditsCharged"`
	Allowed bool      `json:"allowed"`
	Reason  string    `json:"denyReason,omitempty"`
}

type usageOut struct {
	Key       string              `json:"key"`
	Name      string              `json:"name"`
	Active    bool                `json:"active"`
	Suspended bool                `json:"suspended"`
	Credits   int64               `json:"credits"`
	Since     string              `json:"since"`
	Calls     int64               `json:"totalCalls"`
	Allowed   int64               `json:"totalAllowed"`
	Denied    int64               `json:"totalDenied"`
	Spent     int64               `json:"totalCreditsSpent"`
	PerTool   map[string]*toolUse `json:"perTool"`
	Reasons   map[string]int64    `json:"denyReasons"`
	Series    []hourUse           `json:"timeSeries"`
	Recent    []recentCall        `json:"recentEvents"`
	Truncated bool                `json:"truncated,omitempty"` // there was more than is counted here
}

type usageIn struct {
	keyIn
	Since string `query:"since"`
}

// usage sums a key's calls, newest first, up to mostHistory of them.
func (d *Directory) usage(ctx context.Context, in usageIn) (usageOut, error) {
	k, err := d.named(in.Key)
	if err != nil {
		return usageOut{}, err
	}
	since, err := api.ParseDate(in.Since)
	if in.Since != "" && err != nil {
		return usageOut{}, api.BadRequest("since must be a date such as 2026-03-01T12:00:00Z")
	}
	out := usageOut{Key: k.shown(), Name: k.Name, Active: !k.Revoked, Suspended: k.Suspended, Credits: int64(d.opts.Book.Key(k.ID).Credits), Since: "all",
		PerTool: map[string]*toolUse{}, Reasons: map[string]int64{}, Series: []hourUse{}, Recent: []recentCall{}}
	if in.Since != "" {
		out.Since = in.Since
	}
	if err := d.opts.Book.Flush(ctx); err != nil {
		return usageOut{}, err
	}
	hours := map[time.Time]*hourUse{}
	for read, before := 0, uint64(0); ; {
		events, err := d.opts.Book.Journal().OfKey(k.ID, before, 500)
		if err != nil {
			return usageOut{}, err
		}
		for _, e := range events {
			if e.At.Before(since) {
				events = nil
				break
			}
			before = e.Seq
			if c := e.Call; c != nil {
				out.count(e.At, c.Tool, int64(c.Charged), c.Outcome, reason(c.Findings), hours)
			}
		}
		if read += len(events); len(events) == 0 || read >= mostHistory {
			out.Truncated = read >= mostHistory
			break
		}
	}
	for _, h := range hours {
		out.Series = append(out.Series, *h)
	}
	slices.SortFunc(out.Series, func(a, b hourUse) int { return cmp.Compare(a.Hour.Unix(), b.Hour.Unix()) })
	return out, nil
}

func (u *usageOut) count(at time.Time, tool string, credits int64, outcome pricing.Outcome, why string, hours map[time.Time]*hourUse) {
	t := u.PerTool[tool]
	if t == nil {
		t = &toolUse{}
		u.PerTool[tool] = t
	}
	hour := at.Truncate(time.Hour)
	h := hours[hour]
	if h == nil {
		h = &hourUse{Hour: hour}
		hours[hour] = h
	}
	denied := outcome == pricing.Denied
	u.Calls++
	if denied {
		u.Denied++
		u.Reasons[why]++
		t.Denied++
		h.Denied++
	} else {
		u.Allowed++
		t.Calls++
		h.Calls++
	}
	u.Spent += credits
	t.Credits += credits
	h.Credits += credits
	const recent = 50
	if len(u.Recent) < recent {
		r := recentCall{At: at, Tool: tool, Credits: credits, Allowed: !denied}
		if denied {
			r.Reason = why
		}
		u.Recent = append(u.Recent, r)
	}
}

// reason is the identifier of the first finding.
func reason(findings []string) string {
	if len(findings) == 0 {
		return ""
	}
	id, _, _ := strings.Cut(findings[0], ":")
	return id
}
