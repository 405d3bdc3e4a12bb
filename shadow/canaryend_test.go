package shadow_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"paygate/shadow"
	"paygate/shadow/report"
	"paygate/store/journal"
)

// A canary's guards compare its keys with the others. Whether all keys should
// follow is asked of the guardrails, too, when its time is over.
func TestTheEndOfACanaryIsJudgedAgain(t *testing.T) {
	t.Parallel()
	young := []string{"windowDays", "attempts", "effectivePayers"}
	stopped := []string{"newlyDeniedAttempts", "newlyStoppedKeys", "runsBroken", "strandedSpend"}
	for _, when := range []struct {
		name     string
		override []string
		poor     bool // callers come that the new prices would stop
		state    string
	}{
		{"nothing has changed", young, false, shadow.IsLive},
		{"a guardrail fails meanwhile", young, true, shadow.InCanary},
		{"all were overridden", []string{"all"}, true, shadow.IsLive},
		{"those were overridden", slices.Concat(young, stopped), true, shadow.IsLive},
	} {
		t.Run(when.name, func(t *testing.T) {
			t.Parallel()
			c := newCanary(t)
			must[*shadow.Promoted](t)(c.lab.Promote(ctx, shadow.Promotion{Name: "three", Percent: 50, For: time.Hour, Override: when.override}, "test"))
			if err := c.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			for i := range 20 {
				poor := fmt.Sprint("poor_", i)
				if c.topup(t, poor, 20); when.poor && !c.inCanary(poor) {
					for range 10 {
						c.one(poor, c.sheet, time.Millisecond)
					}
				}
			}
			if e := c.due(); e.State != shadow.InCanary || e.Refused != nil {
				t.Fatalf("before its end it is %s: %+v", e.State, e.Refused)
			}
			end := *must[*shadow.Experiment](t)(c.lab.Experiment("three")).Going.Until
			c.later(time.Hour)
			for range 2 { // once
				e := c.due()
				if e.State != when.state {
					t.Fatalf("it is %s, want %s: %+v", e.State, when.state, e.Refused)
				}
				if no := e.Refused; e.State == shadow.InCanary && (no == nil || !strings.Contains(no.Why, "newlyDeniedAttempts is") || strings.Contains(no.Why, "windowDays") || !no.Asked.Equal(end)) {
					t.Fatalf("%+v", no)
				}
			}
			if when.state == shadow.InCanary {
				c.goesOn()
			}
		})
	}
}

// goesOn proves that a canary whose end was refused is as before, told once, and
// ends when somebody says so against the guardrail.
func (c *canaryRig) goesOn() {
	c.t.Helper()
	r := must[*shadow.Rollout](c.t)(c.lab.Rollout(ctx))
	if r.Canary == nil || r.Canary.Until != nil || r.Canary.Percent != 50 {
		c.t.Errorf("%+v", r.Canary)
	}
	refused := 0
	for _, e := range must[[]*journal.Event](c.t)(c.Journal().Page(0, 100_000)) {
		if e.Type == "shadow.refused" && e.Actor == "system" && strings.Contains(string(e.Data), `"by":"test"`) {
			refused++
		}
	}
	if refused != 1 {
		c.t.Errorf("%d events", refused)
	}
	var blocked *shadow.Blocked
	for _, p := range []shadow.Promotion{{Name: "three"}, {Name: "three", Percent: 80}} {
		if _, err := c.lab.Promote(ctx, p, "test"); !errors.As(err, &blocked) || blocked.Failing[0].Name != "newlyDeniedAttempts" {
			c.t.Errorf("gone on with in spite of the guardrail: %v", err)
		}
	}
	if seen := must[*shadow.Promoted](c.t)(c.lab.Preview(ctx, shadow.Promotion{Name: "three"})); len(seen.Failing) == 0 {
		c.t.Error("the preview says that nothing stands against it")
	}
	p := must[*shadow.Promoted](c.t)(c.lab.Promote(ctx, shadow.Promotion{Name: "three", Override: []string{"all"}}, "test"))
	if p.Experiment.State != shadow.IsLive || p.Experiment.Refused != nil {
		c.t.Errorf("decided again: %+v", p.Experiment)
	}
}

// What a make-good lives through begins where prices began to be charged, also
// when nobody was there.
func TestAStateIsKeptWhereScheduledPricesBegin(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	lab := c.again(t.TempDir())
	for range 2 {
		must[*report.Report](t)(lab.Report(ctx, "three", shadow.Window{}))
	}
	must[*shadow.Promoted](t)(lab.Promote(ctx, shadow.Promotion{Name: "three", At: c.now().Add(time.Hour), Override: []string{"all"}}, "test"))
	c.hour(steady, time.Millisecond, time.Millisecond)
	if err := c.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	last := c.Journal().Last()
	if !must[bool](t)(lab.Due(ctx)) {
		t.Fatal("it is not due")
	}
	if kept := must[[]uint64](t)(lab.Kept()); len(kept) == 0 || kept[len(kept)-1] != last {
		t.Errorf("states are kept at %v, and the prices began after %d", kept, last)
	}
	if err := lab.Close(); err != nil {
		t.Fatal(err)
	}
}

