package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"paygate/server/api/client"
)

// GuardrailError is a price change that a guardrail stands against: exit code
// 3, so that a pull request which changes a price file can be gated.
type GuardrailError struct{ Failing []string }

func (e *GuardrailError) Error() string {
	return "guardrails stand against it: " + strings.Join(e.Failing, "; ")
}

// guardrail is one line of a report.
type guardrail struct {
	Name   string
	Value  any
	Limit  any
	Pass   bool
	Blocks string
}

func (g guardrail) String() string {
	return fmt.Sprintf("%s is %v, limit %v", g.Name, g.Value, g.Limit)
}

// shadow is the pricing lab.
func (w *World) shadow() *cobra.Command {
	cmd, r := group("shadow", "Try prices on real traffic before anyone pays them")
	cmd.Example = "  paygate shadow new pro --sheet pro.yaml\n  paygate shadow start pro\n  paygate shadow report pro\n  paygate shadow check pro\n  paygate shadow promote pro"
	cmd.AddCommand(w.shadowNew(r), w.shadowStatus(r), w.shadowReport(r), w.shadowCheck(r), w.shadowReplay(r), w.shadowVerify(r), w.shadowPromote(r), w.shadowRollback(r), w.shadowRollout(r))
	simple := func(verb, short string) {
		cmd.AddCommand(w.action(r, verb+" NAME", short, cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
			var e struct{ Name, State, Candidate string }
			if err := c.Do(ctx, "POST", "/admin/shadow/"+verb, map[string]string{"name": args[0]}, &e); err != nil {
				return err
			}
			return w.show(r, e, func() { w.say("%s is %s, sheet %.12s", e.Name, e.State, e.Candidate) })
		}))
	}
	simple("start", "Shadow a candidate from now on; wallets begin at the balances of this moment")
	simple("stop", "End an experiment; its report stays")
	simple("review", "Write down that its report was seen")
	simple("cancel", "Take a scheduled promotion back")
	cmd.AddCommand(w.action(r, "diff NAME", "What a candidate changes of the live prices", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		var out struct {
			Differences []struct{ Where, Before, After string }
		}
		if err := c.Do(ctx, "GET", "/admin/shadow/diff?name="+url.QueryEscape(args[0]), nil, &out); err != nil {
			return err
		}
		return w.show(r, out, func() {
			w.table("WHERE\tLIVE\tCANDIDATE", func(row func(...any)) {
				for _, d := range out.Differences {
					row(d.Where, first(d.Before, "not set"), first(d.After, "not set"))
				}
			})
		})
	}))
	cmd.AddCommand(w.action(r, "export NAME", "The report's keys as CSV", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		return c.Download(ctx, "/admin/shadow/report?format=csv&name="+url.QueryEscape(args[0]), w.Out)
	}))
	return cmd
}

func (w *World) shadowNew(r *remote) *cobra.Command {
	file := ""
	cmd := w.action(r, "new NAME --sheet FILE", "Check a price sheet and keep it under a name", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		text, err := os.ReadFile(file)
		if err != nil {
			return usage("--sheet: %v", err)
		}
		var e struct {
			Name, Candidate string
			Diagnostics     []sheetFinding
		}
		if err := c.Do(ctx, "POST", "/admin/shadow", map[string]string{"name": args[0], "sheet": string(text)}, &e); err != nil {
			return sheetError(file, err)
		}
		return w.show(r, e, func() {
			for _, d := range e.Diagnostics {
				w.say("%s:%s", file, d)
			}
			w.say("%s", e.Candidate)
		})
	})
	cmd.Flags().StringVar(&file, "sheet", "", "the sheet, YAML or JSON")
	_ = cmd.MarkFlagRequired("sheet") // it exists: it was made in the line before
	return cmd
}

// sheetFinding is a mistake in a sheet.
type sheetFinding struct {
	Line, Column               int
	Field, Message, Suggestion string
}

func (d sheetFinding) String() string {
	text := fmt.Sprintf("%d:%d: %s: %s", d.Line, d.Column, d.Field, d.Message)
	if d.Suggestion != "" {
		text += "; " + d.Suggestion
	}
	return text
}

// sheetError says every mistake with its line.
func sheetError(file string, err error) error {
	var refused *client.Error
	var found []sheetFinding
	if !errors.As(err, &refused) || json.Unmarshal(refused.Fields["diagnostics"], &found) != nil {
		return err
	}
	lines := make([]string, len(found))
	for i, d := range found {
		lines[i] = file + ":" + d.String()
	}
	return &UsageError{strings.Join(lines, "\n")}
}

