package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

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
	Name   string `json:"name"`
	Value  any    `json:"value"`
	Limit  any    `json:"limit"`
	Pass   bool   `json:"pass"`
	Blocks string `json:"blocks"`
}

func (g guardrail) String() string {
	return fmt.Sprintf("%s is %s, limit %s", g.Name, figure(g.Value), figure(g.Limit))
}

// shadow is the pricing lab.
func (w *World) shadow() *cobra.Command {
	cmd, r := group("shadow", "Try prices on real traffic before anyone pays them")
	cmd.Long = "A candidate price sheet lives through every call beside the live one, with wallets, tiers, limits and plans of its own, as if " +
		"it were enforced. No money moves and no agent sees a difference. What it would have meant is exact; what it will mean comes " +
		"with an interval, or with the reason why there is none.\n\n" +
		"Exit codes: 0 good, 1 error, 2 wrong use or a sheet with mistakes, 3 a guardrail stands against it."
	cmd.Example = "  paygate shadow new pro --sheet pro.yaml\n  paygate shadow start pro\n  paygate shadow report pro\n  paygate shadow check pro\n" +
		"  paygate shadow promote pro --canary 10% --for 24h\n  paygate shadow rollback --make-good"
	cmd.AddCommand(w.shadowNew(r), w.shadowValidate(r), w.shadowStatus(r), w.shadowReport(r), w.shadowCheck(r), w.shadowReplay(r), w.shadowWhatIf(r), w.shadowPower(r), w.shadowVerify(r), w.shadowPromote(r), w.shadowRollback(r), w.shadowRollout(r), w.shadowTrial(r))
	simple := func(verb, short string) {
		cmd.AddCommand(w.action(r, verb+" NAME", short, cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
			var e struct{ Name, State, Candidate string }
			return w.ask(ctx, c, r, question{"POST", "/admin/shadow/" + verb, map[string]string{"name": args[0]}, &e}, func() { w.say("%s is %s, sheet %.12s", e.Name, e.State, e.Candidate) })
		}))
	}
	simple("start", "Shadow a candidate from now on; wallets begin at the balances of this moment")
	simple("stop", "End an experiment; its report stays")
	simple("review", "Write down that its report was seen")
	simple("cancel", "Take a scheduled promotion back")
	cmd.AddCommand(w.action(r, "drop NAME", "Forget a draft, or a candidate that never started", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		var e struct{ Name, State string }
		return w.ask(ctx, c, r, question{"POST", "/admin/shadow/drop", map[string]string{"name": args[0]}, &e}, func() { w.say("%s is dropped", e.Name) })
	}))
	cmd.AddCommand(w.action(r, "diff NAME", "What a candidate changes of the live prices", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		var out struct {
			Differences []struct{ Where, Before, After string }
		}
		return w.ask(ctx, c, r, question{"GET", "/admin/shadow/diff?name=" + url.QueryEscape(args[0]), nil, &out}, func() {
			w.table("WHERE\tLIVE\tCANDIDATE", func(row func(...any)) {
				for _, d := range out.Differences {
					row(d.Where, first(d.Before, "not set"), first(d.After, "not set"))
				}
			})
		})
	}))
	cmd.AddCommand(w.shadowExport(r))
	return cmd
}

