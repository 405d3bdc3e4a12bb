package pricing

import "time"

// Spec is the content of a sheet as a file says it. Compile makes a Sheet of
// it. Its JSON form is the canonical text that hashes are of.
type Spec struct {
	CreditUSD Decimal `json:"creditUsd,omitempty"` // what a credit is worth
	Defaults  Price   `json:"defaults"`            // of calls that no rule matches
	Rules     []Rule  `json:"rules,omitempty"`     // the first that matches decides
	Plans     []Plan  `json:"plans,omitempty"`     // by name
	Dims      []Dim   `json:"dims,omitempty"`      // declared; see Sheet.Dims
}

// Price is what one call costs: the sum of its parts, times its tier's
// multiplier, rounded up to whole credits, at least Min and at most Max. KB are
// 1,024 bytes and begun ones count whole.
type Price struct {
	PerCall   Decimal `json:"perCall,omitempty"`
	PerKBIn   Decimal `json:"perKbIn,omitempty"`
	PerKBOut  Decimal `json:"perKbOut,omitempty"`
	PerSecond Decimal `json:"perSecond,omitempty"` // by the millisecond
	Min       Credits `json:"min,omitempty"`       // 0: none
	Max       Credits `json:"max,omitempty"`       // 0: none
	Hold      Credits `json:"hold,omitempty"`      // what is held before the call; 0: Max, or what is known before
	// BillOn says which calls are charged; see the constants.
	BillOn string `json:"billOn,omitempty"`
	// Cached is the share that an answer costs which the server did not give.
	Cached *Decimal `json:"cached,omitempty"`
	// Retry is RetryFree (the default) or RetryCharged: what the same answer
	// costs when it is given again.
	Retry string `json:"retry,omitempty"`
	// RetryWithin bounds RetryFree: what is given again later is charged. 0: it
	// does not.
	RetryWithin time.Duration `json:"retryWithin,omitempty"`

	Free  *Allowance `json:"free,omitempty"`
	Tiers *Tiers     `json:"tiers,omitempty"`
}

// Which calls are charged. A call without an answer and a denied one never are.
const (
	BillAccepted = "accepted"       // every answer, also a failure
	BillSuccess  = "success"        // answers that are not failures
	BillBytes    = "result_bytes"   // answers that are not empty
	BillUnits    = "upstream_units" // successes; PerCall is for each unit that the server reports
)

// What a repeated answer costs.
const (
	RetryFree    = "free"
	RetryCharged = "charge"
)

// LongestRetry bounds RetryWithin: until then an answer is remembered.
const LongestRetry = 24 * time.Hour

// Allowance is a number of calls that cost nothing, for each payer.
type Allowance struct {
	Calls int64  `json:"calls"`
	Per   string `json:"per"` // see Periods
}

// Tiers multiply the price by what a payer has used already.
type Tiers struct {
	Mode  string `json:"mode"` // Graduated or Volume
	Per   string `json:"per"`  // see Periods
	Steps []Step `json:"steps"`
}

// Graduated: each call is priced by the step its own number falls in. Volume:
// the step that is reached prices all calls of the period; what was charged for
// the earlier ones counts, and nothing is ever given back.
const (
	Graduated = "graduated"
	Volume    = "volume"
)

// Step is a tier up to the call with number To, which is 0 in the last step.
type Step struct {
	To int64   `json:"to,omitempty"`
	X  Decimal `json:"x"`
}

// Periods are what tiers and allowances may count by, in UTC.
var periods = [...]string{"day", "month", "ever"}

// Periods names what tiers and allowances may count by, in UTC.
func Periods() []string { return periods[:] }

// Rule is a price for the calls that match.
type Rule struct {
	Match Match `json:"match"`
	Price Price `json:"price"`
}

// Match says which calls a rule is for: those that meet all its conditions.
// Texts may have * and ?. Conditions on what is only known after a call
// (Result, Out) do not count for what is held before it.
type Match struct {
	Tool   string            `json:"tool,omitempty"`
	Plan   string            `json:"plan,omitempty"`
	Group  string            `json:"group,omitempty"`
	Result string            `json:"result,omitempty"`
	Tags   map[string]string `json:"tags,omitempty"`
	Dims   map[string]string `json:"dims,omitempty"`
	In     Range             `json:"in,omitzero"`  // bytes of the arguments
	Out    Range             `json:"out,omitzero"` // bytes of the result
	Hours  Span              `json:"hours,omitzero"`
	Days   []int             `json:"days,omitempty"` // 0 is Sunday
}

// Range is From ≤ n < To; a To of 0 has no end.
type Range struct {
	From int64 `json:"from,omitempty"`
	To   int64 `json:"to,omitempty"`
}

// Span is a part of the day in UTC, in minutes after midnight: From ≤ t < To,
// over midnight when To is less. Both 0: all day.
type Span struct {
	From int `json:"from"`
	To   int `json:"to"`
}
