package tui_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"paygate/tui"
	"paygate/tui/fake"
)

// with runs a test on a dashboard of 80 by 24.
func with(t *testing.T, test func(d *driver), change ...options) {
	t.Helper()
	t.Parallel()
	inside(t, func(t *testing.T) {
		d := drive(t, 80, 24, change...)
		defer d.end()
		test(d)
	})
}

func TestTheModeIsSaidInWords(t *testing.T) {
	with(t, func(d *driver) {
		d.has("░ SHADOW ░ not charging", "╌╌╌", "would")
		d.press("S")
		d.has("3 keys have no credits and will be refused", "paygate mode live")
		d.press("enter")
		d.typed("liv")
		d.press("enter")
		d.has("not yet")
		if d.asked("POST /admin/mode") {
			t.Error("it went live without the word")
		}
		d.typed("e")
		d.press("enter")
		d.wait(300 * time.Millisecond)
		d.has("● LIVE ● charging", "━━━", "charged")
		d.press("2")
		d.wait(300 * time.Millisecond)
		d.has("CHARGED")
	})
}

func TestMovingHoldsTheListAndFollowLetsItGo(t *testing.T) {
	with(t, func(d *driver) {
		d.press("2")
		d.wait(300 * time.Millisecond)
		d.has("newest 19 shown, p holds")
		d.press("j", "j", "j")
		line := cursorLine(d.screen())
		d.wait(2 * time.Second)
		if now := cursorLine(d.screen()); now != line {
			t.Errorf("the cursor was on %q and is on %q", line, now)
		}
		d.has("newer", "held, f follows")
		d.size(160, 45)
		d.size(80, 24)
		if now := cursorLine(d.screen()); now != line {
			t.Errorf("after a resize the cursor is on %q, not on %q", now, line)
		}
		d.press("f")
		d.wait(300 * time.Millisecond)
		d.hasNot("newer")
	})
}

// cursorLine is the line of the screen with the cursor's mark.
func cursorLine(screen string) string {
	for l := range strings.SplitSeq(screen, "\n") {
		if strings.HasPrefix(l, "▌") {
			return l
		}
	}
	return ""
}

func TestAFilterActsAndAMistakeIsMarked(t *testing.T) {
	with(t, func(d *driver) {
		d.press("2", "/")
		d.typed("~t read* & ~deny")
		d.press("enter")
		d.wait(300 * time.Millisecond)
		d.has("filter ~t read* & ~deny", "fs:read_file", "⊘ tool_not_allowed")
		d.hasNot("browser:", "✓ ok")
		d.press("/")
		d.typed(" & ~nope")
		d.has("there is no ~nope")
		d.press("enter")
		d.has("there is no ~nope") // it stays until it is right
		d.press("esc")
		d.has("filter ~t read* & ~deny") // the last good one goes on
		d.press("esc", "esc")
		d.wait(300 * time.Millisecond)
		d.hasNot("filter ~t")
	})
}

func TestTheQuoteAddsUp(t *testing.T) {
	with(t, func(d *driver) {
		d.press("2", "j", "enter")
		d.wait(100 * time.Millisecond)
		d.has("per call", "input", "output", "plan", "−3", "due", "12", "way  gate 0.42 ms", "identify, access, rate, quote")
		d.press("c")
		d.has("copied a curl")
		d.press("Y")
		d.has(`"X-API-Key: $API_KEY"`, `"url":"https://example.com/pricing"`)
	})
}

func TestACurlHasTheArgumentsOfACallThatWasNotOpened(t *testing.T) {
	with(t, func(d *driver) {
		d.press("2", "j", "c")
		d.wait(100 * time.Millisecond)
		d.press("Y")
		d.has(`"url":"https://example.com/pricing"`)
	})
}

func TestAKeyIsMadeAndItsSecretShownOnce(t *testing.T) {
	with(t, func(d *driver) {
		d.press("3", "n", "enter", "up", "up", "up", "enter")
		d.has("a key needs a name")
		d.press("tab")
		d.press("shift+tab")
		d.typed("acme-batch")
		d.has("paygate keys create --name acme-batch --credits 1000")
		d.press("up", "up", "enter") // over Cancel to Create
		d.wait(100 * time.Millisecond)
		d.has("pg_secret0123456789abcdef", "only time")
		if !d.asked(`POST /keys {"credits":1000,"name":"acme-batch"}`) {
			t.Errorf("asked: %v", d.g.Asked)
		}
		d.press("x")
		for _, k := range []string{"1", "3", "?", "esc", "u"} {
			d.press(k)
			d.hasNot("pg_secret0123456789abcdef")
		}
	})
}

