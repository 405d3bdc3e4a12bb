package tui_test

import (
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"golang.org/x/sys/unix"

	pseudo "paygate/testdata/terminal"
	"paygate/tui"
	"paygate/tui/fake"
)

// realTerminal is a pseudo terminal of the kernel with an emulator behind it
// that shows what was written, answers what is asked, and counts.
type realTerminal struct {
	t     *testing.T
	pair  *pseudo.Terminal
	slave *os.File
	ptmx  *os.File
	mu    sync.Mutex // guards screen
	on    *vt.Emulator
	bytes atomic.Int64
	wrote chan struct{}
}

func openTerminal(t *testing.T, w, h int) *realTerminal {
	t.Helper()
	pair, err := pseudo.Open(w, h)
	if err != nil {
		t.Fatal(err)
	}
	slave, ptmx := pair.Theirs, pair.Ours
	r := &realTerminal{t: t, pair: pair, slave: slave, ptmx: ptmx, on: vt.NewEmulator(w, h), wrote: make(chan struct{}, 1)}
	var readers sync.WaitGroup
	readers.Go(func() { _, _ = io.Copy(ptmx, r.on) }) // what the emulator answers; it ends with its pipe
	readers.Go(r.read)
	t.Cleanup(func() {
		_ = slave.Close()
		_ = ptmx.Close()
		if pipe, ok := r.on.InputPipe().(io.Closer); ok { // Close of the emulator races with its reader
			_ = pipe.Close()
		}
		readers.Wait()
	})
	return r
}

func (r *realTerminal) read() {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.ptmx.Read(buf)
		if err != nil {
			return // closed
		}
		r.bytes.Add(int64(n))
		r.mu.Lock()
		_, _ = r.on.Write(buf[:n])
		r.mu.Unlock()
		select {
		case r.wrote <- struct{}{}:
		default:
		}
	}
}

func (r *realTerminal) size(w, h int) {
	r.t.Helper()
	r.mu.Lock()
	r.on.Resize(w, h)
	r.mu.Unlock()
	if err := r.pair.Size(w, h); err != nil {
		r.t.Fatal(err)
	}
}

func (r *realTerminal) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.on.String()
}

// until waits until the screen shows a text.
func (r *realTerminal) until(text string) {
	r.t.Helper()
	late := time.After(30 * time.Second)
	for !strings.Contains(r.text(), text) {
		select {
		case <-r.wrote:
		case <-late:
			r.t.Fatalf("the terminal never showed %q:\n%s", text, r.text())
		}
	}
}

func (r *realTerminal) press(keys string) {
	r.t.Helper()
	if _, err := r.ptmx.WriteString(keys); err != nil {
		r.t.Fatal(err)
	}
}

// rate is how many bytes a second come over the line.
func (r *realTerminal) rate() int64 {
	const watched = time.Second
	<-time.After(watched / 2) // the first frame of a view is larger
	before := r.bytes.Load()
	<-time.After(watched)
	return (r.bytes.Load() - before) * int64(time.Second) / int64(watched)
}

// TestInARealTerminal runs the dashboard at 160 by 45 with 2,000 calls a
// second: what it sends is little enough for a slow line, it follows the
// terminal's size, and it leaves the terminal as it was.
func TestInARealTerminal(t *testing.T) {
	t.Parallel()
	term := openTerminal(t, 160, 45)
	before, err := unix.IoctlGetTermios(int(term.slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	g := fake.New(10000, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := tui.Run(ctx, tui.Options{Client: g, Input: term.slave, Output: term.slave, Env: []string{"TERM=xterm-256color", "LANG=C.UTF-8"}})
		ended <- err
	}()
	term.until("░ SHADOW ░ nothing is charged")
	for _, view := range []struct {
		key, shows string
		most       int64
	}{{"1", "LATENCY", 25_000}, {"2", "newest", 50_000}, {"3", "agent-", 6_000}, {"5", "pro-tier", 3_000}} {
		term.press(view.key)
		term.until(view.shows)
		got := term.rate()
		t.Logf("view %s sends %d bytes a second", view.key, got)
		if got > view.most {
			t.Errorf("view %s sends %d bytes a second, more than %d", view.key, got, view.most)
		}
	}
	term.size(80, 24)
	if err := unix.Kill(os.Getpid(), unix.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	term.until("░ SHADOW ░ not charging")
	term.press("q")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	after, err := unix.IoctlGetTermios(int(term.slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if *after != *before {
		t.Errorf("the terminal is not as it was: %+v, was %+v", after, before)
	}
}
