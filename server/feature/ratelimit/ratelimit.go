// Package ratelimit caps how many calls a key makes in any 60 seconds, over
// all tools and for one tool. It counts nothing itself: it appends limits, and
// the hold takes a slot of each window or none. So the caps are exact under
// concurrency and over a restart.
package ratelimit

import (
	"time"

	"paygate/server/gate"
	"paygate/store/journal"
)

// Window is the sliding window of both caps.
const Window = time.Minute

// Check appends the caps: for the key its own or perMinute (0 is none), and what
// perTool says for the tool. It stands last, because checks before it may lower
// c.RateCap.
func Check(perMinute int, perTool func(tool string) int) gate.Check {
	return gate.Check{Name: "ratelimit", Do: func(c *gate.Call) *gate.Denial {
		owner := journal.KeyAccount(c.Key)
		limit := perMinute
		if c.Terms != nil {
			limit = c.Terms.PerMinute(perMinute)
		}
		if c.RateCap > 0 && (limit <= 0 || c.RateCap < limit) {
			limit = c.RateCap
		}
		if limit > 0 {
			c.Limits = append(c.Limits, journal.Limit{Owner: owner, Kind: journal.KeyRate, Max: int64(limit), Window: Window})
		}
		if n := perTool(c.Tool); n > 0 {
			c.Limits = append(c.Limits, journal.Limit{Owner: owner, Kind: journal.ToolRate, Max: int64(n), Window: Window})
		}
		return nil
	}}
}
