package stats_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"paygate/shadow/stats"
)

// demand draws counts of units of very different size, on days of very different
// size, whose prices change at different times. Counts vary more than chance, and
// what a unit does hangs together from day to day.
func demand(random *rand.Rand, elasticity float64, prices []float64, units, days int) []stats.Cell {
	var out []stats.Cell
	for u := range units {
		size, from := math.Exp(.8*random.NormFloat64()), make([]int, len(prices))
		for i := range from {
			from[i] = i*days/len(prices) + random.IntN(3)
		}
		mood := 0.0
		for d := range days {
			price := prices[0]
			for i, at := range from {
				if u%4 != 0 && i > 0 && d >= at { // every fourth stays
					price = prices[i]
				}
			}
			mood = .7*mood + .15*random.NormFloat64()
			mean := 4 * size * (1 + .5*math.Sin(float64(d))) * math.Pow(price, elasticity) * math.Exp(mood) * distuv.Gamma{Alpha: 5, Beta: 5, Src: random}.Rand()
			out = append(out, stats.Cell{Unit: u, Day: d, Price: price, Count: distuv.Poisson{Lambda: mean + 1e-9, Src: random}.Rand()})
		}
	}
	return out
}

// Over many markets an interval of 95 % covers the elasticity that was drawn by
// about as often: never clearly less, with few keys rather more. 200 markets
// tell 95 % from 90 % and less.
func TestTheFitFindsHowDemandGoesWithThePrice(t *testing.T) {
	t.Parallel()
	const markets, days = 200, 14
	for _, row := range []struct {
		units          int
		want           float64
		least, refused float64 // shares
	}{
		{8, -1, .92, .5}, {8, 0, .92, .5}, {30, 0, .92, .05}, {30, -1.5, .92, .05}, {90, -.5, .92, 0},
	} {
		t.Run(fmt.Sprintf("%d keys, elasticity %v", row.units, row.want), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(4, uint64(row.units)))
			covered, refused, sum, width := 0.0, 0.0, 0.0, 0.0
			for range markets {
				fit, err := stats.FitDemand(demand(random, row.want, []float64{2, 3, 5}, row.units, days), row.units, days)
				if err != nil {
					refused++
					continue
				}
				e := fit.Elasticity
				if e.Low <= row.want && row.want <= e.High {
					covered++
				}
				if row.units >= 30 && fit.Dispersion < 1 {
					t.Errorf("counts that vary more than chance have dispersion %v", fit.Dispersion)
				}
				sum, width = sum+e.Estimate, width+e.High-e.Low
			}
			fits := markets - refused
			t.Logf("covered %.3f, refused %.3f, %.2f wide", covered/fits, refused/markets, width/fits)
			if mean := sum / fits; math.Abs(mean-row.want) > 3*width/fits/4/math.Sqrt(fits) || covered/fits < row.least || refused/markets > row.refused {
				t.Errorf("%v on average, covered %.3f, refused %.3f", mean, covered/fits, refused/markets)
			}
		})
	}
}

func TestTheFitRefusesWhatTheDataCannotAnswer(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	cells := demand(random, -1, []float64{2, 5}, 40, 10)
	for name, test := range map[string]struct {
		change func(*stats.Cell)
		says   string
	}{
		"one price":           {func(c *stats.Cell) { c.Price = 2 }, "0 keys have paid more than one price"},
		"all at once":         {func(c *stats.Cell) { c.Price = 2 + 3*float64(c.Day/5) }, "at the same time"},
		"nobody":              {func(c *stats.Cell) { c.Count = 0 }, "nobody called"},
		"nothing at one":      {func(c *stats.Cell) { c.Count *= 5 - c.Price }, "nobody called at a price of 5"},
		"units do not change": {func(c *stats.Cell) { c.Price = 2 + float64(c.Unit%2) }, "0 keys"},
		"three giants": {func(c *stats.Cell) {
			if c.Unit < 4 {
				c.Count *= 300
			}
		}, "of about that size are needed"},
	} {
		changed := append([]stats.Cell(nil), cells...)
		for i := range changed {
			test.change(&changed[i])
		}
		fit, err := stats.FitDemand(changed, 40, 10)
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v %v, want %q", name, fit, err, test.says)
		}
	}
}
