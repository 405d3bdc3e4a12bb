package fake

import (
	"errors"
	"time"

	"paygate/shadow/stats"
	"paygate/shadow/trial"
)

// labTrial is what keys have done that pay by the first candidate.
func (g *Gateway) labTrial() (any, error) {
	if !g.Trying {
		return nil, errors.New("experiment pro-tier was never charged to a share of the keys; promote it with a canary")
	}
	effect := func(control, change, low, high float64) *stats.Effect {
		of := func(wide float64) stats.Interval {
			return stats.Interval{Estimate: control * change, Low: control * (change + (low-change)*wide), High: control * (change + (high-change)*wide)}
		}
		return &stats.Effect{Control: control, Treated: control * (1 + change), Absolute: of(1), Once: of(.6), Relative: change, Reduced: .62}
	}
	return &trial.Trial{Name: "pro-tier", Stages: []trial.Stage{{From: g.Now().Add(-5 * 24 * time.Hour), Percent: 40}}, To: g.Now(), RatioP: .53,
		Arms:     [2]trial.Arm{{Keys: 25, Expected: 24.6}, {Keys: 16, Expected: 16.4}},
		Attempts: effect(41, -.18, -.29, -.07), Spend: effect(205, .21, -.02, .44),
		Verdict: "Callers call less: -18.0 % a key, 95 % between -29.0 % and -7.0 %.",
		Rows: []trial.Row{
			{Name: "who pays the candidate", Value: "40 % of the keys since 2026-11-23 09:00 UTC"},
			{Name: "split of the keys", Value: "25 as before, 16 by the candidate", Note: "expected 24.6 and 16.4: as it should be (p = 0.53)"},
			{Name: "calls a key and day", Value: "41 as before, 33.6 by the candidate", Note: "−18 %, 95 % between −29 % and −7.0 % however often one looks (−25 % and −11 % for one look)"},
			{Name: "from 5 to 8 credits a call", Value: "10 % dearer: −3.9 % calls (−6.6 % to −1.4 %)", Note: "elasticity −0.42, 95 % between −0.72 and −0.15"},
			{Name: "over all prices paid", Value: "not known", Note: "it takes 4 whole days (UTC) without a change of prices and there are 3: wait 1 day more"},
		}}, nil
}