// A machine's clock that is set back neither makes prices go live early or
// twice, nor hides a call from the make-good.
func TestAClockThatIsSetBackDuringAPromotion(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	must[*shadow.Promoted](t)(c.lab.Promote(ctx, shadow.Promotion{Name: "three", At: c.now().Add(time.Hour), Override: []string{"all"}}, "test"))
	c.later(59 * time.Minute)
	c.later(-2 * time.Hour)
	c.hour(func(string) int { return 1 }, time.Millisecond, time.Millisecond)
	if e := c.due(); e.State != shadow.Scheduled {
		t.Fatalf("with the clock set back it is %s", e.State)
	}
	c.later(90 * time.Minute)
	if e := c.due(); e.State != shadow.IsLive {
		t.Fatalf("at its time it is %s", e.State)
	}
	c.later(-3 * time.Hour)
	c.hour(func(string) int { return 2 }, time.Millisecond, time.Millisecond)
	back := must[*shadow.RolledBackTo](t)(c.lab.Rollback(ctx, true, "test"))
	if want := 2 * len(c.keys); int(back.Total) != want || len(back.Keys) != len(c.keys) {
		t.Errorf("%d went back to %d keys, want %d", back.Total, len(back.Keys), want)
	}
	c.later(4 * time.Hour)
	if e := c.due(); e.State != shadow.RolledBack || !e.MadeWhole || !e.Settled || int(e.MadeGood) != 2*len(c.keys) {
		t.Errorf("%+v", e)
	}
	if must[bool](t)(c.lab.Due(ctx)) {
		t.Error("something is due when all is settled")
	}
}

// What superseded an experiment is rolled back: it is live again, and can be
// rolled back in turn, each with what its own prices took.
func TestWhatWasSupersededIsLiveAgain(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	all := []string{"all"}
	must[*shadow.Promoted](t)(c.lab.Promote(ctx, shadow.Promotion{Name: "three", Override: all}, "test"))
	once := func(string) int { return 1 }
	c.hour(once, time.Millisecond, time.Millisecond)
	c.start(t, "nine", "defaults: {per_call: 9}")
	must[*shadow.Promoted](t)(c.lab.Promote(ctx, shadow.Promotion{Name: "nine", Override: all}, "test"))
	c.hour(once, time.Millisecond, time.Millisecond)
	if _, err := c.lab.RollbackOf(ctx, "three", true, "test"); !errors.Is(err, shadow.ErrState) {
		t.Errorf("a superseded one is rolled back: %v", err)
	}
	n := len(c.keys)
	for range 2 { // the second time changes nothing
		back := must[*shadow.RolledBackTo](t)(c.lab.RollbackOf(ctx, "nine", true, "test"))
		if int(back.Total+back.Before) != 6*n || back.Name != "nine" {
			t.Errorf("%+v", back)
		}
	}
	if e := must[*shadow.Experiment](t)(c.lab.Experiment("three")); e.State != shadow.IsLive || e.Ended != nil || c.sheet.Tool("echo").PerCall != 3 {
		t.Fatalf("%+v", e)
	}
	c.hour(once, time.Millisecond, time.Millisecond)
	if s := must[[]shadow.Status](t)(c.lab.Status(ctx, "three"))[0].Since; s == nil || s.Attempts != n || int(s.Change) != n {
		t.Errorf("since it is live again: %+v", s)
	}
	back := must[*shadow.RolledBackTo](t)(c.lab.RollbackOf(ctx, "three", true, "test"))
	if int(back.Total) != 2*n || c.sheet.Tool("echo").PerCall != 2 {
		t.Errorf("%+v", back)
	}
	if v := c.report(t, "three"); v.SelfDifference != 0 {
		t.Errorf("%d decisions differ", v.SelfDifference)
	}
}

// Calls that cost the same prices later, by another decision, are nothing of an
// experiment that was rolled back before.
func TestAMakeGoodEndsWithItsExperiment(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	promote := func(name string) {
		t.Helper()
		must[*shadow.Promoted](t)(c.lab.Promote(ctx, shadow.Promotion{Name: name, Override: []string{"all"}}, "test"))
	}
	once := func(string) int { return 1 }
	promote("three")
	c.hour(once, time.Millisecond, time.Millisecond)
	must[*shadow.RolledBackTo](t)(c.lab.Rollback(ctx, true, "test"))
	c.start(t, "again", "defaults: {per_call: 3}")
	c.later(time.Hour)
	promote("again")
	c.hour(once, time.Millisecond, time.Millisecond)
	n := len(c.keys)
	if back := must[*shadow.RolledBackTo](t)(c.lab.RollbackOf(ctx, "three", true, "test")); back.Total != 0 || int(back.Before) != n {
		t.Errorf("of three: %+v", back)
	}
	if back := must[*shadow.RolledBackTo](t)(c.lab.RollbackOf(ctx, "again", true, "test")); int(back.Total) != n {
		t.Errorf("of again: %+v", back)
	}
}
