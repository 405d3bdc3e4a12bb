package oracle

import (
	"math/big"
	"slices"
)

// dollar is a credit-dollar in whole credits, at least one.
func (w *walked) dollar() int64 {
	if usd := w.sheet.CreditUSD.Rat(); usd.Sign() > 0 {
		return max(1, ceil(usd.Inv(usd)))
	}
	return 1
}

func (w *walked) bills() map[string]any {
	var both [2][]int64
	winners, losers, shocked, shockPaid, steepest := int64(0), int64(0), int64(0), int64(0), new(big.Rat)
	floor := w.dollar()
	for _, calls := range w.ofKey() {
		c0, c1 := bill(calls, 0), bill(calls, 1)
		both[0], both[1] = append(both[0], c0), append(both[1], c1)
		theta := big.NewRat(floor, 1) // or 5 % of the bill
		if five := big.NewRat(c0, 20); five.Cmp(theta) > 0 {
			theta = five
		}
		change := big.NewRat(c1-c0, 1)
		losers += count(change.Cmp(theta) > 0)
		winners += count(change.Cmp(new(big.Rat).Neg(theta)) < 0)
		rise := big.NewRat(c1-c0, max(c0, floor))
		if rise.Cmp(steepest) > 0 {
			steepest = rise
		}
		if rise.Cmp(big.NewRat(1, 2)) > 0 && c1-c0 > floor {
			shocked++
			shockPaid += c1
		}
	}
	n := int64(len(both[0]))
	most, _ := steepest.Float64()
	all := int64(0)
	for _, c := range both[1] {
		all += c
	}
	out := map[string]any{"winners": winners, "losers": losers, "shocked": shocked, "shock": orZero(share(shocked, n)), "shockPaid": orZero(share(shockPaid, all)),
		"steepest": most, "keysCounted": n}
	out["payersLive"], out["giniLive"], out["topTenthLive"] = spread(both[0])
	out["payers"], out["gini"], out["topTenth"] = spread(both[1])
	return out
}

// spread is how unevenly a sum is spread.
func spread(v []int64) (effective, gini, top any) {
	slices.Sort(v)
	n := int64(len(v))
	sum, squares, ranked, dearest := int64(0), new(big.Int), new(big.Int), int64(0)
	for i, c := range v {
		sum += c
		squares.Add(squares, new(big.Int).Mul(big.NewInt(c), big.NewInt(c)))
		ranked.Add(ranked, big.NewInt((2*int64(i+1)-n-1)*c))
		if int64(i) >= n-(n+9)/10 {
			dearest += c
		}
	}
	if sum == 0 {
		return 0.0, 0.0, 0.0
	}
	k, _ := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(sum), big.NewInt(sum)), squares).Float64()
	g, _ := new(big.Rat).SetFrac(ranked, big.NewInt(n*sum)).Float64()
	return k, g, orZero(share(dearest, sum))
}
