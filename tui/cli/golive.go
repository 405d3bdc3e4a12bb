package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"paygate/server/api/client"
)

// The commands that make a candidate's prices live and take them back.

// experiment is as much of one as these commands print.
type experiment struct {
	Name, State, Candidate string
	Going                  *struct {
		At, Until *time.Time
		Percent   float64
		Keep      string
	}
}

// promoted is the answer to a promotion.
type promoted struct {
	Experiment    experiment `json:"experiment"`
	Waived        []string   `json:"waived"`
	ConcernedKeys int        `json:"concernedKeys"`
	KeptKeys      int        `json:"keptKeys"`
}

func (w *World) shadowPromote(r *remote) *cobra.Command {
	var override, at, canary, wait, keep, quiet string
	var perCall, perDay int64
	cmd := w.action(r, "promote NAME", "Make a candidate's prices live; exit code 3 when a guardrail stands against it", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		body := map[string]any{"name": args[0], "for": wait, "keep": keep, "quietHours": quiet}
		if override != "" {
			body["override"] = strings.Split(override, ",")
		}
		if canary != "" {
			percent, err := strconv.ParseFloat(strings.TrimSuffix(canary, "%"), 64)
			if err != nil || percent <= 0 || percent >= 100 {
				return usage("--canary %q is not a share of the keys: more than 0 and less than 100 percent", canary)
			}
			body["canary"] = percent
		}
		begin, err := w.when(at)
		if err != nil {
			return err
		}
		body["at"] = begin
		if perCall > 0 {
			body["maxPerCall"] = perCall
		}
		if perDay > 0 {
			body["maxPerDay"] = perDay
		}
		var out promoted
		return blocked(w.ask(ctx, c, r, question{"POST", "/admin/shadow/promote", body, &out}, func() { w.sayPromoted(out) }))
	})
	cmd.Example = "  paygate shadow promote pro\n  paygate shadow promote pro --canary 10% --for 24h --max-per-day 500\n" +
		"  paygate shadow promote pro --at 2027-01-31T12:00:00Z --keep existing\n  paygate shadow promote pro --override attempts,windowDays"
	f := cmd.Flags()
	f.StringVar(&override, "override", "", "guardrails to pass by name, with commas, or all")
	f.StringVar(&at, "at", "", "when, such as 2027-01-31T12:00:00Z or +48h (default now)")
	f.StringVar(&canary, "canary", "", "share of the keys that begin, such as 10%")
	f.StringVar(&wait, "for", "", "how long the canary takes, such as 24h or 7d (default until you promote again)")
	f.StringVar(&keep, "keep", "", "who goes on at the old prices: none, existing, until:2027-01-31, or end (earlier promises too)")
	f.Int64Var(&perCall, "max-per-call", 0, "most that a call costs in the canary")
	f.Int64Var(&perDay, "max-per-day", 0, "most that a key is charged a day in the canary")
	f.StringVar(&quiet, "quiet-hours", "", "when nothing begins by itself, in UTC, such as 22:00-07:00")
	return cmd
}

// when is a time as the gateway takes it: +48h is that much from now.
func (w *World) when(text string) (string, error) {
	ahead, ok := strings.CutPrefix(text, "+")
	if !ok {
		return text, nil
	}
	d, err := days(ahead)
	if err != nil || d <= 0 {
		return "", usage("--at %q: write +90m, +48h or +7d, or a time such as 2027-01-31T12:00:00Z", text)
	}
	return w.Now().Add(d).UTC().Format(time.RFC3339Nano), nil
}

// blocked is the error of a promotion that guardrails stand against, so that it
// ends with the code for that.
func blocked(err error) error {
	var refused *client.Error
	var failing []guardrail
	if !errors.As(err, &refused) {
		return err
	}
	if refused.Status == http.StatusBadRequest {
		return &UsageError{refused.Message}
	}
	if json.Unmarshal(refused.Fields["failing"], &failing) != nil {
		return err
	}
	rail := &GuardrailError{}
	for _, g := range failing {
		rail.Failing = append(rail.Failing, g.String())
	}
	return rail
}

func (w *World) sayPromoted(p promoted) {
	e := p.Experiment
	switch g := e.Going; {
	case e.State == "scheduled" && g != nil && g.At != nil:
		w.prose("%s goes live at %s, and is announced until then; \"paygate shadow cancel %s\" takes it back", e.Name, g.At.Local().Format(time.DateTime), e.Name)
	case e.State == "canary" && g != nil && g.Until != nil:
		w.prose("%s is charged to %v %% of the keys, and to all from %s; \"paygate shadow rollback\" takes it back", e.Name, g.Percent, g.Until.Local().Format(time.DateTime))
	case e.State == "canary" && g != nil:
		w.prose("%s is charged to %v %% of the keys until \"paygate shadow promote %s\" makes it live for all, or \"paygate shadow rollback\" takes it back", e.Name, g.Percent, e.Name)
	default:
		w.prose("%s is %s; \"paygate shadow rollback --make-good\" takes it back", e.Name, e.State)
	}
	w.prose("%d keys pay it, %d go on as before", p.ConcernedKeys, p.KeptKeys)
	if len(p.Waived) > 0 {
		w.prose("passed in spite of %s", strings.Join(p.Waived, ", "))
	}
}

