package cli

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"paygate/server/api/client"
)

// The commands that ask about calls that were recorded.

// window are the flags of a stretch of time.
type window struct{ from, to string }

func (f *window) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.from, "from", "", "begin of the window, such as 2026-03-01")
	cmd.Flags().StringVar(&f.to, "to", "", "end of the window")
}

// tried is the sheet that a command tries: an experiment's, or a file's.
type tried struct {
	file string
	set  []string
}

func (f *tried) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "sheet", "", "a sheet that is not kept")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "another price of a tool, such as search=5; * is the default price; may be repeated")
}

func (f *tried) body(args []string) (map[string]any, error) {
	body := map[string]any{"name": strings.Join(args, "")}
	if f.file != "" {
		text, err := os.ReadFile(f.file)
		if err != nil {
			return nil, usage("--sheet: %v", err)
		}
		body["sheet"] = string(text)
	}
	if len(f.set) > 0 {
		set := map[string]any{}
		for _, pair := range f.set {
			tool, price, ok := strings.Cut(pair, "=")
			if _, err := strconv.ParseFloat(price, 64); !ok || err != nil {
				return nil, usage("--set %q: write a tool and its price, such as search=5", pair)
			}
			set[tool] = map[string]string{"per_call": price}
		}
		body["set"] = set
	}
	return body, nil
}

func (w *World) shadowReplay(r *remote) *cobra.Command {
	var span window
	var sheet tried
	cmd := w.action(r, "replay [NAME]", "What a candidate would have meant for recorded calls", cobra.MaximumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		body, err := sheet.body(args)
		if err != nil {
			return err
		}
		body["from"], body["to"] = span.from, span.to
		var raw []byte
		if err := c.Do(ctx, "POST", "/admin/shadow/replay", body, &raw); err != nil {
			return sheetError(sheet.file, err)
		}
		return w.showReplay(r, raw)
	})
	cmd.Example = "  paygate shadow replay pro --from 2026-03-01\n  paygate shadow replay --sheet dearer.yaml --from 2026-03-01 --to 2026-04-01\n  paygate shadow replay live --set search=5"
	sheet.flags(cmd)
	span.flags(cmd)
	return cmd
}

// whatIfRow is one way in which denied agents may go on.
type whatIfRow struct {
	Policy      string  `json:"policy"`
	Collectable int64   `json:"collectable"`
	Change      int64   `json:"change"`
	Denied      int     `json:"newlyDenied"`
	Keys        int     `json:"keysStopped"`
	RunsBroken  float64 `json:"runsBroken"`
	Added       int64   `json:"added"`
	Load        int     `json:"load"`
}

func (w *World) shadowWhatIf(r *remote) *cobra.Command {
	var span window
	var sheet tried
	var grant, topUp int64
	var policy string
	var retries, perDay int
	var cheaper map[string]string
	cmd := w.action(r, "what-if [NAME]", "The same calls with other wallets, and agents that go on in other ways when they are denied", cobra.MaximumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		body, err := sheet.body(args)
		if err != nil {
			return err
		}
		body["from"], body["to"] = span.from, span.to
		body["whatIf"] = map[string]any{"policy": first(policy, "all"), "grant": grant, "topUp": topUp, "perDay": perDay, "retries": retries, "cheaper": cheaper}
		rows, err := whatIf(ctx, c, body)
		if err != nil {
			return sheetError(sheet.file, err)
		}
		return w.show(r, map[string]any{"policies": rows}, func() { w.sayWhatIf(rows) })
	})
	cmd.Example = "  paygate shadow what-if pro\n  paygate shadow what-if pro --grant 500\n  paygate shadow what-if --sheet dearer.yaml --policy top-up --top-up 1000 --per-day 3"
	f := cmd.Flags()
	f.Int64Var(&grant, "grant", 0, "credits that every wallet begins with in addition")
	f.StringVar(&policy, "policy", "", "only one of skip, stop-run, retry, top-up and downgrade (default all of them, to bracket what nobody can know)")
	f.Int64Var(&topUp, "top-up", 0, "top-up: credits at a time (default what a call lacks)")
	f.IntVar(&perDay, "per-day", 0, "top-up: at most so often a day and key (default always)")
	f.StringToStringVar(&cheaper, "cheaper", nil, "downgrade: the tool that is called instead of one that is too dear, such as deep_search=search")
	f.IntVar(&retries, "retries", 3, "retry: how often a denied call comes back")
	sheet.flags(cmd)
	span.flags(cmd)
	return cmd
}

