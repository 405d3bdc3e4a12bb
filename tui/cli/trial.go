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
			SampleRatioP float64 `json:"sampleRatioP"`
			Broken       bool    `json:"sampleRatioBroken"`
			Refused      string
			Verdict      string
		}
		return w.ask(ctx, c, r, question{"GET", "/admin/shadow/experiment?name=" + url.QueryEscape(args[0]), nil, &out}, func() {
			w.table("ARM\tKEYS\tEXPECTED\tATTEMPTS\tDENIED\tCHARGED", func(row func(...any)) {
				for i, a := range out.Arms {
					row([]string{"live", "candidate"}[i], a.Keys, fmt.Sprintf("%.1f", a.Expected), a.Attempts, a.Denied, a.Charged)
				}
			})
			w.prose("keys fall into the arms as they should: p = %s%s", figure(out.SampleRatioP), map[bool]string{true: ", which they do not: believe nothing of this"}[out.Broken])
			w.prose("%s", first(out.Verdict, out.Refused))
		})
	})
	cmd.Example = "  paygate shadow promote pro --canary 50%\n  paygate shadow experiment pro"
	return cmd
}
