package shadow_test

import (
	"fmt"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/shadow"
	"paygate/store/ledger"
)

// Over many blocks each refund is of its own call, and of what that cost more.
func TestEveryRefundNamesItsCall(t *testing.T) {
	t.Parallel()
	r := newRig(t, flat(2))
	const keys = 3
	for k := range keys {
		r.topup(t, fmt.Sprint("key_", k), 10_000)
	}
	r.start(t, "sized", "defaults: {per_call: 2, per_kb_out: 1, max: 50}")
	if _, err := r.lab.Promote(ctx, shadow.Promotion{Name: "sized", Override: []string{"all"}}, "test"); err != nil {
		t.Fatal(err)
	}
	want := map[string]pricing.Credits{} // by call
	for i := range 60 {
		r.later(time.Second)
		c := r.begin(t, fmt.Sprint("key_", i%keys), "echo")
		r.end(c, int64(1024*i))
		if more := pricing.Credits(min(i, 48)); more > 0 {
			want[c.ID] = more
		}
		if err := r.Flush(ctx); err != nil { // a block each
			t.Fatal(err)
		}
	}
	back := must[*shadow.RolledBackTo](t)(r.lab.Rollback(ctx, true, "test"))
	got, total := map[string]pricing.Credits{}, pricing.Credits(0)
	for e, err := range r.Journal().TailErr(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if _, n, ok := ledger.RefundOf(e); ok {
			got[e.Posts[0].Ref] += n
			total += n
		}
		if e.Type == "shadow.made_good" {
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || back.Total != total {
		t.Errorf("%v\nwant\n%v", got, want)
	}
}
