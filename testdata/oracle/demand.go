package oracle

import (
	"maps"
	"math"
	"slices"
	"time"
)

// tool is what one tool comes to.
type tool struct {
	name              string
	calls, successes  int64
	paid, list, costs [2]int64 // costs: upstream's, of calls that are admitted
	cost              int64    // of all calls
}

func (w *walked) tools() []tool {
	by := map[string]*tool{}
	for _, j := range w.calls {
		t := by[j.call.Tool]
		if t == nil {
			t = &tool{name: j.call.Tool}
			by[j.call.Tool] = t
		}
		t.calls++
		t.successes += count(j.call.Outcome == "ok")
		t.cost += j.call.Cost
		for side := range 2 {
			t.paid[side] += pays(j, side)
			t.list[side] += price(j, side)
			t.costs[side] += count(j.side[side].admitted) * j.call.Cost
		}
	}
	var out []tool
	for _, name := range slices.Sorted(maps.Keys(by)) {
		out = append(out, *by[name])
	}
	return out
}

func (w *walked) toolRows() map[string]any {
	out := map[string]any{}
	for _, t := range w.tools() {
		out[t.name] = map[string]any{"tool": t.name, "calls": t.calls, "live": t.paid[0], "candidate": t.paid[1], "cost": t.costs[1],
			"marginLive": t.paid[0] - t.costs[0], "margin": t.paid[1] - t.costs[1],
			"pricePerSuccessLive": share(t.list[0], t.successes), "pricePerSuccess": share(t.list[1], t.successes)}
	}
	return out
}

// volume is the share of a tool's calls that stay at an elasticity.
func (t *tool) volume(e float64) float64 {
	if t.list[0] <= 0 || t.list[1] <= 0 {
		return 1
	}
	return math.Pow(float64(t.list[1])/float64(t.list[0]), e)
}

func (w *walked) projected() map[string]any {
	out := map[string]any{"weeks": w.weeks(), "leaveOneOut": w.leaveOneOut()}
	tools := w.tools()
	var margins [2]int64
	var rows []any
	for _, t := range tools {
		margins[0], margins[1] = margins[0]+t.paid[0]-t.costs[0], margins[1]+t.paid[1]-t.costs[1]
	}
	for _, e := range []float64{0, -.25, -.5, -1, -1.5, -2} {
		change, margin, parts := float64(w.refunds[0]-w.refunds[1]), 0.0, []any{}
		for _, t := range tools {
			left := t.volume(e)
			part := float64(t.paid[1])*left - float64(t.paid[0])
			change += part
			margin += float64(t.paid[1]-t.costs[1]) * left
			parts = append(parts, map[string]any{"tool": t.name, "change": part})
		}
		rows = append(rows, map[string]any{"elasticity": e, "change": change, "margin": margin, "marginLive": float64(margins[0]), "tools": parts})
	}
	out["sensitivity"], out["affordToLose"] = rows, nil
	if margins[0] > 0 && margins[1] > margins[0] {
		lose, _ := share(margins[1]-margins[0], margins[1]).(float64)
		out["affordToLose"] = lose
	}
	out["mustStay"] = mustStay(tools)
	out["runway"] = w.runway()
	return out
}

// mustStay is the smallest share of the calls of tools that were free which must
// stay, at what is collected of them, for the candidate to collect what live does.
func mustStay(tools []tool) any {
	var target, rest, fresh int64
	for _, t := range tools {
		if target += t.paid[0]; t.list[0] == 0 {
			fresh += t.paid[1]
		} else {
			rest += t.paid[1]
		}
	}
	if fresh <= 0 {
		return nil
	}
	return max(0, share(target-rest, fresh).(float64))
}

// Gain is how much more the candidate's margin at list prices is than live's
// when callers react with an elasticity: 0 at the break-even one. scale is the
// size of what is compared.
func Gain(f *Facts, q Question, e float64) (gain, scale float64) {
	for _, t := range walk(f, q).tools() {
		if t.list[0] > 0 && t.list[1] > 0 {
			left := t.volume(e)
			gain += float64(t.list[1]-t.cost)*left - float64(t.list[0]-t.cost)
			scale += math.Abs(float64(t.list[1]))*left + math.Abs(float64(t.list[0])) + float64(t.cost)
		}
	}
	return gain, scale
}

