package tally

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"paygate/pricing"
)

// Whatever is counted by key comes back from a checkpoint, and damage is found.
func TestTalliesByKeyComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := func(l string) string { return rapid.SampledFrom([]string{"", "a", "key_1", "ü\x00"}).Draw(t, l) }
		n := func(l string) int { return rapid.IntRange(-3, 1<<40).Draw(t, l) }
		at := func(l string) time.Time { return time.UnixMilli(int64(n(l))).UTC() }
		maybe := func(l string) *time.Time {
			if rapid.Bool().Draw(t, l) {
				return nil
			}
			v := at(l)
			return &v
		}
		two := func(l string) [2]pricing.Credits {
			return [2]pricing.Credits{pricing.Credits(n(l)), pricing.Credits(n(l))}
		}
		want := map[string]*Key{}
		for i := range rapid.IntRange(0, 5).Draw(t, "keys") {
			k := &Key{Key: fmt.Sprint(i), Tenant: text("tenant"), Plan: text("plan"), Reason: text("reason"), Run: text("run"), Paid: two("paid"),
				Admitted: n("admitted"), Denied: n("denied"), Newly: n("newly"), Imputed: pricing.Credits(n("imputed")), StopSeq: uint64(n("seq")), First: at("first"),
				FirstDenied: maybe("denied first"), FirstDeniedLive: maybe("live"), Stopped: maybe("stopped")}
			for range rapid.IntRange(0, 3).Draw(t, "more") {
				k.Hours = append(k.Hours, HourCount{int64(n("hour")), n("count")})
				k.Days = append(k.Days, DaySpend{int64(n("day")), two("spent")})
				k.Tools = append(k.Tools, ToolChange{text("tool"), pricing.Credits(n("credits"))})
			}
			if rapid.Bool().Draw(t, "runs") {
				k.Current = &Run{Calls: n("calls"), Broken: [2]bool{true, rapid.Bool().Draw(t, "broken")}, Paid: two("run"), Last: at("last")}
			}
			want[k.Key] = k
		}
		raw := saveKeys(slices.Collect(maps.Values(want)))
		got := map[string]*Key{}
		err := loadKeys(raw, func(k *Key) { got[k.Key] = k })
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Key{})); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
		if err := loadKeys(raw[:len(raw)-1], func(*Key) {}); err == nil {
			t.Fatal("a piece is missing and nobody noticed")
		}
	})
}