func TestSuspendIsUndone(t *testing.T) {
	with(t, func(d *driver) {
		d.press("3")
		d.wait(100 * time.Millisecond)
		d.press("j", "s")
		d.wait(100 * time.Millisecond)
		d.has("suspended agent-", "u undoes", "paygate keys suspend key_")
		d.press("u")
		d.wait(100 * time.Millisecond)
		d.has("resumed agent-")
		if !d.asked("POST /keys/suspend") || !d.asked("POST /keys/resume") {
			t.Errorf("asked: %v", d.g.Asked)
		}
		d.press("u")
		d.has("Nothing to undo")
	})
}

func TestRevokeWantsTheName(t *testing.T) {
	with(t, func(d *driver) {
		d.press("3")
		d.wait(100 * time.Millisecond)
		d.press("K", "enter", "y", "enter")
		if d.asked("/keys/revoke") {
			t.Fatal("it was revoked without its name")
		}
		d.press("backspace")
		d.typed("bob@example.com")
		d.press("enter")
		d.wait(100 * time.Millisecond)
		if !d.asked("/keys/revoke") {
			t.Errorf("asked: %v", d.g.Asked)
		}
		d.press("j", "space", "space", "K")
		d.has("Revoke 2 keys for good?", "Type  2 keys")
	})
}

func TestAPriceIsStagedAndAppliedOnlyByW(t *testing.T) {
	with(t, func(d *driver) {
		d.press("4")
		d.wait(100 * time.Millisecond)
		d.press("j", "enter")
		d.typed("7")
		d.press("enter")
		d.wait(100 * time.Millisecond)
		d.has("5→7", "effect on the last hour: 24,812 calls", "+15.4 %", "2 keys would have stopped", "paygate prices set search:web_search 7", "1 change staged")
		if d.asked("POST /admin/prices {") {
			t.Fatal("it was applied before w")
		}
		d.press("w", "enter")
		if d.asked("POST /admin/prices {") {
			t.Fatal("Enter alone applied it")
		}
		d.press("w", "y")
		d.wait(100 * time.Millisecond)
		if !d.asked(`POST /admin/prices {"base":"9f3c1a77d0","changes":[{"tool":"search:web_search","perCall":7}]}`) {
			t.Errorf("asked: %v", d.g.Asked)
		}
		d.hasNot("5→7")
		d.press("u")
		d.has("7→5", "the old prices are staged")
		d.press("x")
		d.hasNot("7→5")
	})
}

func TestTenThousandKeysAreSearchedSortedAndWalked(t *testing.T) {
	with(t, func(d *driver) {
		d.press("3")
		d.wait(100 * time.Millisecond)
		d.press("G")
		d.wait(100 * time.Millisecond)
		d.has("10,000 of 10,000 keys")
		if cursorLine(d.screen()) == "" || strings.Contains(cursorLine(d.screen()), "…  ") {
			t.Errorf("the last key is not there:\n%s", d.screen())
		}
		d.press("/")
		d.typed("acme-")
		d.press("enter")
		d.wait(100 * time.Millisecond)
		d.has("1 of 2 keys", "acme-ci", "acme-prod")
		d.press("O")
		d.wait(100 * time.Millisecond)
		d.has("latest first", "▼")
		d.press("esc")
		d.wait(100 * time.Millisecond)
		d.has("of 10,000 keys")
	})
}

func TestALostLinkSaysSoAndComesBack(t *testing.T) {
	with(t, func(d *driver) {
		d.g.Cut(errors.New("connection reset by peer"))
		d.wait(3 * time.Second)
		d.has("OFFLINE", "calls/s", "as of 00:00:0")
		d.g.Cut(nil)
		d.wait(6 * time.Second)
		d.hasNot("OFFLINE")
	})
}

func TestAViewerCannotAct(t *testing.T) {
	with(t, func(d *driver) {
		d.press("3")
		d.wait(100 * time.Millisecond)
		d.hasNot("n new", "s suspend", "K revoke")
		for _, k := range []string{"n", "t", "s", "K", "R", "l", "a", "S"} {
			d.press(k)
			d.has("viewer")
		}
		d.press(":")
		d.typed("mode live")
		d.press("enter")
		d.has("viewer")
		if len(d.g.Asked) > 0 {
			t.Errorf("asked: %v", d.g.Asked)
		}
	}, func(_ *tui.Options, g *fake.Gateway) { g.Role = "viewer" })
}

