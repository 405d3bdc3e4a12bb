package chart_test

import (
	"math"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"paygate/tui/chart"
	"paygate/tui/paint"
)

func drawn(w, h int, set paint.Charset, draw func(a paint.Area)) string {
	c := paint.New(w, h, paint.NewTheme(paint.Mono, paint.DarkBackground, set))
	draw(c.All())
	return ansi.Strip(c.String())
}

func TestTheTopOfAnAxisIsANiceNumber(t *testing.T) {
	t.Parallel()
	for in, want := range map[float64]float64{0: 1, -3: 1, 0.7: 0.8, 1: 1, 1.2: 1.5, 375: 400, 876: 1000, 4001: 5000, math.Inf(1): 1} {
		if got := chart.Nice(in); math.Abs(got-want) > want*1e-9 {
			t.Errorf("over %v stands %v, want %v", in, got, want)
		}
	}
}

func TestACurveIsFilledFromZero(t *testing.T) {
	t.Parallel()
	got := drawn(4, 2, paint.Unicode, func(a paint.Area) { chart.Area(a, []float64{0, 1, 2, 4, 8, 8, 4, 0}, 8, paint.Style{}) })
	if want := "  ⣿\n⢀⣼⣿⡇"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := drawn(4, 1, paint.Unicode, func(a paint.Area) { chart.Area(a, []float64{0, 0}, 8, paint.Style{}) }); got != "" {
		t.Errorf("nothing is drawn as %q", got)
	}
}

func TestWhatIsMissingIsAGap(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	got := drawn(4, 1, paint.Unicode, func(a paint.Area) { chart.Area(a, []float64{8, 8, nan, nan, nan, nan, 8, 8}, 8, paint.Style{}) })
	if got != "⣿  ⣿" {
		t.Errorf("got %q", got)
	}
}

func TestSomethingIsNeverNothing(t *testing.T) {
	t.Parallel()
	got := drawn(1, 1, paint.Unicode, func(a paint.Area) { chart.Area(a, []float64{1, 1}, 1e6, paint.Style{}) })
	if got != "⣀" {
		t.Errorf("got %q", got)
	}
	if got := chart.Bar(0.0001, 10); got != "╸" {
		t.Errorf("a bar for next to nothing is %q", got)
	}
}

func TestBars(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ got, want string }{
		{chart.Bar(1, 4), "━━━━"}, {chart.Bar(0.5, 4), "━━"}, {chart.Bar(0.4, 4), "━╸"}, {chart.Bar(7, 4), "━━━━"}, {chart.Bar(0, 4), ""}, {chart.Bar(math.NaN(), 4), ""},
		{chart.Block(0.5, 4, false), "██"}, {chart.Block(0.53, 4, false), "██▏"}, {chart.Block(0.5, 4, true), "##"},
		{chart.Gauge(0.5, 10), "[━━━━    ]"}, {chart.Gauge(2, 6), "[━━━━]"}, {chart.Gauge(0, 4), "[  ]"},
		{chart.Spark([]float64{0, 4, 8}, 3, false), "▁▅█"}, {chart.Spark(nil, 3, false), ""}, {chart.Spark([]float64{1, 1}, 2, true), "##"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

// FuzzCharts draws any series in any room: nothing panics, and in ASCII
// nothing else is written.
func FuzzCharts(f *testing.F) {
	f.Add(10, 3, 5.0, 7.0, -1.0)
	f.Add(1, 1, math.NaN(), math.Inf(1), 0.0)
	f.Fuzz(func(t *testing.T, w, h int, x, y, top float64) {
		w, h = 1+(w&127), 1+(h&31)
		values := []float64{x, y, x * y, 0, math.NaN()}
		for _, set := range []paint.Charset{paint.Unicode, paint.ASCII} {
			out := drawn(w, h, set, func(a paint.Area) {
				plot := chart.Framed(a, chart.Axis{Top: "1", Bottom: "0", Oldest: "-5 min", Newest: "now", Gutter: 6})
				chart.Area(plot, values, chart.Nice(chart.Top(values)), paint.Style{})
				chart.Line(a, values, top, paint.Style{})
				chart.Heat(a, [][]int{{1, 2, 3}, {w, h}, nil})
				a.Text(0, 0, chart.Spark(values, w, a.ASCII())+chart.Bar(x, w)+chart.Block(y, w, a.ASCII())+chart.Gauge(x, w), paint.Style{})
			})
			for _, r := range out {
				if set == paint.ASCII && r > 0x7f {
					t.Fatalf("%q in %q", r, out)
				}
			}
		}
	})
}

func TestNoColumnOfADistributionIsLeftOut(t *testing.T) {
	t.Parallel()
	grid := make([][]int, 60)
	for i := range grid {
		grid[i] = []int{0, 0}
	}
	grid[59][1] = 5
	got := drawn(45, 2, paint.Unicode, func(a paint.Area) { chart.Heat(a, grid) })
	if r := []rune(got); len(r) < 45 || r[44] != '█' {
		t.Errorf("the newest step is not drawn: %q", got)
	}
}
