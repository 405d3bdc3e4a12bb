package cli

import (
	"context"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"paygate/server/api/client"
)

func (w *World) shadowTrial(r *remote) *cobra.Command {
	cmd := w.action(r, "experiment NAME", "How callers react to a candidate that some of them pay by", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		var out struct {
			Arms []struct {
				Keys     int
				Expected float64
				Attempts int
				Denied   int
				Charged  int64
			}
			Refused string
			Verdict string
			Rows    []struct{ Name, Value, Note string }
		}
		return w.ask(ctx, c, r, question{"GET", "/admin/shadow/experiment?name=" + url.QueryEscape(args[0]), nil, &out}, func() {
			w.table("ARM\tKEYS\tEXPECTED\tATTEMPTS\tDENIED\tCHARGED", func(row func(...any)) {
				for i, a := range out.Arms {
					row([]string{"live", "candidate"}[i], a.Keys, fmt.Sprintf("%.1f", a.Expected), a.Attempts, a.Denied, a.Charged)
				}
			})
			w.say("")
			for _, row := range out.Rows {
				w.prose("%s: %s%s", row.Name, row.Value, after("; ", row.Note))
			}
			w.say("")
			w.prose("%s", first(out.Verdict, out.Refused))
		})
	})
	cmd.Example = "  paygate shadow promote pro --canary 50%\n  paygate shadow experiment pro"
	return cmd
}

// after is text with something before it, or nothing.
func after(sign, text string) string {
	if text == "" {
		return ""
	}
	return sign + text
}
