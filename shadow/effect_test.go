package shadow_test

import (
	"testing"
	"time"

	"paygate/pricing"
	"paygate/shadow"
	"paygate/store"
	"paygate/store/sheets"
)

func TestTheEffectOfChangedPricesOnTheLastHour(t *testing.T) {
	t.Parallel()
	r := newRig(t, flat(2))
	r.topup(t, "key_a", 40)
	for range 5 { // too long ago to count, but spent
		r.pay(t, "key_a", "echo")
	}
	r.later(2 * time.Hour)
	for range 10 {
		r.later(time.Second)
		r.pay(t, "key_a", "echo")
	}
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	of := func(hash string) (s *pricing.Sheet, err error) {
		err = r.DB().View(func(snap *store.Snapshot) error {
			s, err = sheets.Get(snap, hash)
			return err
		})
		return s, err
	}
	e := must[*shadow.Effect](t)(shadow.EffectOf(ctx, r.DB(), of, flat(10), r.now().Add(-time.Hour), r.now()))
	if e.Calls != 10 || e.Now != 20 || e.Staged != 30 || e.Denied != 7 || len(e.Keys) != 1 || e.Keys[0].Stopped == nil {
		t.Errorf("%+v", e)
	}
}
