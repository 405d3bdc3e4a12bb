package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	charmlog "charm.land/log/v2"

	"paygate/server/api"
)

// Logs keeps the last lines of the log in memory, for the dashboard. It is a
// slog.Handler to stand beside the one that writes.
type Logs struct {
	attrs string
	ring  *logRing
}

type logRing struct {
	mu    sync.Mutex
	lines []api.LogLine
	first int // number of lines[0] since start
	wake  chan struct{}
}

// mostLogLines is how many are kept.
const mostLogLines = 2000

// NewLogs makes an empty memory of log lines.
func NewLogs() *Logs { return &Logs{ring: &logRing{wake: make(chan struct{})}} }

// Enabled takes every level.
func (l *Logs) Enabled(context.Context, slog.Level) bool { return true }

// Handle keeps one line.
func (l *Logs) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(l.attrs)
	r.Attrs(func(a slog.Attr) bool {
		appendAttr(&b, a)
		return true
	})
	line := api.LogLine{At: r.Time, Level: strings.ToLower(r.Level.String()), Text: r.Message, Attrs: strings.TrimSpace(b.String())}
	l.ring.mu.Lock()
	defer l.ring.mu.Unlock()
	l.ring.lines = append(l.ring.lines, line)
	if over := len(l.ring.lines) - mostLogLines; over > mostLogLines {
		l.ring.lines = append([]api.LogLine(nil), l.ring.lines[over:]...)
		l.ring.first += over
	}
	close(l.ring.wake)
	l.ring.wake = make(chan struct{})
	return nil
}

func appendAttr(b *strings.Builder, a slog.Attr) {
	value := a.Value.String()
	if strings.ContainsAny(value, " \t\n\"") {
		value = fmt.Sprintf("%q", value)
	}
	fmt.Fprintf(b, " %s=%s", a.Key, value)
}

// WithAttrs and WithGroup make it a slog.Handler.
func (l *Logs) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(l.attrs)
	for _, a := range attrs {
		appendAttr(&b, a)
	}
	return &Logs{attrs: b.String(), ring: l.ring}
}

// WithGroup is not told apart: the lines are for people.
func (l *Logs) WithGroup(string) slog.Handler { return l }

// NewLogger writes to out, as text for people or as JSON, and always into logs;
// quiet keeps out free, because a dashboard draws there.
func NewLogger(out io.Writer, level, format string, logs *Logs, quiet bool) *slog.Logger {
	if quiet {
		return slog.New(logs)
	}
	var least slog.Level
	_ = least.UnmarshalText([]byte(level)) // the configuration has checked it
	var lines slog.Handler = charmlog.NewWithOptions(out, charmlog.Options{ReportTimestamp: true, TimeFormat: "2006-01-02 15:04:05.000", Level: charmlog.Level(least)})
	if format == "json" {
		lines = slog.NewJSONHandler(out, &slog.HandlerOptions{Level: least})
	}
	return slog.New(slog.NewMultiHandler(lines, logs))
}

// after gives the lines from number n on, the number after them, and what to
// wait for.
func (l *Logs) after(n int) (lines []api.LogLine, next int, wake <-chan struct{}) {
	l.ring.mu.Lock()
	defer l.ring.mu.Unlock()
	next = l.ring.first + len(l.ring.lines)
	if n = max(n, l.ring.first); n < next {
		lines = append(lines, l.ring.lines[n-l.ring.first:]...)
	}
	return lines, next, l.ring.wake
}

// logLines gives the log's last lines, or follows it.
func (s *Server) logLines(w http.ResponseWriter, r *http.Request) error {
	logs := s.opts.Logs
	if logs == nil {
		logs = NewLogs()
	}
	lines, next, wake := logs.after(0)
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		if lines == nil {
			lines = []api.LogLine{}
		}
		return api.WriteJSON(w, r, http.StatusOK, linesOut{lines})
	}
	out := api.OpenStream(w, r, s.ended)
	defer out.Close()
	for {
		for _, l := range lines {
			if !out.Send("line", "", l) {
				return nil
			}
		}
		select {
		case <-wake:
		case <-out.Context().Done():
			return nil
		}
		lines, next, wake = logs.after(next)
	}
}
