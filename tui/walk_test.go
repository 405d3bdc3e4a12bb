package tui_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"

	"paygate/tui"
	"paygate/tui/fake"
)

// pressable is every key that means something somewhere, and a few that mean
// nothing.
func pressable() []string {
	keys := []string{"enter", "esc", "tab", "shift+tab", "space", "up", "down", "left", "right", "home", "end", "pgup", "pgdown", "backspace", "delete", "ctrl+d", "ctrl+u", "ctrl+l", "ctrl+y", "ctrl+a", "ctrl+w", "ctrl+k"}
	for r := '!'; r <= '~'; r++ {
		keys = append(keys, string(r))
	}
	return append(keys, "é", "研", "🚀")
}

// TestARobotWalksAllKeysInAllViews presses every key in every view, twice,
// and then a long way by chance, with sizes changing: nothing may panic, no
// line may be too wide, and esc leads out of everything.
func TestARobotWalksAllKeysInAllViews(t *testing.T) {
	t.Parallel()
	for view := range 7 {
		t.Run(fmt.Sprint(view+1), func(t *testing.T) {
			t.Parallel()
			inside(t, func(t *testing.T) {
				d := drive(t, 80, 24, func(o *tui.Options, _ *fake.Gateway) { o.Inside = true })
				defer d.end()
				home := func() {
					for range 6 {
						d.press("esc")
					}
					d.press(fmt.Sprint(view + 1))
					d.settle()
				}
				for _, first := range pressable() {
					home()
					d.press(first)
					d.wait(50 * time.Millisecond)
					d.screen()
				}
				rng := rand.New(rand.NewPCG(uint64(view), 7))
				sizes := [][2]int{{80, 24}, {160, 45}, {60, 16}, {40, 10}, {200, 60}, {7, 3}}
				for n := range 600 {
					keys := pressable()
					d.press(keys[rng.IntN(len(keys))])
					if n%40 == 0 {
						s := sizes[rng.IntN(len(sizes))]
						d.size(s[0], s[1])
						home()
					}
					if n%10 == 0 {
						d.wait(50 * time.Millisecond)
						d.send(tea.MouseClickMsg{X: rng.IntN(d.w), Y: rng.IntN(d.h), Button: tea.MouseLeft})
						d.send(tea.MouseWheelMsg{X: 1, Y: 5, Button: tea.MouseWheelDown})
						d.settle()
						d.screen()
					}
				}
			})
		})
	}
}

// FuzzDraw draws every view at any size after any keys.
func FuzzDraw(f *testing.F) {
	f.Add(80, 24, "2jj\r")
	f.Add(1, 1, "3n")
	f.Add(250, 80, "4j++w")
	f.Add(59, 15, "?")
	f.Add(161, 9, ":keys s\t")
	f.Fuzz(func(t *testing.T, w, h int, keys string) {
		w, h = 1+(w&0x7fffffff)%250, 1+(h&0x7fffffff)%80
		if len(keys) > 30 {
			keys = keys[:30]
		}
		synctest.Test(t, func(t *testing.T) {
			d := drive(t, w, h, small)
			defer d.end()
			for _, r := range keys {
				switch r {
				case '\r':
					d.press("enter")
				case '\t':
					d.press("tab")
				case 0x1b:
					d.press("esc")
				default:
					d.press(string(r))
				}
			}
			d.screen()
			for view := range 7 {
				for range 5 {
					d.press("esc")
				}
				d.press(fmt.Sprint(view + 1))
				d.screen()
			}
		})
	})
}

func small(_ *tui.Options, g *fake.Gateway) { g.Shrink(50) }

// TestAFrameTakesUnder16Milliseconds measures what a person waits for: a frame
// of the stream taken in and the screen drawn, at 160 by 45 with 10,000 keys
// and 2,000 calls a second.
func TestAFrameTakesUnder16Milliseconds(t *testing.T) {
	for view, name := range []string{"overview", "calls", "keys"} {
		b := testing.Benchmark(func(b *testing.B) { benchmarkFrame(b, view) })
		if took := time.Duration(b.NsPerOp()); took > 16*time.Millisecond {
			t.Errorf("%s: a frame takes %s", name, took)
		} else {
			t.Logf("%s: a frame takes %s, %d kB", name, took, b.AllocedBytesPerOp()/1024)
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	for view, name := range []string{"overview", "calls", "keys"} {
		b.Run(name, func(b *testing.B) { benchmarkFrame(b, view) })
	}
}

func benchmarkFrame(b *testing.B, view int) {
	b.ReportAllocs()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	g := fake.New(10000, func() time.Time { return now })
	m := tui.New(b.Context(), tui.Options{Client: g, Env: []string{"TERM=xterm-256color"}, Now: g.Now})
	m.Update(tea.WindowSizeMsg{Width: 160, Height: 45})
	var frames [][]byte
	for range 10 {
		data, err := json.Marshal(g.Frame(300, ""))
		if err != nil {
			b.Fatal(err)
		}
		frames = append(frames, data)
	}
	m.Take(frames[0])
	m.Update(keyOf(fmt.Sprint(view + 1)))
	if view == 2 {
		_, cmd := m.Update(keyOf("o")) // asks for the first page
		all(m, cmd)
	}
	b.ResetTimer()
	for i := range b.N {
		m.Take(frames[i%len(frames)])
		m.Redraw()
		if len(m.View().Content) < 1000 {
			b.Fatal("an empty frame")
		}
	}
}

// all runs a command and what it leads to, one after another.
func all(m *tui.Model, cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		for _, c := range msg {
			all(m, c)
		}
	default:
		m.Update(msg)
	}
}
