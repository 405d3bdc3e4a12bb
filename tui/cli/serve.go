package cli

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"paygate/server/api"
	"paygate/server/api/client"
)

// The commands for servers and prices.

func (w *World) servers() *cobra.Command {
	cmd, r := group("servers", "List, add, restart and remove MCP servers")
	r.running = true
	show := func(out struct{ Servers []api.Server }) error {
		return w.show(r, out.Servers, func() {
			w.table("PREFIX\tSTATE\tOVER\tTOOLS\tRESTARTS\tTARGET\tLAST ERROR", func(row func(...any)) {
				for _, s := range out.Servers {
					row(first(s.Prefix, "–"), s.State, s.Transport, s.Tools, s.Restarts, s.Target, s.LastError)
				}
			})
		})
	}
	ask := func(method, path string, body any) func(context.Context, *client.Client) error {
		return func(ctx context.Context, c *client.Client) error {
			var out struct{ Servers []api.Server }
			if err := c.Do(ctx, method, path, body, &out); err != nil {
				return err
			}
			return show(out)
		}
	}
	drain := w.action(r, "drain PREFIX", "Let a server's calls finish, and send it no more", cobra.MaximumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		return ask("POST", "/admin/servers/drain", map[string]string{"prefix": strings.Join(args, "")})(ctx, c)
	})
	cmd.AddCommand(drain, w.action(r, "list", "List the servers", cobra.NoArgs, func(ctx context.Context, c *client.Client, _ []string) error {
		return ask("GET", "/admin/servers", nil)(ctx, c)
	}), w.action(r, "restart PREFIX", "Restart a server", cobra.MaximumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		return ask("POST", "/admin/servers/restart", map[string]string{"prefix": strings.Join(args, "")})(ctx, c)
	}), w.action(r, "remove PREFIX", "Remove a server until the next restart", cobra.MaximumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		return ask("DELETE", "/admin/servers?prefix="+url.QueryEscape(strings.Join(args, "")), nil)(ctx, c)
	}))
	var env []string
	add := w.action(r, "add PREFIX COMMAND-OR-URL", "Add a server until the next restart", cobra.ExactArgs(2), func(ctx context.Context, c *client.Client, args []string) error {
		variables, err := pairsOf(env)
		if err != nil {
			return err
		}
		body := api.ServerSpec{Prefix: args[0], Command: args[1], Env: variables}
		if strings.HasPrefix(args[1], "http://") || strings.HasPrefix(args[1], "https://") {
			body = api.ServerSpec{Prefix: args[0], URL: args[1]}
		}
		return ask("POST", "/admin/servers", body)(ctx, c)
	})
	add.Flags().StringArrayVar(&env, "env", nil, "variable of the server as NAME=value; may be repeated")
	cmd.AddCommand(add)
	return cmd
}

func (w *World) prices() *cobra.Command {
	cmd, r := group("prices", "Show and set the prices of tools")
	show := func(out api.Prices) error {
		return w.show(r, out, func() {
			w.table("TOOL\tPER CALL\tKB IN\tKB OUT\tCALLS/H", func(row func(...any)) {
				row("* (default)", out.Default, 0, 0, "")
				for _, t := range out.Tools {
					row(t.Tool, t.PerCall, t.PerKBIn, t.PerKBOut, t.CallsPerHour)
				}
			})
		})
	}
	cmd.AddCommand(w.action(r, "list", "List the live prices", cobra.NoArgs, func(ctx context.Context, c *client.Client, _ []string) error {
		var out api.Prices
		if err := c.Do(ctx, "GET", "/admin/prices", nil, &out); err != nil {
			return err
		}
		return show(out)
	}))
	var in, outKB int64
	set := w.action(r, "set TOOL CREDITS", "Set the price of a tool; * is the default", cobra.ExactArgs(2), func(ctx context.Context, c *client.Client, args []string) error {
		n, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return usage("%q is not a whole number of credits", args[1])
		}
		change := api.PriceChange{Tool: args[0], PerCall: &n}
		if in >= 0 {
			change.PerKBIn = &in
		}
		if outKB >= 0 {
			change.PerKBOut = &outKB
		}
		var out api.Prices
		if err := c.Do(ctx, "POST", "/admin/prices", api.PriceUpdate{Changes: []api.PriceChange{change}}, &out); err != nil {
			return err
		}
		return show(out)
	})
	set.Flags().Int64Var(&in, "kb-in", -1, "credits for each KB of the arguments")
	set.Flags().Int64Var(&outKB, "kb-out", -1, "credits for each KB of the result")
	cmd.AddCommand(set)
	return cmd
}
