package shadow_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"paygate/shadow"
	"paygate/shadow/report"
	"paygate/shadow/trial"
	"paygate/store/sheets"
)

// market is keys that call, each in its own measure; those that pay the
// candidate's prices call less by a share.
func (r *rig) market(t *testing.T, days int, c *sheets.Canary, drop float64) {
	t.Helper()
	for day := range days {
		for k := range 60 {
			key, calls := fmt.Sprintf("key_%02d", k), float64(4+k%9+(day*7+k*day+k/5)%4)
			if c != nil && sheets.Share(c.Salt, key) < c.Percent {
				r.sheet = flat(5)
				calls *= 1 - drop
			}
			for range int(calls + .5) {
				r.later(time.Second)
				r.pay(t, key, "echo")
			}
			r.sheet = flat(2)
		}
		r.later(20 * time.Hour)
	}
}

func canary(t *testing.T, percent float64) (*rig, *sheets.Canary) {
	t.Helper()
	r := newRig(t, flat(2))
	for k := range 60 {
		r.topup(t, fmt.Sprintf("key_%02d", k), 100_000)
	}
	r.start(t, "five", "defaults: {per_call: 5}")
	r.market(t, 2, nil, 0)
	if _, err := r.lab.Trial(ctx, "five"); !errors.Is(err, shadow.ErrState) {
		t.Fatalf("before anybody pays: %v", err)
	}
	if _, err := r.lab.Promote(ctx, shadow.Promotion{Name: "five", Percent: percent, Override: []string{"all"}}, "test"); err != nil {
		t.Fatal(err)
	}
	r.sheet = flat(2)
	return r, must[*shadow.Rollout](t)(r.lab.Rollout(ctx)).Canary
}

func TestAnExperimentShowsHowCallersReact(t *testing.T) {
	t.Parallel()
	r, c := canary(t, 40)
	r.market(t, 3, c, .5)
	got := must[*trial.Trial](t)(r.lab.Trial(ctx, "five"))
	if got.Broken || got.Crossed != 0 || got.Known != 60 || got.Refused != "" || got.Arms[0].Keys+got.Arms[1].Keys != 60 || got.Arms[1].Keys < 12 {
		t.Fatalf("%+v", got)
	}
	if a := got.Attempts; a.Absolute.High >= 0 || a.Relative > -.4 || a.Relative < -.6 || a.Reduced < .3 {
		t.Errorf("%+v", a)
	}
	// a call costs 5 instead of 2 and every second is not made: (−1/3) / (3/7)
	if e := got.Elasticity; got.Prices != [2]float64{2, 5} || e == nil || e.Low > -.78 || e.High < -.78 {
		t.Errorf("%v at %v", e, got.Prices)
	}
	if !strings.HasPrefix(got.Verdict, "Callers call less") || got.OffPolicy == "" || got.Spend.Relative < .1 {
		t.Errorf("%s %+v", got.Verdict, got.Spend)
	}
	rep := must[*report.Report](t)(r.lab.Report(ctx, "five", shadow.Window{}))
	raw := must[[]byte](t)(json.Marshal(rep))
	r.market(t, 1, c, 0) // later calls change nothing of what was said
	if v := must[*shadow.Verified](t)(r.lab.Verify(ctx, raw)); rep.Trial == nil || !v.OK {
		t.Errorf("%+v %q", rep.Trial, v.Differences)
	}
}

// Over the prices that keys have paid, each against itself and against the others
// on the same day.
func TestDemandIsFittedOverThePricesThatWerePaid(t *testing.T) {
	t.Parallel()
	r, c := canary(t, 40)
	r.market(t, 1, c, .5)
	if got := must[*trial.Trial](t)(r.lab.Trial(ctx, "five")).Levels; got == nil || got.Elasticity != nil || !strings.Contains(got.Refused, "takes 4 whole days") {
		t.Errorf("after a day: %+v", got)
	}
	r.market(t, 6, c, .5)
	got := must[*trial.Trial](t)(r.lab.Trial(ctx, "five")).Levels
	if got.Refused != "" || len(got.Prices) != 2 || got.Prices[0].Price != 2 || got.Prices[1].Price != 5 || got.Keys != 60 {
		t.Fatalf("%+v", got)
	}
	// 5 instead of 2, and every second call is not made: ln ½ / ln 2.5
	if e := got.Elasticity; e.Low > -.756 || e.High < -.756 || e.High-e.Low > .4 || e.High > -.4 {
		t.Errorf("%+v", e)
	}
}

func TestAnExperimentWithoutAnEffectShowsNone(t *testing.T) {
	t.Parallel()
	r, c := canary(t, 50)
	r.market(t, 2, c, 0)
	if got := must[*trial.Trial](t)(r.lab.Trial(ctx, "five")); got.Attempts == nil || got.Attempts.Absolute.Low > 0 || got.Attempts.Absolute.High < 0 || got.Ended {
		t.Errorf("%+v", got)
	}
	if _, err := r.lab.Rollback(ctx, false, "test"); err != nil {
		t.Fatal(err)
	}
	if got := must[*trial.Trial](t)(r.lab.Trial(ctx, "five")); !got.Ended || got.Known != 60 {
		t.Errorf("%+v", got)
	}
}

// If most keys that call pay by the one arm, the coin is broken, whatever the
// figures say.
func TestAnExperimentWithABrokenSplitStops(t *testing.T) {
	t.Parallel()
	r, c := canary(t, 50)
	for k := range 60 {
		key := fmt.Sprintf("key_%02d", k)
		if r.sheet = flat(5); sheets.Share(c.Salt, key) < 10 {
			r.sheet = flat(2)
		}
		r.later(time.Minute)
		r.pay(t, key, "echo")
	}
	r.later(time.Hour)
	if got := must[*trial.Trial](t)(r.lab.Trial(ctx, "five")); !got.Broken || got.Attempts != nil || !strings.HasPrefix(got.Verdict, "Stop") {
		t.Errorf("%+v", got)
	}
}
