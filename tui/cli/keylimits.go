package cli

import (
	"context"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"paygate/server/api/client"
)

// pairsOf reads name=value arguments.
func pairsOf(args []string) (map[string]string, error) {
	out := map[string]string{}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if !ok || name == "" {
			return nil, usage("%q: write it as name=value", a)
		}
		out[name] = value
	}
	return out, nil
}

// keysLimit sets what a key may spend in its life and, with flags, its quota.
func (w *World) keysLimit(r *remote) *cobra.Command {
	quota := map[string]*int64{"dailyCallLimit": new(int64), "monthlyCallLimit": new(int64), "dailyCreditLimit": new(int64), "monthlyCreditLimit": new(int64)}
	rate := int64(-1)
	cmd := w.action(r, "limit KEY [CREDITS]", "Set what a key may spend in its life (0 for no limit), its quota, and its calls a minute", cobra.RangeArgs(1, 2), func(ctx context.Context, c *client.Client, args []string) error {
		if len(args) == 2 {
			var out struct{ Message string }
			if err := c.Do(ctx, "POST", "/limits", map[string]any{"key": args[0], "spendingLimit": args[1]}, &out); err != nil {
				return err
			}
			w.say("%s", out.Message)
		}
		if rate >= 0 {
			var out struct{ Message string }
			if err := c.Do(ctx, "POST", "/limits", map[string]any{"key": args[0], "rateLimit": rate}, &out); err != nil {
				return err
			}
			w.say("%s", out.Message)
		}
		body, given := map[string]any{"key": args[0]}, false
		for field, n := range quota {
			body[field] = *n
			given = given || *n > 0
		}
		if !given {
			return nil
		}
		var out struct{ Message string }
		if err := c.Do(ctx, "POST", "/keys/quota", body, &out); err != nil {
			return err
		}
		w.say("%s", out.Message)
		return nil
	})
	cmd.Flags().Int64Var(&rate, "calls-per-minute", -1, "calls in any minute; 0 for the gateway's own limit")
	cmd.Flags().Int64Var(quota["dailyCallLimit"], "calls-per-day", 0, "calls a UTC day; 0 for no limit")
	cmd.Flags().Int64Var(quota["monthlyCallLimit"], "calls-per-month", 0, "calls a UTC month")
	cmd.Flags().Int64Var(quota["dailyCreditLimit"], "credits-per-day", 0, "credits a UTC day")
	cmd.Flags().Int64Var(quota["monthlyCreditLimit"], "credits-per-month", 0, "credits a UTC month")
	return cmd
}

// keysTag sets tags, or takes all away.
func (w *World) keysTag(r *remote) *cobra.Command {
	none := false
	cmd := w.action(r, "tag KEY NAME=VALUE…", "Set tags of a key; NAME= takes one away, --none all", cobra.MinimumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		pairs, err := pairsOf(args[1:])
		if err != nil {
			return err
		}
		tags := map[string]any{}
		for name, value := range pairs {
			if tags[name] = value; value == "" {
				tags[name] = nil
			}
		}
		if none {
			var page struct {
				Keys []struct{ Tags map[string]string }
			}
			if err := c.Do(ctx, "GET", "/keys?limit=1&search="+url.QueryEscape(args[0]), nil, &page); err != nil {
				return err
			}
			for _, k := range page.Keys {
				for name := range k.Tags {
					tags[name] = nil
				}
			}
		}
		var out struct{ Tags map[string]string }
		if err := c.Do(ctx, "POST", "/keys/tags", map[string]any{"key": args[0], "tags": tags}, &out); err != nil {
			return err
		}
		return w.show(r, out, func() {
			pairs := []string{}
			for _, name := range sortedNames(out.Tags) {
				pairs = append(pairs, name+"="+out.Tags[name])
			}
			w.say("tags: %s", first(strings.Join(pairs, " "), "none"))
		})
	})
	cmd.Flags().BoolVar(&none, "none", false, "take all tags away")
	return cmd
}