const day = 24 * time.Hour

func (w *walked) weeks() []any {
	out := []any{}
	if len(w.calls) == 0 {
		return out
	}
	first := w.calls[0].call.At.UTC().Truncate(day)
	last := w.calls[len(w.calls)-1].call.At.UTC().Truncate(day).Add(day)
	for at := first; !at.Add(7 * day).After(last); at = at.Add(7 * day) {
		var sums [2]int64
		for _, j := range w.calls {
			for side := range 2 {
				if !j.call.At.Before(at) && j.call.At.Before(at.Add(7*day)) {
					sums[side] += pays(j, side)
				}
			}
		}
		out = append(out, map[string]any{"from": at.Format(time.RFC3339), "live": sums[0], "candidate": sums[1]})
	}
	return out
}

// payers are what units pay: tenants, and keys that have none.
func (w *walked) payers() (out [][2]int64) {
	by, tenant := map[string]*[2]int64{}, map[string]string{}
	for _, j := range w.calls {
		tenant[j.call.Key] = j.call.Tenant
	}
	for key, calls := range w.ofKey() {
		id := "key " + key
		if tenant[key] != "" {
			id = "tenant " + tenant[key]
		}
		if by[id] == nil {
			by[id] = new([2]int64)
		}
		by[id][0] += bill(calls, 0)
		by[id][1] += bill(calls, 1)
	}
	for _, p := range by {
		out = append(out, *p)
	}
	return out
}

// leaveOneOut is how far the lift moves when any one payer is left out.
func (w *walked) leaveOneOut() any {
	all := w.payers()
	var live, cand int64
	for _, p := range all {
		live, cand = live+p[0], cand+p[1]
	}
	if live <= 0 {
		return nil
	}
	lift := share(cand-live, live).(float64)
	low, high := lift, lift
	for _, p := range all {
		if live > p[0] {
			n := share(cand-p[1]-(live-p[0]), live-p[0]).(float64)
			low, high = min(low, n), max(high, n)
		}
	}
	return map[string]any{"estimate": lift, "low": low, "high": high}
}

// runway is how long balances last at what the candidate takes a day, the newest
// days counting most: half as much a week before.
func (w *walked) runway() map[string]any {
	if len(w.calls) == 0 || w.calls[len(w.calls)-1].call.At.Sub(w.calls[0].call.At) < 6*day {
		return map[string]any{"medianDays": nil, "emptyBy7": int64(0), "emptyBy30": int64(0)}
	}
	first := w.calls[0].call.At.UTC().Truncate(day)
	n := int(w.calls[len(w.calls)-1].call.At.UTC().Truncate(day).Sub(first)/day) + 1
	var days []float64
	rows := map[string]any{}
	for key, calls := range w.ofKey() {
		total, weights := 0.0, 0.0
		for d := range n {
			spent := int64(0)
			for _, j := range calls {
				if j.call.At.UTC().Truncate(day).Equal(first.Add(time.Duration(d) * day)) {
					spent += pays(j, 1)
				}
			}
			weight := math.Pow(.5, float64(n-1-d)/7)
			total, weights = total+weight*float64(spent), weights+weight
		}
		if burn := total / weights; burn > 0 {
			balance := w.wallets[1][key]
			days = append(days, float64(balance)/burn)
			rows[key] = map[string]any{"id": key, "balance": balance, "burn": burn, "days": float64(balance) / burn}
		}
	}
	out := map[string]any{"medianDays": nil, "soonest": rows}
	if slices.Sort(days); len(days) > 0 {
		out["medianDays"] = days[(len(days)-1)/2]
	}
	by7, by30 := int64(0), int64(0)
	for _, d := range days {
		by7, by30 = by7+count(d <= 7), by30+count(d <= 30)
	}
	out["emptyBy7"], out["emptyBy30"] = by7, by30
	return out
}