// takenBack is the answer to a rollback.
type takenBack struct {
	Name   string    `json:"name"`
	Sheet  string    `json:"sheet"`
	Total  int64     `json:"total"`
	Before int64     `json:"before"`
	Open   int       `json:"open"`
	Keys   []refunds `json:"keys"`
}

type refunds struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Credits int64  `json:"credits"`
	Calls   int    `json:"calls"`
}

func (w *World) shadowRollback(r *remote) *cobra.Command {
	makeGood, preview := false, false
	cmd := w.action(r, "rollback [NAME]", "Make the prices before live again", cobra.MaximumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		var out takenBack
		name := strings.Join(args, "")
		q := question{"POST", "/admin/shadow/rollback", map[string]any{"makeGood": makeGood, "name": name}, &out}
		if preview {
			q = question{"GET", fmt.Sprintf("/admin/shadow/rollback?makeGood=%t&name=%s", makeGood, url.QueryEscape(name)), nil, &out}
		}
		return w.ask(ctx, c, r, q, func() {
			if preview {
				w.say("%s would be taken back; %d credits would go back", out.Name, out.Total)
			} else {
				w.say("%s is taken back; %d credits went back", out.Name, out.Total)
			}
			if out.Before > 0 {
				w.prose("%d credits went back before", out.Before)
			}
			if out.Open > 0 {
				w.prose("%d calls that began at its prices are under way; what they cost more goes back when they have ended", out.Open)
			}
			if len(out.Keys) == 0 {
				return
			}
			w.table("KEY\tCREDITS\tCALLS\tID", func(row func(...any)) {
				for _, k := range out.Keys {
					row(k.Name, k.Credits, k.Calls, k.ID)
				}
			})
		})
	})
	cmd.Long = "Takes back what is charged now: a canary, or else what is live. With NAME it takes back that experiment and no other, so\nthat it may be said again by who does not know whether the first time has worked."
	cmd.Example = "  paygate shadow rollback --make-good --preview\n  paygate shadow rollback --make-good"
	cmd.Flags().BoolVar(&makeGood, "make-good", false, "give each key back exactly what the new prices took more")
	cmd.Flags().BoolVar(&preview, "preview", false, "only say what would go back to whom")
	return cmd
}

// rollout is who pays by which sheet.
type rollout struct {
	Live string `json:"live"`
	Kept []struct {
		Sheet  string     `json:"sheet"`
		By     string     `json:"by"`
		Before time.Time  `json:"before"`
		Until  *time.Time `json:"until"`
	} `json:"kept"`
	Canary *struct {
		Name    string     `json:"name"`
		Percent float64    `json:"percent"`
		Since   time.Time  `json:"since"`
		Until   *time.Time `json:"until"`
	} `json:"canary"`
	Guards []guardrail `json:"guards"`
	Arms   []struct {
		Calls   int     `json:"calls"`
		Keys    int     `json:"keys"`
		Errors  int     `json:"errors"`
		Charged int64   `json:"charged"`
		P99     float64 `json:"p99Ms"`
	} `json:"arms"`
	Next *struct {
		Name    string    `json:"name"`
		At      time.Time `json:"at"`
		Percent float64   `json:"percent"`
	} `json:"next"`
}

func (w *World) shadowRollout(r *remote) *cobra.Command {
	return w.action(r, "rollout", "Who pays by which sheet, how a canary does, and what comes next", cobra.NoArgs, func(ctx context.Context, c *client.Client, _ []string) error {
		var out rollout
		return w.ask(ctx, c, r, question{"GET", "/admin/shadow/rollout", nil, &out}, func() { w.sayRollout(&out) })
	})
}

func (w *World) sayRollout(out *rollout) {
	stamp := func(t time.Time) string { return t.Local().Format(time.DateTime) }
	w.say("live sheet %.12s", out.Live)
	for _, k := range out.Kept {
		end := "for good"
		if k.Until != nil {
			end = "until " + stamp(*k.Until)
		}
		w.say("keys made by %s keep sheet %.12s %s (since %s)", stamp(k.Before), k.Sheet, end, k.By)
	}
	if n := out.Next; n != nil {
		w.say("%s goes live at %s", n.Name, stamp(n.At))
	}
	if out.Canary == nil {
		return
	}
	w.say("canary %s: %v %% of the keys since %s", out.Canary.Name, out.Canary.Percent, stamp(out.Canary.Since))
	w.table("SIDE\tKEYS\tCALLS\tERRORS\tCHARGED\tP99 MS", func(row func(...any)) {
		for i, a := range out.Arms {
			row([]string{"live", "canary"}[i], a.Keys, a.Calls, a.Errors, a.Charged, a.P99)
		}
	})
	w.table("GUARD\tVALUE\tLIMIT\tPASS", func(row func(...any)) {
		for _, g := range out.Guards {
			row(g.Name, figure(g.Value), figure(g.Limit), g.verdict())
		}
	})
}
