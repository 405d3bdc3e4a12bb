package cli

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"paygate/server/api"
	"paygate/server/api/client"
)

// calls shows recorded calls.
func (w *World) calls() *cobra.Command {
	cmd, r := group("calls", "Recorded calls")
	cmd.AddCommand(w.callsList(r), w.action(r, "show CALL", "Show one call with its charge and its way", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		var d struct {
			Tool, Key, Outcome, Reason string
			Lines                      []struct {
				What, How string
				Amount    int64
			}
			Way []struct {
				Name, Mark, Text string
				TookMs           float64
			}
			Charged int64
		}
		if err := c.Do(ctx, "GET", "/admin/calls/"+args[0], nil, &d); err != nil {
			return err
		}
		return w.show(r, d, func() {
			w.say("%s by %s: %s %s, charged %d", d.Tool, d.Key, d.Outcome, d.Reason, d.Charged)
			w.table("CHARGE\tHOW\tAMOUNT", func(row func(...any)) {
				for _, l := range d.Lines {
					row(l.What, l.How, l.Amount)
				}
			})
			w.table("WAY\tMS\tMARK\tFOUND", func(row func(...any)) {
				for _, s := range d.Way {
					row(s.Name, fmt.Sprintf("%.2f", s.TookMs), s.Mark, s.Text)
				}
			})
		})
	}))
	return cmd
}

// callsList lists the newest calls, what was refused among them.
func (w *World) callsList(r *remote) *cobra.Command {
	filter, limit := "", 0
	cmd := w.action(r, "list", "List the newest calls, and what was refused with its cause", cobra.NoArgs, func(ctx context.Context, c *client.Client, _ []string) error {
		var page api.CallPage
		if err := c.Do(ctx, "GET", fmt.Sprintf("/admin/calls?limit=%d&filter=%s", limit, url.QueryEscape(filter)), nil, &page); err != nil {
			return err
		}
		return w.show(r, page, func() {
			w.table("AT\tKEY\tTOOL\tOUTCOME\tCAUSE\tCREDITS\tADDRESS\tID", func(row func(...any)) {
				for _, call := range page.Calls {
					row(call.At.Format(time.DateTime), call.Key, call.Tool, call.Outcome, call.Reason, call.Credits, call.IP, call.ID)
				}
			})
		})
	})
	cmd.Example = "  paygate calls list\n  paygate calls list --filter '~deny & ~last 10m' --limit 20"
	cmd.Flags().StringVar(&filter, "filter", "", "which, in the words of the dashboard's filter")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many, at most 1000")
	return cmd
}