// whatIf asks for all policies at once, so that all are about the same calls.
func whatIf(ctx context.Context, c *client.Client, body map[string]any) ([]whatIfRow, error) {
	var out struct {
		Reports []struct {
			shadowReport
			WhatIf struct {
				Policy string
				Added  int64
				Load   int
			}
		}
	}
	if err := c.Do(ctx, "POST", "/admin/shadow/replay", body, &out); err != nil {
		return nil, err
	}
	rows := []whatIfRow{}
	for _, one := range out.Reports {
		e := one.Exact
		rows = append(rows, whatIfRow{one.WhatIf.Policy, e.Candidate.Collectable, e.Change.Total, e.NewlyDenied.Attempts, e.NewlyDenied.Keys, e.Runs.Broken, one.WhatIf.Added, one.WhatIf.Load})
	}
	return rows, nil
}

func (w *World) sayWhatIf(rows []whatIfRow) {
	w.table("DENIED AGENTS\tCOLLECTED\tCHANGE\tNEWLY DENIED\tKEYS\tRUNS BROKEN\tTOPPED UP", func(row func(...any)) {
		for _, o := range rows {
			row(o.Policy, o.Collectable, signed(o.Change), o.Denied, o.Keys, percent(o.RunsBroken), o.Added)
		}
	})
	for _, o := range rows {
		if o.Load > 0 {
			w.prose("with %s, %d more attempts would come back in vain", o.Policy, o.Load)
		}
	}
	if len(rows) > 1 {
		w.prose("nobody knows how denied agents go on; what will happen lies between these")
	}
}

func (w *World) shadowPower(r *remote) *cobra.Command {
	effect, power := "5%", 0.8
	cmd := w.action(r, "power NAME", "How many keys it takes to see a change", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		share, err := strconv.ParseFloat(strings.TrimSuffix(effect, "%"), 64)
		if err != nil || share <= 0 {
			return usage("--effect %q is not a share of a bill above 0, such as 5%%", effect)
		}
		var out struct {
			Effect        float64 `json:"effect"`
			EffectCredits float64 `json:"effectCredits"`
			Power         float64 `json:"power"`
			Keys          int     `json:"keys"`
			MeanBill      float64 `json:"meanBill"`
			PairedKeys    *int    `json:"pairedKeys"`
			PairedSD      float64 `json:"pairedSd"`
			AB            int     `json:"abKeysPerArm"`
			ABSD          float64 `json:"abSd"`
			Enough        bool    `json:"enough"`
		}
		path := fmt.Sprintf("/admin/shadow/power?name=%s&effect=%v&power=%v", url.QueryEscape(args[0]), share/100, power)
		return w.ask(ctx, c, r, question{"GET", path, nil, &out}, func() {
			w.prose("to see a change of %v %% (%.1f credits) of the mean bill of %.1f in %v %% of cases:", share, out.EffectCredits, out.MeanBill, 100*out.Power)
			w.table("COMPARISON\tKEYS NEEDED\tSD", func(row func(...any)) {
				if out.PairedKeys != nil {
					row("both prices on the same calls (a shadow)", *out.PairedKeys, fmt.Sprintf("%.1f", out.PairedSD))
				} else {
					row("both prices on the same calls (a shadow)", "any", "0")
				}
				row("other keys in each arm (a canary)", out.AB, fmt.Sprintf("%.1f", out.ABSD))
			})
			w.say("%d keys have called so far", out.Keys)
		})
	})
	cmd.Example = "  paygate shadow power pro --effect 3%"
	cmd.Flags().StringVar(&effect, "effect", "5%", "change of the mean bill")
	cmd.Flags().Float64Var(&power, "power", 0.8, "share of cases in which it is to be seen")
	return cmd
}
