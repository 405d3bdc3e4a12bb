package keys_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"paygate/pricing"
	"paygate/store/journal"
	"paygate/store/ledger"
)

func TestWhatComesFreeOnARevokedKeyIsWrittenOff(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{})
	id := o.key("")
	reserve := func(n int) string {
		return o.do("POST", "/keys/reserve", map[string]any{"key": id, "credits": n}, "").text("id")
	}
	kept, freed := reserve(4), reserve(3)
	c := &ledger.Call{Price: pricing.FromTools(pricing.ToolPrice{PerCall: 2}, nil, false)}
	c.ID, c.Key, c.Payer, c.Tool, c.Sheet = "under way", id, string(journal.KeyAccount(id)), "echo", c.Price.Hash()
	if err := o.book.Reserve(c); err != nil {
		t.Fatal(err)
	}
	o.ask("POST", "/keys/revoke", `{"key":"`+id+`"}`)
	o.has(id, 9) // of 10; the rest was promised
	o.do("POST", "/keys/reserve/release", map[string]any{"reservationId": freed}, "")
	o.has(id, 6)
	if a := o.do("POST", "/keys/reserve/commit", map[string]any{"reservationId": kept}, ""); a.status != 200 {
		t.Errorf("a promise of before is taken: %+v", a)
	}
	o.has(id, 2)
	c.Outcome = pricing.Lost // no answer, no charge
	if err := o.book.Wait(t.Context(), o.book.Settle(c).Seq); err != nil {
		t.Fatal(err)
	}
	o.restart()
	for range 2 {
		if err := o.WriteOff(t.Context()); err != nil {
			t.Fatal(err)
		}
		o.has(id, 0)
	}
	o.proved(1)
}

// proved wants books that add up: what was issued is with keys, was spent, or
// was written off.
func (o *office) proved(keys int) {
	o.t.Helper()
	p, err := o.book.Verify(o.t.Context(), nil)
	if err != nil || !p.OK() || p.Records < keys {
		o.t.Errorf("%v %d records, %q", err, p.Records, p.Faults)
	}
}

// Whatever is done to keys at once, no credit is lost or made.
func TestAStormOfMoneyOperationsAddsUp(t *testing.T) {
	t.Parallel()
	o := open(t, pricing.Plan{})
	const workers, each = 8, 60
	var ids []string
	for range 6 {
		_, id := o.made(map[string]any{"credits": 100})
		ids = append(ids, id)
	}
	var mu sync.Mutex
	issued, spent := int64(600), int64(0)
	count := func(to *int64, n int) {
		mu.Lock()
		defer mu.Unlock()
		*to += int64(n)
	}
	work := func(r *rand.Rand, w, i int) {
		a, b, n := ids[r.IntN(len(ids))], ids[r.IntN(len(ids))], 1+r.IntN(40)
		once := fmt.Sprint(w, "/", i/2) // every other operation is one of before, sent again or not the same
		switch r.IntN(9) {
		case 0, 1:
			if o.do("POST", "/topup", map[string]any{"key": a, "credits": n}, "").status == 200 {
				count(&issued, n)
			}
		case 2, 3, 4:
			o.do("POST", "/keys/transfer", map[string]any{"from": a, "to": b, "credits": n}, once)
		case 5:
			o.do("POST", "/keys/rotate", map[string]any{"key": a}, "")
		case 6, 7:
			id := o.do("POST", "/keys/reserve", map[string]any{"key": a, "credits": n}, "").text("id")
			if id == "" {
				return
			}
			if i%2 == 0 {
				o.do("POST", "/keys/reserve/release", map[string]any{"reservationId": id}, "")
			} else if o.do("POST", "/keys/reserve/commit", map[string]any{"reservationId": id}, "").status == 200 {
				count(&spent, n)
			}
		case 8:
			if a != ids[0] && i > each/2 {
				o.do("POST", "/keys/revoke", map[string]any{"key": a}, "")
			}
		}
	}
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 11))
			for i := range each {
				work(r, w, i)
			}
		})
	}
	all.Wait()
	for range 2 {
		if err := o.WriteOff(t.Context()); err != nil {
			t.Fatal(err)
		}
		have := int64(0)
		for _, id := range ids {
			k := o.book.Key(id)
			if k.Credits < 0 || k.Held != 0 || o.Get(id).Revoked && k.Credits != 0 {
				t.Errorf("%s, revoked %v: %+v", id, o.Get(id).Revoked, k)
			}
			have += int64(k.Credits)
		}
		sums := o.book.Totals()
		if int64(sums.Revenue) != spent || have+spent+int64(sums.Expired) != issued {
			t.Errorf("%d issued; %d with keys, %+v, %d committed", issued, have, sums, spent)
		}
		o.proved(6)
		o.restart()
	}
}
