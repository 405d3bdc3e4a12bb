package keys

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"paygate/server/api"
	"paygate/store/ledger"
)

// row is a key in a list: what clients of the older contract know, and beside
// it what the dashboard shows.
type row struct {
	api.KeyRow
	AutoTopupDay   string `json:"autoTopupLastResetDay"`
	AutoTopupCount int    `json:"autoTopupTodayCount"`
	DailyCalls     int64  `json:"quotaDailyCalls"`
	DailyCredits   int64  `json:"quotaDailyCredits"`
	MonthlyCalls   int64  `json:"quotaMonthlyCalls"`
	MonthlyCredits int64  `json:"quotaMonthlyCredits"`
	Day            string `json:"quotaLastResetDay"`
	Month          string `json:"quotaLastResetMonth"`
}

func (d *Directory) row(e *entry, b ledger.Key, now time.Time, spark bool) row {
	k := e.key
	r := row{KeyRow: api.KeyRow{ID: k.ID, KeyPrefix: k.shown(), Name: k.Name, Alias: k.Alias, Credits: int64(b.Credits), Held: int64(b.Held),
		Active: !k.Revoked, Suspended: k.Suspended, Expired: k.expired(now), ExpiresAt: k.ExpiresAt, CreatedAt: k.CreatedAt,
		TotalSpent: int64(b.Spent), TotalCalls: b.Calls, SpendingLimit: k.SpendingLimit, RateLimit: k.RateLimit, AllowedTools: list(k.Allowed), DeniedTools: list(k.Denied),
		IPAllowlist: list(k.IPs), Tags: tags(k.Tags), Namespace: k.Namespace, Group: k.Group, Plan: k.Plan, Quota: k.Quota.api()},
		DailyCalls: b.Used.DailyCalls, DailyCredits: b.Used.DailyCredits, MonthlyCalls: b.Used.MonthlyCalls, MonthlyCredits: b.Used.MonthlyCredits,
		Day: now.Format(time.DateOnly), Month: now.Format("2006-01")}
	r.AutoTopupDay = r.Day
	if k.ToppedUp != nil && k.ToppedUp.Day == r.Day {
		r.AutoTopupCount = int(k.ToppedUp.Times)
	}
	if !b.LastUsed.IsZero() {
		r.LastUsedAt = &b.LastUsed
	}
	r.BurnPerHour, r.DryInSeconds = d.burn(k.ID, int64(b.Available))
	if spark && d.opts.Use != nil {
		r.Spark = d.opts.Use.Spark(k.ID)
	}
	return r
}

func (q *Quota) api() *api.Quota {
	if q == nil {
		return nil
	}
	return &api.Quota{DailyCallLimit: q.DailyCalls, MonthlyCallLimit: q.MonthlyCalls, DailyCreditLimit: q.DailyCredits, MonthlyCreditLimit: q.MonthlyCredits}
}

// burn is what a key spends in an hour and when that leaves it with nothing.
func (d *Directory) burn(id string, available int64) (perHour float64, dryIn *int64) {
	if d.opts.Use == nil {
		return 0, nil
	}
	if perHour = d.opts.Use.BurnPerHour(id); perHour > 0 {
		s := int64(float64(available) / perHour * 3600)
		dryIn = &s
	}
	return perHour, dryIn
}

type listIn struct {
	Limit      api.Number `query:"limit"`
	Offset     api.Number `query:"offset"`
	SortBy     string     `query:"sortBy"`
	Order      string     `query:"order"`
	Namespace  string     `query:"namespace"`
	Group      *string    `query:"group"`
	Active     string     `query:"active"`
	Suspended  string     `query:"suspended"`
	Expired    string     `query:"expired"`
	NamePrefix string     `query:"namePrefix"`
	MinCredits api.Number `query:"minCredits"`
	MaxCredits api.Number `query:"maxCredits"`
	Search     string     `query:"search"`
	Spark      string     `query:"spark"`
}

func (in *listIn) paged() bool {
	return in.Limit.Given || in.Offset.Given || in.SortBy != "" || in.Order != "" || in.Active != "" || in.Suspended != "" || in.Expired != "" ||
		in.NamePrefix != "" || in.Group != nil || in.MinCredits.Given || in.MaxCredits.Given || in.Search != ""
}

type page struct {
	Keys    []row `json:"keys"`
	Total   int   `json:"total"`
	Limit   int   `json:"limit"`
	Offset  int   `json:"offset"`
	HasMore bool  `json:"hasMore"`
}

