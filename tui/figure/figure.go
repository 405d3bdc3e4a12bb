// Package figure writes numbers, durations and times the way the dashboard
// shows them: grouped, right-aligned, with three digits where room is short.
package figure

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Group writes n with thousands apart: 1,240,312. A negative number begins
// with a minus sign.
func Group(n int64) string {
	if n == math.MinInt64 {
		return "−9,223,372,036,854,775,808"
	}
	if n < 0 {
		return "−" + Group(-n)
	}
	s := strconv.FormatInt(n, 10)
	if len(s) <= 3 {
		return s
	}
	var b strings.Builder
	first := len(s) % 3
	b.WriteString(s[:first])
	for i := first; i < len(s); i += 3 {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(s[i : i+3])
	}
	return b.String()
}

// Signed writes a change: +2,500, −5, 0.
func Signed(n int64) string {
	if n > 0 {
		return "+" + Group(n)
	}
	return Group(n)
}

// Short writes n in at most width cells: grouped when that fits, else three
// digits and a unit.
func Short(n int64, width int) string {
	s := Group(n)
	if cells(s) <= width {
		return s
	}
	return Big(float64(n))
}

// Big writes three digits and a unit from 10,000 on: 1.24M.
func Big(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "?"
	}
	if f < 0 {
		return "−" + Big(-f)
	}
	if f < 9999.5 {
		return Group(int64(math.Round(f)))
	}
	units := []string{"", "k", "M", "G", "T", "P", "E"}
	i := 0
	for f >= 999.5 && i < len(units)-1 {
		f /= 1000
		i++
	}
	switch {
	case f < 9.995:
		return strconv.FormatFloat(f, 'f', 2, 64) + units[i]
	case f < 99.95:
		return strconv.FormatFloat(f, 'f', 1, 64) + units[i]
	}
	return strconv.FormatFloat(f, 'f', 0, 64) + units[i]
}

// Rate writes something per second or hour: one decimal under 10.
func Rate(f float64) string {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return "?"
	case f == 0:
		return "0"
	case f < 0:
		return "−" + Rate(-f)
	case f < 0.05:
		return "<0.1"
	case f < 9.95:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return Big(f)
}

// Millis writes milliseconds: 0.31, 4.5, 141, 1,184, 12.4s, 3m.
func Millis(f float64) string {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return "?"
	case f < 0.005:
		return "0"
	case f < 0.995:
		return strconv.FormatFloat(f, 'f', 2, 64)
	case f < 9.95:
		return strconv.FormatFloat(f, 'f', 1, 64)
	case f < 9999.5:
		return Group(int64(math.Round(f)))
	case f < 99950:
		return strconv.FormatFloat(f/1000, 'f', 1, 64) + "s"
	}
	return Span(time.Duration(f * float64(time.Millisecond)))
}

// Span writes a duration in one unit: 5s 3m 2h 9d 1.4y >10y.
func Span(d time.Duration) string {
	day := 24 * time.Hour
	year := 365 * day
	switch {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d < 100*day:
		return strconv.Itoa(int(d/day)) + "d"
	case d < 10*year:
		return strconv.FormatFloat(float64(d)/float64(year), 'f', 1, 64) + "y"
	}
	return ">10y"
}

// Dry writes when credits run out: nil is never.
func Dry(seconds *int64) string {
	if seconds == nil {
		return "–"
	}
	if *seconds > int64(10*365*24*time.Hour/time.Second) {
		return ">10y"
	}
	return Span(time.Duration(*seconds) * time.Second)
}

// Uptime writes a duration in two units: 3d 4h.
func Uptime(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(max(d, 0)/time.Second)) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 24*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h " + strconv.Itoa(int(d%time.Hour/time.Minute)) + "m"
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + "d " + strconv.Itoa(int(d%(24*time.Hour)/time.Hour)) + "h"
}

// Percent writes a share of one: 2.9 %.
func Percent(share float64) string {
	p := share * 100
	switch {
	case math.IsNaN(p) || math.IsInf(p, 0):
		return "?"
	case p != 0 && p < 0.05 && p > -0.05:
		return "<0.1 %"
	case p >= 99.95 || p <= -99.95:
		return Group(int64(math.Round(p))) + " %"
	}
	s := strconv.FormatFloat(p, 'f', 1, 64)
	return strings.Replace(s, "-", "−", 1) + " %"
}

// Clock writes the time of day.
func Clock(t time.Time) string { return t.Format("15:04:05") }

// Fine writes the time of day to the millisecond.
func Fine(t time.Time) string { return t.Format("15:04:05.000") }

func cells(s string) int { return len([]rune(s)) }
