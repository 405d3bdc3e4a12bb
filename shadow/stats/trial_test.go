package stats_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"paygate/shadow/stats"
)

// trial draws units whose Y goes with their X, treated by a coin.
func trial(random *rand.Rand, n int, share, effect float64) stats.Trial {
	t := stats.Trial{Share: share}
	for range n {
		x := math.Exp(3 + .6*random.NormFloat64())
		u := stats.Unit{X: x, Y: x + 3*random.NormFloat64(), Treated: random.Float64() < share}
		if u.Treated {
			u.Y *= 1 + effect
		}
		t.Units = append(t.Units, u)
	}
	return t
}

func TestWhatWasBeforeMakesAnExperimentSmall(t *testing.T) {
	t.Parallel()
	x := trial(rand.New(rand.NewPCG(1, 2)), 400, .3, -.2)
	e := x.Effect(400)
	if e.Reduced < .8 || e.Theta < .7 || e.Absolute.High >= 0 || math.Abs(e.Relative+.2) > .05 {
		t.Errorf("%+v", e)
	}
	for i := range x.Units {
		x.Units[i].X = 0
	}
	if blind := x.Effect(400); blind.Reduced != 0 || blind.Absolute.High-blind.Absolute.Low < 1.5*(e.Absolute.High-e.Absolute.Low) {
		t.Errorf("%+v without what was before", blind)
	}
}

// With no effect, an experiment that is looked at as it grows rarely finds one.
func TestNoEffectIsRarelyFound(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 2))
	alarms, repeats := 0, 150
	for range repeats {
		x := trial(random, 600, .5, 0)
		for n := 50; n <= 600; n += 50 {
			if e := (stats.Trial{Share: .5, Units: x.Units[:n]}).Effect(300); e.Absolute.Low > 0 || e.Absolute.High < 0 {
				alarms++
				break
			}
		}
	}
	if share := float64(alarms) / float64(repeats); share > .06 {
		t.Errorf("%.3f false alarms", share)
	}
}

func TestABrokenSplitIsNoticed(t *testing.T) {
	t.Parallel()
	split := func(control, treated int) stats.Trial {
		t := stats.Trial{Share: .1}
		for i := range control + treated {
			t.Units = append(t.Units, stats.Unit{Treated: i < treated})
		}
		return t
	}
	if p := split(900, 100).RatioP(); p < .99 {
		t.Errorf("an even split has p = %v", p)
	}
	if p := split(870, 130).RatioP(); p > .01 || p < stats.RatioBroken {
		t.Errorf("p = %v", p)
	}
	if p := split(800, 200).RatioP(); p >= stats.RatioBroken {
		t.Errorf("a broken split has p = %v", p)
	}
}

func TestElasticities(t *testing.T) {
	t.Parallel()
	if e := stats.ArcElasticity(2, 4, 100, 50); e == nil || math.Abs(*e+1) > 1e-12 {
		t.Error(e)
	}
	if stats.ArcElasticity(2, 2, 100, 50) != nil || stats.ArcElasticity(1, 2, 0, 0) != nil {
		t.Error("an elasticity of nothing")
	}
	x := trial(rand.New(rand.NewPCG(8, 2)), 500, .5, -.3)
	e := x.Elasticity(2, 3, 7)
	want := *stats.ArcElasticity(2, 3, 1, .7)
	if e == nil || e.Low > want || e.High < want || e.High-e.Low > .5 {
		t.Errorf("%+v, want %v in it", e, want)
	}
}