// list gives a plain array to clients that ask for nothing, and a page to
// those that page, sort or filter.
func (d *Directory) list(_ context.Context, in listIn) (any, error) {
	const mostPlain = 500
	found := d.pick(in)
	if !in.paged() {
		out := []row{}
		for _, e := range found[:min(len(found), mostPlain)] {
			out = append(out, d.row(e, d.opts.Book.Key(e.key.ID), d.opts.Now().UTC(), false))
		}
		return out, nil
	}
	var books map[string]ledger.Key // of all keys, only where they are needed
	if in.MinCredits.Valid || in.MaxCredits.Valid || slices.Contains([]string{"credits", "totalSpent", "totalCalls", "lastUsedAt", "dryIn"}, in.SortBy) {
		books = d.books()
	}
	found = filterCredits(found, books, in)
	p := page{Total: len(found), Limit: int(in.Limit.Or(50, 1, mostPlain)), Offset: int(in.Offset.Or(0, 0, 10_000_000)), Keys: []row{}}
	found, err := d.sorted(found, books, in, p.Offset+p.Limit)
	if err != nil {
		return nil, err
	}
	for _, e := range found[min(p.Offset, len(found)):min(p.Offset+p.Limit, len(found))] {
		p.Keys = append(p.Keys, d.row(e, d.opts.Book.Key(e.key.ID), d.opts.Now().UTC(), in.Spark == "true"))
	}
	p.HasMore = p.Offset+len(p.Keys) < p.Total
	return p, nil
}

// books are the balances of all keys at one moment.
func (d *Directory) books() map[string]ledger.Key {
	d.mu.RLock()
	out := make(map[string]ledger.Key, len(d.byID))
	d.mu.RUnlock()
	d.opts.Book.Keys(func(id string, k ledger.Key) { out[id] = k })
	return out
}

// pick finds the keys that a list asks for by what their records say.
func (d *Directory) pick(in listIn) []*entry {
	now, search, prefix := d.opts.Now(), strings.ToLower(strings.TrimSpace(in.Search)), strings.ToLower(in.NamePrefix)
	is := func(want string, have bool) bool {
		return want == "" || want == "true" && have || want == "false" && !have || want != "true" && want != "false"
	}
	var out []*entry
	for _, e := range d.all() {
		k := e.key
		if in.Namespace != "" && k.Namespace != in.Namespace || in.Group != nil && k.Group != *in.Group || !is(in.Active, !k.Revoked) || !is(in.Suspended, k.Suspended) || !is(in.Expired, k.expired(now)) ||
			!strings.HasPrefix(e.lower, prefix) || search != "" && !k.matches(search) {
			continue
		}
		out = append(out, e)
	}
	return out
}

func (k *Key) matches(search string) bool {
	return strings.Contains(strings.ToLower(k.Name), search) || strings.Contains(strings.ToLower(k.Alias), search) ||
		strings.Contains(k.ID, search) || strings.HasPrefix(k.Prefix, search)
}

func filterCredits(found []*entry, books map[string]ledger.Key, in listIn) []*entry {
	if !in.MinCredits.Valid && !in.MaxCredits.Valid {
		return found
	}
	return slices.DeleteFunc(found, func(e *entry) bool {
		c := int64(books[e.key.ID].Credits)
		return in.MinCredits.Valid && c < in.MinCredits.Floor(math.MinInt64, math.MaxInt64) || in.MaxCredits.Valid && c > in.MaxCredits.Floor(math.MinInt64, math.MaxInt64)
	})
}

// ranked is a key with what it is sorted by, computed once.
type ranked struct {
	*entry
	number float64
	text   string
}

// sorted gives the first most of the keys in the order that is asked for.
func (d *Directory) sorted(found []*entry, books map[string]ledger.Key, in listIn, most int) ([]*entry, error) {
	rank := d.ranking(books, in.SortBy)
	if rank == nil {
		return nil, api.BadRequest("Invalid sortBy field: use name, credits, totalSpent, totalCalls, lastUsedAt, createdAt, burnPerHour or dryIn")
	}
	if in.Order != "" && in.Order != "asc" && in.Order != "desc" {
		return nil, api.BadRequest("Invalid order: use asc or desc")
	}
	rows := make([]ranked, len(found))
	for i, e := range found {
		rows[i].entry = e
		rank(&rows[i])
	}
	rows = least(rows, most, func(a, b ranked) int {
		c := cmp.Or(cmp.Compare(a.number, b.number), strings.Compare(a.text, b.text))
		if in.Order != "asc" {
			c = -c
		}
		return cmp.Or(c, strings.Compare(a.key.ID, b.key.ID))
	})
	out := make([]*entry, len(rows))
	for i, r := range rows {
		out[i] = r.entry
	}
	return out, nil
}

// least gives the first n of rows in order, without putting all of them in
// order: a page of a few of 100,000 keys is asked for often.
func least(rows []ranked, n int, compare func(a, b ranked) int) []ranked {
	n = min(max(n, 64), len(rows))
	best, full := make([]ranked, 0, min(2*n, len(rows))), false
	for _, r := range rows {
		if full && compare(r, best[n-1]) > 0 { // n others come before it
			continue
		}
		if best = append(best, r); len(best) == 2*n {
			slices.SortFunc(best, compare)
			best, full = best[:n], true
		}
	}
	slices.SortFunc(best, compare)
	return best[:n]
}

