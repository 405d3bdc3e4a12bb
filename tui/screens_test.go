package tui_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"paygate/tui"
	"paygate/tui/fake"
)

// scene is one screen that is kept as a golden file, in two sizes.
type scene struct {
	name   string
	change options
	keys   []string
}

func scenes() []scene {
	empty := func(o *tui.Options, g *fake.Gateway) { g.Empty, g.NoLinks = true, true }
	fails := func(o *tui.Options, g *fake.Gateway) {
		g.Fail = errors.New("dial tcp 127.0.0.1:3402: connect: connection refused")
	}
	canary := func(_ *tui.Options, g *fake.Gateway) { g.Trying = true }
	return []scene{
		{"overview", nil, nil},
		{"overview_row", nil, []string{"j", "l", "j"}},
		{"calls", nil, []string{"2"}},
		{"calls_detail", nil, []string{"2", "j", "j", "j", "enter"}},
		{"calls_way", nil, []string{"2", "j", "enter", "]"}},
		{"calls_response", nil, []string{"2", "j", "enter", "["}},
		{"keys", nil, []string{"3", "j", "space", "j", "space"}},
		{"key", nil, []string{"3", "j", "enter"}},
		{"key_form", nil, []string{"3", "n", "a", "c", "m", "e"}},
		{"key_topup", nil, []string{"3", "j", "t", "5", "0", "0"}},
		{"key_revoke", nil, []string{"3", "j", "K", "a", "c"}},
		{"prices", nil, []string{"4"}},
		{"prices_staged", nil, []string{"4", "j", "+", "+"}},
		{"prices_review", nil, []string{"4", "j", "+", "w"}},
		{"lab", nil, []string{"5"}},
		{"lab_turned", nil, []string{"5", "+", "+"}},
		{"lab_edit", nil, []string{"5", "enter", "4", "+", "1", "/"}},
		{"lab_key", nil, []string{"5", "v", "G", "j", "j"}},
		{"lab_statement", nil, []string{"5", "v", "G", "j", "enter"}},
		{"lab_survival", nil, []string{"5", "v", "v"}},
		{"lab_tools", nil, []string{"5", "v", "v", "v"}},
		{"lab_stopped", nil, []string{"5", "v", "v", "v", "v"}},
		{"lab_refused", nil, []string{"5", "v", "v", "v", "v", "v"}},
		{"lab_untried", nil, []string{"5", "V", "V", "V", "V", "V", "V", "V"}},
		{"lab_experiment", canary, []string{"5", "V", "V", "V", "V", "V", "V", "V"}},
		{"lab_experiment_zoomed", canary, []string{"5", "V", "V", "V", "V", "V", "V", "V", "z"}},
		{"lab_demand", nil, []string{"5", "V", "V", "V", "V", "V", "V"}},
		{"lab_frontier", nil, []string{"5", "V", "V", "V", "V", "V"}},
		{"lab_runs", nil, []string{"5", "V", "V", "V", "V"}},
		{"lab_balances", nil, []string{"5", "V", "V", "V"}},
		{"lab_figures", nil, []string{"5", "V", "V", "z"}},
		{"lab_doubts", nil, []string{"5", "V"}},
		{"lab_draft", func(_ *tui.Options, g *fake.Gateway) { g.Drafts() }, []string{"5", "l", "l", "l"}},
		{"lab_not_then", func(_ *tui.Options, g *fake.Gateway) { g.Refused = true }, []string{"5"}},
		{"lab_new", nil, []string{"5", "n"}},
		{"lab_keep", nil, []string{"5", "+", "w"}},
		{"lab_promote", nil, []string{"5", "P"}},
		{"lab_bracket", nil, []string{"5", "f"}},
		{"lab_rollback", nil, []string{"5", "R"}},
		{"empty_lab", func(_ *tui.Options, g *fake.Gateway) { g.NoLab = true }, []string{"5"}},
		{"empty_lab_calls", func(_ *tui.Options, g *fake.Gateway) { g.NoLab, g.Empty = true, true }, []string{"5"}},
		{"ascii_lab", func(o *tui.Options, _ *fake.Gateway) { o.ASCII = true }, []string{"5"}},
		{"huge_lab", huge, []string{"5"}},
		{"ledger", nil, []string{"6"}},
		{"ledger_entry", nil, []string{"6", "j", "enter"}},
		{"audit", nil, []string{"6", "a"}},
		{"servers", nil, []string{"7", "j", "j"}},
		{"server_form", nil, []string{"7", "a"}},
		{"logs", nil, []string{"8"}},
		{"help", nil, []string{"3", "?"}},
		{"command", nil, []string{":", "k", "e", "y", "s", " ", "s"}},
		{"filter_mistake", nil, []string{"2", "/", "~", "t", " ", "r", "e", " ", "&", " ", "~", "d", "e", "n"}},
		{"attention", nil, []string{"!"}},
		{"golive", nil, []string{"S"}},
		{"live", nil, []string{"S", "l", "i", "v", "e", "enter"}},
		{"quit", func(o *tui.Options, _ *fake.Gateway) { o.Inside = true }, []string{"q"}},
		{"empty_overview", empty, nil},
		{"empty_calls", empty, []string{"2"}},
		{"empty_keys", empty, []string{"3"}},
		{"empty_ledger", empty, []string{"6"}},
		{"empty_audit", empty, []string{"6", "a"}},
		{"empty_servers", empty, []string{"7"}},
		{"empty_logs", empty, []string{"8"}},
		{"error", fails, nil},
		{"ascii", func(o *tui.Options, _ *fake.Gateway) { o.ASCII = true }, nil},
		{"ascii_detail", func(o *tui.Options, _ *fake.Gateway) { o.ASCII = true }, []string{"2", "j", "enter"}},
		{"huge", huge, nil},
		{"huge_calls", huge, []string{"2"}},
		{"huge_keys", huge, []string{"3", "o", "o"}},
		{"viewer", func(_ *tui.Options, g *fake.Gateway) { g.Role = "viewer" }, []string{"3"}},
	}
}

