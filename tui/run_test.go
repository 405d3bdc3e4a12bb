package tui_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"paygate/tui"
	"paygate/tui/fake"
)

// terminal is what a program writes, to be looked at while it runs.
type terminal struct {
	mu   sync.Mutex
	text strings.Builder
	seen chan struct{} // a write
}

func (t *terminal) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text.Write(b)
	select {
	case t.seen <- struct{}{}:
	default:
	}
	return len(b), nil
}

// until waits until the output has a text.
func (t *terminal) until(tb testing.TB, text string) {
	tb.Helper()
	deadline := time.After(20 * time.Second)
	for {
		t.mu.Lock()
		has := strings.Contains(t.text.String(), text)
		t.mu.Unlock()
		if has {
			return
		}
		select {
		case <-t.seen:
		case <-deadline:
			tb.Fatalf("the terminal never showed %q:\n%q", text, t.text.String())
		}
	}
}

func (t *terminal) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

func start(t *testing.T, o tui.Options) (out *terminal, keys io.Writer, ended chan tui.Exit, stop context.CancelFunc) {
	t.Helper()
	in, keys := io.Pipe()
	out = &terminal{seen: make(chan struct{}, 1)}
	o.Client, o.Input, o.Output = fake.New(100, time.Now), in, out
	ctx, cancel := context.WithCancel(t.Context())
	ended = make(chan tui.Exit, 1)
	go func() {
		exit, err := tui.Run(ctx, o)
		if err != nil {
			t.Errorf("run: %v", err)
		}
		ended <- exit
	}()
	return out, keys, ended, cancel
}

func TestRunShowsTheDashboardAndRestoresTheTerminal(t *testing.T) {
	t.Parallel()
	out, keys, ended, stop := start(t, tui.Options{Env: []string{"TERM=xterm-256color", "LANG=C.UTF-8"}, Inside: true})
	defer stop()
	out.until(t, "SHADOW")
	if _, err := keys.Write([]byte("q")); err != nil {
		t.Fatal(err)
	}
	out.until(t, "stop the gateway")
	if _, err := keys.Write([]byte("d")); err != nil {
		t.Fatal(err)
	}
	if exit := <-ended; exit != tui.Headless {
		t.Errorf("it ended with %v", exit)
	}
	if !strings.Contains(out.String(), "\x1b[?1049l") {
		t.Error("it did not leave the alternate screen")
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	out, _, ended, stop := start(t, tui.Options{Env: []string{"TERM=xterm-256color"}})
	out.until(t, "PayGate")
	stop()
	<-ended
	if !strings.Contains(out.String(), "\x1b[?1049l") {
		t.Error("it did not leave the alternate screen")
	}
}

func TestAccessibleWritesALineForEachChange(t *testing.T) {
	t.Parallel()
	out, _, ended, stop := start(t, tui.Options{Env: []string{"ACCESSIBLE=1"}})
	out.until(t, "mode shadow, browser restarting")
	stop()
	<-ended
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("it wrote an escape sequence: %q", out.String())
	}
}
