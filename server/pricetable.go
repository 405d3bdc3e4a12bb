package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// PriceTable waits for the servers and prints what their tools would cost.
func (s *Server) PriceTable(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := s.servers.Settle(ctx); err != nil {
		return err
	}
	for _, st := range s.servers.Status() {
		if st.LastError != "" {
			_, _ = fmt.Fprintf(out, "%s %s: %s\n", st.Target, st.State, st.LastError)
		}
	}
	w := s.world.Load()
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "TOOL\tPER CALL\tKB IN\tKB OUT\tCALLS/MIN")
	names := s.toolNames(ctx)
	for _, name := range names {
		p, rate := w.Way.Sheet.Tool(name), w.Config.Tools[name].RateLimit
		if rate == 0 {
			rate = w.Config.GlobalRateLimit
		}
		_, _ = fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\n", name, p.PerCall, p.PerKBIn, p.PerKBOut, rate)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(names) == 0 {
		return errors.New("no tools were found")
	}
	return nil
}
