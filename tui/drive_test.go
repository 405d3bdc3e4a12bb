package tui_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"

	"paygate/tui"
	"paygate/tui/fake"
)

var update = flag.Bool("update", false, "write the golden screens anew")

// driver runs a dashboard without a terminal, inside a synctest bubble: every
// command in a goroutine, every message in order.
type driver struct {
	t    *testing.T
	m    *tui.Model
	g    *fake.Gateway
	msgs chan tea.Msg
	stop context.CancelFunc
	quit bool
	w, h int
}

// options changes what a dashboard is started with.
type options func(*tui.Options, *fake.Gateway)

// drive starts a dashboard of w by h on a made-up gateway and waits for its
// first frames. It must be called inside synctest.Test.
func drive(t *testing.T, w, h int, change ...options) *driver {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	g := fake.New(10000, time.Now)
	g.Every = 250 * time.Millisecond
	o := tui.Options{Client: g, Env: []string{"TERM=xterm-256color", "LANG=C.UTF-8"}, Now: time.Now, URL: "http://127.0.0.1:3402", Version: "0.1.0"}
	for _, c := range change {
		c(&o, g)
	}
	d := &driver{t: t, m: tui.New(ctx, o), g: g, msgs: make(chan tea.Msg, 10000), stop: cancel}
	d.run(d.m.Init())
	d.size(w, h)
	d.wait(500 * time.Millisecond)
	return d
}

func (d *driver) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	go func() { d.msgs <- cmd() }()
}

func (d *driver) send(msg tea.Msg) {
	switch msg := msg.(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			d.run(c)
		}
	case tea.QuitMsg:
		d.quit = true
	default:
		_, cmd := d.m.Update(msg)
		d.run(cmd)
	}
}

// settle takes in all messages that are on their way, without time passing.
func (d *driver) settle() {
	for {
		synctest.Wait()
		select {
		case msg := <-d.msgs:
			d.send(msg)
		default:
			return
		}
	}
}

// wait lets time pass.
func (d *driver) wait(for_ time.Duration) {
	d.settle()
	for end := time.Now().Add(for_); time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
		d.settle()
	}
}

func (d *driver) size(w, h int) {
	d.w, d.h = w, h
	d.send(tea.WindowSizeMsg{Width: w, Height: h})
	d.settle()
}

// press presses keys: names such as enter, or text one rune after another.
func (d *driver) press(keys ...string) {
	for _, k := range keys {
		d.send(keyOf(k))
		d.settle()
	}
}

func (d *driver) typed(text string) {
	for _, r := range text {
		d.press(string(r))
	}
}

func keyOf(name string) tea.KeyPressMsg {
	special := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight,
		"backspace": tea.KeyBackspace, "home": tea.KeyHome, "end": tea.KeyEnd, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "delete": tea.KeyDelete}
	k := tea.KeyPressMsg{}
	for {
		if rest, ok := strings.CutPrefix(name, "ctrl+"); ok && rest != "" {
			k.Mod |= tea.ModCtrl
			name = rest
			continue
		}
		if rest, ok := strings.CutPrefix(name, "shift+"); ok && rest != "" {
			k.Mod |= tea.ModShift
			name = rest
			continue
		}
		break
	}
	if r, ok := special[name]; ok {
		k.Code = r
		return k
	}
	if name == "space" {
		name = " "
	}
	k.Code = []rune(name)[0]
	if k.Mod == 0 {
		k.Text = name
	}
	return k
}

// screen is what a terminal shows.
func (d *driver) screen() string {
	d.t.Helper()
	return shown(d.check(), d.w, d.h)
}

// check looks at what holds for every frame.
func (d *driver) check() string {
	d.t.Helper()
	content := d.m.View().Content
	lines := strings.Split(content, "\n")
	if len(lines) > d.h {
		d.t.Errorf("%d lines on a screen of %d", len(lines), d.h)
	}
	for i, l := range lines {
		if n := ansi.StringWidthWc(l); n > d.w {
			d.t.Errorf("line %d has %d cells of %d: %q", i, n, d.w, ansi.Strip(l))
		}
	}
	if crash := d.m.Crash(); crash != "" {
		d.t.Fatalf("drawing panicked: %s", crash)
	}
	return content
}

// shown is what a terminal makes of a frame.
func shown(content string, w, h int) string {
	e := vt.NewEmulator(w, h)
	_, _ = e.WriteString("\x1b[20h" + content)
	lines := strings.Split(e.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func (d *driver) has(parts ...string) {
	d.t.Helper()
	s := d.screen()
	for _, p := range parts {
		if !strings.Contains(s, p) {
			d.t.Errorf("the screen does not say %q:\n%s", p, s)
		}
	}
}

func (d *driver) hasNot(parts ...string) {
	d.t.Helper()
	s := d.screen()
	for _, p := range parts {
		if strings.Contains(s, p) {
			d.t.Errorf("the screen says %q:\n%s", p, s)
		}
	}
}

// asked says whether a change was sent to the gateway.
func (d *driver) asked(part string) bool {
	for _, a := range d.g.Asked {
		if strings.Contains(a, part) {
			return true
		}
	}
	return false
}

// end stops the dashboard: a bubble must not leave goroutines.
func (d *driver) end() {
	d.stop()
	for range 20 {
		time.Sleep(6 * time.Second)
		synctest.Wait()
		for len(d.msgs) > 0 {
			<-d.msgs
		}
	}
}

// golden compares a screen with the one that is kept.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("..", "testdata", "tui", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run with -update and read the difference", err)
	}
	if strings.TrimRight(string(want), "\n") != strings.TrimRight(got, "\n") {
		t.Errorf("%s differs; run with -update and read the difference\n--- kept\n%s\n--- now\n%s", name, want, got)
	}
}

// inside runs a test in a bubble of its own time.
func inside(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}
