package stats_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"paygate/shadow/stats"
)

// demand draws counts of units of very different size, on days of very different
// size, whose prices change at different times.
func demand(random *rand.Rand, elasticity float64, prices []float64, units, days int) []stats.Cell {
	var out []stats.Cell
	for u := range units {
		size, from := math.Exp(random.NormFloat64()), make([]int, len(prices))
		for i := range from {
			from[i] = i*days/len(prices) + random.IntN(3)
		}
		for d := range days {
			price := prices[0]
			for i, at := range from {
				if u%4 != 0 && i > 0 && d >= at { // every fourth stays
					price = prices[i]
				}
			}
			mean := 4 * size * (1 + .5*math.Sin(float64(d))) * math.Pow(price, elasticity) * distuv.Gamma{Alpha: 5, Beta: 5, Src: random}.Rand()
			out = append(out, stats.Cell{Unit: u, Day: d, Price: price, Count: distuv.Poisson{Lambda: mean + 1e-9, Src: random}.Rand()})
		}
	}
	return out
}

// Over many markets the interval covers the elasticity that was drawn by nearly
// as often as it says, though counts vary more than chance.
func TestTheFitFindsHowDemandGoesWithThePrice(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(4, 2))
	for _, want := range []float64{0, -.5, -1.5} {
		const markets = 40
		covered, sum := 0, 0.0
		for range markets {
			fit, err := stats.FitDemand(demand(random, want, []float64{2, 3, 5}, 60, 14), 60, 14)
			if err != nil {
				t.Fatal(err)
			}
			if e := fit.Elasticity; e.Low <= want && want <= e.High {
				covered++
			}
			if fit.Dispersion < 1 {
				t.Errorf("counts that vary more than chance have dispersion %v", fit.Dispersion)
			}
			sum += fit.Elasticity.Estimate
		}
		if mean := sum / markets; math.Abs(mean-want) > .1 || covered < markets*85/100 {
			t.Errorf("elasticity %v: %v on average, covered %d of %d times", want, mean, covered, markets)
		}
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
		"one price":           {func(c *stats.Cell) { c.Price = 2 }, "0 keys were seen at more than one price"},
		"all at once":         {func(c *stats.Cell) { c.Price = 2 + 3*float64(c.Day/5) }, "at the same time"},
		"nobody":              {func(c *stats.Cell) { c.Count = 0 }, "nobody called"},
		"nothing at one":      {func(c *stats.Cell) { c.Count *= 5 - c.Price }, "no elasticity fits"},
		"units do not change": {func(c *stats.Cell) { c.Price = 2 + float64(c.Unit%2) }, "0 keys"},
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
