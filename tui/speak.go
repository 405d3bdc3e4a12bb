package tui

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"paygate/server/api"
	"paygate/tui/figure"
	"paygate/tui/paint"
)

// speak is the dashboard for a screen reader: no alternate screen, nothing is
// redrawn, a line when something has changed.
func (m *Model) speak(ctx context.Context) (Exit, error) {
	out := m.opt.Output
	if out == nil {
		return Quit, fmt.Errorf("dashboard: there is nowhere to write to")
	}
	last, said := "", time.Time{}
	say := func(format string, args ...any) {
		fmt.Fprintf(out, "%s  %s\n", figure.Clock(m.now()), paint.Clean(fmt.Sprintf(format, args...)))
	}
	say("PayGate, one line for each change. ctrl+c leaves.")
	for ctx.Err() == nil {
		err := m.opt.Client.Stream(ctx, livePath(300, ""), func(_, _ string, data []byte) error {
			var f api.Live
			if err := json.Unmarshal(data, &f); err != nil {
				return fmt.Errorf("frame: %w", err)
			}
			line := spoken(&f)
			busy := m.now().Sub(said) >= 10*time.Second
			if head, _, _ := strings.Cut(line, "; "); head != last || busy {
				last, said = head, m.now()
				say("%s", line)
			}
			return nil
		})
		if ctx.Err() != nil {
			break
		}
		say("The link is lost: %v. Trying again.", err)
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
	}
	return m.exit, nil
}

// spoken is a frame in a sentence: first what matters when it changes.
func spoken(f *api.Live) string {
	down := []string{}
	for _, s := range f.Servers {
		if s.State != "ready" {
			down = append(down, serverName(s.Prefix)+" "+s.State)
		}
	}
	word := "all servers ready"
	if len(down) > 0 {
		word = strings.Join(down, ", ")
	}
	attention := ""
	for _, a := range f.Attention {
		attention += ", " + a.Text
	}
	v := f.Overview
	return fmt.Sprintf("mode %s, %s%s; %s calls a second, %s credits a second, p95 %s ms, %s denied", f.Mode, word, attention,
		figure.Rate(v.CallsPerSecond), figure.Rate(v.CreditsPerSecond), figure.Millis(v.P95), figure.Percent(v.DeniedShare))
}
