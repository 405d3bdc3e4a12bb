package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"paygate/server/config"
	"paygate/server/feature/access"
	"paygate/server/feature/ipaccess"
	"paygate/server/feature/quota"
	"paygate/server/feature/ratelimit"
	"paygate/server/gate"
	"paygate/server/keys"
)

// The way of a call: every check in the order of evaluation, then one Reserve
// for credits and all limits, then every wrap, outermost first, around the
// server. To add a feature, add its line.

// checks are evaluated for every tools/call.
func (s *Server) checks(cfg *config.Config, prices *choice) []gate.Check {
	return []gate.Check{
		identify(),       // who calls; without a key nothing after it can be known
		suspended(),      // may be suspended since
		ipaccess.Check(), // from where
		access.Check(),   // which tool
		s.dedup.Check(),  // asked before: a repetition is not refused for what the first has used up
		ratelimit.Check(cfg.GlobalRateLimit, func(tool string) int { return cfg.Tools[tool].RateLimit }), // appends windows
		quota.Check(keys.Quota(cfg.GlobalQuota)),                                                         // appends quotas
		s.plans(),                                                                                        // appends rates and spending caps of the key\'s plan
		prices.canary(),                                                                                  // appends what a canary's key pays a day at most
	}
}

// entry are the checks of methods that are not charged: resources, prompts,
// completions, tasks.
func (s *Server) entry() []gate.Check {
	return []gate.Check{identify(), suspended(), ipaccess.Check()}
}

// wraps stand around the upstream.
func (s *Server) wraps(cfg *config.Config) []gate.Wrap {
	return []gate.Wrap{
		timeout(cfg), // ends the upstream call when its time is over
	}
}

func identify() gate.Check {
	return gate.Check{Name: "identify", Do: func(c *gate.Call) *gate.Denial {
		if c.Terms == nil {
			return gate.DenyAndStop(c.Refused)
		}
		return nil
	}}
}

func suspended() gate.Check {
	return gate.Check{Name: "suspended", Do: func(c *gate.Call) *gate.Denial {
		if c.Terms.Suspended {
			return gate.Deny("key_suspended")
		}
		return nil
	}}
}

// timeout gives each call the time of its tool, or the general one.
func timeout(cfg *config.Config) gate.Wrap {
	return func(next gate.Handler) gate.Handler {
		return func(ctx context.Context, c *gate.Call) error {
			limit := cfg.Tools[c.Tool].Timeout
			if limit == 0 {
				limit = cfg.ToolTimeout
			}
			if limit == 0 {
				return next(ctx, c)
			}
			timed, cancel := context.WithTimeoutCause(ctx, limit, errTimeout)
			defer cancel()
			err := next(timed, c)
			if err != nil && errors.Is(context.Cause(timed), errTimeout) {
				return gate.TimedOut(limit.Round(time.Millisecond))
			}
			return err
		}
	}
}

var errTimeout = fmt.Errorf("the tool's time is over: %w", context.DeadlineExceeded)
