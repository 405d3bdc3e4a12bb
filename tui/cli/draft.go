package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"paygate/server/api/client"
)

// The commands by which a sheet's file becomes a candidate.

// draft is a sheet's text that is kept with its mistakes.
type draft struct {
	Text     string         `json:"text"`
	Mistakes int            `json:"mistakes"`
	Found    []sheetFinding `json:"found"`
}

// made is the answer to a sheet that is kept.
type made struct {
	Name, State, Candidate string
	Draft                  *draft
	Diagnostics            []sheetFinding
}

func (w *World) shadowNew(r *remote) *cobra.Command {
	file, asDraft := "", false
	cmd := w.action(r, "new NAME --sheet FILE", "Check a price sheet and keep it under a name", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		text, err := os.ReadFile(file)
		if err != nil {
			return usage("--sheet: %v", err)
		}
		var e made
		body := map[string]any{"name": args[0], "sheet": string(text), "draft": asDraft}
		err = w.ask(ctx, c, r, question{"POST", "/admin/shadow", body, &e}, func() { w.sayMade(file, &e) })
		return sheetError(file, err)
	})
	cmd.Long = "Checks a price sheet, says every mistake with its line, and keeps it under a name. Until the candidate is started, the\n" +
		"same name again replaces it. With --draft the text is kept as it is, mistakes and all, to be mended later.\n\nA sheet looks like this:\n\n" + exampleSheet
	cmd.Example = "  paygate shadow new pro --sheet pro.yaml\n  paygate shadow new pro --sheet pro.yaml --draft\n  paygate shadow validate pro"
	cmd.Flags().StringVar(&file, "sheet", "", "the sheet, YAML or JSON")
	cmd.Flags().BoolVar(&asDraft, "draft", false, "keep it with its mistakes")
	_ = cmd.MarkFlagRequired("sheet") // it exists: it was made in the line before
	return cmd
}

func (w *World) shadowValidate(r *remote) *cobra.Command {
	return w.action(r, "validate NAME", "Check a draft; without a mistake it can start", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		var e made
		err := w.ask(ctx, c, r, question{"POST", "/admin/shadow/validate", map[string]string{"name": args[0]}, &e}, func() { w.sayMade(args[0], &e) })
		return sheetError(args[0], err)
	})
}

// sayMade prints the hash of a sheet that is kept, and the mistakes of a draft.
func (w *World) sayMade(file string, e *made) {
	if e.Draft != nil {
		for _, d := range e.Diagnostics {
			w.say("%s:%s", file, d)
		}
		w.sayDraft(e.Name, &draft{Mistakes: e.Draft.Mistakes})
		return
	}
	for _, d := range e.Diagnostics {
		_, _ = fmt.Fprintf(w.Err, "%s:%s\n", file, d)
	}
	w.say("%s", e.Candidate)
}

// sayDraft says what a draft needs before it can start.
func (w *World) sayDraft(name string, d *draft) {
	switch d.Mistakes {
	case 0:
		w.prose("%s is a draft without mistakes; \"paygate shadow validate %s\" makes a candidate of it", name, name)
	case 1:
		w.prose("%s is a draft with a mistake; mend it and keep it again with \"shadow new\"", name)
	default:
		w.prose("%s is a draft with %d mistakes; mend them and keep it again with \"shadow new\"", name, d.Mistakes)
	}
	const few = 5
	for i, f := range d.Found {
		if i == few {
			w.say("  and %d more", len(d.Found)-few)
			break
		}
		w.prose("  %s", f)
	}
	if d.Text != "" {
		w.say("\n%s", strings.TrimRight(d.Text, "\n"))
	}
}

const exampleSheet = `  name: per result
  currency: {credit_usd: "0.001"}
  defaults: {per_call: 2, bill_on: success}
  dimensions: {depth: {tool: "search*", values: [deep, flat]}}   # of the arguments
  rules:                                                         # the first that matches decides
    - match: {tool: "search*", dim.depth: deep}
      price: {per_call: 8, per_kb_out: 0.2, max: 60}
      tiers: {mode: graduated, per: key/month, steps: [{to: 1000, x: 1.0}, {x: 0.8}]}
    - match: {tool: "*", plan: pro}
      price: {per_call: 1}
  plans:
    free: {grant: 500/month, expires: month_end, rate: 30/min, spend_cap: 500/day}
    pro:  {grant: 20000/month, rollover: 5000, auto_topup: {below: 1000, add: 10000, max: 3/day}}`

// sheetFinding is a mistake in a sheet.
type sheetFinding struct {
	Line, Column               int
	Field, Message, Suggestion string
	Warning                    bool
}

func (d sheetFinding) String() string {
	text := fmt.Sprintf("%d:%d: ", d.Line, d.Column)
	if d.Warning {
		text += "warning: "
	}
	if d.Field != "" {
		text += d.Field + ": "
	}
	text += d.Message
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