// ranking says what keys are sorted by; nil for a field that there is not.
func (d *Directory) ranking(books map[string]ledger.Key, field string) func(*ranked) {
	number := func(of func(ledger.Key) int64) func(*ranked) {
		return func(r *ranked) { r.number = float64(of(books[r.key.ID])) }
	}
	switch field {
	case "", "createdAt":
		return func(r *ranked) { r.number = float64(r.key.CreatedAt.UnixMilli()) }
	case "name":
		return func(r *ranked) { r.text = r.lower }
	case "credits":
		return number(func(k ledger.Key) int64 { return int64(k.Credits) })
	case "totalSpent":
		return number(func(k ledger.Key) int64 { return int64(k.Spent) })
	case "totalCalls":
		return number(func(k ledger.Key) int64 { return k.Calls })
	case "lastUsedAt":
		return number(func(k ledger.Key) int64 { return k.LastUsed.UnixMilli() })
	case "burnPerHour":
		return func(r *ranked) { r.number, _ = d.burn(r.key.ID, 0) }
	case "dryIn":
		return func(r *ranked) {
			r.number = math.Inf(1)
			if _, s := d.burn(r.key.ID, int64(books[r.key.ID].Available)); s != nil {
				r.number = float64(*s)
			}
		}
	}
	return nil
}

// sort puts the keys in the order of their creation. Behind mu, or at start.
func (d *Directory) sort() {
	slices.SortStableFunc(d.order, func(a, b *entry) int { return a.key.CreatedAt.Compare(b.key.CreatedAt) })
}

type searchIn struct {
	Tags      json.RawMessage `json:"tags"`
	Namespace string          `json:"namespace"`
}

type searchOut struct {
	Count int   `json:"count"`
	Keys  []row `json:"keys"`
}

func (d *Directory) search(_ context.Context, in searchIn) (searchOut, error) {
	var want map[string]any
	if json.Unmarshal(in.Tags, &want) != nil || want == nil {
		return searchOut{}, api.BadRequest("Missing or invalid tags object")
	}
	exact, books := tagsOf(nil, want), d.books()
	out := searchOut{Keys: []row{}}
	for _, e := range d.pick(listIn{Namespace: in.Namespace}) {
		all := true
		for name, value := range exact {
			all = all && e.key.Tags[name] == value
		}
		if all {
			out.Keys = append(out.Keys, d.row(e, books[e.key.ID], d.opts.Now().UTC(), false))
		}
	}
	out.Count = len(out.Keys)
	return out, nil
}

type statsIn struct {
	Namespace string `query:"namespace"`
}

type statsOut struct {
	Total            int   `json:"total"`
	Active           int   `json:"active"`
	Suspended        int   `json:"suspended"`
	Expired          int   `json:"expired"`
	Revoked          int   `json:"revoked"`
	CreditsRemaining int64 `json:"totalCreditsRemaining"`
	CreditsHeld      int64 `json:"totalCreditsHeld"`
	Spent            int64 `json:"totalSpent"`
	Calls            int64 `json:"totalCalls"`
}

func (d *Directory) stats(_ context.Context, in statsIn) (statsOut, error) {
	var s statsOut
	books, now := d.books(), d.opts.Now()
	for _, e := range d.pick(listIn{Namespace: in.Namespace}) {
		b := books[e.key.ID]
		s.Total++
		s.CreditsRemaining += int64(b.Credits)
		s.CreditsHeld += int64(b.Held)
		s.Spent += int64(b.Spent)
		s.Calls += b.Calls
		switch {
		case e.key.Revoked:
			s.Revoked++
		case e.key.Suspended:
			s.Suspended++
		case e.key.expired(now):
			s.Expired++
		default:
			s.Active++
		}
	}
	return s, nil
}

// Rows are the keys of a namespace (all of them for ""), at most so many, as
// lists show them; truncated says that there are more.
func (d *Directory) Rows(namespace string, most int) (rows any, truncated bool) {
	found, books, out := d.pick(listIn{Namespace: namespace}), d.books(), []row{}
	for _, e := range found[:min(len(found), most)] {
		out = append(out, d.row(e, books[e.key.ID], d.opts.Now().UTC(), false))
	}
	return out, len(found) > most
}

// NamespaceSum sums the keys of one namespace.
type NamespaceSum struct {
	Namespace string `json:"namespace"`
	Keys      int    `json:"keyCount"`
	Active    int    `json:"activeKeys"`
	Credits   int64  `json:"totalCredits"`
	Spent     int64  `json:"totalSpent"`
}

// NamespaceSums sums every namespace, in the order of their first keys.
func (d *Directory) NamespaceSums() []NamespaceSum {
	out, at, books := []NamespaceSum{}, map[string]int{}, d.books()
	for _, e := range d.all() {
		i, ok := at[e.key.Namespace]
		if !ok {
			i = len(out)
			at[e.key.Namespace] = i
			out = append(out, NamespaceSum{Namespace: e.key.Namespace})
		}
		b := books[e.key.ID]
		out[i].Keys++
		out[i].Credits += int64(b.Credits)
		out[i].Spent += int64(b.Spent)
		if !e.key.Revoked {
			out[i].Active++
		}
	}
	return out
}

// Admins counts the admin keys that are not revoked.
func (d *Directory) Admins() int {
	d.admins.mu.RLock()
	defer d.admins.mu.RUnlock()
	n := 0
	for _, k := range d.admins.list {
		if !k.Revoked {
			n++
		}
	}
	return n
}
