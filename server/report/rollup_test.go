package report_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"paygate/server/report"
)

// questions are what the reports are asked, with and without roll-ups.
func questions(r *rig) []string {
	at := func(back time.Duration) string { return r.clock.Now().Add(-back).UTC().Format(time.RFC3339Nano) }
	long, short := 2*time.Hour, 7*time.Minute
	out := []string{"/audit/stats", "/usage", "/usage?format=csv", "/usage?limit=7", "/tools/stats", "/audit/export?limit=5000", "/audit/export?format=csv", "/requests/export?limit=5000",
		"/balance/history", "/balance/history?limit=3&type=topup", "/admin/ledger?limit=1000", "/admin/calls?limit=1000&filter=~deny"}
	for _, tool := range []string{"echo", "dear", "none"} {
		out = append(out, "/tools/stats?tool="+tool, "/requests?tool="+tool, "/tools/stats?since="+at(long)+"&tool="+tool)
	}
	for _, status := range []string{"allowed", "denied", "odd"} {
		out = append(out, "/requests?limit=5&offset=40&status="+status, "/requests?limit=3&offset=3&status="+status+"&since="+at(long)+"&until="+at(short))
	}
	for _, offset := range []int{0, 1, 99, 100, 101, 500, 5000} {
		out = append(out, fmt.Sprintf("/requests?limit=10&offset=%d", offset), fmt.Sprintf("/audit?limit=10&offset=%d", offset), fmt.Sprintf("/audit?calls=false&limit=10&offset=%d", offset/10))
	}
	out = append(out, "/audit?types=key.topup,key.created", "/audit?actor=adm_1", "/audit?types=gate.deny&actor=pg_bbbb", "/audit?since="+at(long), "/audit?until="+at(long),
		"/usage?since="+at(long), "/tools/stats?since="+at(short), "/requests?key=aaaa", "/requests?key=pg_cccc2222")
	for _, id := range r.ids {
		out = append(out, "/keys/usage?key="+id, "/keys/usage?since="+at(long)+"&key="+id, "/keys/credit-history?key="+id, "/keys/credit-history?type=initial&key="+id,
			"/keys/credit-history?type=charge&limit=200&since="+at(long)+"&key="+id, "/admin/ledger?key="+id, "/requests?key="+id)
	}
	return out
}

func TestRollUpsChangeWhatAReportCostsAndNeverWhatItSays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.work(240)
	plain, _ := r.reports(0)
	rolled, rollup := r.reports(64)
	compare := func(when string) {
		t.Helper()
		for _, q := range questions(r) {
			if want, got := r.ask(plain, q), r.ask(rolled, q); got != want {
				t.Errorf("%s: %s\nwith roll-ups: %.1500s\nwithout: %.1500s", when, q, got, want)
			}
		}
		for _, space := range []string{"", "default", "none"} {
			want, err := plain.Totals(t.Context(), space)
			if err != nil {
				t.Fatal(err)
			}
			got, err := rolled.Totals(t.Context(), space)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(got.Use, got.Events, len(got.PerTool), len(got.PerKey), got.Reasons) != fmt.Sprint(want.Use, want.Events, len(want.PerTool), len(want.PerKey), want.Reasons) {
				t.Errorf("%s: totals of %q: %+v, want %+v", when, space, got, want)
			}
		}
	}
	last := r.book.Journal().Last()
	r.follow(rollup, last/2)
	compare("half of the journal added up")
	r.follow(rollup, last)
	r.work(100)
	compare("all but the newest added up")
	rolled, rollup = r.reports(64) // a restart: the open segment is made again
	compare("after a restart")
	r.follow(rollup, r.book.Journal().Last())
	compare("all added up")
}

func TestPagesFitTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.work(300)
	p, rollup := r.reports(50)
	r.follow(rollup, r.book.Journal().Last())
	total := int(field(t, r.ask(p, "/requests"), "total"))
	seen := map[string]bool{}
	for offset := 0; offset < total+20; offset += 17 {
		for _, id := range ids(t, r.ask(p, fmt.Sprintf("/requests?limit=17&offset=%d", offset)), "requests") {
			if seen[id] {
				t.Fatalf("%s is on two pages", id)
			}
			seen[id] = true
		}
	}
	if len(seen) != total {
		t.Errorf("%d on all pages of %d", len(seen), total)
	}
	var all []string
	for after := 0.0; ; {
		page := r.ask(p, fmt.Sprintf("/usage?limit=40&after=%.0f", after))
		got := ids(t, page, "events")
		if len(got) == 0 {
			break
		}
		all = append(all, got...)
		after = field(t, page, "next")
	}
	if len(all) != total {
		t.Errorf("%d calls on the pages of /usage, want %d", len(all), total)
	}
}

func TestAReportEndsWithItsReader(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.work(50)
	p, _ := r.reports(0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Totals(ctx, ""); err == nil {
		t.Error("a report for nobody was made")
	}
}

func TestAnOldestSegmentThatIsForgottenIsNotReported(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.work(300)
	p, rollup := r.reports(64)
	r.follow(rollup, r.book.Journal().Last())
	before := field(t, r.ask(p, "/audit/stats"), "eventsByType", "gate.allow")
	months := func(p *report.Reports) (calls float64) {
		var out struct{ Months []struct{ Calls float64 } }
		for _, id := range r.ids {
			if err := json.Unmarshal([]byte(r.ask(p, "/keys/usage?key="+id)), &out); err != nil {
				t.Fatal(err)
			}
			for _, m := range out.Months {
				calls += m.Calls
			}
		}
		return calls
	}
	calls := months(p)
	spans := rollup.Spans()
	cut := spans[len(spans)/2].First
	r.reopen() // writes what the books need to start without the past
	p, rollup = r.reports(64)
	first, err := r.book.Trim(t.Context(), cut, "retention")
	if err != nil || first > cut || first == 1 {
		t.Fatalf("trimmed to %d, cut at %d: %v", first, cut, err)
	}
	if err := rollup.Forget(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if got := months(p); got != calls {
		t.Errorf("%v calls on all statements, %v before the cut", got, calls)
	}
	after := field(t, r.ask(p, "/audit/stats"), "eventsByType", "gate.allow")
	if after >= before || after == 0 {
		t.Errorf("%.0f calls before the cut, %.0f after it", before, after)
	}
	r.reopen()
	again, _ := r.reports(64)
	if got := months(again); got != calls {
		t.Errorf("after a restart: %v calls on all statements, %v before the cut", got, calls)
	}
	if got := field(t, r.ask(again, "/audit/stats"), "eventsByType", "gate.allow"); got != after {
		t.Errorf("%.0f calls after a restart, %.0f before it", got, after)
	}
	for _, q := range questions(r) {
		r.ask(again, q)
	}
}
