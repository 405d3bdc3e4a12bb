package oracle

import (
	"maps"
	"math/big"
	"slices"
	"time"
)

// Figures is what a report must say, in the names of its JSON. Only what is in
// it is compared; the rest is text, or drawn by chance.
type Figures map[string]any

// Compute is the report that answers a question.
func Compute(f *Facts, q Question) (Figures, []string) {
	w := walk(f, q)
	return w.figures(), w.faults
}

// of is a value a call has on each side.
func (w *walked) sum(of func(judged) int64) int64 {
	total := new(big.Int)
	for _, j := range w.calls {
		total.Add(total, big.NewInt(of(j)))
	}
	return total.Int64()
}

// price is what a call costs whether or not it is admitted: by how it ended, or
// its quote when it did not run for want of credits and limits alone.
func price(j judged, side int) int64 {
	v, c := j.side[side], j.call
	switch {
	case v.ended && !v.imputed:
		return v.due
	case !c.Together && len(c.Findings) > len(c.Reasons):
		return 0
	}
	return v.quote
}

// pays is what a call pays; what is guessed pays nothing.
func pays(j judged, side int) int64 {
	if v := j.side[side]; v.admitted && v.ended && !v.imputed {
		return v.paid
	}
	return 0
}

func reason(j judged, side int) string {
	switch v := j.side[side]; {
	case len(v.reasons) > 0:
		return v.reasons[0]
	case len(j.call.Findings) > 0:
		return j.call.Findings[0]
	}
	return "refused"
}

