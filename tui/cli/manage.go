package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"paygate/server/api"
	"paygate/server/api/client"
)

// The commands that manage a running gateway.

// group makes a command whose subcommands speak to a gateway.
func group(use, short string) (*cobra.Command, *remote) {
	cmd, r := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}, &remote{}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage("%q is not a command of \"paygate %s\"; see \"paygate %s --help\"", args[0], use, use)
		}
		return cmd.Help()
	}
	r.flags(cmd)
	return cmd, r
}

// action is a subcommand that asks the gateway one thing and shows the answer.
func (w *World) action(r *remote, use, short string, args cobra.PositionalArgs, run func(ctx context.Context, c *client.Client, args []string) error) *cobra.Command {
	count := func(cmd *cobra.Command, given []string) error {
		if err := args(cmd, given); err != nil {
			return usage("%v; it is used as \"paygate %s %s\"", err, cmd.Parent().Name(), use)
		}
		return nil
	}
	return &cobra.Command{Use: use, Short: short, Args: count, RunE: func(cmd *cobra.Command, args []string) error {
		c, end, err := w.client(cmd.Context(), r)
		if err != nil {
			return err
		}
		if err = named(cmd.Context(), c, use, args); err == nil {
			err = run(cmd.Context(), c, args)
		}
		err = errors.Join(err, end())
		if c.Demo() {
			_, _ = fmt.Fprintln(w.Err, "demo: the data of this gateway is made up")
		}
		return err
	}}
}

// show prints an answer: as it came with --json, as lines otherwise.
func (w *World) show(r *remote, answer any, lines func()) error {
	if !r.json {
		lines()
		return nil
	}
	text, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w.Out, string(text))
	return err
}

// ask asks the gateway one thing: the answer is printed as it came with --json,
// and otherwise read into out for lines.
func (w *World) ask(ctx context.Context, c *client.Client, r *remote, q question, lines func()) error {
	var raw []byte
	if err := c.Do(ctx, q.method, q.path, q.in, &raw); err != nil {
		return err
	}
	if r.json {
		return w.asItCame(raw)
	}
	if err := json.Unmarshal(raw, q.out); err != nil {
		return fmt.Errorf("%s %s: the answer cannot be read: %w", q.method, q.path, err)
	}
	lines()
	return nil
}

// question is a request and where its answer goes.
type question struct {
	method, path string
	in, out      any
}

func (w *World) asItCame(raw []byte) error {
	var text bytes.Buffer
	if err := json.Indent(&text, raw, "", "  "); err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	_, err := fmt.Fprintln(w.Out, strings.TrimSpace(text.String()))
	return err
}

func (w *World) say(format string, args ...any) { _, _ = fmt.Fprintf(w.Out, format+"\n", args...) }