func (w *World) shadowStatus(r *remote) *cobra.Command {
	return w.action(r, "status [NAME]", "How far the experiments are", cobra.MaximumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		var out struct {
			Experiments []struct {
				Name, State      string
				Attempts         int
				Coverage         float64
				SelfDifference   int   `json:"selfDifference"`
				LiveCredits      int64 `json:"liveCredits"`
				CandidateCredits int64 `json:"candidateCredits"`
				NewlyDenied      int   `json:"newlyDenied"`
			}
		}
		if err := c.Do(ctx, "GET", "/admin/shadow?name="+url.QueryEscape(strings.Join(args, "")), nil, &out); err != nil {
			return err
		}
		return w.show(r, out, func() {
			w.table("NAME\tSTATE\tCALLS\tCOVERAGE\tLIVE\tCANDIDATE\tNEWLY DENIED\tSELF-DIFFERENCE", func(row func(...any)) {
				for _, e := range out.Experiments {
					row(e.Name, e.State, e.Attempts, fmt.Sprintf("%.0f %%", 100*e.Coverage), e.LiveCredits, e.CandidateCredits, e.NewlyDenied, e.SelfDifference)
				}
			})
		})
	})
}

func (w *World) shadowReport(r *remote) *cobra.Command {
	markdown, html, from, to := false, "", "", ""
	cmd := w.action(r, "report NAME", "What a candidate would have meant", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		path := "/admin/shadow/report?name=" + url.QueryEscape(args[0]) + "&from=" + url.QueryEscape(from) + "&to=" + url.QueryEscape(to)
		switch {
		case r.json:
			return c.Download(ctx, path, w.Out)
		case html == "":
			return c.Download(ctx, path+"&format=markdown", w.Out)
		}
		f, err := os.Create(html)
		if err != nil {
			return err
		}
		return errors.Join(c.Download(ctx, path+"&format=html", f), f.Close())
	})
	cmd.Flags().BoolVar(&markdown, "markdown", false, "print Markdown (the default)")
	cmd.Flags().StringVar(&html, "html", "", "write one self-contained HTML file")
	cmd.Flags().StringVar(&from, "from", "", "begin of the window, such as 2026-03-01")
	cmd.Flags().StringVar(&to, "to", "", "end of the window")
	return cmd
}

func (w *World) shadowCheck(r *remote) *cobra.Command {
	return w.action(r, "check NAME", "Only the guardrails; exit code 3 when one fails", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		var report struct{ Guardrails []guardrail }
		if err := c.Do(ctx, "GET", "/admin/shadow/report?name="+url.QueryEscape(args[0]), nil, &report); err != nil {
			return err
		}
		var failing []string
		for _, g := range report.Guardrails {
			if !g.Pass && g.Blocks != "nothing" {
				failing = append(failing, g.String())
			}
		}
		err := w.show(r, report, func() {
			w.table("GUARDRAIL\tVALUE\tLIMIT\tPASS", func(row func(...any)) {
				for _, g := range report.Guardrails {
					row(g.Name, g.Value, g.Limit, g.Pass)
				}
			})
		})
		if err == nil && len(failing) > 0 {
			return &GuardrailError{failing}
		}
		return err
	})
}

func (w *World) shadowReplay(r *remote) *cobra.Command {
	file, from, to := "", "", ""
	cmd := w.action(r, "replay [NAME]", "What a candidate would have meant for recorded calls", cobra.MaximumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		body := map[string]string{"name": strings.Join(args, ""), "from": from, "to": to}
		if file != "" {
			text, err := os.ReadFile(file)
			if err != nil {
				return usage("--sheet: %v", err)
			}
			body["sheet"] = string(text)
		}
		var out json.RawMessage
		if err := c.Do(ctx, "POST", "/admin/shadow/replay", body, &out); err != nil {
			return sheetError(file, err)
		}
		w.say("%s", out)
		return nil
	})
	cmd.Flags().StringVar(&file, "sheet", "", "a sheet that is not kept")
	cmd.Flags().StringVar(&from, "from", "", "begin of the window")
	cmd.Flags().StringVar(&to, "to", "", "end of the window")
	return cmd
}

func (w *World) shadowVerify(r *remote) *cobra.Command {
	return w.action(r, "verify FILE", "Make a report again from the journal and compare", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		text, err := os.ReadFile(args[0])
		if err != nil {
			return usage("%v", err)
		}
		var out struct {
			OK          bool
			Differences []string
		}
		if err := c.Do(ctx, "POST", "/admin/shadow/verify", map[string]json.RawMessage{"report": text}, &out); err != nil {
			return err
		}
		if !out.OK {
			return fmt.Errorf("%s differs in %s", args[0], strings.Join(out.Differences, ", "))
		}
		w.say("%s is what the journal says", args[0])
		return nil
	})
}
