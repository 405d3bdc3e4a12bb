package shadow_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/pricing/sheetfile"
	"paygate/shadow"
	"paygate/shadow/report"
	"paygate/store/journal"
	"paygate/store/ledger"
)

// traffic is acts of all kinds that overlap: calls with limits, batches,
// failures, top-ups, refunds, switches of the mode, and restarts that leave
// calls open.
type traffic struct {
	*rig
	t      *testing.T
	random *rand.Rand
	open   []*ledger.Call
}

func (x *traffic) key() string { return fmt.Sprintf("key_%d", x.random.IntN(6)) }

func (x *traffic) call() *ledger.Call {
	key := x.key()
	x.calls++
	c := &ledger.Call{Price: x.sheet}
	c.ID, c.Key, c.Payer, c.Sheet = fmt.Sprintf("c%d", x.calls), key, string(journal.KeyAccount(key)), x.sheet.Hash()
	c.Plan = []string{"", "free", "pro"}[int(key[len(key)-1])%3]
	c.Tool = []string{"plain", "out", "dear"}[x.random.IntN(3)]
	c.In, c.Observed = x.random.Int64N(5000), x.Shadow()
	c.Limits = []journal.Limit{{Owner: journal.Account(c.Payer), Kind: journal.KeyRate, Max: 7, Window: time.Minute},
		{Owner: journal.Account(c.Payer), Kind: journal.DailyCredits, Max: 60}}
	if x.random.IntN(8) == 0 { // the answer to an earlier one, given again
		c.Repeated, c.RepeatedAfter, c.Limits = true, time.Duration(x.random.IntN(20))*time.Minute, nil
		return c
	}
	c.Limits = append(c.Limits, ledger.PlanLimits(x.sheet.Plan(c.Plan), journal.Account(c.Payer))...)
	return c
}

func (x *traffic) reserve() {
	calls := []*ledger.Call{x.call()}
	if x.random.IntN(6) == 0 {
		calls = append(calls, x.call())
	}
	for i, c := range calls {
		c.BatchN, c.BatchI = len(calls), i
	}
	if x.Reserve(calls...) == nil {
		x.open = append(x.open, calls...)
	}
}

func (x *traffic) settle() {
	if len(x.open) == 0 {
		return
	}
	i := x.random.IntN(len(x.open))
	c := x.open[i]
	x.open = append(x.open[:i], x.open[i+1:]...)
	c.Outcome = []pricing.Outcome{pricing.OK, pricing.OK, pricing.OK, pricing.Failed, pricing.Lost}[x.random.IntN(5)]
	c.Class, c.Out, c.Took = "ok", x.random.Int64N(9000), time.Duration(x.random.IntN(5000))*time.Millisecond
	x.Settle(c)
}

func (x *traffic) refund() {
	key := x.key()
	if err := x.Flush(ctx); err != nil {
		x.t.Fatal(err)
	}
	events := must[[]*journal.Event](x.t)(x.Journal().OfKey(key, 1<<62, 5))
	for _, e := range events {
		if e.Call != nil && e.Call.Charged > 0 {
			_ = x.Apply(ctx, func(tx *ledger.Tx) error { return tx.Refund(e, 1, "test", "") }) // it may be given back already
			return
		}
	}
}

// step does something.
func (x *traffic) step() {
	x.later(time.Duration(x.random.IntN(20000)) * time.Millisecond)
	switch n := x.random.IntN(100); {
	case n < 50:
		x.reserve()
	case n < 85:
		x.settle()
	case n < 94:
		x.topup(x.t, x.key(), pricing.Credits(1+x.random.IntN(30)))
	case n < 98:
		x.refund()
	default:
		if err := x.SetMode(ctx, !x.Shadow(), "test"); err != nil {
			x.t.Fatal(err)
		}
	}
}

