package keys

import (
	"fmt"
	"net/netip"
	"strings"

	"paygate/server/api"
)

// quotaIn is a quota as clients send it.
type quotaIn struct {
	DailyCalls     api.Number `json:"dailyCallLimit"`
	MonthlyCalls   api.Number `json:"monthlyCallLimit"`
	DailyCredits   api.Number `json:"dailyCreditLimit"`
	MonthlyCredits api.Number `json:"monthlyCreditLimit"`
}

func (q *quotaIn) quota() *Quota {
	if q == nil {
		return nil
	}
	return &Quota{DailyCalls: q.DailyCalls.Or(0, 0, mostCredits), MonthlyCalls: q.MonthlyCalls.Or(0, 0, mostCredits),
		DailyCredits: q.DailyCredits.Or(0, 0, mostCredits), MonthlyCredits: q.MonthlyCredits.Or(0, 0, mostCredits)}
}

// texts keeps what says something, trimmed, at most so many.
func texts(in []string, most int) []string {
	var out []string
	for _, s := range in {
		if s = strings.TrimSpace(s); s != "" && len(out) < most {
			out = append(out, s)
		}
	}
	return out
}

// addresses refuses what is neither an address nor a range: a list with a
// typing mistake would lock the key.
func addresses(list []string) error {
	for _, a := range list {
		if _, err := netip.ParseAddr(a); err == nil {
			continue
		}
		if _, err := netip.ParsePrefix(a); err != nil {
			return api.BadRequest("%q is neither an address such as 203.0.113.9 nor a range such as 203.0.113.0/24", a)
		}
	}
	return nil
}

// tagsOf merges tags into old ones; null removes one.
func tagsOf(old map[string]string, in map[string]any) map[string]string {
	out := map[string]string{}
	for k, v := range old {
		out[k] = v
	}
	for k, v := range in {
		k = cutText(k, mostTag)
		switch {
		case v == nil:
			delete(out, k)
		case k != "" && (len(out) < mostTags || out[k] != ""):
			out[k] = cutText(fmt.Sprint(v), mostTag)
		}
	}
	return out
}

// cutText trims a text and cuts it to so many characters.
func cutText(s string, most int) string {
	s = strings.TrimSpace(s)
	n := 0
	for i := range s {
		if n == most {
			return s[:i]
		}
		n++
	}
	return s
}

// list and tags are never null in an answer.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func tags(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