func count(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// share is a / b, or nil.
func share(a, b int64) any {
	if b == 0 {
		return nil
	}
	f, _ := new(big.Rat).SetFrac64(a, b).Float64()
	return f
}

func orZero(v any) any {
	if v == nil {
		return 0.0
	}
	return v
}

func (w *walked) figures() Figures {
	observed := w.sum(func(j judged) int64 { return count(j.call.Observed) })
	denied := w.sum(func(j judged) int64 { return count(!j.side[0].admitted) })
	n := int64(len(w.calls))
	grade := "C"
	switch {
	case n == 0:
	case observed == n:
		grade = "A"
	case denied*50 < n:
		grade = "B"
	}
	return Figures{"attempts": n, "coverage": 1.0, "grade": grade, "selfDifference": int64(0), "exact": w.exact(), "projected": w.projected()}
}

func (w *walked) exact() map[string]any {
	columns := [2]map[string]any{w.column(0), w.column(1)}
	c0, c1 := columns[0]["collectable"].(int64), columns[1]["collectable"].(int64)
	split := func(a0, a1 bool, of func(judged) int64) int64 {
		return w.sum(func(j judged) int64 { return count(j.side[0].admitted == a0 && j.side[1].admitted == a1) * of(j) })
	}
	rate := split(true, true, func(j judged) int64 { return pays(j, 1) - pays(j, 0) })
	won := split(false, true, func(j judged) int64 { return pays(j, 1) })
	lost := -split(true, false, func(j judged) int64 { return pays(j, 0) })
	back := w.refunds[0] - w.refunds[1]
	if c1-c0 != rate+won+lost+back {
		w.faults = append(w.faults, "the split of the change does not add up")
	}
	held := w.sum(func(j judged) int64 { return count(j.side[1].admitted && !j.side[1].imputed) * j.side[1].quote })
	settled := w.sum(func(j judged) int64 { return count(j.side[1].admitted && !j.side[1].imputed) * j.side[1].due })
	imputed := func(j judged) int64 { return count(j.side[1].imputed) }
	e := map[string]any{"live": columns[0], "candidate": columns[1], "lift": share(c1-c0, c0),
		"change":      map[string]any{"total": c1 - c0, "rate": rate, "accessWon": won, "accessLost": lost, "refunds": back},
		"newlyDenied": w.newly(), "quoteError": share(held-settled, settled), "clipped": w.clipped,
		"imputed": map[string]any{"attempts": w.sum(imputed), "credits": w.sum(func(j judged) int64 { return imputed(j) * j.side[1].paid })},
		"runs":    w.runs(c1), "survival": w.survival(1), "survivalLive": w.survival(0), "bills": w.bills(),
		"keys": w.keyRows(), "tools": w.toolRows(), "sheets": w.sheetRows(), "wallets": w.walletFigures()}
	e["deniedByReason"], e["leakage"] = w.denials()
	e["winners"], e["losers"] = w.extremes()
	e["denialTimeline"] = w.timeline()
	bar := func(name string, n int64) map[string]any { return map[string]any{"name": name, "credits": n} }
	e["waterfall"] = []any{bar("live", c0), bar("rate", rate), bar("access won", won), bar("access lost", lost), bar("refunds", back), bar("candidate", c1), bar("potential", columns[1]["potential"].(int64))}
	return e
}

func (w *walked) column(side int) map[string]any {
	admitted := w.sum(func(j judged) int64 { return count(j.side[side].admitted) })
	potential := w.sum(func(j judged) int64 { return price(j, side) })
	collectable := w.sum(func(j judged) int64 { return pays(j, side) }) - w.refunds[side]
	return map[string]any{"potential": potential, "collectable": collectable, "admitted": admitted, "denied": int64(len(w.calls)) - admitted,
		"leakage": share(potential-collectable, potential)}
}

func newly(j judged) bool { return j.side[0].admitted && !j.side[1].admitted }

func (w *walked) newly() map[string]any {
	by, keys := map[string]any{}, map[string]bool{}
	for _, j := range w.calls {
		if newly(j) {
			n, _ := by[reason(j, 1)].(int64)
			by[reason(j, 1)] = n + 1
			keys[j.call.Key] = true
		}
	}
	return map[string]any{"attempts": w.sum(func(j judged) int64 { return count(newly(j)) }), "keys": int64(len(keys)), "byReason": by,
		"soleCause": w.sum(func(j judged) int64 { return count(newly(j) && len(j.side[1].reasons) == 1) })}
}

// denials are counted by reason, and what they would have cost. With what was
// guessed, cut short and given back that is all that is not collected.
func (w *walked) denials() (by map[string]any, leaks map[string]any) {
	by, sums := map[string]any{}, map[string]*[2]int64{}
	leak := func(reason string, side int, n int64) {
		if sums[reason] == nil {
			sums[reason] = new([2]int64)
		}
		sums[reason][side] += n
	}
	for _, j := range w.calls {
		for side := range 2 {
			switch v := j.side[side]; {
			case !v.admitted:
				leak(reason(j, side), side, price(j, side))
			case v.imputed:
				leak("imputed", side, v.quote)
			case v.due > v.paid:
				leak("shortfall", side, v.due-v.paid)
			}
		}
		if !j.side[1].admitted {
			n, _ := by[reason(j, 1)].(int64)
			by[reason(j, 1)] = n + 1
		}
	}
	for side, n := range w.refunds {
		if n != 0 {
			leak("refunded", side, n)
		}
	}
	leaks = map[string]any{}
	for reason, n := range sums {
		leaks[reason] = map[string]any{"reason": reason, "live": n[0], "candidate": n[1]}
	}
	return by, leaks
}

// ofKey are the calls of each key.
func (w *walked) ofKey() map[string][]judged {
	out := map[string][]judged{}
	for _, j := range w.calls {
		out[j.call.Key] = append(out[j.call.Key], j)
	}
	return out
}

func bill(calls []judged, side int) (n int64) {
	for _, j := range calls {
		n += pays(j, side)
	}
	return n
}

func (w *walked) keyRows() []any {
	var out []any
	by := w.ofKey()
	for _, id := range slices.Sorted(maps.Keys(by)) {
		row := map[string]any{"id": id, "live": bill(by[id], 0), "candidate": bill(by[id], 1), "firstDeniedAt": nil, "stoppedBy": nil}
		admitted, denied, fresh := int64(0), int64(0), int64(0)
		for _, j := range by[id] {
			if j.side[1].admitted {
				admitted++
				continue
			}
			if denied++; denied == 1 {
				row["firstDeniedAt"] = j.call.At.UTC().Format(time.RFC3339Nano)
			}
			if newly(j) {
				if fresh++; fresh == 1 {
					row["stoppedBy"] = reason(j, 1)
					if j.call.Run != "" {
						row["run"] = j.call.Run
					}
				}
			}
		}
		row["admitted"], row["denied"], row["newlyDenied"] = admitted, denied, fresh
		out = append(out, row)
	}
	return out
}

// change is how much more a key pays to the candidate.
type change int64

// extremes are the changes of the ten bills that fall most, and of the ten that
// rise most.
func (w *walked) extremes() (winners, losers []any) {
	winners, losers = []any{}, []any{}
	var changes []int64
	for _, calls := range w.ofKey() {
		changes = append(changes, bill(calls, 1)-bill(calls, 0))
	}
	slices.Sort(changes)
	for _, n := range changes {
		if n < 0 && len(winners) < 10 {
			winners = append(winners, change(n))
		}
	}
	slices.Reverse(changes)
	for _, n := range changes {
		if n > 0 && len(losers) < 10 {
			losers = append(losers, change(n))
		}
	}
	return winners, losers
}

func (w *walked) timeline() map[string]any {
	hours := map[int64]int64{}
	for _, j := range w.calls {
		if !j.side[1].admitted {
			hours[j.call.At.Unix()/3600]++
		}
	}
	if len(hours) == 0 {
		return map[string]any{"from": nil, "hours": int64(0), "total": []any{}}
	}
	all := slices.Sorted(maps.Keys(hours))
	first, last := all[0], all[len(all)-1]
	var total []any
	for h := first; h <= last; h++ {
		total = append(total, hours[h])
	}
	return map[string]any{"from": time.Unix(first*3600, 0).UTC().Format(time.RFC3339), "hours": last - first + 1, "total": total}
}

func (w *walked) sheetRows() map[string]any {
	out, keys := map[string]any{}, map[string]map[string]bool{}
	for _, j := range w.calls {
		hash := j.call.Sheet
		if out[hash] == nil {
			out[hash], keys[hash] = map[string]any{"sheet": hash, "attempts": int64(0), "live": int64(0), "candidate": int64(0)}, map[string]bool{}
		}
		row := out[hash].(map[string]any)
		row["attempts"] = row["attempts"].(int64) + 1
		row["live"], row["candidate"] = row["live"].(int64)+pays(j, 0), row["candidate"].(int64)+pays(j, 1)
		keys[hash][j.call.Key] = true
		row["keys"], row["change"] = int64(len(keys[hash])), row["candidate"].(int64)-row["live"].(int64)
	}
	return out
}

func (w *walked) walletFigures() map[string]any {
	out, by := map[string]any{}, w.ofKey()
	for side, name := range []string{"Live", ""} {
		all, unused := int64(0), int64(0)
		for key, n := range w.wallets[side] {
			all += n
			if by[key] == nil {
				unused += n
			}
		}
		out["liability"+name], out["unused"+name] = all, unused
	}
	out["given"], out["expired"] = w.given, w.expired
	return out
}
