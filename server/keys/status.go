package keys

import (
	"context"
	"time"

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
	out := rateOut{Key: k.shown(), Name: k.Name, Global: d.window(k, "", k.terms().PerMinute(limits.PerMinute)), PerTool: map[string]windowOut{}}
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
	Group     string            `json:"group,omitempty"`
	Plan      string            `json:"plan,omitempty"`
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
		IPs: list(k.IPs), ExpiresAt: k.ExpiresAt, Tags: tags(k.Tags), Group: k.Group, Plan: k.Plan, Limit: k.SpendingLimit, Quota: k.Quota, Used: quotaUsage(b.Used)}
	if !b.LastUsed.IsZero() {
		out.LastUsed = &b.LastUsed
	}
	if k.SpendingLimit > 0 {
		left := max(0, k.SpendingLimit-int64(b.Spent))
		out.Remaining = &left
	}
	return out, nil
}
