package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"paygate/server/api/client"
)

// planRow is a plan of the live prices.
type planRow struct {
	Name     string `json:"name"`
	Grant    int64  `json:"grant"`
	GrantPer string `json:"grantPer"`
	Rollover int64  `json:"rollover"`
	Expires  bool   `json:"expires"`
	Rate     int64  `json:"rate"`
	SpendCap int64  `json:"spendCap"`
	CapPer   string `json:"capPer"`
	TopUp    struct {
		Below  int64 `json:"below"`
		Add    int64 `json:"add"`
		PerDay int64 `json:"perDay"`
	} `json:"topUp"`
	Keys int  `json:"keys"`
	Live bool `json:"live"`
}

func (w *World) plans(r *remote) *cobra.Command {
	return w.action(r, "plans", "What the plans of the live prices give", cobra.NoArgs, func(ctx context.Context, c *client.Client, _ []string) error {
		var out struct {
			Plans []planRow `json:"plans"`
		}
		return w.ask(ctx, c, r, question{"GET", "/plans", nil, &out}, func() {
			if len(out.Plans) == 0 {
				w.say("the live prices have no plans; a price sheet may have them, see \"paygate shadow new --help\"")
				return
			}
			w.table("PLAN\tKEYS\tGRANT\tRATE\tSPEND CAP\tTOP-UP", func(row func(...any)) {
				for _, p := range out.Plans {
					row(p.Name, p.Keys, p.grant(), per(p.Rate, "min"), per(p.SpendCap, p.CapPer), p.topUp())
				}
			})
		})
	})
}

func per(n int64, unit string) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%s", n, unit)
}

func (p *planRow) grant() string {
	text := per(p.Grant, p.GrantPer)
	switch {
	case !p.Live:
		return "not in the live prices"
	case p.Grant > 0 && p.Expires && p.Rollover > 0:
		return fmt.Sprintf("%s, keeps %d", text, p.Rollover)
	case p.Grant > 0 && p.Expires:
		return text + ", expires"
	}
	return text
}

func (p *planRow) topUp() string {
	if p.TopUp.Add == 0 {
		return "-"
	}
	text := fmt.Sprintf("+%d below %d", p.TopUp.Add, p.TopUp.Below)
	if p.TopUp.PerDay > 0 {
		text += fmt.Sprintf(", %d/day", p.TopUp.PerDay)
	}
	return text
}