// prose prints a sentence in lines of at most 80 columns.
func (w *World) prose(format string, args ...any) {
	line := ""
	for word := range strings.FieldsSeq(fmt.Sprintf(format, args...)) {
		if line != "" && len([]rune(line+" "+word)) > 80 {
			w.say("%s", line)
			line = "  " + word
			continue
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	w.say("%s", line)
}

func (w *World) table(head string, rows func(row func(cells ...any))) {
	t := tabwriter.NewWriter(w.Out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, head)
	rows(func(cells ...any) {
		texts := make([]string, len(cells))
		for i, c := range cells {
			texts[i] = fmt.Sprint(c)
		}
		_, _ = fmt.Fprintln(t, strings.Join(texts, "\t"))
	})
	_ = t.Flush() // to Out, whose errors show nowhere
}

func (w *World) keys() *cobra.Command {
	cmd, r := group("keys", "Make, limit, suspend and revoke API keys")
	cmd.AddCommand(w.keysCreate(r), w.keysList(r))
	simple := func(use, short, path string, extra func(args []string) map[string]any, args int) {
		cmd.AddCommand(w.action(r, use, short, cobra.ExactArgs(args), func(ctx context.Context, c *client.Client, args []string) error {
			body := extra(args)
			body["key"] = args[0]
			var out map[string]any
			if err := c.Do(ctx, "POST", path, body, &out); err != nil {
				return err
			}
			return w.show(r, out, func() {
				if key, ok := out["newKey"]; ok {
					w.say("%s", key)
				}
				w.say("%s", out["message"])
			})
		}))
	}
	none := func([]string) map[string]any { return map[string]any{} }
	simple("revoke KEY", "Revoke a key for good", "/keys/revoke", none, 1)
	simple("suspend KEY", "Suspend a key", "/keys/suspend", none, 1)
	simple("resume KEY", "Resume a key", "/keys/resume", none, 1)
	cmd.AddCommand(w.keysLimit(r), w.keysTag(r), w.plans(r))
	simple("plan KEY PLAN", "Put a key on a plan of the price sheet; \"\" takes it off", "/keys/plan", func(a []string) map[string]any { return map[string]any{"plan": a[1]} }, 2)
	simple("group KEY GROUP", "Put a key into a group, by which prices may differ", "/keys/group", func(a []string) map[string]any { return map[string]any{"group": a[1]} }, 2)
	simple("allow KEY TOOLS", "Set the tools a key may call, with commas; * stands for any run of characters", "/keys/acl", func(a []string) map[string]any { return map[string]any{"allowedTools": split(a[1])} }, 2)
	simple("deny KEY TOOLS", "Set the tools a key may not call", "/keys/acl", func(a []string) map[string]any { return map[string]any{"deniedTools": split(a[1])} }, 2)
	rotate := w.keysRotate(r)
	cmd.AddCommand(rotate)
	return cmd
}

func (w *World) keysRotate(r *remote) *cobra.Command {
	grace := time.Duration(0)
	cmd := w.action(r, "rotate KEY", "Give a key a new secret", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		var out struct{ NewKey, Message string }
		if err := c.Do(ctx, "POST", "/keys/rotate", map[string]any{"key": args[0], "graceSeconds": int(grace.Seconds())}, &out); err != nil {
			return err
		}
		return w.show(r, out, func() { w.say("%s\n%s", out.NewKey, out.Message) })
	})
	cmd.Flags().DurationVar(&grace, "grace", 0, "how long the old secret works on, such as 24h")
	return cmd
}

func split(list string) []string {
	if strings.TrimSpace(list) == "" {
		return []string{}
	}
	return strings.Split(list, ",")
}

func (w *World) keysCreate(r *remote) *cobra.Command {
	var name, tools, deny, expires, plan, group string
	var amount, callsPerDay, creditsPerDay, perMinute int64
	var tags []string
	cmd := w.action(r, "create", "Create a key; its secret is shown once", cobra.NoArgs, func(ctx context.Context, c *client.Client, _ []string) error {
		body := map[string]any{"name": name, "credits": amount, "plan": plan, "group": group}
		if tools != "" {
			body["allowedTools"] = split(tools)
		}
		if deny != "" {
			body["deniedTools"] = split(deny)
		}
		if expires != "" {
			d, err := days(expires)
			if err != nil {
				return usage("--expires %q: write it as 90d, 12h or 30m", expires)
			}
			body["expiresIn"] = int(d.Seconds())
		}
		if callsPerDay > 0 || creditsPerDay > 0 {
			body["quota"] = map[string]int64{"dailyCallLimit": callsPerDay, "dailyCreditLimit": creditsPerDay}
		}
		if perMinute > 0 {
			body["rateLimit"] = perMinute
		}
		if len(tags) > 0 {
			pairs, err := pairsOf(tags)
			if err != nil {
				return err
			}
			body["tags"] = pairs
		}
		var out map[string]any
		if err := c.Do(ctx, "POST", "/keys", body, &out); err != nil {
			return err
		}
		return w.show(r, out, func() { w.say("%s\n%s", out["key"], out["message"]) })
	})
	cmd.Example = "  paygate keys create --name acme --credits 5000 --tools \"fs:*,search\" --expires 90d"
	cmd.Flags().StringVar(&name, "name", "", "name")
	cmd.Flags().Int64Var(&amount, "credits", 100, "credits to begin with")
	cmd.Flags().StringVar(&plan, "plan", "", "plan of the price sheet that it is on")
	cmd.Flags().StringVar(&group, "group", "", "group, by which prices may differ")
	cmd.Flags().StringVar(&tools, "tools", "", "tools it may call, with commas (default all)")
	cmd.Flags().StringVar(&deny, "deny", "", "tools it may not call")
	cmd.Flags().StringVar(&expires, "expires", "", "when it expires, such as 90d")
	cmd.Flags().Int64Var(&callsPerDay, "calls-per-day", 0, "calls a UTC day; 0 for no limit")
	cmd.Flags().Int64Var(&creditsPerDay, "credits-per-day", 0, "credits a UTC day; 0 for no limit")
	cmd.Flags().Int64Var(&perMinute, "calls-per-minute", 0, "calls in any minute; 0 for the gateway's own limit")
	cmd.Flags().StringArrayVar(&tags, "tag", nil, "tag as name=value; may be repeated")
	return cmd
}

// days is time.ParseDuration that knows d.
func days(text string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(text, "d"); ok {
		v, err := strconv.ParseFloat(n, 64)
		return time.Duration(v * 24 * float64(time.Hour)), err
	}
	return time.ParseDuration(text)
}

func (w *World) keysList(r *remote) *cobra.Command {
	search, limit := "", 50
	cmd := w.action(r, "list", "List keys", cobra.NoArgs, func(ctx context.Context, c *client.Client, _ []string) error {
		var out api.KeyPage
		if err := c.Do(ctx, "GET", fmt.Sprintf("/keys?limit=%d&search=%s", limit, url.QueryEscape(search)), nil, &out); err != nil {
			return err
		}
		return w.show(r, out, func() {
			w.table("ID\tNAME\tKEY\tSTATE\tCREDITS\tSPENT\tCALLS", func(row func(...any)) {
				for _, k := range out.Keys {
					row(k.ID, k.Name, k.KeyPrefix, state1(k), k.Credits, k.TotalSpent, k.TotalCalls)
				}
			})
			if out.Total > len(out.Keys) {
				w.say("%d of %d; more with --limit, fewer with --search", len(out.Keys), out.Total)
			}
		})
	})
	cmd.Flags().StringVar(&search, "search", "", "part of a name, alias or id")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most (500)")
	return cmd
}

func credits(n int64) string {
	if n == 1 {
		return "1 credit"
	}
	return fmt.Sprintf("%d credits", n)
}

func state1(k api.KeyRow) string {
	switch {
	case !k.Active:
		return "revoked"
	case k.Suspended:
		return "suspended"
	case k.Expired:
		return "expired"
	case k.Credits-k.Held <= 0:
		return "empty"
	}
	return "active"
}

func (w *World) credits() *cobra.Command {
	cmd, r := group("credits", "Add and move the credits of keys")
	note := ""
	add := w.action(r, "add KEY CREDITS", "Add credits to a key", cobra.ExactArgs(2), func(ctx context.Context, c *client.Client, args []string) error {
		var out struct {
			Credits int64
			Message string
		}
		if err := c.Do(ctx, "POST", "/topup", map[string]any{"key": args[0], "credits": args[1], "note": note}, &out); err != nil {
			return err
		}
		return w.show(r, out, func() { w.say("%s; the balance is %d", out.Message, out.Credits) })
	})
	add.Flags().StringVar(&note, "note", "", "what it is for")
	transfer := w.action(r, "transfer FROM TO CREDITS", "Move credits from one key to another", cobra.ExactArgs(3), func(ctx context.Context, c *client.Client, args []string) error {
		var out map[string]any
		if err := c.Do(ctx, "POST", "/keys/transfer", map[string]any{"from": args[0], "to": args[1], "credits": args[2]}, &out); err != nil {
			return err
		}
		return w.show(r, out, func() { w.say("%s", out["message"]) })
	})
	history := w.action(r, "history KEY", "Show how a key's balance came about", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		var out struct {
			CurrentBalance int64 `json:"currentBalance"`
			Entries        []struct {
				Type, Tool, Memo string
				Amount           int64
				BalanceAfter     int64 `json:"balanceAfter"`
				Timestamp        time.Time
			}
		}
		if err := c.Do(ctx, "GET", "/keys/credit-history?limit=200&key="+url.QueryEscape(args[0]), nil, &out); err != nil {
			return err
		}
		return w.show(r, out, func() {
			w.table("TIME\tKIND\tAMOUNT\tBALANCE\tFOR", func(row func(...any)) {
				for _, e := range out.Entries {
					row(e.Timestamp.Local().Format(time.DateTime), e.Type, e.Amount, e.BalanceAfter, first(e.Tool, e.Memo))
				}
			})
		})
	})
	cmd.AddCommand(add, transfer, history)
	return cmd
}

func (w *World) mode() *cobra.Command {
	r := &remote{}
	cmd := w.action(r, "mode [live|shadow]", "Charge calls, or only watch them", cobra.MaximumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		var out api.Mode
		var err error
		if len(args) == 0 {
			err = c.Do(ctx, "GET", "/admin/mode", nil, &out)
		} else {
			err = c.Do(ctx, "POST", "/admin/mode", map[string]string{"mode": args[0]}, &out)
		}
		if err != nil {
			return err
		}
		return w.show(r, out, func() {
			w.say("%s", out.Mode)
			if out.Mode == "live" && out.Broke > 0 {
				w.say("%d keys have too few credits for a call and are refused", out.Broke)
			}
		})
	})
	r.flags(cmd)
	return cmd
}