func TestARefusalIsShownWhereItHappens(t *testing.T) {
	with(t, func(d *driver) {
		d.press("3")
		d.wait(100 * time.Millisecond)
		d.press("n")
		d.typed("first")
		d.g.Refuse(errors.New("name: this name is taken"))
		d.press("up", "up", "enter")
		d.wait(50 * time.Millisecond)
		d.has("this name is taken", "New key")
		d.g.Refuse(nil)
	})
}

func TestCommandsCompleteAndSayWhatWasMeant(t *testing.T) {
	with(t, func(d *driver) {
		d.press(":")
		d.typed("keys susp")
		d.press("tab")
		d.has(":keys suspend")
		d.typed(" acme-c")
		d.wait(50 * time.Millisecond)
		d.press("right", "enter")
		d.wait(100 * time.Millisecond)
		d.has("suspended acme-ci")
		d.press(":")
		d.typed("overveiw")
		d.press("enter")
		d.has("did you mean overview")
		d.press(":", "up")
		d.has(":overveiw")
		d.press("up")
		d.has(":keys suspend acme-ci")
		d.press("esc", ":")
		d.typed("calls ~deny")
		d.press("enter")
		d.wait(300 * time.Millisecond)
		d.has("filter ~deny", "⊘")
	})
}

func TestTheMousePressesWhatItSees(t *testing.T) {
	with(t, func(d *driver) {
		click := func(text string) {
			t.Helper()
			for y, l := range strings.Split(d.screen(), "\n") {
				if i := strings.Index(l, text); i >= 0 {
					d.send(tea.MouseClickMsg{X: len([]rune(l[:i])), Y: y, Button: tea.MouseLeft})
					d.settle()
					return
				}
			}
			t.Fatalf("there is no %q:\n%s", text, d.screen())
		}
		click("3 Keys")
		d.wait(100 * time.Millisecond)
		d.has("of 10,000 keys")
		click("CREDITS")
		d.wait(100 * time.Millisecond)
		d.has("by credits, most first")
		d.send(tea.MouseWheelMsg{Button: tea.MouseWheelDown})
		d.settle()
		d.has("4 of 10,000")
		click("help")
		d.has("copy the key's id")
	})
}

func TestQuitAsksWhatBecomesOfAGatewayInside(t *testing.T) {
	inner := func(o *tui.Options, _ *fake.Gateway) { o.Inside = true }
	with(t, func(d *driver) {
		d.press("q", "esc")
		d.press("q", "d")
		if !d.quit || d.m.Leaves() != tui.Headless {
			t.Errorf("quit %v, exit %v", d.quit, d.m.Leaves())
		}
	}, inner)
}

func TestEscNeverQuits(t *testing.T) {
	with(t, func(d *driver) {
		for range 20 {
			d.press("esc")
		}
		if d.quit {
			t.Error("it quit")
		}
	}, func(o *tui.Options, _ *fake.Gateway) { o.Inside = false })
}

func TestAKeyIsPutOnAPlanAndBack(t *testing.T) {
	with(t, func(d *driver) {
		d.press("3")
		d.wait(100 * time.Millisecond)
		d.press("P")
		d.wait(100 * time.Millisecond)
		d.has("Plan and group of", "‹ ")
		d.press("right", "up", "up", "enter")
		d.wait(200 * time.Millisecond)
		if !d.asked(`POST /keys/plan {"key":"key_`) {
			t.Errorf("asked: %v", d.g.Asked)
		}
		d.has("set the plan of", "u undoes")
		before := len(d.g.Asked)
		d.press("u")
		d.wait(200 * time.Millisecond)
		if len(d.g.Asked) != before+1 {
			t.Errorf("undo asked for nothing: %v", d.g.Asked)
		}
	})
}

func TestAKeyCanHaveARateOfItsOwn(t *testing.T) {
	with(t, func(d *driver) {
		d.press("3")
		d.wait(100 * time.Millisecond)
		d.press("n")
		d.typed("fast")
		d.press("down", "down", "down", "down", "down", "down")
		d.typed("100001")
		d.has("at most 100,000")
		d.press("backspace", "backspace", "backspace")
		d.has("--calls-per-minute 100")
		d.press("down", "down", "down", "down", "down", "enter")
		d.wait(50 * time.Millisecond)
		if n := len(d.g.Asked); n != 1 || !strings.Contains(d.g.Asked[0], `"rateLimit":100`) {
			t.Errorf("asked: %v", d.g.Asked)
		}
	})
}
