package tui_test

import (
	"strings"
	"testing"
	"time"

	"paygate/tui"
	"paygate/tui/fake"
)

func TestATurnedPriceShowsSumsAtOnceAndExactFiguresAfter(t *testing.T) {
	with(t, func(d *driver) {
		d.press("5")
		d.wait(100 * time.Millisecond)
		d.press("+", "+") // no time passes
		d.has("8→10", "≈ 2,410,000", "≈ +42.6 %", "changed", "ignores balances and limits", "in 31 ms")
		d.wait(time.Second)
		d.has("8→10", "2,257,700", "w keep", "grade A")
		d.hasNot("≈ 2,4")
		if d.asked("/admin/shadow") {
			t.Errorf("something was changed: %v", d.g.Asked)
		}
		d.press("x")
		d.wait(time.Second)
		d.has("2,051,567")
		d.press("u")
		d.wait(time.Second)
		d.has("8→10")
	})
}

func TestTheLivePricesAreNotTurned(t *testing.T) {
	with(t, func(d *driver) {
		d.press("5")
		d.wait(100 * time.Millisecond)
		d.press("left", "+")
		d.has("change by promoting a candidate")
		d.press("enter")
		d.has("change by promoting a candidate")
	})
}

func TestACopyOfLiveIsChangedKeptAndShadowed(t *testing.T) {
	with(t, func(d *driver) {
		d.press("5")
		d.wait(100 * time.Millisecond)
		d.press("left", "n")
		d.has("a copy of live", "candidate")
		d.press("down", "backspace")
		d.typed("1.5")
		d.press("enter")
		d.wait(100 * time.Millisecond)
		d.has("5→7.5", "not kept", "12→18")
		d.press("enter")
		d.typed("4+1/KB")
		d.press("enter")
		d.has("5→4+1/KB")
		d.press("w")
		d.has("Keep as a candidate", "shadow start candidate")
		d.press("enter", "enter")
		d.wait(time.Second)
		d.has("candidate shadows every call from now on", "shadow 1s", "live ●")
		if !d.asked(`POST /admin/shadow {"from":"live","name":"candidate","set":`) || !d.asked(`POST /admin/shadow/start {"name":"candidate"}`) {
			t.Errorf("asked: %v", d.g.Asked)
		}
	})
}

func TestAPromotionNamesTheGuardrailsThatStandAgainstIt(t *testing.T) {
	with(t, func(d *driver) {
		d.press("5")
		d.wait(100 * time.Millisecond)
		d.press("P")
		d.wait(100 * time.Millisecond)
		d.has("✗ bill shock", "limit 5.0 %", "Blocked by bill shock", "promote pro-tier --override billShock")
		d.press("enter")
		d.typed("promote pro-tier")
		d.press("enter")
		if d.asked("promote") {
			t.Fatal("it was promoted against a guardrail that was not named")
		}
		// A canary that ends by itself is watched by nobody: more stands against it.
		d.press("up", "up", "up", "right")
		d.has("canary 5 % of keys", "effectivePayers,billShock", "--canary 5 --for 24h")
		d.press("left", "down", "down", "right", "down")
		d.typed(" --override billShock")
		d.press("enter")
		d.wait(300 * time.Millisecond)
		if !d.asked(`POST /admin/shadow/promote {"keep":"existing","name":"pro-tier","override":["billShock"]}`) {
			t.Errorf("asked: %v\n%s", d.g.Asked, d.screen())
		}
		d.has("pro-tier is live")
	})
}

func TestARollbackShowsWhatGoesBackAndWantsItsName(t *testing.T) {
	with(t, func(d *driver) {
		d.press("5")
		d.wait(100 * time.Millisecond)
		d.press("R")
		d.wait(100 * time.Millisecond)
		d.has("acme-ci", "+10,045", "12,345 credits to 2 keys", "--make-good")
		d.press("enter")
		if d.asked("rollback") {
			t.Fatal("it was rolled back without a word")
		}
		d.typed("roll back pro-tier")
		d.press("enter")
		d.wait(100 * time.Millisecond)
		if !d.asked(`POST /admin/shadow/rollback {"makeGood":true,"name":"pro-tier"}`) {
			t.Errorf("asked: %v", d.g.Asked)
		}
		d.has("12,345 credits went back")
	})
}