// huge has long names and huge numbers.
func huge(_ *tui.Options, g *fake.Gateway) {
	g.Rate = 987_654
	g.Rename(strings.Repeat("tenant-0f3e/agents/研究チーム/", 6), 9_007_199_254_740_993)
}

func TestScreens(t *testing.T) {
	t.Parallel()
	for _, s := range scenes() {
		for _, size := range [][2]int{{80, 24}, {160, 45}} {
			name := fmt.Sprintf("%s_%dx%d", s.name, size[0], size[1])
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				inside(t, func(t *testing.T) {
					var with []options
					if s.change != nil {
						with = append(with, s.change)
					}
					d := drive(t, size[0], size[1], with...)
					defer d.end()
					d.press(s.keys...)
					d.wait(300 * time.Millisecond)
					golden(t, name, d.screen())
				})
			})
		}
	}
}

func TestOtherSizes(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{200, 60}, {120, 30}, {100, 40}, {60, 16}, {59, 16}, {40, 10}, {20, 5}, {1, 1}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			inside(t, func(t *testing.T) {
				d := drive(t, size[0], size[1])
				defer d.end()
				for _, view := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
					d.press(view)
					d.wait(300 * time.Millisecond)
					golden(t, fmt.Sprintf("view%s_%dx%d", view, size[0], size[1]), d.screen())
				}
			})
		})
	}
}

// A promotion that was refused at its time is told whole where there is room.
func TestARefusedPromotionAtAnotherSize(t *testing.T) {
	t.Parallel()
	inside(t, func(t *testing.T) {
		d := drive(t, 120, 40, func(_ *tui.Options, g *fake.Gateway) { g.Refused = true })
		defer d.end()
		d.press("5")
		d.wait(300 * time.Millisecond)
		golden(t, "lab_not_then_120x40", d.screen())
	})
}

func TestASCIIWritesNoByteOver7F(t *testing.T) {
	t.Parallel()
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			inside(t, func(t *testing.T) {
				with := []options{func(o *tui.Options, _ *fake.Gateway) { o.ASCII = true }}
				if s.change != nil {
					with = append(with, s.change)
				}
				d := drive(t, 160, 45, with...)
				defer d.end()
				d.press(s.keys...)
				d.wait(300 * time.Millisecond)
				for i, b := range []byte(d.m.View().Content) {
					if b > 0x7f {
						t.Fatalf("byte %d is %#x:\n%s", i, b, d.screen())
					}
				}
			})
		})
	}
}