const live = `
defaults: {per_call: 2, per_kb_in: 0.5, bill_on: success, retry: free_within 10m}
rules:
- match: {tool: out}
  price: {per_call: 1, per_kb_out: 0.3, per_second: 0.2, max: 6}
- match: {tool: dear}
  price: {per_call: 5, free: 3/day, retry: charge}
  tiers: {mode: volume, per: key/day, steps: [{to: 4, x: 1}, {x: 0.5}]}
- match: {plan: pro, tool: plain}
  price: {per_call: 1.5, per_kb_in: 0.25}
  tiers: {per: key/month, steps: [{to: 10, x: 1}, {x: 0.75}]}
plans:
  free: {rate: 4/min, spend_cap: 25/day}
  pro: {spend_cap: 300/month}
`

func sheet(t *testing.T, text string) *pricing.Sheet {
	t.Helper()
	f, err := sheetfile.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f.Sheet
}

// The shadow of the live sheet is what live did, decision by decision, and all
// that is said of another sheet adds up and can be said again.
func TestTheShadowOfLiveIsLive(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := sheet(t, live)
			x := &traffic{rig: openRig(t, dir, s), t: t, random: rand.New(rand.NewPCG(seed, 1))}
			for range 60 {
				x.step()
			}
			x.start(t, "same", live)
			x.start(t, "other", "defaults: {per_call: 3.5}")
			for i := range 300 {
				x.step()
				if i == 150 { // calls under way die with the process
					at, n := x.now(), x.calls
					if err := x.Close(); err != nil {
						t.Fatal(err)
					}
					x.rig, x.open = openRig(t, dir, s), nil
					x.later(at.Sub(noon))
					x.calls = n
				}
			}
			x.agrees()
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func (x *traffic) agrees() {
	x.t.Helper()
	same, other := x.report(x.t, "same"), x.report(x.t, "other")
	if same.SelfDifference != 0 || same.Coverage != 1 || same.Attempts == 0 {
		x.t.Errorf("%d differences, coverage %v of %d", same.SelfDifference, same.Coverage, same.Attempts)
	}
	if e := same.Exact; e.Change != (report.Change{}) || e.Newly.Attempts != 0 || e.Live.Collectable != e.Candidate.Collectable || e.Live.Admitted != e.Candidate.Admitted {
		x.t.Errorf("the live sheet differs from itself: %+v", e)
	}
	if c := other.Exact.Change; c.Total != c.Rate+c.AccessWon+c.AccessLost+c.Refunds {
		x.t.Errorf("it does not add up: %+v", c)
	}
	if c := other.Exact; c.Candidate.Admitted+c.Candidate.Denied != other.Attempts || c.Candidate.Collectable > c.Candidate.Potential {
		x.t.Errorf("%+v of %d", c.Candidate, other.Attempts)
	}
	raw := must[[]byte](x.t)(json.Marshal(other))
	if v := must[*shadow.Verified](x.t)(x.lab.Verify(ctx, raw)); !v.OK {
		x.t.Errorf("differs when made again: %q", v.Differences)
	}
}

func TestItIsTheSameOnOneProcessorAndOnMany(t *testing.T) { // not parallel: it changes the number of processors
	x := &traffic{rig: newRig(t, sheet(t, live)), t: t, random: rand.New(rand.NewPCG(7, 7))}
	for range 400 {
		x.step()
	}
	var want string
	for _, n := range []int{1, 2, 4} {
		before := runtime.GOMAXPROCS(n)
		reports := must[[]*report.Report](t)(x.lab.Replay(ctx, shadow.ReplayRequest{Window: shadow.Window{To: x.now().Add(time.Hour)},
			Candidates: []shadow.Candidate{{Name: "a", Sheet: flat(3)}, {Name: "b", Sheet: sheet(t, live)}, {Name: "c", Sheet: flat(9)}, {Name: "d", Sheet: sheet(t, planned)}}}))
		runtime.GOMAXPROCS(before)
		raw := string(must[[]byte](t)(json.Marshal(reports)))
		if want == "" {
			want = raw
		}
		if raw != want {
			t.Errorf("with %d processors:\n%s\n%s", n, raw, want)
		}
	}
}