func TestTheCursorGoesOnToKeysAndOpensTheirStatements(t *testing.T) {
	with(t, func(d *driver) {
		d.press("5")
		d.wait(100 * time.Millisecond)
		d.press("v", "G", "j")
		if line := d.screen(); !strings.Contains(line, "▌agent-00020") {
			t.Errorf("the cursor is not on the first key:\n%s", line)
		}
		d.press("enter")
		d.wait(100 * time.Millisecond)
		d.has("statement of agent-00020 under pro-tier", "PRO-TIER", "insufficien", "refused 0 → 4")
		d.press("d")
		d.has("only those that differ")
		d.press("esc")
		d.has("winners and losers")
	})
}

func TestAViewerLooksOnInTheLab(t *testing.T) {
	with(t, func(d *driver) {
		d.press("5")
		d.wait(100 * time.Millisecond)
		d.has("pro-tier", "chart")
		d.hasNot("promote  ", "+ - price", "roll back")
		for _, k := range []string{"+", "n", "w", "P", "R", "s", "x"} {
			d.press(k)
			d.has("viewer")
		}
	}, func(_ *tui.Options, g *fake.Gateway) { g.Role = "viewer" })
}

func TestACanaryIsInTheModeBlock(t *testing.T) {
	with(t, func(d *driver) {
		d.press("S")
		d.typed("live")
		d.press("enter")
		d.wait(300 * time.Millisecond)
		d.has("● LIVE ● canary 5 %")
	}, func(_ *tui.Options, g *fake.Gateway) { g.Canary = 5 })
}

func TestADraftIsMendedOrDropped(t *testing.T) {
	with(t, func(d *driver) {
		d.press("5")
		d.wait(100 * time.Millisecond)
		d.press("l", "l", "l")
		d.has("by-result", "2 mistakes", "3:3: defaults.per_cal: there is no such field", "paygate shadow status by-result")
		for _, k := range []string{"+", "enter", "n", "s", "P", "w", "f"} {
			d.press(k)
			d.has("mend its file and keep it again")
		}
		d.press("x")
		d.has("Drop by-result?", "paygate shadow drop by-result")
		d.press("y")
		d.wait(time.Second)
		if !d.asked(`POST /admin/shadow/drop {"name":"by-result"}`) {
			t.Errorf("asked: %v", d.g.Asked)
		}
		d.has("flat-4", "by-result is dropped", "draft", "w keep")
		d.hasNot("mistakes")
		d.press("s")
		d.has("flat-4 is a draft: w makes a candidate of it")
		d.press("w")
		d.wait(time.Second)
		if !d.asked(`POST /admin/shadow/validate {"name":"flat-4"}`) {
			t.Errorf("asked: %v", d.g.Asked)
		}
		d.has("flat-4 is a candidate", "not started")
	}, func(_ *tui.Options, g *fake.Gateway) { g.Drafts() })
}

func TestACandidateThatHasNotStartedIsReplaced(t *testing.T) {
	with(t, func(d *driver) {
		d.press("5")
		d.wait(100 * time.Millisecond)
		d.press("l", "l", "+")
		d.wait(100 * time.Millisecond)
		d.has("3→4", "flat-3")
		d.press("w")
		d.has("Keep as a candidate", "replaces what is kept")
		d.press("tab", "right", "enter")
		d.wait(time.Second)
		if !d.asked(`POST /admin/shadow {"from":"flat-3","name":"flat-3","set":`) || d.asked("/admin/shadow/start") {
			t.Errorf("asked: %v", d.g.Asked)
		}
		d.has("flat-3 is kept", "not started")
		d.hasNot("3→4", "flat-3-2")
	})
}
