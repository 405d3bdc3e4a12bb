package figure_test

import (
	"math"
	"testing"
	"time"

	"paygate/tui/figure"
)

func TestFigures(t *testing.T) {
	t.Parallel()
	second := int64(1)
	never := (*int64)(nil)
	for _, tt := range []struct{ what, got, want string }{
		{"grouped", figure.Group(1240312), "1,240,312"},
		{"small", figure.Group(7), "7"},
		{"negative", figure.Group(-1500), "−1,500"},
		{"the smallest", figure.Group(math.MinInt64), "−9,223,372,036,854,775,808"},
		{"a rise", figure.Signed(2500), "+2,500"},
		{"a fall", figure.Signed(-5), "−5"},
		{"fits", figure.Short(161948, 7), "161,948"},
		{"is too wide", figure.Short(1240312, 7), "1.24M"},
		{"is very large", figure.Short(1_000_000_000, 9), "1.00G"},
		{"rounds up to the next unit", figure.Big(999_999), "1.00M"},
		{"no number", figure.Big(math.NaN()), "?"},
		{"a slow rate", figure.Rate(2.64), "2.6"},
		{"a rate of nothing", figure.Rate(0), "0"},
		{"a rate near nothing", figure.Rate(0.01), "<0.1"},
		{"a fast rate", figure.Rate(375.4), "375"},
		{"microseconds", figure.Millis(0.314), "0.31"},
		{"a few ms", figure.Millis(4.54), "4.5"},
		{"many ms", figure.Millis(1184), "1,184"},
		{"seconds", figure.Millis(12400), "12.4s"},
		{"minutes", figure.Millis(180000), "3m"},
		{"now", figure.Span(500 * time.Millisecond), "now"},
		{"hours", figure.Span(26 * time.Hour), "26h"},
		{"days", figure.Span(9 * 24 * time.Hour), "9d"},
		{"years", figure.Span(511 * 24 * time.Hour), "1.4y"},
		{"a long time", figure.Span(20 * 365 * 24 * time.Hour), ">10y"},
		{"runs dry", figure.Dry(&second), "1s"},
		{"never runs dry", figure.Dry(never), "–"},
		{"up", figure.Uptime(76 * time.Hour), "3d 4h"},
		{"up since a moment", figure.Uptime(-time.Second), "0s"},
		{"a share", figure.Percent(0.029), "2.9 %"},
		{"all", figure.Percent(1), "100 %"},
		{"next to nothing", figure.Percent(0.0001), "<0.1 %"},
		{"a negative share", figure.Percent(-0.1), "−10.0 %"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.what, tt.got, tt.want)
		}
	}
}
