package shadow_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"paygate/pricing"
	"paygate/shadow"
	"paygate/shadow/report"
	"paygate/store"
	"paygate/store/journal"
	"paygate/store/ledger"
	"paygate/store/sheets"
)

// canaryRig has keys that call as the rollout says they pay.
type canaryRig struct {
	*rig
	t    *testing.T
	keys []string
}

// newCanary lets 24 keys call twelve times an hour for six hours, beside a
// candidate of 3 to a live price of 2.
func newCanary(t *testing.T) *canaryRig {
	t.Helper()
	c := &canaryRig{rig: newRig(t, flat(2)), t: t}
	for i := range 24 {
		c.keys = append(c.keys, fmt.Sprintf("key_%02d", i))
		c.topup(t, c.keys[i], 100_000)
	}
	c.start(t, "three", "defaults: {per_call: 3}")
	for range 6 {
		c.hour(func(string) int { return 12 }, 10*time.Millisecond, 10*time.Millisecond)
	}
	return c
}

// hour lets every key call so often, and each call take so long by whether its
// key is in the canary.
func (c *canaryRig) hour(calls func(key string) int, live, canary time.Duration) {
	c.t.Helper()
	for _, key := range c.keys {
		for range calls(key) {
			took := live
			sheet := c.pays(key)
			if sheet.Hash() != c.sheet.Hash() {
				took = canary
			}
			c.one(key, sheet, took)
		}
	}
	c.later(time.Hour)
}

func (c *canaryRig) one(key string, sheet *pricing.Sheet, took time.Duration) {
	c.t.Helper()
	c.calls++
	call := &ledger.Call{Price: sheet}
	call.ID, call.Key, call.Payer, call.Tool, call.Sheet = fmt.Sprintf("c%d", c.calls), key, string(journal.KeyAccount(key)), "echo", sheet.Hash()
	if err := c.Reserve(call); err != nil {
		c.t.Fatal(err)
	}
	call.Took = took
	c.end(call, 100)
}