func (w *World) shadowExport(r *remote) *cobra.Command {
	facts := false
	cmd := w.action(r, "export [NAME | --facts]", "The report's keys as CSV, or every recorded fact", cobra.MaximumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		switch {
		case facts && len(args) == 0:
			return c.Download(ctx, "/admin/facts", w.Out)
		case facts || len(args) == 0:
			return usage("say whose report's keys to export, such as \"paygate shadow export pro\", or --facts and no name")
		}
		return c.Download(ctx, "/admin/shadow/report?format=csv&name="+url.QueryEscape(args[0]), w.Out)
	})
	cmd.Long = "NAME: a report's keys as CSV. --facts: every act as it was recorded and the text of every price sheet, one JSON object a line. " +
		"It is all that reports are computed from, so that somebody else can compute them again."
	cmd.Example = "  paygate shadow export pro > keys.csv\n  paygate shadow export --facts > facts.ndjson"
	cmd.Flags().BoolVar(&facts, "facts", false, "every recorded fact instead of a report")
	return cmd
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
				Draft            *draft
				Refused          *struct {
					Asked time.Time
					Why   string
				}
				SinceLive *struct {
					From          time.Time
					Attempts      int
					Credits       int64
					BeforeCredits int64 `json:"beforeCredits"`
					Change        int64
				} `json:"sinceLive"`
			}
			SelfDifference int `json:"selfDifference"`
		}
		return w.ask(ctx, c, r, question{"GET", "/admin/shadow?name=" + url.QueryEscape(strings.Join(args, "")), nil, &out}, func() {
			w.table("NAME\tSTATE\tCALLS\tCOVER\tLIVE\tCANDIDATE\tDENIED\tDIFFERS", func(row func(...any)) {
				for _, e := range out.Experiments {
					if e.State == "draft" || e.State == "validated" {
						row(cut(e.Name, 24), e.State, "-", "-", "-", "-", "-", "-")
						continue
					}
					row(cut(e.Name, 24), e.State, e.Attempts, fmt.Sprintf("%.0f %%", 100*e.Coverage), e.LiveCredits, e.CandidateCredits, e.NewlyDenied, e.SelfDifference)
				}
			})
			for _, e := range out.Experiments {
				if e.Draft != nil {
					w.sayDraft(e.Name, e.Draft)
				}
				if no := e.Refused; no != nil && e.State == "canary" {
					w.prose("%s did not go live for all keys at %s: %s. Its share of the keys goes on; \"paygate shadow promote %s\" looks again, \"paygate shadow rollback\" takes it back", e.Name, no.Asked.Local().Format(time.DateTime), no.Why, e.Name)
				} else if no != nil {
					w.prose("%s did not go live at %s: %s. The prices stayed; \"paygate shadow promote %s\" looks again", e.Name, no.Asked.Local().Format(time.DateTime), no.Why, e.Name)
				}
				if s := e.SinceLive; s != nil {
					w.prose("%s was charged from %s: %d calls, %d credits collected, %d by the sheet before (%s)", e.Name, s.From.Local().Format(time.DateTime), s.Attempts, s.Credits, s.BeforeCredits, signed(s.Change))
				}
			}
			if n := out.SelfDifference; n > 0 {
				w.prose("ALARM: the shadow of the live prices differs in %d decisions from what was charged; no report stands. Run \"paygate doctor\"", n)
			}
			if len(out.Experiments) == 0 {
				w.say("no candidates yet; keep one with \"paygate shadow new NAME --sheet FILE\"")
			}
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
		case markdown:
			return c.Download(ctx, path+"&format=markdown", w.Out)
		case html == "":
			var report shadowReport
			if err := c.Do(ctx, "GET", path, nil, &report); err != nil {
				return err
			}
			w.sayReport(&report)
			return nil
		}
		f, err := os.Create(html)
		if err != nil {
			return err
		}
		return errors.Join(c.Download(ctx, path+"&format=html", f), f.Close())
	})
	cmd.Flags().BoolVar(&markdown, "markdown", false, "print Markdown")
	cmd.Flags().StringVar(&html, "html", "", "write one self-contained HTML file")
	cmd.Flags().StringVar(&from, "from", "", "begin of the window, such as 2026-03-01")
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
			OK          bool     `json:"ok"`
			Differences []string `json:"differences"`
		}
		if err := c.Do(ctx, "POST", "/admin/shadow/verify", map[string]json.RawMessage{"report": text}, &out); err != nil {
			return err
		}
		err = w.show(r, out, func() {
			if out.OK {
				w.say("%s is what the journal says", args[0])
			}
		})
		if err == nil && !out.OK {
			return fmt.Errorf("%s differs in %s", args[0], strings.Join(out.Differences, ", "))
		}
		return err
	})
}
