package cli

import (
	"context"
	"net/url"

	"github.com/spf13/cobra"

	"paygate/server/api/client"
)

// checked is as much of a report as is held against guardrails.
type checked struct {
	Name       string      `json:"name"`
	Candidate  string      `json:"candidate"`
	Grade      string      `json:"grade"`
	LogDigest  string      `json:"logDigest"`
	Guardrails []guardrail `json:"guardrails"`
}

func (w *World) shadowCheck(r *remote) *cobra.Command {
	var span window
	var sheet tried
	cmd := w.action(r, "check [NAME]", "Only the guardrails; exit code 3 when one fails", cobra.MaximumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		if len(args) == 0 && sheet.file == "" {
			return usage("which candidate? give its name, or a price file with --sheet")
		}
		report, err := w.checked(ctx, c, &sheet, &span, args)
		if err != nil {
			return sheetError(sheet.file, err)
		}
		var failing []string
		for _, g := range report.Guardrails {
			if !g.Pass && g.Blocks != "nothing" {
				failing = append(failing, g.String())
			}
		}
		err = w.show(r, report, func() { w.sayGuardrails(report.Guardrails) })
		if err == nil && len(failing) > 0 {
			return &GuardrailError{failing}
		}
		return err
	})
	cmd.Long = "Holds a candidate against the guardrails: one that shadows, by its report; or a price file with --sheet, by replaying the calls " +
		"that the gateway has recorded. A key of the role viewer is enough, so that a pull request can be gated."
	cmd.Example = "  paygate shadow check pro\n  paygate shadow check --sheet prices/pro.yaml --from 2026-03-01"
	sheet.flags(cmd)
	span.flags(cmd)
	return cmd
}

// checked is the report that is checked: that of a candidate that shadows, or of
// a replay.
func (w *World) checked(ctx context.Context, c *client.Client, sheet *tried, span *window, args []string) (*checked, error) {
	if sheet.file == "" && len(sheet.set) == 0 {
		var out checked
		path := "/admin/shadow/report?name=" + url.QueryEscape(args[0]) + "&from=" + url.QueryEscape(span.from) + "&to=" + url.QueryEscape(span.to)
		return &out, c.Do(ctx, "GET", path, nil, &out)
	}
	body, err := sheet.body(args)
	if err != nil {
		return nil, err
	}
	body["from"], body["to"] = span.from, span.to
	var out struct{ Reports []checked }
	if err := c.Do(ctx, "POST", "/admin/shadow/replay", body, &out); err != nil {
		return nil, err
	}
	return &out.Reports[0], nil
}