// pays is the sheet that a key pays by now.
func (c *canaryRig) pays(key string) *pricing.Sheet {
	c.t.Helper()
	sheet := c.sheet
	err := c.DB().View(func(s *store.Snapshot) error {
		r, err := sheets.CurrentRollout(s)
		if err != nil {
			return err
		}
		if hash := r.For(sheets.Payer{ID: key, Made: noon}, c.now()); hash != "" {
			sheet, err = sheets.Get(s, hash)
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return sheet
}

func (c *canaryRig) begins(p shadow.Promotion) {
	c.t.Helper()
	p.Name, p.Percent = "three", 50
	p.Override = append(p.Override, "all")
	must[*shadow.Promoted](c.t)(c.lab.Promote(ctx, p, "test"))
	if err := c.Flush(ctx); err != nil {
		c.t.Fatal(err)
	}
}

// due does what is due and gives the experiment then.
func (c *canaryRig) due() *shadow.Experiment {
	c.t.Helper()
	if err := c.Flush(ctx); err != nil {
		c.t.Fatal(err)
	}
	must[bool](c.t)(c.lab.Due(ctx))
	return must[*shadow.Experiment](c.t)(c.lab.Experiment("three"))
}

func (c *canaryRig) inCanary(key string) bool { return c.pays(key).Hash() != c.sheet.Hash() }

func steady(string) int { return 12 }

func TestACanaryWithoutHarmGoesLiveWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	c.begins(shadow.Promotion{For: 4 * time.Hour, Quiet: "21:00-00:30"}) // it is 18:00
	for range 4 {
		c.hour(steady, 10*time.Millisecond, 10*time.Millisecond)
		if e := c.due(); e.State != shadow.InCanary {
			t.Fatalf("at %s it is %s", c.now(), e.State)
		}
	}
	c.hour(steady, 10*time.Millisecond, 10*time.Millisecond)
	if e := c.due(); e.State != shadow.InCanary {
		t.Errorf("in quiet hours it became %s", e.State)
	}
	c.later(3 * time.Hour)
	if e := c.due(); e.State != shadow.IsLive {
		t.Errorf("after its time it is %s", e.State)
	}
	if v := c.report(t, "three"); v.SelfDifference != 0 || len(v.Exact.Sheets) != 1 {
		t.Errorf("%d decisions differ when two sheets are charged; before there was one: %+v", v.SelfDifference, v.Exact.Sheets)
	}
	split := must[*report.Report](t)(c.lab.Report(ctx, "three~before", shadow.Window{})).Exact
	if s := split.Sheets; len(s) != 2 || s[0].Keys+s[1].Keys != len(c.keys) || s[0].Change+s[1].Change != split.Change.Total || s[0].Change*s[1].Change != 0 {
		t.Errorf("the keys that paid new prices and the others: %+v of %+v", s, split.Change)
	}
}

func TestASlowCanaryIsTakenBack(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	c.begins(shadow.Promotion{})
	c.hour(steady, 10*time.Millisecond, 10*time.Millisecond)
	if e := c.due(); e.State != shadow.InCanary {
		t.Fatalf("it is %s", e.State)
	}
	for range 2 {
		c.hour(steady, 10*time.Millisecond, 15*time.Millisecond)
	}
	if e := c.due(); e.State != shadow.RolledBack {
		t.Errorf("a canary that is half slower is %s: %+v", e.State, must[*shadow.Rollout](t)(c.lab.Rollout(ctx)).Guards)
	}
	if c.inCanary(c.keys[0]) || c.inCanary(c.keys[1]) {
		t.Error("a key pays its price still")
	}
}

func TestASlowCanaryGoesOnIfItsGuardIsOverridden(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	c.begins(shadow.Promotion{Override: []string{"p99"}})
	for range 3 {
		c.hour(steady, 10*time.Millisecond, 15*time.Millisecond)
	}
	if e := c.due(); e.State != shadow.InCanary {
		t.Errorf("it is %s", e.State)
	}
}

func TestACanaryWhoseKeysCallLessIsTakenBack(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	c.begins(shadow.Promotion{})
	fewer := func(key string) int {
		if c.inCanary(key) {
			return 3
		}
		return 12
	}
	for range 3 {
		c.hour(fewer, 10*time.Millisecond, 10*time.Millisecond)
	}
	if e := c.due(); e.State != shadow.RolledBack {
		t.Errorf("with a quarter of the attempts it is %s: %+v", e.State, must[*shadow.Rollout](t)(c.lab.Rollout(ctx)).Guards)
	}
}

func TestACanaryEndsWhenOtherPricesGoLive(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	c.begins(shadow.Promotion{})
	err := c.Apply(ctx, func(tx *ledger.Tx) error {
		_, err := sheets.Import(tx, flat(7), tx.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if e := c.due(); e.State != shadow.RolledBack {
		t.Errorf("it is %s", e.State)
	}
}

func TestAPriceCapOfACanaryHoldsForEveryCall(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	c.begins(shadow.Promotion{PerCall: 2})
	for _, key := range c.keys {
		before := c.Key(key).Credits
		c.one(key, c.pays(key), time.Millisecond)
		if got := before - c.Key(key).Credits; got > 2 {
			t.Errorf("a call costs %d", got)
		}
	}
	must[*shadow.Promoted](t)(c.lab.Promote(ctx, shadow.Promotion{Name: "three"}, "test"))
	before := c.Key(c.keys[0]).Credits
	c.one(c.keys[0], c.sheet, time.Millisecond)
	if got := before - c.Key(c.keys[0]).Credits; got != 3 {
		t.Errorf("live for all a call costs %d, want 3", got)
	}
}

func TestWhatIsWrongWithAPromotionIsSaid(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	for want, p := range map[string]shadow.Promotion{
		"less than 100":    {Percent: 100},
		"bound a canary":   {PerDay: 5},
		"is over":          {At: noon},
		"quietHours":       {Quiet: "late"},
		"until: and a":     {Keep: "some"},
		"before the":       {Keep: "until:2020-01-01"},
		"not a guardrail":  {Override: []string{"p99"}},
		"quietHours is 18": {Quiet: "17:00-19:00", Override: []string{"windowDays"}},
	} {
		p.Name = "three"
		var bad *shadow.BadInput
		var blocked *shadow.Blocked
		_, err := c.lab.Promote(ctx, p, "test")
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &bad) && !errors.As(err, &blocked) {
			t.Errorf("%+v: %v, want %q", p, err, want)
		}
	}
}

func TestTheSheetOfBeforeGoesOnAsAShadow(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	must[*shadow.Promoted](t)(c.lab.Promote(ctx, shadow.Promotion{Name: "three", Override: []string{"all"}}, "test"))
	c.hour(func(string) int { return 2 }, time.Millisecond, time.Millisecond)
	calls := 2 * len(c.keys)
	look := func(lab *shadow.Lab) {
		t.Helper()
		s := must[[]shadow.Status](t)(lab.Status(ctx, "three"))[0].Since
		if s == nil || s.Attempts != calls || s.Credits != pricing.Credits(3*calls) || s.Before != pricing.Credits(2*calls) || s.Change != pricing.Credits(calls) {
			t.Errorf("since it is live: %+v, want %d calls", s, calls)
		}
	}
	look(c.lab)
	dir := t.TempDir()
	for range 2 { // lived through again, and from a checkpoint
		lab := c.again(dir)
		look(lab)
		if err := lab.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if r := must[*report.Report](t)(c.lab.Report(ctx, "three~before", shadow.Window{})); r.Exact.Change.Total != pricing.Credits(-calls) {
		t.Errorf("the report of the sheet of before: %+v", r.Exact.Change)
	}
	back := must[*shadow.RolledBackTo](t)(c.lab.Rollback(ctx, true, "test"))
	if back.Total != pricing.Credits(calls) {
		t.Errorf("%d went back, want what the shadow says: %d", back.Total, calls)
	}
	c.hour(func(string) int { return 1 }, time.Millisecond, time.Millisecond)
	if s := must[[]shadow.Status](t)(c.lab.Status(ctx, "three"))[0].Since; s.Attempts != calls {
		t.Errorf("after the rollback it counts on: %+v", s)
	}
}

func TestAScheduleIsCancelledWhenOtherPricesGoLive(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	must[*shadow.Promoted](t)(c.lab.Promote(ctx, shadow.Promotion{Name: "three", At: c.now().Add(time.Hour), Override: []string{"all"}}, "test"))
	if e := c.due(); e.State != shadow.Scheduled || e.Reviewed == nil || len(e.Reviewed.Report) != 64 {
		t.Fatalf("%+v", e)
	}
	err := c.Apply(ctx, func(tx *ledger.Tx) error {
		_, err := sheets.Import(tx, flat(7), tx.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if e := c.due(); e.State != shadow.IsReviewed || must[*shadow.Rollout](t)(c.lab.Rollout(ctx)).Next != nil {
		t.Errorf("it is %s, and announced", e.State)
	}
}

func TestGrantsThatExpireInShadowModeLeaveItsBooksWhatIsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t, flat(2))
	if err := r.SetMode(ctx, true, "test"); err != nil {
		t.Fatal(err)
	}
	turn := func(expired, granted pricing.Credits) {
		t.Helper()
		r.later(24 * time.Hour)
		e := journal.Event{Type: journal.TypeGranted, Actor: "system", Subject: "key_0", Data: []byte(fmt.Sprintf(`{"plan":"free","period":%d,"granted":%d,"expired":%d}`, r.now().Unix(), granted, expired))}
		if expired > 0 {
			e.Posts = append(e.Posts, journal.Entry{ID: fmt.Sprint("x", r.now()), From: journal.KeyAccount("key_0"), To: journal.Expired, Amount: expired, Kind: journal.KindExpiry})
		}
		e.Posts = append(e.Posts, journal.Entry{ID: fmt.Sprint("g", r.now()), From: journal.Bank, To: journal.KeyAccount("key_0"), Amount: granted, Kind: "grant"})
		if err := r.Apply(ctx, func(tx *ledger.Tx) error { return tx.Append(e) }); err != nil {
			t.Fatal(err)
		}
	}
	turn(0, 20)
	r.start(t, "same", "defaults: {per_call: 2}")
	for range 3 {
		for range 5 {
			r.pay(t, "key_0", "echo")
		}
		if would, _ := r.WouldKey("key_0"); would.Credits != 10 || r.Key("key_0").Credits != 20 {
			t.Errorf("would have %d, has %d", would.Credits, r.Key("key_0").Credits)
		}
		turn(20, 20) // nothing was charged, so all of it expires; of the would-be wallet what is left
	}
	if v := r.report(t, "same"); v.SelfDifference != 0 || v.Exact.Live.Denied != 0 {
		t.Errorf("%d differences, %+v", v.SelfDifference, v.Exact.Live)
	}
	if p := must[ledger.Proof](t)(r.Verify(ctx, nil)); !p.OK() {
		t.Errorf("%q", p.Faults)
	}
}

// What was well when a promotion was scheduled may be so no more at its time.
func TestAScheduledPromotionIsJudgedAgainAtItsTime(t *testing.T) {
	t.Parallel()
	young := []string{"windowDays", "attempts", "effectivePayers"}
	for _, when := range []struct {
		name     string
		override []string
		poor     bool // callers come that the new prices would stop
		state    string
	}{
		{"nothing has changed", young, false, shadow.IsLive},
		{"a guardrail fails meanwhile", young, true, shadow.IsReviewed},
		{"all were overridden", []string{"all"}, true, shadow.IsLive},
		{"that one was overridden", append(young, "newlyDeniedAttempts", "newlyStoppedKeys", "runsBroken", "strandedSpend"), true, shadow.IsLive},
	} {
		t.Run(when.name, func(t *testing.T) {
			t.Parallel()
			c := newCanary(t)
			p := must[*shadow.Promoted](t)(c.lab.Promote(ctx, shadow.Promotion{Name: "three", At: c.now().Add(time.Hour), Override: when.override}, "test"))
			asked := *p.Experiment.Going.At
			for i := range 10 {
				poor := fmt.Sprint("poor_", i)
				if c.topup(t, poor, 20); when.poor {
					for range 10 {
						c.one(poor, c.sheet, time.Millisecond)
					}
				}
			}
			if e := c.due(); e.State != shadow.Scheduled {
				t.Fatalf("before its time it is %s", e.State)
			}
			c.later(time.Hour)
			for range 2 { // once
				e := c.due()
				if e.State != when.state {
					t.Fatalf("it is %s, want %s: %+v", e.State, when.state, e.Refused)
				}
				if e.State == shadow.IsLive {
					continue
				}
				r := e.Refused
				if r == nil || !strings.Contains(r.Why, "newlyDeniedAttempts is") || strings.Contains(r.Why, "windowDays") || !r.Asked.Equal(asked) || r.At.Before(asked) || e.Going != nil {
					t.Fatalf("%+v", e)
				}
				if c.pays("key_00").Hash() != c.sheet.Hash() || must[*shadow.Rollout](t)(c.lab.Rollout(ctx)).Next != nil {
					t.Error("the prices changed, or are still announced")
				}
			}
			if when.state != shadow.IsReviewed {
				return
			}
			var refused int
			for _, e := range must[[]*journal.Event](t)(c.Journal().Page(0, 100_000)) {
				if e.Type == "shadow.refused" && e.Actor == "system" && strings.Contains(string(e.Data), `"by":"test"`) {
					refused++
				}
			}
			again := must[*shadow.Promoted](t)(c.lab.Promote(ctx, shadow.Promotion{Name: "three", Override: []string{"all"}}, "test"))
			if refused != 1 || again.Experiment.State != shadow.IsLive || again.Experiment.Refused != nil {
				t.Errorf("%d events; decided again: %+v", refused, again.Experiment)
			}
		})
	}
}
