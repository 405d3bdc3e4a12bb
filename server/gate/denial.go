package gate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"paygate/pricing"
	"paygate/server/mcp"
	"paygate/store/ledger"
)

// JSON-RPC codes of refusals; the contract with clients.
const (
	CodePayment     = -32402 // payment required, or refused by the gate
	CodeConcurrency = -32005
	CodeTimeout     = -32004
)

// Denial is a caller's call refused. It is an error, so that a wrap can return
// it too.
type Denial struct {
	Check      string // who says so
	Reason     string // identifier of the contract, may be followed by ": detail"
	Message    string // for a person; empty: made from Reason
	Code       int    // JSON-RPC code; 0: CodePayment
	RetryAfter time.Duration
	Need, Have pricing.Credits // for insufficient_credits

	final bool // the checks after it cannot know anything: no key
}

func (d *Denial) Error() string {
	if d.Message != "" {
		return d.Message
	}
	return "Payment required: " + d.Reason
}

// DenialOf is the refusal that an error is, or nil.
func DenialOf(err error) *Denial {
	if err == nil { // nearly always
		return nil
	}
	var d *Denial
	errors.As(err, &d)
	return d
}

// Deny is a plain refusal for a contract's reason.
func Deny(reason string) *Denial { return &Denial{Reason: reason} }

// DenyAndStop is a refusal after which no other check can know anything.
func DenyAndStop(reason string) *Denial { return &Denial{Reason: reason, final: true} }

func fromBook(r ledger.Refusal) Denial {
	return Denial{Check: "hold", Reason: r.Reason, RetryAfter: r.RetryAfter,
		Need: pricing.Credits(r.Need), Have: pricing.Credits(r.Have)}
}

// First is the denial that is answered: the first in the contract's order.
func (c *Call) First() *Denial {
	d := ordered(c.Denials)[0]
	return &d
}

func ordered(ds []Denial) []Denial {
	out := slices.Clone(ds)
	slices.SortStableFunc(out, func(a, b Denial) int { return rank(a.Reason) - rank(b.Reason) })
	return out
}

// rank is a reason's place in the contract's order at the gate; reasons that
// the contract does not name come where their check stands, after identity.
func rank(reason string) int {
	id, _, _ := strings.Cut(reason, ":")
	switch id {
	case "maintenance":
		return 0
	case "missing_api_key", "invalid_api_key", "api_key_expired":
		return 1
	case "key_suspended":
		return 2
	case "ip_not_allowed":
		return 3
	case "country_not_allowed", "country_denied":
		return 4
	case "tool_not_allowed", "tool_denied":
		return 5
	case "token_tool_not_allowed":
		return 6
	case "rate_limited", "tool_rate_limited":
		return 8
	case "insufficient_credits":
		return 9
	case "spending_limit_exceeded":
		return 10
	}
	if strings.HasSuffix(id, "_quota_exceeded") {
		return 11
	}
	return 7
}

// TimedOut is a call that was ended because its time was over. It got no
// answer, so it is never charged.
func TimedOut(after time.Duration) *Late { return &Late{After: after} }

// Late is the error of a call whose time was over.
type Late struct{ After time.Duration }

func (l *Late) Error() string {
	return "the tool did not answer within " + l.After.String() + "; the call was ended and not charged"
}

// Unwrap lets callers see a lost call that ran out of time.
func (l *Late) Unwrap() []error { return []error{mcp.ErrLost, context.DeadlineExceeded} }
