package lab

import (
	"fmt"
	"math"

	"paygate/tui/figure"
)

// Words says what a guardrail asks for.
func Words(name string) string {
	switch name {
	case "grade":
		return "grade of the window"
	case "coverage":
		return "calls that the shadow saw"
	case "selfDifference":
		return "calls where live differs"
	case "windowDays":
		return "days watched"
	case "attempts":
		return "calls watched"
	case "effectivePayers":
		return "effective payers"
	case "newlyDeniedAttempts":
		return "newly denied calls"
	case "newlyStoppedKeys":
		return "keys newly stopped"
	case "runsBroken":
		return "runs broken, more than now"
	case "strandedSpend":
		return "spent in runs that then broke"
	case "billShock":
		return "bill shock: keys over +50 %"
	case "steepestRise":
		return "steepest rise of a bill"
	case "negativeMarginTools":
		return "tools newly sold below cost"
	case "liftLowerBound":
		return "lower bound of the lift"
	case "errorRate":
		return "failed calls, more than live"
	case "p99":
		return "99th percentile, slower than live"
	case "attemptsDrop":
		return "calls of a key, against live"
	case "topUpFailures":
		return "failed top-ups, more than live"
	case "quietHours":
		return "quiet hours"
	}
	return name
}

// Value writes the value or the limit of a guardrail.
func Value(name string, v any) string {
	f, number := v.(float64)
	if !number {
		if v == nil {
			return "unknown"
		}
		return fmt.Sprint(v)
	}
	switch name {
	case "errorRate", "topUpFailures":
		return fmt.Sprintf("%+.1f pp", f*100)
	case "p99", "attemptsDrop":
		return percent(f)
	case "coverage", "newlyDeniedAttempts", "newlyStoppedKeys", "strandedSpend", "billShock":
		return figure.Percent(f)
	case "runsBroken":
		return fmt.Sprintf("%+.1f pp", f*100)
	case "steepestRise", "liftLowerBound":
		return percent(f)
	case "windowDays", "effectivePayers":
		return figure.Rate(f)
	}
	if f == math.Trunc(f) {
		return figure.Group(int64(f))
	}
	return fmt.Sprintf("%.3g", f)
}
